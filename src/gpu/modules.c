/* modules.c - built-in kernels of a device: compiled when first needed with the defines of the call, kept for the next.
 * Also the working memory of calls. Read next: attention.c, verdict.c, module/module.c. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "gpu.h"
#include "module/datadir.h"
#include "module/tally.h"
#include "occupancy.h"

enum { KEY_BYTES = 512 };

struct pah_gpu_module {
  const char *file; /* with the defines, what a call is compared with */
  struct pah_gpu_define defines[PAH_GPU_DEFINES];
  int define_count;
  char *key; /* the same in words */
  struct pah_module *module;
  const char *kernel;      /* of the last call, */
  int64_t threads, shared; /* like these */
  struct pah_gpu_module *next;
};

/* NULL of a device without modules. */
static struct pah_gpu_state *state_of(const struct pah_device *dev) {
  return dev->ops->compile ? dev->state : NULL;
}

void pah_gpu_define(struct pah_gpu_call *call, const char *name, int64_t value) {
  call->defines[call->define_count++] = (struct pah_gpu_define){name, value, 0};
}

void pah_gpu_define_type(struct pah_gpu_call *call, const char *name, int dtype) {
  call->defines[call->define_count++] = (struct pah_gpu_define){name, dtype, 1};
}

/* Numbers tell most of them apart, so they come first. */
static int is_of(const struct pah_gpu_module *m, const struct pah_gpu_call *call) {
  if (m->define_count != call->define_count) return 0;
  for (int i = 0; i < m->define_count; i++)
    if (m->defines[i].value != call->defines[i].value) return 0;
  if (m->file != call->file && strcmp(m->file, call->file) != 0) return 0;
  for (int i = 0; i < m->define_count; i++)
    if (m->defines[i].name != call->defines[i].name && strcmp(m->defines[i].name, call->defines[i].name) != 0) return 0;
  return 1;
}

/* "NAME=VALUE" of every define, and the key: the file and all of them. */
static void words_of(const struct pah_gpu_call *call, char text[PAH_GPU_DEFINES][48], char *key) {
  size_t n = (size_t)snprintf(key, KEY_BYTES, "%s", call->file);
  for (int i = 0; i < call->define_count; i++) {
    const struct pah_gpu_define *d = &call->defines[i];
    if (d->is_type)
      snprintf(text[i], sizeof text[i], "%s=%s", d->name, pah_dtype_name((int)d->value));
    else
      snprintf(text[i], sizeof text[i], "%s=%lld", d->name, (long long)d->value);
    if (n < KEY_BYTES) n += (size_t)snprintf(key + n, KEY_BYTES - n, " %s", text[i]);
  }
}

static int compile(struct pah_device *dev, const struct pah_gpu_call *call, struct pah_gpu_module **found) {
  char path[PATH_MAX], file[64], key[KEY_BYTES], text[PAH_GPU_DEFINES][48];
  const char *defines[PAH_GPU_DEFINES];
  words_of(call, text, key);
  for (int i = 0; i < call->define_count; i++) defines[i] = text[i];
  snprintf(file, sizeof file, "kernels/%s", call->file);
  struct pah_module_spec spec = {
      .source = pah_data_path(path, sizeof path, file), .defines = defines, .define_count = call->define_count};
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
  m->file = call->file;
  memcpy(m->defines, call->defines, sizeof m->defines);
  m->define_count = call->define_count;
  m->key = copy;
  m->next = state_of(dev)->modules;
  state_of(dev)->modules = m;
  *found = m;
  return PAH_OK;
}

int pah_gpu_call(struct pah_device *dev, const struct pah_gpu_call *call) {
  struct pah_gpu_module *m = state_of(dev)->modules;
  while (m && !is_of(m, call)) m = m->next;
  int status = m ? PAH_OK : compile(dev, call, &m);
  if (status) return status;
  m->kernel = call->kernel;
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

struct pah_gpu_outgrown {
  struct pah_gpu_area area;
  struct pah_gpu_outgrown *next;
};

void pah_gpu_drop(struct pah_device *dev, struct pah_gpu_area *area) {
  struct pah_gpu_state *s = state_of(dev);
  struct pah_gpu_outgrown *o = area->data && s->graphs ? malloc(sizeof *o) : NULL;
  if (o) {
    *o = (struct pah_gpu_outgrown){*area, s->outgrown};
    s->outgrown = o;
  } else if (area->data && !s->graphs) { /* without memory to remember it, it stays for good */
    pah_device_free(dev, area->data, area->bytes);
  }
  *area = (struct pah_gpu_area){0};
}

void pah_gpu_keep_areas(struct pah_device *dev, int by) {
  struct pah_gpu_state *s = state_of(dev);
  s->graphs += by;
  while (!s->graphs && s->outgrown) {
    struct pah_gpu_outgrown *o = s->outgrown;
    s->outgrown = o->next;
    pah_device_free(dev, o->area.data, o->area.bytes);
    free(o);
  }
}

void pah_gpu_forget(struct pah_device *dev) {
  struct pah_gpu_state *s = state_of(dev);
  struct pah_gpu_area *areas[] = {&s->verdict, &s->scratch, &s->arrivals, &s->parts};
  for (size_t i = 0; i < sizeof areas / sizeof *areas; i++) pah_gpu_drop(dev, areas[i]);
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

/* ---- Memory ---- */

int pah_gpu_scratch(struct pah_device *dev, int64_t bytes, void **data) {
  struct pah_gpu_area *area = &state_of(dev)->scratch;
  if (area->bytes < bytes) { /* a launch that still uses the old one comes before its end in the stream */
    pah_gpu_drop(dev, area);
    int status = pah_device_alloc(dev, bytes, &area->data);
    if (status) return status;
    area->bytes = bytes;
  }
  *data = area->data;
  return PAH_OK;
}

void pah_gpu_scratch_done(struct pah_device *dev) {
  if (dev->ops->host_readable) pah_gpu_drop(dev, &state_of(dev)->scratch);
}
