/* cuda/module.c - compiled kernels on a GPU: loading an image, what a kernel needs, launching, tensor maps.
 * Launches are asynchronous: an error inside a kernel comes with the next call that waits, and names the last kernel
 * launched before it. Read next: nvrtc.c, watch.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "state.h"

/* What a launch must keep to: asked once, as a launch is not to cost more than the driver's own part. */
struct launch_limits {
  int fixed_shared, threads;
  int64_t dynamic; /* bytes of dynamic shared memory that have been asked for; 0: what every kernel may have */
};

struct image {
  CUmodule module;
  struct pah_resources *known;  /* of each kernel, by ptxas */
  struct launch_limits *limits; /* of each kernel */
};

enum { LOG_BYTES = 4096, FREE_SHARED = 48 * 1024, PORTABLE_CLUSTER = 8 };

static int load(struct pah_device *dev, const struct pah_module *m, const struct cuda_code *code, CUmodule *module) {
  char log[LOG_BYTES] = "", text[200];
  int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, (void *)(uintptr_t)LOG_BYTES};
  CUresult r = cu.cuModuleLoadDataEx(module, code->image, 2, options, values);
  if (!r) return PAH_OK;
  log[LOG_BYTES - 1] = 0;
  int status = cuda_fail(dev, r, "cuModuleLoadDataEx", m->path);
  if (!*log || *((struct cuda_state *)dev->state)->lost) return status;
  return pah_fail(status, "%s: the driver cannot load it: %s: %s", m->path, cuda_error_text(r, text, sizeof text), log);
}

/* Handle, signature and limits of kernel i. */
static int find_kernel(struct pah_device *dev, CUmodule module, const struct cuda_code *code, int64_t i,
                       struct pah_module_kernel *k, struct launch_limits *limits) {
  char name[48];
  CUfunction function = NULL;
  CUdeviceptr at;
  size_t bytes;
  int values[1 + PAH_MAX_PARAMETERS] = {0};
  struct cuda_state *s = dev->state;
  CUresult r = cu.cuModuleGetFunction(&function, module, code->entries[i].lowered);
  if (r) return cuda_fail(dev, r, "cuModuleGetFunction", k->name);
  cuda_signature_name(i, name, sizeof name);
  r = cu.cuModuleGetGlobal_v2(&at, &bytes, module, name);
  if (r) return cuda_fail(dev, r, "cuModuleGetGlobal", name);
  if (bytes > sizeof values)
    return pah_fail(PAH_EUNSUPPORTED, "%s: has %d parameters, must have at most %d", k->name, (int)(bytes / 4) - 1,
                    PAH_MAX_PARAMETERS);
  r = cu.cuMemcpyDtoHAsync_v2(values, at, bytes, s->stream);
  if (r) return cuda_fail(dev, r, "cuMemcpyDtoHAsync", name);
  r = cu.cuStreamSynchronize(s->stream);
  if (r) return cuda_fail(dev, r, "cuStreamSynchronize", name);
  r = cu.cuFuncGetAttribute(&limits->fixed_shared, CU_FUNC_SHARED_SIZE_BYTES, function);
  if (!r) r = cu.cuFuncGetAttribute(&limits->threads, CU_FUNC_MAX_THREADS_PER_BLOCK, function);
  if (r) return cuda_fail(dev, r, "cuFuncGetAttribute", k->name);
  k->handle = function;
  cuda_read_signature(values, &k->signature);
  return PAH_OK;
}

/* The same of a kernel of an image that others have compiled: the driver knows the sizes of its parameters at most. */
static int find_loaded(struct pah_device *dev, CUmodule module, struct pah_module_kernel *k,
                       struct launch_limits *limits) {
  CUfunction function = NULL;
  size_t offset, bytes;
  struct pah_signature *s = &k->signature;
  CUresult r = cu.cuModuleGetFunction(&function, module, k->name);
  if (r == CUDA_ERROR_NOT_FOUND) return pah_fail(PAH_EINVAL, "kernel: \"%.128s\" is not in the image", k->name);
  if (!r) r = cu.cuFuncGetAttribute(&limits->fixed_shared, CU_FUNC_SHARED_SIZE_BYTES, function);
  if (!r) r = cu.cuFuncGetAttribute(&limits->threads, CU_FUNC_MAX_THREADS_PER_BLOCK, function);
  if (r) return cuda_fail(dev, r, "cuModuleGetFunction", k->name);
  k->handle = function;
  *s = (struct pah_signature){.count = -1};
  if (!cu.cuFuncGetParamInfo) return PAH_OK; /* older than CUDA 12.4 */
  for (s->count = 0; s->count < PAH_MAX_PARAMETERS; s->count++) {
    if (cu.cuFuncGetParamInfo(function, (size_t)s->count, &offset, &bytes)) break;
    s->size[s->count] = (int32_t)bytes;
  }
  return PAH_OK;
}

