/* mla.h - decode where V is a part of K by kernels/sm90/mla: what it takes, and the launch. See mla.c. */
#ifndef PAH_GPU_MLA_H
#define PAH_GPU_MLA_H

#include "attention/attn.h"
#include "gpu.h"
#include "params.h"

/* PAH_OK, or PAH_EUNSUPPORTED with what it does not take. */
int pah_gpu_mla_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s);
/* Only of what is taken; *p is that of pah_gpu_params. */
int pah_gpu_mla_decode(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                       struct pah_attn_params *p);

#endif
