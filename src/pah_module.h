/* pah_module.h - the interface of pah, second part: kernel sources compiled and launched, what sim says of a launch,
 * tensor maps, and the lists of built-in kernels, their tiles and instances. The rules of pah.h hold here too.
 * Read next: src/module/module.c, src/gpu/attention.c, doc/sim.md. */
#ifndef PAH_INTERFACE_MODULE_H
#define PAH_INTERFACE_MODULE_H

#include "pah.h"

/* ---- Modules (src/module/module.c) -----------------------------------------------------------------------------
 * A kernel source plus defines, compiled for a device: by NVRTC on cuda, by the system's C++ compiler on sim. Built-in
 * kernels (kernels/) and a user's own .cu file go the same way; compiled code is cached on disk (compile_cache.c). */
struct pah_module; /* opaque: src/module/module.h; counted */

struct pah_module_spec {
  const char *source;         /* path of a .cu file; NULL: `text` */
  const char *text;           /* the source itself, when `source` is NULL */
  const char *std;            /* "c++17", NULL for it, or "c++20" */
  const char *image;          /* path of a cubin, PTX or fatbin in the place of both; cuda only */
  const char *const *defines; /* "NAME=VALUE" or "NAME" */
  const char *const *include; /* folders searched after that of the source */
  const char *const
      *kernels; /* instances of templates to compile at once, "name<128, float>"; others come when asked */
  int64_t define_count, include_count, kernel_count;
};

/* PAH_UNTYPED: of a loaded image, where the driver tells the size only. */
enum pah_parameter_kind { PAH_UNTYPED = 0, PAH_POINTER = 1, PAH_SIGNED, PAH_UNSIGNED, PAH_FLOATING, PAH_BYTES };
enum { PAH_MAX_PARAMETERS = 64 };

struct pah_signature {                   /* what a kernel takes, as the compiler sees it */
  int32_t count;                         /* -1: of a loaded image whose driver does not tell */
  int32_t kind[PAH_MAX_PARAMETERS];      /* enum pah_parameter_kind; PAH_BYTES: a struct by value */
  int32_t size[PAH_MAX_PARAMETERS];      /* bytes */
  int32_t points_to[PAH_MAX_PARAMETERS]; /* sim: the dtype that a pointer is typed for; PAH_NONE: any */
};

struct pah_resources {
  int32_t registers;                           /* of a thread; 0: not known (sim) */
  int32_t shared_bytes;                        /* static shared memory of a thread block */
  int32_t local_bytes;                         /* of a thread: spills and local arrays; 0 on sim */
  int32_t constant_bytes;                      /* __constant__ memory; 0: not known */
  int32_t max_threads;                         /* in a thread block */
  int32_t max_shared_bytes;                    /* static and dynamic together that a thread block may have */
  int32_t spill_store_bytes, spill_load_bytes; /* cuda: to and from local memory because registers ran out, a thread */
};

enum pah_schedule { PAH_IN_ORDER = 0, PAH_REVERSE, PAH_RANDOM }; /* of runnable threads, sim only */

struct pah_launch {
  int64_t grid[3], block[3];
  int64_t cluster[3];                      /* thread blocks of a cluster (sm_90); 0: none, or those of the kernel */
  int32_t cooperative;                     /* 1: all thread blocks run at the same time, so that they may meet */
  int64_t shared;                          /* bytes of dynamic shared memory */
  const void *const *args;                 /* one pointer per parameter, at its value */
  double limit;                            /* seconds until the launch is stopped; 0: the device's default */
  int32_t schedule;                        /* sim: enum pah_schedule; -1: the device's */
  int32_t counters;                        /* sim: 1 counts sectors, wavefronts, ... by line; -1: the device's */
  int32_t processors;                      /* sim: that run it, from the start; 0: the device's, if it is long */
  uint64_t seed;                           /* sim: of PAH_RANDOM */
  const struct pah_attn *problem;          /* sim: findings describe addresses by its tensors; NULL: none */
  const struct pah_tensor *const *tensors; /* sim: of each parameter, NULL where it is none; findings name them */
  const char *allow;                       /* sim: codes of findings that are not made, with commas; NULL: none */
};

