/* cuda/device.c - an NVIDIA GPU as a device, through the driver API: context, stream, memory and copies. All work is
 * in the order of one stream; reading a tensor and synchronize wait for it.
 * $PAH_CUDA_LIMIT is the seconds that a launch may take (60; 0: any). Read next: context.c, module.c, watch.c,
 * offline.c. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "state.h"

enum { SMALL_COPY = 64 * 1024, DEFAULT_LIMIT = 60 };

/* ---- Opening ---- */

static int is_arch(const char *arg) {
  return !strncmp(arg, "sm_", 3);
}

static int open_driver(const char *arg, int *ordinal) {
  char *end, text[200];
  long n = *arg ? strtol(arg, &end, 10) : 0;
  if (*arg && (*end || !isdigit((unsigned char)*arg) || n > 1023))
    return pah_fail(PAH_EINVAL, "device: \"cuda:%.32s\" must be cuda, cuda:N (a number from 0) or cuda:sm_NN", arg);
  int status = cuda_open_driver(), count = 0;
  if (status) return status;
  CUresult r = cu.cuInit(0);
  if (r)
    return pah_fail(PAH_EDEVICE, "cuda is not usable because the driver says %s",
                    cuda_error_text(r, text, sizeof text));
  r = cu.cuDeviceGetCount(&count);
  if (r && r != CUDA_ERROR_NO_DEVICE)
    return pah_fail(PAH_EDEVICE, "cuda is not usable because the driver cannot count its GPUs: %s",
                    cuda_error_text(r, text, sizeof text));
  if (r || count < 1) return pah_fail(PAH_EDEVICE, "cuda is not usable because the driver finds no GPU");
  if (n >= count) return pah_fail(PAH_EDEVICE, "device: \"cuda:%ld\" is not there, must be 0 to %d", n, count - 1);
  *ordinal = (int)n;
  return cuda_open_nvrtc();
}

static int cuda_usable(const char *arg) {
  int ordinal;
  if (is_arch(arg)) return cuda_offline_ops.usable(arg);
  return open_driver(arg, &ordinal);
}

enum { INVALID_VALUE = 1 }; /* the answer of a driver that does not know an attribute */

struct attributes {
  int major, minor, sms, cache, clock, pci_domain, pci_bus, pci_device;
};

/* What a driver does not know is 0, unless we cannot do without; every other failure is an error. */
static int read_attributes(struct pah_device *dev, struct attributes *a) {
  struct cuda_state *s = dev->state;
  const struct {
    const char *name;
    int which, needed, *value;
  } wanted[] = {
      {"of COMPUTE_CAPABILITY_MAJOR", CU_COMPUTE_CAPABILITY_MAJOR, 1, &a->major},
      {"of COMPUTE_CAPABILITY_MINOR", CU_COMPUTE_CAPABILITY_MINOR, 1, &a->minor},
      {"of MULTIPROCESSOR_COUNT", CU_MULTIPROCESSOR_COUNT, 1, &a->sms},
      {"of MAX_SHARED_MEMORY_PER_BLOCK_OPTIN", CU_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 1, &s->most_shared},
      {"of L2_CACHE_SIZE", CU_L2_CACHE_SIZE, 0, &a->cache},
      {"of CLOCK_RATE", CU_CLOCK_RATE, 0, &a->clock},
      {"of MEMORY_POOLS_SUPPORTED", CU_MEMORY_POOLS_SUPPORTED, 0, &s->has_pools},
      {"of PCI_DOMAIN_ID", CU_PCI_DOMAIN_ID, 0, &a->pci_domain},
      {"of PCI_BUS_ID", CU_PCI_BUS_ID, 0, &a->pci_bus},
      {"of PCI_DEVICE_ID", CU_PCI_DEVICE_ID, 0, &a->pci_device},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    CUresult r = cu.cuDeviceGetAttribute(wanted[i].value, wanted[i].which, s->device);
    if (r == INVALID_VALUE && !wanted[i].needed)
      *wanted[i].value = 0;
    else if (r)
      return cuda_fail(dev, r, "cuDeviceGetAttribute", wanted[i].name);
  }
  return PAH_OK;
}

