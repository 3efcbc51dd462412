/* modules.c - built-in kernels of a device: compiled when first needed with the defines of the call, kept for the next.
 * Also the check kernels and small copies to the host. Read next: attention.c, module/module.c. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "gpu.h"
#include "module/datadir.h"
#include "module/tally.h"
#include "occupancy.h"

struct pah_gpu_module {
  char *key; /* file and defines */
  struct pah_module *module;
  char kernel[32];         /* of the last call, */
  int64_t threads, shared; /* like these */
  struct pah_gpu_module *next;
};

/* NULL of a device without modules. */
static struct pah_gpu_state *state_of(const struct pah_device *dev) {
  return dev->ops->compile ? dev->state : NULL;
}

void pah_gpu_define(struct pah_gpu_call *call, char *text, size_t bytes, const char *name, int64_t value) {
  snprintf(text, bytes, "%s=%lld", name, (long long)value);
  call->defines[call->define_count++] = text;
}

void pah_gpu_define_type(struct pah_gpu_call *call, char *text, size_t bytes, const char *name, int dtype) {
  snprintf(text, bytes, "%s=%s", name, pah_dtype_name(dtype)); /* types.cuh calls them the same */
  call->defines[call->define_count++] = text;
}

static int compile(struct pah_device *dev, const struct pah_gpu_call *call, const char *key,
                   struct pah_gpu_module **found) {
  char path[PATH_MAX], file[64];
  snprintf(file, sizeof file, "kernels/%s", call->file);
  struct pah_module_spec spec = {
      .source = pah_data_path(path, sizeof path, file), .defines = call->defines, .define_count = call->define_count};
  struct pah_gpu_module *m = calloc(1, sizeof *m);
  char *copy = strdup(key);
  int status =
      m && copy ? pah_module_compile(dev, &spec, &m->module) : pah_fail(PAH_ENOMEM, "%s: no memory", call->file);
  if (status) {
    free(m);
    free(copy);
    return status;
  }
  pah_device_release(dev); /* the module's reference; what called us has another. See pah_gpu_forget */
  m->key = copy;
  m->next = state_of(dev)->modules;
  state_of(dev)->modules = m;
  *found = m;
  return PAH_OK;
}

int pah_gpu_call(struct pah_device *dev, const struct pah_gpu_call *call) {
  char key[512];
  size_t n = (size_t)snprintf(key, sizeof key, "%s", call->file);
  for (int i = 0; i < call->define_count && n < sizeof key; i++)
    n += (size_t)snprintf(key + n, sizeof key - n, " %s", call->defines[i]);
  struct pah_gpu_module *m = state_of(dev)->modules;
  while (m && strcmp(m->key, key) != 0) m = m->next;
  int status = m ? PAH_OK : compile(dev, call, key, &m);
  if (status) return status;
  snprintf(m->kernel, sizeof m->kernel, "%s", call->kernel);
  m->threads = call->threads;
  m->shared = call->shared;
  struct pah_launch launch = {.grid = {call->grid[0], call->grid[1], call->grid[2]},
                              .block = {call->threads, 1, 1},
                              .shared = call->shared,
                              .args = call->args,
                              .schedule = -1,
                              .counters = pah_tally_on(dev), /* else nobody would see them */
                              .problem = call->problem};
  return pah_module_launch(m->module, call->kernel, &launch, NULL);
}

int64_t pah_device_instances(struct pah_device *dev) {
  const struct pah_gpu_state *s = state_of(dev);
  int64_t count = 0;
  for (struct pah_gpu_module *m = s ? s->modules : NULL; m; m = m->next) count++;
  return count;
}

int pah_device_instance(struct pah_device *dev, int64_t i, struct pah_instance *instance) {
  int64_t count = pah_device_instances(dev);
  if (i < 0 || i >= count)
    return pah_fail(PAH_EINVAL, "instance: is %lld, must be below %lld", (long long)i, (long long)count);
  struct pah_gpu_module *m = state_of(dev)->modules; /* the newest is the first */
  for (int64_t skip = count - 1 - i; skip; skip--) m = m->next;
  *instance = (struct pah_instance){
      .source = m->key, .kernel = m->kernel, .threads = m->threads, .shared_dynamic_bytes = m->shared};
  int status = pah_module_resources(m->module, m->kernel, &instance->resources);
  if (!status)
    instance->thread_blocks_per_sm =
        pah_thread_blocks_per_sm(pah_arch_limits(dev->info.arch), m->threads, instance->resources.registers,
                                 m->shared + instance->resources.shared_bytes, &instance->occupancy);
  return status;
}

void pah_gpu_drop(struct pah_device *dev, struct pah_gpu_area *area) {
  if (area->data) pah_device_free(dev, area->data, area->bytes);
  *area = (struct pah_gpu_area){0};
}

void pah_gpu_forget(struct pah_device *dev) {
  struct pah_gpu_state *s = state_of(dev);
  pah_gpu_drop(dev, &s->arrivals);
  pah_gpu_drop(dev, &s->parts);
  dev->references++; /* so that no module's release closes the device again */
  while (s->modules) {
    struct pah_gpu_module *m = s->modules;
    s->modules = m->next;
    pah_device_retain(dev);
    pah_module_release(m->module);
    free(m->key);
    free(m);
  }
}

/* ---- Checks ---- */

int pah_gpu_checks(const struct pah_device *dev) {
  const char *asked = getenv("PAH_CUDA_CHECK");
  return !dev->ops->host_readable && !state_of(dev)->check_off && !(asked && !strcmp(asked, "0"));
}

int pah_gpu_check(struct pah_device *dev, const char *kernel, const void *params, int *broken) {
  void *flag;
  const int zero = 0;
  int status = pah_device_alloc(dev, sizeof zero, &flag);
  if (status) return status;
  struct pah_gpu_call call = {.file = "check.cu", .kernel = kernel, .grid = {1, 1, 1}, .threads = 256};
  call.args[0] = params;
  call.args[1] = &flag;
  status = dev->ops->copy_in(dev, flag, &zero, sizeof zero);
  if (!status) status = pah_gpu_call(dev, &call);
  if (!status) status = dev->ops->copy_out(dev, broken, flag, sizeof *broken);
  pah_device_free(dev, flag, sizeof zero);
  return status;
}

int pah_gpu_fetch(const struct pah_tensor *t, struct pah_tensor *copy) {
  *copy = *t;
  if (t->dtype == PAH_NONE) return PAH_OK;
  int64_t last = 0;
  for (int i = 0; i < t->ndim; i++) {
    if (!t->shape[i]) return PAH_OK;
    last += (t->shape[i] - 1) * t->stride[i];
  }
  int64_t bytes = (last + 1) * pah_dtype_size(t->dtype);
  copy->data = malloc((size_t)bytes);
  if (!copy->data) return pah_fail(PAH_ENOMEM, "no memory to look at %lld bytes", (long long)bytes);
  return t->device->ops->copy_out(t->device, copy->data, t->data, bytes);
}
