/* gpu.h - the operations of pah on a device that compiles kernels: the slots attention, merge and kv_append of cuda and
 * sim. The kernels are those of kernels/, whatever the device. Read next: attention.c, modules.c,
 * kernels/naive/forward.cu.
 */
#ifndef PAH_GPU_H
#define PAH_GPU_H

#include "module/module.h"

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
  struct pah_gpu_area arrivals;   /* of sm80.c: counters that are zero between launches, */
  struct pah_gpu_area parts;      /* and parts of rows */
};
void pah_gpu_drop(struct pah_device *dev, struct pah_gpu_area *area);
/* Frees the built-in kernels and areas of a device that closes, first thing: it has no reference left but theirs, which
 * are not counted. */
void pah_gpu_forget(struct pah_device *dev);

/* ---- Between the files of this folder ---- */

enum { PAH_GPU_DEFINES = 10 };
/* A launch of a built-in kernel: `file` is in kernels/, the defines are "NAME=VALUE", the arguments point at values. */
struct pah_gpu_call {
  const char *file, *kernel;
  const char *defines[PAH_GPU_DEFINES];
  int define_count;
  int64_t grid[3], threads, shared;
  const void *args[5];
  const struct pah_attn *problem; /* for the words of findings; may be NULL */
};
int pah_gpu_call(struct pah_device *dev, const struct pah_gpu_call *call);
void pah_gpu_define(struct pah_gpu_call *call, char *text, size_t bytes, const char *name, int64_t value);
void pah_gpu_define_type(struct pah_gpu_call *call, char *text, size_t bytes, const char *name, int dtype);

/* Whether contents of device arrays are checked by a kernel here: where the host cannot read them, unless the setting
 * "check" or PAH_CUDA_CHECK is 0. */
int pah_gpu_checks(const struct pah_device *dev);
/* Runs a check kernel of check.cu that sets a flag; *broken is the flag. */
int pah_gpu_check(struct pah_device *dev, const char *kernel, const void *params, int *broken);
/* A copy in host memory of a small integer tensor: *copy has its own data, to be freed. */
int pah_gpu_fetch(const struct pah_tensor *t, struct pah_tensor *copy);

/* The tile of a naive kernel (op: PAH_FWD or PAH_BWD) by q's dtype and both head_dims: that of the list, made smaller
 * until its `shared` bytes suffice. */
struct pah_tile pah_gpu_tile(int op, int dtype, int64_t D, int64_t Dv, int64_t shared);
/* Shared memory of a thread block with that tile; for bwd, of the kernel that takes more. */
int64_t pah_gpu_tile_bytes(const struct pah_tile *t, int64_t D, int64_t Dv);

#endif