static int fill_info(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  struct pah_device_info *info = &dev->info;
  struct attributes a;
  int status = read_attributes(dev, &a);
  size_t bytes = 0;
  if (status) return status;
  CUresult r = cu.cuDeviceGetName(info->model, sizeof info->model - 1, s->device);
  if (r) return cuda_fail(dev, r, "cuDeviceGetName", NULL);
  r = cu.cuDeviceTotalMem_v2(&bytes, s->device);
  if (r) return cuda_fail(dev, r, "cuDeviceTotalMem", NULL);
  /* From Hopper on, the letter gives the instructions that are this architecture's alone: wgmma, setmaxnreg. */
  int number = 10 * a.major + a.minor;
  snprintf(s->arch, sizeof s->arch, "sm_%d%s", number, number >= 90 ? "a" : "");
  snprintf(info->arch, sizeof info->arch, "%s", s->arch);
  if (a.pci_domain || a.pci_bus || a.pci_device)
    snprintf(info->pci, sizeof info->pci, "%04x:%02x:%02x.0", (unsigned)a.pci_domain & 0xffff,
             (unsigned)a.pci_bus & 0xff, (unsigned)a.pci_device & 0xff);
  info->sms = a.sms;
  info->cache_bytes = a.cache;
  info->bytes = (int64_t)bytes;
  info->clock_hz = (int64_t)a.clock * 1000;
  return PAH_OK;
}

/* Freed memory stays with the pool: cudaMalloc-like calls for each result would cost more than a small kernel. */
static int open_pool(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  CUmemoryPool pool;
  uint64_t keep = UINT64_MAX;
  if (!s->has_pools) return pah_fail(PAH_EDEVICE, "%s: the driver has no memory pools for this GPU", dev->info.name);
  CUresult r = cu.cuDeviceGetDefaultMemPool(&pool, s->device);
  if (r) return cuda_fail(dev, r, "cuDeviceGetDefaultMemPool", NULL);
  r = cu.cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep);
  return r ? cuda_fail(dev, r, "cuMemPoolSetAttribute", NULL) : PAH_OK;
}

static int read_limit(struct pah_device *dev, const char *what, const char *value) {
  char *end;
  double limit = strtod(value, &end);
  if (!(limit >= 0) || *end || end == value)
    return pah_fail(PAH_EINVAL, "%s: is \"%.32s\", must be a number of seconds, 0 for no limit", what, value);
  ((struct cuda_state *)dev->state)->limit = limit;
  return PAH_OK;
}

static void cuda_close(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  pah_gpu_forget(dev);
  if (!s->stuck && s->context) { /* one that waits for an endless kernel cannot be ended */
    cu.cuCtxSetCurrent(s->context);
    if (s->stream) cu.cuStreamSynchronize(s->stream);
    if (s->stream && !*s->lost) cuda_stock_drop(s);
    cuda_marks_close(dev);
    if (s->stream) cu.cuStreamDestroy_v2(s->stream);
    cu.cuDevicePrimaryCtxRelease_v2(s->device);
  }
  free(s);
}

static int open_state(struct pah_device *dev, int ordinal) {
  struct cuda_state *s = dev->state;
  CUresult r = cu.cuDeviceGet(&s->device, ordinal);
  if (r) return cuda_fail(dev, r, "cuDeviceGet", NULL);
  int status = fill_info(dev);
  if (status) return status;
  r = cu.cuDevicePrimaryCtxRetain(&s->context, s->device);
  if (r) {
    s->context = NULL;
    return cuda_fail(dev, r, "cuDevicePrimaryCtxRetain", NULL);
  }
  status = cuda_enter(dev);
  if (!status && (r = cu.cuStreamCreate(&s->stream, CU_STREAM_NON_BLOCKING))) {
    s->stream = NULL;
    status = cuda_fail(dev, r, "cuStreamCreate", NULL);
  }
  if (!status) status = open_pool(dev);
  return status ? status : cuda_marks_open(dev);
}

static int cuda_open(struct pah_device *dev, const char *arg) {
  int ordinal, status;
  if (is_arch(arg)) {
    dev->ops = &cuda_offline_ops;
    return dev->ops->open(dev, arg);
  }
  status = open_driver(arg, &ordinal);
  if (status) return status;
  struct cuda_state *s = dev->state = calloc(1, sizeof *s);
  if (!s) return pah_fail(PAH_ENOMEM, "cuda: no memory");
  const char *limit = getenv("PAH_CUDA_LIMIT");
  s->limit = DEFAULT_LIMIT;
  if (limit && *limit) status = read_limit(dev, "PAH_CUDA_LIMIT", limit);
  if (!status) status = open_state(dev, ordinal);
  if (status) cuda_close(dev);
  return status;
}

static int cuda_set(struct pah_device *dev, const char *name, const char *value) {
  if (!strcmp(name, "limit")) return read_limit(dev, name, value);
  if (!strcmp(name, "check")) { /* 0 or 1: device.c has looked */
    ((struct cuda_state *)dev->state)->gpu.check_off = *value == '0';
    return PAH_OK;
  }
  return pah_fail(PAH_EINVAL, "%.32s: is not a setting of cuda, must be check or limit", name);
}

/* ---- Memory ---- */

static CUdeviceptr address(const void *data) {
  return (CUdeviceptr)(uintptr_t)data;
}