int cuda_module_compile(struct pah_device *dev, struct pah_module *m) {
  struct cuda_state *s = dev->state;
  struct cuda_code code = {.image = m->text};
  char what[200];
  snprintf(what, sizeof what, "compiling %.180s", m->path);
  int status = cuda_enter(dev);
  if (!status) status = cuda_not_recorded(dev, what);
  if (!status) status = cuda_wait(dev); /* so that an older error is not taken for one of this module */
  if (!status && !m->is_image) status = cuda_compile(m, s->arch, &code);
  if (status) return status;
  struct image *image = calloc(1, sizeof *image);
  struct pah_module_kernel *found = calloc((size_t)m->kernel_count + 1, sizeof *found);
  if (image) image->known = calloc((size_t)m->kernel_count + 1, sizeof *image->known);
  if (image) image->limits = calloc((size_t)m->kernel_count + 1, sizeof *image->limits);
  if (!image || !found || !image->known || !image->limits) status = pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
  if (!status) status = load(dev, m, &code, &image->module);
  for (int64_t i = 0; i < m->kernel_count && !status; i++) {
    found[i] = m->kernels[i];
    if (m->is_image) {
      status = find_loaded(dev, image->module, &found[i], &image->limits[i]);
      continue;
    }
    status = find_kernel(dev, image->module, &code, i, &found[i], &image->limits[i]);
    image->known[i] = code.entries[i].known;
  }
  if (!status) { /* only now does anything change */
    if (m->kernel_count) memcpy(m->kernels, found, (size_t)m->kernel_count * sizeof *found);
    if (m->image) cuda_module_unload(dev, m->image);
    m->image = image;
    cuda_take_skipped(m, &code);
  } else if (image) {
    cuda_module_unload(dev, image);
  }
  free(found);
  if (!m->is_image) cuda_code_free(&code);
  return status;
}

int cuda_module_variable(struct pah_device *dev, struct pah_module *m, const char *symbol, void **data,
                         int64_t *bytes) {
  CUdeviceptr at = 0;
  size_t size = 0;
  const struct image *image = m->image;
  *data = NULL;
  int status = cuda_enter(dev);
  if (status) return status;
  const CUresult r = cu.cuModuleGetGlobal_v2(&at, &size, image->module, symbol);
  if (r == CUDA_ERROR_NOT_FOUND) return PAH_OK;
  if (r) return cuda_fail(dev, r, "cuModuleGetGlobal", symbol);
  *data = (void *)(uintptr_t)at;
  *bytes = (int64_t)size;
  return PAH_OK;
}

void cuda_module_unload(struct pah_device *dev, void *data) {
  struct cuda_state *s = dev->state;
  struct image *image = data;
  if (image->module && !s->stuck) {
    cu.cuCtxSetCurrent(s->context);
    if (!*s->lost) cu.cuStreamSynchronize(s->stream); /* its kernels may still run */
    cu.cuModuleUnload(image->module);
  }
  free(image->known);
  free(image->limits);
  free(image);
}

int cuda_module_resources(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *k,
                          struct pah_resources *r) {
  struct cuda_state *s = dev->state;
  const struct image *image = m->image;
  const struct {
    int which;
    int32_t *value;
  } wanted[] = {{CU_FUNC_NUM_REGS, &r->registers},
                {CU_FUNC_SHARED_SIZE_BYTES, &r->shared_bytes},
                {CU_FUNC_LOCAL_SIZE_BYTES, &r->local_bytes},
                {CU_FUNC_CONST_SIZE_BYTES, &r->constant_bytes},
                {CU_FUNC_MAX_THREADS_PER_BLOCK, &r->max_threads}};
  int status = cuda_enter(dev);
  *r = image->known[k - m->kernels];
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted && !status; i++) {
    CUresult error = cu.cuFuncGetAttribute(wanted[i].value, wanted[i].which, k->handle);
    if (error) status = cuda_fail(dev, error, "cuFuncGetAttribute", k->name);
  }
  r->max_shared_bytes = s->most_shared;
  return status;
}

/* ---- Launching ---- */

static int check_limits(struct pah_device *dev, const struct pah_module_kernel *k, struct launch_limits *limits,
                        const struct pah_launch *l) {
  struct cuda_state *s = dev->state;
  int64_t threads = l->block[0] * l->block[1] * l->block[2], shared = limits->fixed_shared + l->shared;
  if (threads > limits->threads)
    return pah_fail(PAH_EINVAL, "block: has %lld threads, must have at most %d for %s (its registers or launch bounds)",
                    (long long)threads, limits->threads, k->name);
  if (shared > s->most_shared)
    return pah_fail(PAH_EINVAL,
                    "%s: too-much-shared: needs %lld bytes of shared memory (%d static), %s has %d for a thread block",
                    k->name, (long long)shared, limits->fixed_shared, s->arch, s->most_shared);
  if (shared <= FREE_SHARED || l->shared <= limits->dynamic) return PAH_OK;
  CUresult r = cu.cuFuncSetAttribute(k->handle, CU_FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)l->shared);
  if (r) return cuda_fail(dev, r, "cuFuncSetAttribute", k->name);
  limits->dynamic = l->shared;
  return PAH_OK;
}

