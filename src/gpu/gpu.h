/* gpu.h - the operations of pah on a device that compiles kernels: the slots attention, merge and kv_append of cuda and
 * sim. The kernels are those of kernels/, whatever the device. Read next: attention.c, modules.c,
 * kernels/naive/forward.cu.
 */
#ifndef PAH_GPU_H
#define PAH_GPU_H

#include "module/module.h"

struct pah_draw;
struct pah_verdict;

int pah_gpu_attention(struct pah_device *dev, int op, const struct pah_attn *a);
int pah_gpu_merge(struct pah_device *dev, const struct pah_merge *m);
int pah_gpu_kv_append(struct pah_device *dev, const struct pah_kv_append *c);
/* Tensor work (tensor.c). */
int pah_gpu_tensor_copy(struct pah_device *dev, const struct pah_tensor *dst, const struct pah_tensor *src);
int pah_gpu_tensor_fill(struct pah_device *dev, const struct pah_tensor *t, const void *element);
int pah_gpu_tensor_random(struct pah_device *dev, const struct pah_tensor *t, const struct pah_draw *draw);
int pah_gpu_tensor_hash(struct pah_device *dev, const struct pah_tensor *t, uint64_t *parts);

struct pah_gpu_area { /* device memory that is kept from call to call */
  void *data;
  int64_t bytes;
  int zero; /* all of it is known to be 0 between launches */
};

/* What these slots keep of a device: the state of one that has them must begin with it (cuda, its offline one, sim). */
struct pah_gpu_state {
  struct pah_gpu_module *modules; /* built-in kernels compiled so far, the newest first */
  int check_off;                  /* the setting "check" is 0 */
  int check_asked;                /* what PAH_CUDA_CHECK says: 0 not read yet, 1 on, 2 off */
  struct pah_gpu_area verdict;    /* a struct pah_verdict (verdict.c), once something has been checked */
  unsigned ticket;                /* of the last call that was checked, */
  int unseen;                     /* and whether the host has looked since */
  struct pah_gpu_area scratch;    /* pah_gpu_scratch */
  struct pah_gpu_area arrivals;   /* of decode_sm80.c: counters that are zero between launches, */
  struct pah_gpu_area parts;      /* and parts of rows */
  int graphs;                     /* that may use these areas: what they outgrow is kept until there are none */
  struct pah_gpu_outgrown *outgrown;
};
/* A graph more (1) or less (-1) of a device with such a state. */
void pah_gpu_keep_areas(struct pah_device *dev, int by);
/* Frees the built-in kernels and areas of a device that closes, first thing: it has no reference left but theirs, which
 * are not counted. */
void pah_gpu_forget(struct pah_device *dev);
/* When the host has waited for the device: the error of a check kernel that has found something meanwhile, once. */
int pah_gpu_look(struct pah_device *dev);

/* ---- Between the files of this folder ---- */

enum { PAH_GPU_DEFINES = 16 };

/* How many pieces of b make a: a / b rounded up. */
static inline int64_t pah_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

struct pah_gpu_define {
  const char *name; /* a literal */
  int64_t value;    /* a number, or an enum pah_dtype: types.cuh calls types as pah_dtype_name does */
  int is_type;
};

/* A launch of a built-in kernel: `file` is in kernels/, the arguments point at values. Texts are literals. */
struct pah_gpu_call {
  const char *file, *kernel;
  struct pah_gpu_define defines[PAH_GPU_DEFINES];
  int define_count;
  int64_t grid[3], threads, shared;
  const void *args[7];
  const struct pah_attn *problem; /* for the words of findings; may be NULL */
};
int pah_gpu_call(struct pah_device *dev, const struct pah_gpu_call *call);
void pah_gpu_define(struct pah_gpu_call *call, const char *name, int64_t value);
void pah_gpu_define_type(struct pah_gpu_call *call, const char *name, int dtype);

/* Working memory of a call, to be given back behind its last launch. It is kept for the next call, but not on sim,
 * where old contents would hide that something is read before it is written. */
int pah_gpu_scratch(struct pah_device *dev, int64_t bytes, void **data);
void pah_gpu_scratch_done(struct pah_device *dev);
/* Frees an area; where a graph may use it, when there are no graphs any more. */
void pah_gpu_drop(struct pah_device *dev, struct pah_gpu_area *area);

/* Whether contents of device arrays are checked by a kernel here: where the host cannot read them, unless the setting
 * "check" or PAH_CUDA_CHECK is 0. Then `open` gives what the kernels of the call need, and `launch` runs the check
 * before them: `thread_blocks` of a kernel of check.cu. */
int pah_gpu_checks(const struct pah_device *dev);
int pah_gpu_check_open(struct pah_device *dev, struct pah_verdict **verdict, unsigned *ticket);
int pah_gpu_check_launch(struct pah_device *dev, const char *kernel, int64_t thread_blocks, const void *params);

/* A copy in host memory of a small integer tensor: *copy has its own data, to be freed. */
int pah_gpu_fetch(const struct pah_tensor *t, struct pah_tensor *copy);

/* The tile of a naive kernel (op: PAH_FWD or PAH_BWD) by q's dtype and both head_dims: that of the list, made smaller
 * until its `shared` bytes suffice. */
struct pah_tile pah_gpu_tile(int op, int dtype, int64_t D, int64_t Dv, int64_t shared);
/* Shared memory of a thread block with that tile; for bwd, of the kernel that takes more. */
int64_t pah_gpu_tile_bytes(const struct pah_tile *t, int64_t D, int64_t Dv);

#endif
