/* headers.c - headers that are made when a source is compiled: CUDA's that only repeat what pah_sim.h has, those of
 * libraries that are the host's side only, and those that are not there. They lie in a folder of the compilation, which
 * is searched first. Headers with something of their own are in sim/include. Read next: preprocess.c. */
#include "device_source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "source/host_headers.h"

/* pah_sim.h, which comes before every source, is all of these. doc/sim.md lists them; spec/tree compares. */
static const char *const in_pah_sim[] = {"builtin_types.h",
                                         "cuda.h",
                                         "cuda_runtime.h",
                                         "cuda_runtime_api.h",
                                         "device_atomic_functions.h",
                                         "device_double_functions.h",
                                         "device_functions.h",
                                         "device_launch_parameters.h",
                                         "driver_types.h",
                                         "host_defines.h",
                                         "math_functions.h",
                                         "sm_20_atomic_functions.h",
                                         "sm_20_intrinsics.h",
                                         "sm_30_intrinsics.h",
                                         "sm_32_atomic_functions.h",
                                         "sm_32_intrinsics.h",
                                         "sm_35_atomic_functions.h",
                                         "sm_35_intrinsics.h",
                                         "sm_60_atomic_functions.h",
                                         "sm_61_intrinsics.h",
                                         "surface_functions.h",
                                         "surface_indirect_functions.h",
                                         "surface_types.h",
                                         "texture_fetch_functions.h",
                                         "texture_indirect_functions.h",
                                         "texture_types.h",
                                         "vector_functions.h",
                                         "vector_types.h",
                                         NULL};

/* What is within those of the toolkit, and not meant to be named. */
static const char *const inner[] = {"crt/device_functions.h", "crt/host_defines.h", "crt/math_functions.h", NULL};
static const char *const of_groups[] = {"coalesced_reduce", "helpers", "info", "memory", "partitioning", "sync", NULL};

/* Those of the host's side that may lie in the system's folders. */
#define NAME(name) name,
static const char *const host_only[] = {PAH_HOST_HEADERS(NAME) "curand.h", "cuda_device_runtime_api.h", NULL};

/* CUB but for what the host calls, which needs Thrust and the runtime. */
static const char cub[] =
    "#include <cub/block/block_adjacent_difference.cuh>\n#include <cub/block/block_discontinuity.cuh>\n"
    "#include <cub/block/block_exchange.cuh>\n#include <cub/block/block_histogram.cuh>\n"
    "#include <cub/block/block_load.cuh>\n#include <cub/block/block_merge_sort.cuh>\n"
    "#include <cub/block/block_radix_sort.cuh>\n#include <cub/block/block_reduce.cuh>\n"
    "#include <cub/block/block_scan.cuh>\n#include <cub/block/block_shuffle.cuh>\n"
    "#include <cub/block/block_store.cuh>\n#include <cub/warp/warp_exchange.cuh>\n"
    "#include <cub/warp/warp_load.cuh>\n#include <cub/warp/warp_merge_sort.cuh>\n"
    "#include <cub/warp/warp_reduce.cuh>\n#include <cub/warp/warp_scan.cuh>\n"
    "#include <cub/warp/warp_store.cuh>\n";

/* cuRAND on the device is a library of headers alone: the toolkit's, where include= names its folder. */
static const char random[] = "curand_kernel.h";

/* Users of a header that is missing rely on what it includes itself of CUDA's; some name it within extern "C". */
static const char missing[] = "extern \"C++\" {\n#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n}\n";

/* What PyTorch's headers have for the device. */
static const char torch[] = "extern \"C++\" {\n#include <pah_sim/torch.h>\n}\n";

/* Thrust as the host calls it. What functors need is in thrust/functional.h and its like, which are left. */
static const char *const thrust[] = {"adjacent_difference",
                                     "binary_search",
                                     "copy",
                                     "count",
                                     "device_delete",
                                     "device_free",
                                     "device_malloc",
                                     "device_new",
                                     "device_vector",
                                     "equal",
                                     "extrema",
                                     "fill",
                                     "find",
                                     "for_each",
                                     "gather",
                                     "generate",
                                     "host_vector",
                                     "inner_product",
                                     "logical",
                                     "memory",
                                     "merge",
                                     "mismatch",
                                     "partition",
                                     "reduce",
                                     "remove",
                                     "replace",
                                     "reverse",
                                     "scan",
                                     "scatter",
                                     "sequence",
                                     "set_operations",
                                     "shuffle",
                                     "sort",
                                     "tabulate",
                                     "transform",
                                     "transform_reduce",
                                     "transform_scan",
                                     "uninitialized_copy",
                                     "uninitialized_fill",
                                     "unique",
                                     "universal_vector",
                                     "execution_policy",
                                     "device_ptr",
                                     "device_allocator",
                                     NULL};
static const char for_thrust[] =
    "#include <thrust/functional.h>\n#include <thrust/pair.h>\n#include <thrust/tuple.h>\n";

static const char *contents_of_missing(const char *name) {
  static const char *const folders[] = {"torch/", "ATen/", "c10/", "THC/"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
    if (!strncmp(name, folders[i], strlen(folders[i]))) return torch;
  return missing;
}

static const char *contents_of(const char *name) {
  if (!strcmp(name, "nccl.h")) return "#define NCCL_VERSION(a, b, c) ((a) * 10000 + (b) * 100 + (c))\n"; /* for #if */
  return strncmp(name, "cublas", strlen("cublas")) ? "" : missing;
}

static int make_header(const char *folder, const char *name, const char *contents) {
  char path[PATH_MAX];
  struct stat about;
  size_t base = strlen(folder);
  if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path || strstr(name, "..") || *name == '/')
    return 0;
  for (char *slash = path + base - 1; (slash = strchr(slash + 1, '/'));) {
    *slash = 0;
    int failed = mkdir(path, 0700) && errno != EEXIST;
    *slash = '/';
    if (failed) return 0;
  }
  if (!stat(path, &about)) return 0;
  FILE *f = fopen(path, "w");
  if (f) fputs(contents, f);
  return f && !fclose(f);
}

int sim_make_missing_header(const char *folder, const char *name) {
  return make_header(folder, name, contents_of_missing(name));
}

static void make_each(const char *folder, const char *under, const char *const *names, const char *contents) {
  for (; *names; names++) {
    char name[128];
    snprintf(name, sizeof name, "%s/%s.h", under, *names);
    make_header(folder, name, contents);
  }
}

void sim_make_headers(const char *folder, const struct pah_module *m) {
  for (const char *const *h = in_pah_sim; *h; h++) make_header(folder, *h, "");
  for (const char *const *h = inner; *h; h++) make_header(folder, *h, "");
  make_each(folder, "cooperative_groups/details", of_groups, "#include <cooperative_groups.h>\n");
  for (const char *const *h = host_only; *h; h++) make_header(folder, *h, contents_of(*h));
  make_header(folder, "cuda_pipeline_primitives.h", "#include <cuda_pipeline.h>\n");
  if (!sim_has_header(m, random)) make_header(folder, random, "#include <pah_sim/no_curand.h>\n");
  if (!sim_has_cccl(m)) return;
  make_header(folder, "cub/cub.cuh", cub);
  make_each(folder, "thrust", thrust, for_thrust);
}
