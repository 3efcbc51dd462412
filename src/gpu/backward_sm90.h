/* backward_sm90.h - the host's side of kernels/sm90/backward/. See backward_sm90.c. */
#ifndef PAH_GPU_BACKWARD_SM90_H
#define PAH_GPU_BACKWARD_SM90_H

#include "attention/attn.h"
#include "gpu.h"
#include "params.h"

/* PAH_OK if the kernels can do this backward; else PAH_EUNSUPPORTED, and the message names the first thing they cannot.
 */
int pah_backward_sm90_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s);

/* Launches them; *p is complete. p->delta is set where p->dsinks asks for it. The caller ends the use of scratch memory
 * behind its own last launch. */
int pah_backward_sm90(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                      struct pah_attn_params *p);

#endif
