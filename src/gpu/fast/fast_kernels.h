/* fast_kernels.h - the hosts' sides of the kernels that are fast at what they take. Of each NAME_takes() says whether
 * it can do a call, and NAME() launches it. Which is chosen: attention.c. Read next: forward_sm90.c, decode_sm80.c. */
#ifndef PAH_GPU_FAST_KERNELS_H
#define PAH_GPU_FAST_KERNELS_H

#include "attention/attn.h"
#include "gpu/gpu.h"
#include "gpu/params.h"

/* PAH_OK; or PAH_EUNSUPPORTED, and the message names the first thing that the kernel cannot do. */
typedef int pah_gpu_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s);
/* Whether a call that it takes is expected to be faster so than by the next kernel. */
typedef int pah_gpu_pays(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s);
/* Launches a call that it takes; *p is that of pah_gpu_params. */
typedef int pah_gpu_run(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                        struct pah_attn_params *p);

pah_gpu_takes pah_forward_sm90_takes, pah_forward_sm80_takes, pah_forward_simt_takes, pah_forward_tf32_takes;
pah_gpu_takes pah_forward_split_takes, pah_decode_sm80_takes, pah_decode_mla_takes, pah_backward_sm90_takes;
pah_gpu_takes pah_backward_sm80_takes;
pah_gpu_pays pah_forward_split_pays, pah_forward_tf32_pays;
pah_gpu_run pah_forward_sm90, pah_forward_sm80, pah_forward_simt, pah_forward_tf32, pah_forward_split;
pah_gpu_run pah_decode_sm80, pah_decode_mla;
/* Sets p->delta where p->dsinks asks for it. The caller ends the use of scratch memory behind its own last launch. */
pah_gpu_run pah_backward_sm90, pah_backward_sm80;

/* ---- For the decode kernels whose work is shared out by kernels/sm80/work.cuh (decode_sm80.c) ---- */

/* Memory that is kept from call to call, into *p: counters at zero, and floats for parts of rows. */
int pah_gpu_decode_areas(struct pah_device *dev, int64_t counters, int64_t floats, struct pah_attn_params *p);
int pah_gpu_decode_call(struct pah_device *dev, const struct pah_gpu_call *call);

#endif
