/* offline.c - "cuda:sm_90a": the cuda device without a GPU or a driver. It compiles for an architecture with NVRTC and
 * tells what kernels need (`pah kernels --arch`); its tensors lie in host memory; a launch is an error, or with the
 * setting "dry" nothing at all. Read next: nvrtc.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "gpu/occupancy.h"
#include "state.h"

struct offline {
  struct pah_gpu_state gpu; /* first: gpu/gpu.h */
  char arch[16];
  int dry;
};

static int offline_usable(const char *arg) {
  int status = cuda_open_nvrtc();
  return status ? status : cuda_check_arch(arg);
}

static int offline_open(struct pah_device *dev, const char *arg) {
  struct offline *s = dev->state = calloc(1, sizeof *s);
  if (!s) return pah_fail(PAH_ENOMEM, "cuda: no memory");
  snprintf(s->arch, sizeof s->arch, "%s", arg);
  snprintf(dev->info.model, sizeof dev->info.model, "no GPU: compiles only");
  snprintf(dev->info.arch, sizeof dev->info.arch, "%s", arg);
  dev->info.host_memory = 1;
  dev->info.sms = 1;
  return PAH_OK;
}

static void offline_close(struct pah_device *dev) {
  pah_gpu_forget(dev);
  free(dev->state);
}

static int offline_set(struct pah_device *dev, const char *name, const char *value) {
  if (strcmp(name, "dry") != 0)
    return pah_fail(PAH_EINVAL, "%.32s: is not a setting of %s, must be dry", name, dev->info.name);
  if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
    return pah_fail(PAH_EINVAL, "dry: is \"%.32s\", must be 0 or 1", value);
  ((struct offline *)dev->state)->dry = *value == '1';
  return PAH_OK;
}

static int offline_alloc(struct pah_device *dev, int64_t bytes, void **data) {
  (void)dev;
  *data = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
  return *data ? PAH_OK : pah_fail(PAH_ENOMEM, "%lld bytes: no memory", (long long)bytes);
}

static void offline_free(struct pah_device *dev, void *data, int64_t bytes) {
  (void)dev;
  (void)bytes;
  free(data);
}

static int offline_copy(struct pah_device *dev, void *dst, const void *src, int64_t bytes) {
  (void)dev;
  memcpy(dst, src, (size_t)bytes);
  return PAH_OK;
}

static int offline_compile(struct pah_device *dev, struct pah_module *m) {
  struct offline *s = dev->state;
  struct cuda_code code;
  int status = cuda_compile(m, s->arch, &code);
  if (status) return status;
  struct pah_resources *known = calloc((size_t)code.count + 1, sizeof *known);
  for (int64_t i = 0; i < code.count && known; i++) known[i] = code.entries[i].known;
  cuda_take_skipped(m, &code);
  cuda_code_free(&code);
  if (!known) return pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
  free(m->image);
  m->image = known;
  return PAH_OK;
}

/* Nobody reads it: launches are left out. */
static int offline_tensor_map(struct pah_device *dev, const struct pah_tensor *t, const int64_t *box, int32_t swizzle,
                              struct pah_tensor_map *map) {
  (void)dev;
  (void)t;
  (void)box;
  (void)swizzle;
  memset(map, 0, sizeof *map);
  return PAH_OK;
}

static void offline_unload(struct pah_device *dev, void *image) {
  (void)dev;
  free(image);
}

/* The signature would have to be read from the image, which a driver does. */
static int offline_launch(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *k,
                          const struct pah_launch *launch, struct pah_report *report) {
  struct offline *s = dev->state;
  (void)m;
  (void)launch;
  (void)report;
  return s->dry ? PAH_OK
                : pah_fail(PAH_EDEVICE, "%s: %s compiles only; launch it on cuda or sim", k->name, dev->info.name);
}

static int offline_resources(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *k,
                             struct pah_resources *r) {
  struct offline *s = dev->state;
  *r = ((const struct pah_resources *)m->image)[k - m->kernels];
  r->max_threads = 1024;
  r->max_shared_bytes = pah_arch_limits(s->arch)->shared_block;
  return PAH_OK;
}

const struct pah_device_ops cuda_offline_ops = {
    .kind = "cuda",
    .usable = offline_usable,
    .open = offline_open,
    .close = offline_close,
    .alloc = offline_alloc,
    .free = offline_free,
    .copy_in = offline_copy,
    .copy_out = offline_copy,
    .set = offline_set,
    .attention = pah_gpu_attention,
    .merge = pah_gpu_merge,
    .kv_append = pah_gpu_kv_append,
    .compile = offline_compile,
    .unload = offline_unload,
    .launch = offline_launch,
    .resources = offline_resources,
    .tensor_map = offline_tensor_map,
};
