/* device.h - what a device is: an ops table, a count of references and an account of its memory.
 * To add a device: write src/NAME/device.c with one struct pah_device_ops, and name it in the list of devices.c. */
#ifndef PAH_DEVICE_H
#define PAH_DEVICE_H

#include <pthread.h>

#include "pah_module.h"

struct pah_device;
struct pah_module_kernel;
struct pah_tally;
struct pah_draw;

enum { PAH_LEFT_TO_HOST = 1, PAH_HASH_PIECE = 1 << 16 /* bytes that are hashed on their own */ };

/* Slots return 0 or a status with the error line set. Arguments are checked by the callers in src/ (device.c,
 * tensor/tensor.c, attention/attn.c): a device holds only its differences. "Optional" slots may be NULL. */
struct pah_device_ops {
  const char *kind;  /* the name before the colon: "cpu" */
  int host_readable; /* 1: the host may read tensor data directly, though not write it (sim) */
  /* Says why the device cannot be used on this machine, with the cure; 0 if it can. `arg` is the part behind the
   * colon of the name ("1", "sm_90a", "avx2") or "". */
  int (*usable)(const char *arg);
  int (*open)(struct pah_device *dev, const char *arg);               /* fills dev->info and dev->state */
  void (*close)(struct pah_device *dev);                              /* optional: nothing to free */
  void (*info)(struct pah_device *dev, struct pah_device_info *info); /* optional: nothing in *info changes by itself */
  void (*memory)(struct pah_device *dev, struct pah_memory *memory);  /* optional: no scratch_bytes */
  int (*alloc)(struct pah_device *dev, int64_t bytes, void **data);   /* bytes >= 1; aligned to 64 at least */
  void (*free)(struct pah_device *dev, void *data, int64_t bytes);
  int (*copy_in)(struct pah_device *dev, void *dst, const void *src,
                 int64_t bytes); /* host to device; optional on host memory */
  int (*copy_out)(struct pah_device *dev, void *dst, const void *src,
                  int64_t bytes);                                          /* device to host; optional on host memory */
  int (*synchronize)(struct pah_device *dev);                              /* optional: every call is synchronous */
  int (*set)(struct pah_device *dev, const char *name, const char *value); /* optional: no settings of its own */
  /* Events (event.c); optional: the host's clock. elapsed is called with the device synchronised. */
  int (*event_record)(struct pah_device *dev, void **event);
  int (*event_elapsed)(struct pah_device *dev, void *from, void *to, double *seconds);
  void (*event_free)(struct pah_device *dev, void *event);
  /* Graphs (graph.c); optional, all or none: refused. end with graph NULL drops what was recorded. */
  int (*graph_begin)(struct pah_device *dev);
  int (*graph_end)(struct pah_device *dev, void **graph, int64_t *launches);
  int (*graph_launch)(struct pah_device *dev, void *graph);
  void (*graph_free)(struct pah_device *dev, void *graph);
  /* Work on tensors of this device; optional: by the host, on a copy of the memory where it cannot read it. The
   * arguments are checked and not empty. Each may return PAH_LEFT_TO_HOST for what it does not do.
   * tensor_copy: equal shapes, any dtypes and strides, which may overlap. tensor_fill: the bytes of one element.
   * tensor_random: see tensor/draw.h. tensor_hash: contiguous; the hash of each piece (tensor/hash.c). */
  int (*tensor_copy)(struct pah_device *dev, const struct pah_tensor *dst, const struct pah_tensor *src);
  int (*tensor_fill)(struct pah_device *dev, const struct pah_tensor *t, const void *element);
  int (*tensor_random)(struct pah_device *dev, const struct pah_tensor *t, const struct pah_draw *draw);
  int (*tensor_hash)(struct pah_device *dev, const struct pah_tensor *t, uint64_t *parts);
  /* The problem is checked: dtypes, shapes, devices and, where info.host_memory is 1, the contents of the tables. */
  int (*attention)(struct pah_device *dev, int op, const struct pah_attn *a);
  int (*merge)(struct pah_device *dev, const struct pah_merge *m);
  int (*kv_append)(struct pah_device *dev, const struct pah_kv_append *c);
  /* Modules; optional, absent on the cpu. compile: builds m->text for m->kernels[0 .. kernel_count), sets m->image
   * (freeing an older one only on success) and the signature and handle of every kernel. launch: everything but the
   * device's own limits is checked; report is never NULL, zeroed, and only sim fills it. */
  int (*compile)(struct pah_device *dev, struct pah_module *m);
  int takes_images; /* 1: compile also links m->text as compiled code (m->is_image) */
  /* It takes images that are PTX text, and this tells their kernels; NULL: kernels of images are asked for by name. */
  void (*ptx_kernels)(const char *text, void (*found)(void *data, const char *name), void *data);
  int finds_kernels; /* 1: compile adds the source's own kernels to those asked for (module/module.h) */
  void (*unload)(struct pah_device *dev, void *image);
  int (*launch)(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *kernel,
                const struct pah_launch *launch, struct pah_report *report);
  int (*resources)(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *kernel,
                   struct pah_resources *resources);
  /* The variable of m by its symbol: *data NULL if there is none. Optional: variables cannot be set. */
  int (*variable)(struct pah_device *dev, struct pah_module *m, const char *symbol, void **data, int64_t *bytes);
  /* The sums of counters of this device's launches (module/tally.h); optional: it counts nothing. */
  struct pah_tally *(*tally)(struct pah_device *dev);
  /* Tensor maps; optional: refused. The arguments fit the rules of the hardware (tensor/tensor_map.c). */
  int (*tensor_map)(struct pah_device *dev, const struct pah_tensor *t, const int64_t *box, int32_t swizzle,
                    struct pah_tensor_map *map);
  /* Memory that another process can open, by the bytes of `handle`; optional: memory of the host (host/shared.c). */
  int (*share)(struct pah_device *dev, int64_t bytes, void **data, unsigned char *handle);
  void (*unshare)(struct pah_device *dev, void *data);
};

enum { PAH_SHARE_HANDLE = 64 }; /* bytes of `handle` */

struct pah_device {
  const struct pah_device_ops *ops;
  struct pah_device_info info;
  void *state;              /* the device's own */
  int64_t references;       /* under `lock`, and under the list's own when it falls */
  struct pah_memory memory; /* under `lock` */
  struct pah_device *next;  /* in the list of open devices, under the list's own lock (device.c) */
  pthread_mutex_t lock;
};

/* The open device of that name, or a new one of this kind; `arg` is the part of the name behind the colon. */
int pah_device_open_kind(const struct pah_device_ops *ops, const char *name, const char *arg,
                         struct pah_device **device);

/* Allocation with the account kept. */
int pah_device_alloc(struct pah_device *dev, int64_t bytes, void **data);
void pah_device_free(struct pah_device *dev, void *data, int64_t bytes);

extern const struct pah_device_ops pah_cpu_ops;  /* src/cpu/device.c */
extern const struct pah_device_ops pah_cuda_ops; /* src/cuda/device.c */
extern const struct pah_device_ops pah_sim_ops;  /* src/sim/host/device.c */

#endif