/* A launch in clusters of thread blocks, or of thread blocks that all run at the same time. */
static CUresult launch_together(struct cuda_state *s, CUfunction function, const struct pah_launch *l) {
  struct cuda_launch_attribute attributes[2] = {{.id = 0}};
  struct cuda_launch launch = {.shared = (unsigned)l->shared, .stream = s->stream, .attributes = attributes};
  int64_t blocks = 1;
  for (int i = 0; i < 3; i++) {
    launch.grid[i] = (unsigned)l->grid[i];
    launch.block[i] = (unsigned)l->block[i];
    attributes[0].value.cluster[i] = l->cluster[i] ? (unsigned)l->cluster[i] : 1;
    blocks *= l->cluster[i];
  }
  if (l->cluster[0]) attributes[launch.attribute_count++].id = CU_CLUSTER_DIMENSION;
  if (l->cooperative)
    attributes[launch.attribute_count++] = (struct cuda_launch_attribute){.id = CU_COOPERATIVE, .value.cooperative = 1};
  CUresult r =
      blocks > PORTABLE_CLUSTER ? cu.cuFuncSetAttribute(function, CU_FUNC_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1) : 0;
  return r ? r : cu.cuLaunchKernelEx(&launch, function, (void **)(uintptr_t)l->args, NULL);
}

int cuda_module_launch(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *k,
                       const struct pah_launch *l, struct pah_report *report) {
  struct cuda_state *s = dev->state;
  const struct image *image = m->image;
  (void)report;
  int status = cuda_enter(dev);
  if (!status) status = check_limits(dev, k, &image->limits[k - m->kernels], l);
  if (!status && (l->cluster[0] || l->cooperative) && !cu.cuLaunchKernelEx)
    status = pah_fail(PAH_EUNSUPPORTED, "%s: the driver has none: it is older than CUDA 11.8",
                      l->cluster[0] ? "cluster" : "cooperative");
  if (status) return status;
  CUresult r;
  if (l->cluster[0] || l->cooperative)
    r = launch_together(s, k->handle, l);
  else
    r = cu.cuLaunchKernel(k->handle, (unsigned)l->grid[0], (unsigned)l->grid[1], (unsigned)l->grid[2],
                          (unsigned)l->block[0], (unsigned)l->block[1], (unsigned)l->block[2], (unsigned)l->shared,
                          s->stream, (void **)(uintptr_t)l->args, NULL);
  if (r) return cuda_fail(dev, r, "cuLaunchKernel", k->name);
  return cuda_launched(dev, k->name, l->limit > 0 ? l->limit : s->limit);
}

/* ---- Tensor maps ---- */

/* CUtensorMapDataType; -1: there is none for it. */
static int map_type(int dtype) {
  switch (dtype) {
  case PAH_U8:
  case PAH_FP8_E4M3:
  case PAH_FP8_E5M2: return 0;
  case PAH_I32: return 3;
  case PAH_I64: return 5;
  case PAH_F16: return 6;
  case PAH_F32: return 7;
  case PAH_F64: return 8;
  case PAH_BF16: return 9;
  default: return -1;
  }
}

int cuda_tensor_map(struct pah_device *dev, const struct pah_tensor *t, const int64_t *box, int32_t swizzle,
                    struct pah_tensor_map *map) {
  uint64_t sizes[PAH_MAX_DIMS], strides[PAH_MAX_DIMS];
  uint32_t boxes[PAH_MAX_DIMS], steps[PAH_MAX_DIMS];
  _Alignas(64) struct pah_tensor_map aligned;
  int status = cuda_enter(dev);
  if (status) return status;
  if (!cu.cuTensorMapEncodeTiled)
    return pah_fail(PAH_EUNSUPPORTED, "%s: the driver has no tensor maps: it is older than CUDA 12", dev->info.name);
  for (int i = 0; i < t->ndim; i++) {
    int from = t->ndim - 1 - i; /* the map counts from the innermost */
    sizes[i] = (uint64_t)t->shape[from];
    boxes[i] = (uint32_t)box[from];
    steps[i] = 1;
    if (i) strides[i - 1] = (uint64_t)(t->stride[from] * pah_dtype_size(t->dtype));
  }
  CUresult r = cu.cuTensorMapEncodeTiled(&aligned, map_type(t->dtype), (uint32_t)t->ndim, t->data, sizes, strides,
                                         boxes, steps, 0, swizzle, 0, 0);
  if (r) return cuda_fail(dev, r, "cuTensorMapEncodeTiled", NULL);
  *map = aligned;
  return PAH_OK;
}