/* "an allocation of 9 bytes", and what cuda_fail wants: words that only a failure pays for. */
static int alloc_fails(struct pah_device *dev, CUresult r, int64_t bytes) {
  char what[64];
  snprintf(what, sizeof what, "%sof %lld bytes", r ? "" : "an allocation ", (long long)bytes);
  return r ? cuda_fail(dev, r, "cuMemAllocAsync", what) : cuda_not_recorded(dev, what);
}

static int cuda_alloc(struct pah_device *dev, int64_t bytes, void **data) {
  struct cuda_state *s = dev->state;
  int64_t piece = cuda_piece(bytes);
  int status = cuda_enter(dev);
  if (status) return status;
  if (s->recording) return alloc_fails(dev, CUDA_SUCCESS, bytes);
  CUdeviceptr at = cuda_stock_take(s, piece);
  CUresult r = at ? CUDA_SUCCESS : cu.cuMemAllocAsync(&at, (size_t)piece, s->stream);
  if (r == CUDA_ERROR_OUT_OF_MEMORY && s->stock_count) {
    cuda_stock_drop(s);
    r = cu.cuMemAllocAsync(&at, (size_t)piece, s->stream);
  }
  if (r) return alloc_fails(dev, r, bytes);
  *data = (void *)(uintptr_t)at;
  return PAH_OK;
}

static void cuda_free(struct pah_device *dev, void *data, int64_t bytes) {
  struct cuda_state *s = dev->state;
  if (*s->lost) return; /* goes with the context */
  if (cuda_stock_give(s, address(data), cuda_piece(bytes))) return;
  if (s->recording && !cuda_free_later(s, address(data))) return;
  cu.cuCtxSetCurrent(s->context); /* most likely it is current anyway */
  cu.cuMemFreeAsync(address(data), s->stream);
}

/* Small ones ride in the command and are asynchronous; the driver would make large ones wait for the stream anyway, and
 * then without a limit. */
static int cuda_copy_in(struct pah_device *dev, void *dst, const void *src, int64_t bytes) {
  struct cuda_state *s = dev->state;
  int status = cuda_enter(dev), large = bytes > SMALL_COPY;
  if (!status) status = cuda_not_recorded(dev, "a copy from the host");
  if (!status && large) status = cuda_wait(dev);
  if (status) return status;
  CUresult r = cu.cuMemcpyHtoDAsync_v2(address(dst), src, (size_t)bytes, s->stream);
  if (r) return cuda_fail(dev, r, "cuMemcpyHtoDAsync", NULL);
  r = large ? cu.cuStreamSynchronize(s->stream) : CUDA_SUCCESS;
  return r ? cuda_fail(dev, r, "cuStreamSynchronize", NULL) : PAH_OK;
}

static int cuda_copy_out(struct pah_device *dev, void *dst, const void *src, int64_t bytes) {
  struct cuda_state *s = dev->state;
  int status = cuda_enter(dev);
  if (!status) status = cuda_not_recorded(dev, "a copy to the host");
  if (!status) status = cuda_wait(dev);
  if (!status) status = pah_gpu_look(dev);
  if (status) return status;
  CUresult r = cu.cuMemcpyDtoHAsync_v2(dst, address(src), (size_t)bytes, s->stream);
  if (r) return cuda_fail(dev, r, "cuMemcpyDtoHAsync", NULL);
  r = cu.cuStreamSynchronize(s->stream);
  return r ? cuda_fail(dev, r, "cuStreamSynchronize", NULL) : PAH_OK;
}

static int cuda_synchronize(struct pah_device *dev) {
  int status = cuda_enter(dev);
  if (!status) status = cuda_wait(dev);
  return status ? status : pah_gpu_look(dev);
}

const struct pah_device_ops pah_cuda_ops = {
    .kind = "cuda",
    .usable = cuda_usable,
    .open = cuda_open,
    .close = cuda_close,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .copy_in = cuda_copy_in,
    .copy_out = cuda_copy_out,
    .synchronize = cuda_synchronize,
    .event_record = cuda_event_record,
    .event_elapsed = cuda_event_elapsed,
    .event_free = cuda_event_free,
    .graph_begin = cuda_graph_begin,
    .graph_end = cuda_graph_end,
    .graph_launch = cuda_graph_launch,
    .graph_free = cuda_graph_free,
    .set = cuda_set,
    .tensor_copy = pah_gpu_tensor_copy,
    .tensor_fill = pah_gpu_tensor_fill,
    .tensor_random = pah_gpu_tensor_random,
    .tensor_hash = pah_gpu_tensor_hash,
    .attention = pah_gpu_attention,
    .merge = pah_gpu_merge,
    .kv_append = pah_gpu_kv_append,
    .compile = cuda_module_compile,
    .takes_images = 1,
    .unload = cuda_module_unload,
    .variable = cuda_module_variable,
    .launch = cuda_module_launch,
    .resources = cuda_module_resources,
    .tensor_map = cuda_tensor_map,
    .share = cuda_share,
    .unshare = cuda_unshare,
};
