/* params.h - struct pah_attn and its like as the kernels want them (kernels/params.h). See params.c. */
#ifndef PAH_GPU_PARAMS_H
#define PAH_GPU_PARAMS_H

#include "../../kernels/params.h"
#include "attention/attn.h"

void pah_gpu_params(const struct pah_attn *a, const struct pah_attn_sizes *s, struct pah_attn_params *p);
struct pah_blocks pah_gpu_blocks(const struct pah_tensor *t);

/* Of the two parts of a merge. Rows of out [B, H, Sq, D], [B, H, D] or ragged [total_q, H, D]; of lse [B, H, Sq] or
 * [H, total_q]. */
struct pah_rows pah_gpu_out_rows(const struct pah_tensor *t, int ragged);
struct pah_rows pah_gpu_lse_rows(const struct pah_tensor *t, int ragged);

#endif
