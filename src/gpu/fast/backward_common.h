/* backward_common.h - what the hosts' sides of the fast backwards share: checks of what none of them takes, numbers of
 * queries and the plan of who uses which block (kernels/backward/prepare.cu, plan.cu), and their working memory. Read
 * next: backward_sm90.c, backward_sm80.c, kernels/backward/plan.cuh. */
#ifndef PAH_GPU_BACKWARD_COMMON_H
#define PAH_GPU_BACKWARD_COMMON_H

#include "attention/attn.h"
#include "gpu/gpu.h"
#include "gpu/params.h"

struct pah_backward_plan { /* struct backward_plan of kernels/backward/plan.cuh */
  float *stats;
  int *first, *last, *lowest, *highest, *used, *items, *item_count, *dkdv_taken, *dq_taken;
};

/* A backward under way. */
struct pah_backward {
  struct pah_device *dev;
  const struct pah_attn *a;
  const struct pah_attn_sizes *s;
  struct pah_attn_params *p;
  int dim, queries, keys; /* head_dim that kernels are compiled for; of a tile of dK and dV */
  /* found by pah_backward_begin: */
  struct pah_backward_plan plan;
  int64_t row_tiles; /* of `queries` */
  int64_t items;     /* at most */
};

/* PAH_OK, or PAH_EUNSUPPORTED with "field: the KERNEL kernel takes ...": counts that fit, and of gradients too what
 * pah_forward_check_sizes looks at. keys: of a tile. */
int pah_backward_check(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t keys, const char *kernel);
/* Takes scratch memory and launches prepare.cu and plan.cu; sets p->delta where p->dsinks asks for it. */
int pah_backward_begin(struct pah_backward *w);

#endif
