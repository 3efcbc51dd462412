/* forward_split.h - the forward of few queries over many keys, by decode's kernel. See forward_split.c. */
#ifndef PAH_GPU_FORWARD_SPLIT_H
#define PAH_GPU_FORWARD_SPLIT_H

#include "attention/attn.h"
#include "gpu.h"
#include "params.h"

/* PAH_OK if decode's kernel can do this forward; else PAH_EUNSUPPORTED and why not. */
int pah_forward_split_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s);
/* Whether it is expected to be faster than a kernel that gives all keys of a tile of rows to one thread block. */
int pah_forward_split_pays(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s);

/* Launches it; *p is complete. */
int pah_forward_split(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                      struct pah_attn_params *p);

#endif
