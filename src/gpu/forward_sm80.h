/* forward_sm80.h - the host's side of kernels/sm80/forward/forward.cu, and of kernels/simt/forward.cu (f32).
 * See forward_sm80.c. */
#ifndef PAH_GPU_FORWARD_SM80_H
#define PAH_GPU_FORWARD_SM80_H

#include "attention/attn.h"
#include "gpu.h"
#include "params.h"

/* PAH_OK if the kernel can do this forward; else PAH_EUNSUPPORTED, and the message names the first thing it cannot. */
int pah_forward_sm80_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s);

/* Launches it; *p is complete. */
int pah_forward_sm80(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                     struct pah_attn_params *p);

int pah_forward_simt_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s);
int pah_forward_simt(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                     struct pah_attn_params *p);

#endif