enum { PAH_CODE_SIZE = 32, PAH_FILE_SIZE = 256, PAH_MESSAGE_SIZE = 512, PAH_SOURCE_SIZE = 160 };

struct pah_finding {        /* one thing that is wrong, where it was seen first */
  char code[PAH_CODE_SIZE]; /* stable: doc/sim.md lists them */
  char message[PAH_MESSAGE_SIZE];
  char file[PAH_FILE_SIZE];     /* of the source line; empty: not known */
  char source[PAH_SOURCE_SIZE]; /* the line itself, what fits of it; empty: cannot be read */
  int32_t line, thread[3], block[3];
  int64_t count; /* times that it was seen at this line */
};

struct pah_line_counters { /* of one source line */
  char file[PAH_FILE_SIZE];
  int32_t line;
  int64_t global_requests, global_bytes, global_sectors, global_sectors_ideal; /* warp-wide; sectors of 32 bytes */
  int64_t shared_requests, shared_bytes, shared_wavefronts, shared_wavefronts_ideal; /* a conflict-free one: ideal */
};

struct pah_counters { /* up to async_bytes sums over launches too (tally.c); the others are of one launch */
  int64_t thread_blocks, threads;
  int64_t global_load_bytes, global_store_bytes, global_sectors, global_sectors_ideal;
  int64_t global_unique_bytes; /* different bytes touched: the fewest that could move */
  int64_t shared_bytes, shared_wavefronts, shared_wavefronts_ideal;
  int64_t atomics, barriers, warp_barriers, shuffles;
  int64_t mma_flops;
  int64_t async_bytes; /* by cp.async and TMA; also part of the global bytes */
  int64_t shared_static_bytes, shared_dynamic_bytes;
  int32_t blocks_per_sm; /* by shared memory and threads of the chosen architecture; registers are not known */
  double occupancy;      /* threads resident of the most possible, by the same */
};

struct pah_report { /* what a launch on sim says; pah_report_free frees what it points to */
  struct pah_finding *findings;
  struct pah_line_counters *lines;
  int64_t finding_count, line_count;
  struct pah_counters counters;
  int32_t has_counters, schedule;
  uint64_t seed;
  int32_t processors; /* that ran thread blocks */
};

int pah_module_compile(struct pah_device *device, const struct pah_module_spec *spec, struct pah_module **module);
void pah_module_retain(struct pah_module *module);
void pah_module_release(struct pah_module *module);
const char *pah_module_kernel(struct pah_module *module, int64_t i); /* names compiled so far; NULL past the last */
/* What of the source was left out as the host's, or was not found, a line each: "function main at line 12", "header
 * torch/extension.h", and "launch f<float, 4> at line 9" for each instance of a template that the host's code starts.
 * "" if there is nothing. As long as the module. */
const char *pah_module_skipped(struct pah_module *module);
/* `name` is a kernel of the source as it is written there: "decode", "ns::f", "f<128, float>"; compiled if needed. */
int pah_module_signature(struct pah_module *module, const char *name, struct pah_signature *signature);
int pah_module_resources(struct pah_module *module, const char *name, struct pah_resources *resources);
/* report may be NULL: then findings (sim) are an error, PAH_EINVAL, whose line is the first finding. Else the caller
 * frees it; findings are no error, but a launch that cannot start is. On cuda the launch is asynchronous. */
int pah_module_launch(struct pah_module *module, const char *name, const struct pah_launch *launch,
                      struct pah_report *report);
void pah_report_free(struct pah_report *report);
/* A __device__ or __constant__ variable, "x" or "ns::x", from and to memory of the host; bytes: all that it has. On
 * cuda get waits for the launches before it. */
