/* sm80.h - decode by the tensor-core kernels of kernels/sm80: what they take, and the launch. See sm80.c. */
#ifndef PAH_GPU_SM80_H
#define PAH_GPU_SM80_H

#include "attention/attn.h"
#include "gpu.h"
#include "params.h"

/* PAH_OK, or PAH_EUNSUPPORTED with what they do not take. */
int pah_gpu_sm80_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s);
/* Only of what is taken; *p is that of pah_gpu_params. */
int pah_gpu_sm80_decode(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                        struct pah_attn_params *p);

/* ---- For the other decode kernels whose work is shared out by kernels/sm80/work.cuh ---- */

/* Memory that is kept from call to call, into *p: counters at zero, and floats for parts of rows. */
int pah_gpu_decode_areas(struct pah_device *dev, int64_t counters, int64_t floats, struct pah_attn_params *p);
int pah_gpu_decode_call(struct pah_device *dev, const struct pah_gpu_call *call);

#endif
