/* state.h - a cuda device between the files of this folder: its context and stream, what waits on them, what went
 * wrong. Read next: context.c, device.c (memory), module.c (launches), watch.c (waiting with a limit), offline.c (no
 * GPU). */
#ifndef PAH_CUDA_STATE_H
#define PAH_CUDA_STATE_H

#include "gpu/gpu.h"
#include "api.h"
#include "nvrtc.h"

enum { CUDA_MARKS = 64, CUDA_NAME = 96, CUDA_STOCK = 32 };

/* An event behind some launches: they may take `allowed` seconds together. */
struct cuda_mark {
  CUevent event;
  double allowed;
  char kernel[CUDA_NAME]; /* the last of them */
};

struct cuda_stock { /* freed memory that is kept */
  CUdeviceptr data;
  int64_t bytes;
};

struct cuda_state {
  struct pah_gpu_state gpu; /* first: gpu/gpu.h */
  CUdevice device;
  CUcontext context; /* the primary one, so that other libraries of the process share our memory */
  CUstream stream;   /* all that we do is in its order */
  char arch[16];     /* "sm_90a" */
  int most_shared;   /* bytes of a thread block, with opt-in */
  int has_pools;     /* of memory */
  double limit;      /* seconds of a launch; 0: none */
  char lost[400];    /* why the context is of no more use; empty: it is fine */
  int stuck;         /* it is lost because a kernel does not end */
  /* A ring of marks: those in [first, first + pending) are recorded; `open` gathers launches for the next. */
  struct cuda_mark marks[CUDA_MARKS], open;
  int first, pending, open_launches;
  double open_since;
  struct cuda_stock stock[CUDA_STOCK];
  int stock_count;
  /* graph.c */
  int recording;      /* launches go into a graph */
  CUdeviceptr *freed; /* meanwhile */
  int64_t freed_count, freed_room;
};

/* context.c. Before any other call: makes the context current, or says why the device is lost. */
int cuda_enter(struct pah_device *dev);
/* The error of a driver's call: "cuda: cuMemAllocAsync of 9 bytes: CUDA_ERROR_OUT_OF_MEMORY (out of memory)". Errors of
 * running kernels end the context: then the device is lost, and the line names the kernel (`what`, else the last). */
int cuda_fail(struct pah_device *dev, CUresult error, const char *call, const char *what);

/* watch.c. launched: remembers that `kernel` may take `limit` seconds (0: any). wait: until all work is done, a launch
 * is over its limit, or Ctrl-C. */
int cuda_launched(struct pah_device *dev, const char *kernel, double limit);
int cuda_wait(struct pah_device *dev);
int cuda_marks_open(struct pah_device *dev);
void cuda_marks_close(struct pah_device *dev);

int cuda_event_record(struct pah_device *dev, void **event);
int cuda_event_elapsed(struct pah_device *dev, void *from, void *to, double *seconds);
void cuda_event_free(struct pah_device *dev, void *event);

/* graph.c. not_recorded: the error of a call that a graph cannot repeat, while one is recorded. free_later: behind the
 * recording; not 0: there is no memory to remember it. */
int cuda_not_recorded(struct pah_device *dev, const char *what);
int cuda_free_later(struct cuda_state *s, CUdeviceptr data);
int cuda_graph_begin(struct pah_device *dev);
int cuda_graph_end(struct pah_device *dev, void **graph, int64_t *launches);
int cuda_graph_launch(struct pah_device *dev, void *graph);
void cuda_graph_free(struct pah_device *dev, void *graph);

/* stock.c. What `bytes` are rounded up to; a piece of that size, or 0; 1: it is kept, 0: it is the caller's to free. */
int64_t cuda_piece(int64_t bytes);
CUdeviceptr cuda_stock_take(struct cuda_state *s, int64_t piece);
int cuda_stock_give(struct cuda_state *s, CUdeviceptr data, int64_t piece);
void cuda_stock_drop(struct cuda_state *s);
/* share.c: slots of the device. */
int cuda_share(struct pah_device *dev, int64_t bytes, void **data, unsigned char *handle);
void cuda_unshare(struct pah_device *dev, void *data);

/* module.c: slots of the device. */
int cuda_module_compile(struct pah_device *dev, struct pah_module *m);
int cuda_module_variable(struct pah_device *dev, struct pah_module *m, const char *symbol, void **data, int64_t *bytes);
void cuda_module_unload(struct pah_device *dev, void *image);
int cuda_module_launch(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *k,
                       const struct pah_launch *launch, struct pah_report *report);
int cuda_module_resources(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *k,
                          struct pah_resources *r);
int cuda_tensor_map(struct pah_device *dev, const struct pah_tensor *t, const int64_t *box, int32_t swizzle,
                    struct pah_tensor_map *map);

/* offline.c: "cuda:sm_90a", a device that compiles for an architecture and launches nothing. */
extern const struct pah_device_ops cuda_offline_ops;

#endif