int pah_module_set(struct pah_module *module, const char *name, const void *from, int64_t bytes);
int pah_module_get(struct pah_module *module, const char *name, void *to, int64_t bytes);
/* Sums of the counters of all launches on sim since the last call with on = 1, those of built-in kernels included; they
 * are counted while it is on. sum and launches may be NULL. */
int pah_device_tally(struct pah_device *device, int on, struct pah_counters *sum, int64_t *launches);

/* ---- Compiled code on disk (src/module/compile_cache.c, cache_folder.c) ---- */
enum { PAH_FOLDER_SIZE = 4096 };
struct pah_compile_cache {
  char folder[PAH_FOLDER_SIZE];
  int64_t files, bytes;
  int64_t limit;                     /* bytes that it may hold, $PAH_CACHE_SIZE; -1: any number */
  int64_t sim_modules, cuda_modules; /* among the files */
  double oldest;                     /* seconds since the entry was used that is the next to go */
};
int pah_compile_cache_info(struct pah_compile_cache *cache);
/* Removes all that pah has put there and no compilation needs; what went. */
int pah_compile_cache_clear(int64_t *files, int64_t *bytes);

/* ---- Tensor maps (src/tensor/tensor_map.c): what bulk tensor copies (TMA) need to know of a tensor ---- */
enum pah_swizzle { PAH_SWIZZLE_NONE = 0, PAH_SWIZZLE_32, PAH_SWIZZLE_64, PAH_SWIZZLE_128 }; /* bytes of a row */

/* A kernel takes it by value, as `const __grid_constant__ ptx::tensor_map`; on cuda it is a CUtensorMap. */
struct pah_tensor_map {
  uint64_t words[16];
};
/* For boxes of box[0] x ... elements, in the order of the tensor's dimensions: 1 to 5 of them, the last with stride 1.
 * Coordinates in kernels are the other way round, innermost first. What lies outside the tensor is read as zero. The
 * map holds the address of the tensor's data, not a reference to it. */
int pah_tensor_map(const struct pah_tensor *tensor, const int64_t *box, int32_t swizzle, struct pah_tensor_map *map);

/* The implementations that there are, one list (src/attention/kernels.h). */
struct pah_kernel {
  const char *device; /* "cpu" */
  const char *op;     /* "fwd" */
  const char *name;   /* what kernel= takes */
  const char *dtypes; /* of q, and of the cache behind a slash: "f32 f16 bf16 / fp8_e4m3 fp8_e5m2" */
  const char *limits; /* "head_dim: multiples of 8 up to 576" */
  const char *about;  /* one line */
};
const struct pah_kernel *pah_kernel_at(int64_t i); /* NULL past the last */

/* Tiles of the naive GPU kernels (src/gpu/tiles.c): queries and keys that a thread block takes at a time. */
struct pah_tile {
  int32_t op;    /* PAH_FWD (fwd_fp8 too) or PAH_BWD */
  int32_t dtype; /* of q */
  int32_t head_dim;
  int32_t block_m, block_n;
};
const struct pah_tile *pah_tile_at(int64_t i); /* NULL past the last */

/* The built-in kernels that a device of cuda or sim has compiled so far (src/gpu/modules.c). */
struct pah_instance {
  const char *source; /* "naive/forward.cu HEAD_DIM=64 ...": file and defines; valid while the device is open */
  const char *kernel; /* "forward" */
  int64_t threads;    /* of a thread block, in the last launch */
  int64_t shared_dynamic_bytes;
  struct pah_resources resources;
  double occupancy;             /* threads that a multiprocessor holds, of the most that it could */
  int32_t thread_blocks_per_sm; /* that it holds at a time */
};
int64_t pah_device_instances(struct pah_device *device); /* how many */
int pah_device_instance(struct pah_device *device, int64_t i, struct pah_instance *instance);

#endif
