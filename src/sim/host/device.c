/* device.c - the simulated GPU as a device: its memory, its modules, its settings from the environment.
 * "sim" is an sm_80, "sim:sm_90a" a Hopper. $PAH_SIM_SCHEDULE (order, reverse, random), $PAH_SIM_SEED, $PAH_SIM_LIMIT
 * (seconds), $PAH_SIM_COUNTERS (0, 1) and $PAH_SIM_PROCESSORS hold for every launch that does not say otherwise.
 * Read next: build.c (source to object), launch.c (a launch), device.h. */
#define _GNU_SOURCE
#include "device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "gpu/gpu.h"
#include "gpu/occupancy.h"
#include "module/module.h"
#include "module/tally.h"
#include "tensor/tensor.h"
#include "sim/compile/build.h"
#include "sim/compile/compiler.h"
#include "arguments.h"
#include "launch.h"
#include "process.h"
#include "sim/ptx/copy/tensor_map.h"
#include "sim/translate/translate.h"

struct state {
  struct pah_gpu_state gpu; /* first: gpu/gpu.h */
  struct pah_tally tally;
  struct sim_arena arena;
  int arch;
  struct pah_launch defaults; /* schedule, seed, limit, counters, processors */
  int tensor_kernels;         /* tensor work is simulated, not the host's */
};

static const struct {
  const char *name;
  int arch;
} arches[] = {{"", 80}, {"sm_80", 80}, {"sm_86", 86}, {"sm_89", 89}, {"sm_90", 90}, {"sm_90a", 90}};
enum { ARCH_COUNT = sizeof arches / sizeof *arches };

const char *pah_sim_arch_name(int64_t i) {
  return i >= 0 && i < ARCH_COUNT - 1 ? arches[i + 1].name : NULL; /* the first is no name */
}

static int find_arch(const char *arg, int *at) {
  for (int i = 0; i < ARCH_COUNT; i++)
    if (!strcmp(arg, arches[i].name)) return *at = i, PAH_OK;
  return pah_fail(PAH_EINVAL, "device: \"sim:%.32s\" is not an architecture of sim, must be %s", arg,
                  pah_names_of(pah_sim_arch_name).text);
}

static int sim_usable(const char *arg) {
  int at;
  if (find_arch(arg, &at)) return PAH_EINVAL;
  if (sim_compiler()) return PAH_OK;
  const char *asked = getenv("PAH_SIM_CXX");
  return pah_fail(PAH_EDEVICE, "sim is not usable because %s%s; install g++ (apt install g++) or set PAH_SIM_CXX",
                  asked ? "PAH_SIM_CXX names no program: " : "no C++ compiler is found", asked ? asked : "");
}

static const struct {
  const char *name, *variable;
} settings[] = {{"schedule", "PAH_SIM_SCHEDULE"},
                {"seed", "PAH_SIM_SEED"},
                {"limit", "PAH_SIM_LIMIT"},
                {"counters", "PAH_SIM_COUNTERS"},
                {"processors", "PAH_SIM_PROCESSORS"}};
enum { SCHEDULE, SEED, LIMIT, COUNTERS, PROCESSORS, SETTING_COUNT };

static int set_schedule(struct pah_launch *d, const char *what, const char *value) {
  static const char *const names[] = {"order", "reverse", "random"};
  for (int i = 0; i < 3; i++)
    if (!strcmp(value, names[i])) return d->schedule = i, PAH_OK;
  return pah_fail(PAH_EINVAL, "%s: is \"%.32s\", must be order, reverse or random", what, value);
}

/* `what` is the name of the setting in errors: its own, or that of the variable. */
static int set_default(struct pah_launch *d, int setting, const char *what, const char *value) {
  char *end = NULL;
  if (setting == SCHEDULE) return set_schedule(d, what, value);
  if (setting == SEED) {
    uint64_t seed = strtoull(value, &end, 0);
    if (end == value || *end || *value == '-')
      return pah_fail(PAH_EINVAL, "%s: is \"%.32s\", must be a whole number, 0 or more", what, value);
    d->seed = seed;
  } else if (setting == LIMIT) {
    double limit = strtod(value, &end);
    if (!(limit > 0) || *end) return pah_fail(PAH_EINVAL, "%s: is \"%.32s\", must be a number of seconds", what, value);
    d->limit = limit;
  } else if (setting == PROCESSORS) {
    long processors = strtol(value, &end, 10);
    if (end == value || *end || processors < 1 || processors > SIM_MOST_PROCESSES)
      return pah_fail(PAH_EINVAL, "%s: is \"%.32s\", must be a whole number, 1 to %d", what, value, SIM_MOST_PROCESSES);
    d->processors = (int32_t)processors;
  } else {
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
      return pah_fail(PAH_EINVAL, "%s: is \"%.32s\", must be 0 or 1", what, value);
    d->counters = *value == '1';
  }
  return PAH_OK;
}

static int read_settings(struct pah_launch *d) {
  int status = PAH_OK;
  *d = (struct pah_launch){.schedule = PAH_IN_ORDER, .counters = 1};
  for (int i = 0; i < SETTING_COUNT && !status; i++) {
    const char *value = getenv(settings[i].variable);
    if (value && *value) status = set_default(d, i, settings[i].variable, value);
  }
  return status;
}

static int sim_set(struct pah_device *dev, const char *name, const char *value) {
  for (int i = 0; i < SETTING_COUNT; i++)
    if (!strcmp(name, settings[i].name)) return set_default(&((struct state *)dev->state)->defaults, i, name, value);
  if (!strcmp(name, "tensor_kernels")) {
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
      return pah_fail(PAH_EINVAL, "tensor_kernels: is \"%.32s\", must be 0 or 1", value);
    ((struct state *)dev->state)->tensor_kernels = *value == '1';
    return PAH_OK;
  }
  return pah_fail(PAH_EINVAL,
                  "%s: is not a setting of sim, must be schedule, seed, limit, counters, processors or "
                  "tensor_kernels",
                  name);
}

static int sim_open(struct pah_device *dev, const char *arg) {
  int at = 0, status = find_arch(arg, &at);
  struct state *s = status ? NULL : calloc(1, sizeof *s);
  if (!s) return status ? status : pah_fail(PAH_ENOMEM, "sim: no memory");
  status = read_settings(&s->defaults);
  int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  if (!status) status = sim_arena_open(&s->arena, (uint64_t)bytes);
  if (status) {
    free(s);
    return status;
  }
  s->arch = arches[at].arch;
  dev->state = s;
  struct pah_device_info *info = &dev->info;
  snprintf(info->model, sizeof info->model, "simulated GPU, checked");
  snprintf(info->arch, sizeof info->arch, "%s", *arg ? arg : "sm_80");
  info->threads = 1;
  info->sms = 1;
  info->bytes = bytes;
  return PAH_OK;
}

static void sim_close(struct pah_device *dev) {
  struct state *s = dev->state;
  pah_gpu_forget(dev);
  sim_arena_close(&s->arena);
  free(s);
}

/* ---- Memory. Only copies of the host make a tensor initialised from outside. ---- */

static int sim_alloc(struct pah_device *dev, int64_t bytes, void **data) {
  return sim_arena_alloc(&((struct state *)dev->state)->arena, bytes, data);
}

static void sim_free(struct pah_device *dev, void *data, int64_t bytes) {
  (void)bytes;
  sim_arena_free(&((struct state *)dev->state)->arena, data);
}

static int sim_copy_in(struct pah_device *dev, void *dst, const void *src, int64_t bytes) {
  struct sim_arena *arena = &((struct state *)dev->state)->arena;
  memcpy(dst, src, (size_t)bytes);
  if (sim_arena_find(arena, dst)) sim_arena_written(arena, dst, bytes); /* else a variable of a module */
  return PAH_OK;
}

static int sim_copy_out(struct pah_device *dev, void *dst, const void *src, int64_t bytes) {
  (void)dev;
  memcpy(dst, src, (size_t)bytes);
  return PAH_OK;
}

/* ---- Tensor work: by the host, unless the kernels are asked for ---- */

static int by_kernels(const struct pah_device *dev) {
  return ((const struct state *)dev->state)->tensor_kernels;
}

static int is_packed(const struct pah_tensor *t) {
  int64_t stride = 1;
  for (int d = t->ndim - 1; d >= 0; stride *= t->shape[d], d--)
    if (t->shape[d] != 1 && t->stride[d] != stride) return 0;
  return 1;
}

/* What nobody has written is not written in a copy either; the host's way takes all of a result for written. */
static int sim_tensor_copy(struct pah_device *dev, const struct pah_tensor *dst, const struct pah_tensor *src) {
  struct sim_arena *arena = &((struct state *)dev->state)->arena;
  const int64_t bytes = pah_tensor_numel(src) * pah_dtype_size(src->dtype);
  if (by_kernels(dev)) return pah_gpu_tensor_copy(dev, dst, src);
  if (dst->dtype != src->dtype || !is_packed(dst) || !is_packed(src) || !sim_arena_find(arena, dst->data) ||
      !sim_arena_find(arena, src->data) || pah_tensors_overlap(dst, src))
    return PAH_LEFT_TO_HOST;
  memcpy(dst->data, src->data, (size_t)bytes);
  sim_arena_copied(arena, dst->data, src->data, bytes);
  return PAH_OK;
}

static int sim_tensor_fill(struct pah_device *dev, const struct pah_tensor *t, const void *element) {
  return by_kernels(dev) ? pah_gpu_tensor_fill(dev, t, element) : PAH_LEFT_TO_HOST;
}

static int sim_tensor_random(struct pah_device *dev, const struct pah_tensor *t, const struct pah_draw *draw) {
  return by_kernels(dev) ? pah_gpu_tensor_random(dev, t, draw) : PAH_LEFT_TO_HOST;
}

static int sim_tensor_hash(struct pah_device *dev, const struct pah_tensor *t, uint64_t *parts) {
  return by_kernels(dev) ? pah_gpu_tensor_hash(dev, t, parts) : PAH_LEFT_TO_HOST;
}

/* ---- Modules ---- */

/* The object's own list (entries.c): kernels behind those asked for, and what was left out. */
static void find_kernels(const struct sim_image *image, struct pah_module *m) {
  char symbol[48];
  for (int64_t i = m->kernel_count;; i++) {
    snprintf(symbol, sizeof symbol, "pah_name_%lld", (long long)i);
    const char *name = dlsym(image->handle, symbol);
    if (!name) break;
    pah_module_found(m, name);
  }
  const char *skipped = dlsym(image->handle, "pah_skipped");
  free(m->skipped);
  m->skipped = skipped ? strdup(skipped) : NULL;
}

static int sim_compile(struct pah_device *dev, struct pah_module *m) {
  struct state *s = dev->state;
  struct sim_image *image;
  int status = sim_build(m, s->arch, &image);
  if (status) return status;
  find_kernels(image, m);
  for (int64_t i = 0; i < m->kernel_count && !status; i++) {
    struct pah_module_kernel *k = &m->kernels[i];
    char name[48];
    snprintf(name, sizeof name, "pah_entry_%lld", (long long)i);
    k->handle = dlsym(image->handle, name);
    snprintf(name, sizeof name, "pah_signature_%lld", (long long)i);
    const int *signature = dlsym(image->handle, name);
    if (!k->handle || !signature || signature[0] > PAH_MAX_PARAMETERS) {
      status = pah_fail(PAH_EIO, "%s: kernel %s has no entry, or more than %d parameters", m->path, k->name,
                        PAH_MAX_PARAMETERS);
      break;
    }
    k->signature.count = signature[0];
    for (int p = 0; p < signature[0]; p++) {
      k->signature.kind[p] = signature[1 + p] >> 24;
      k->signature.points_to[p] = sim_points_to(signature[1 + p] >> 16 & 0xff);
      k->signature.size[p] = signature[1 + p] & 0xffff;
    }
  }
  if (status) {
    sim_image_close(image);
    return status;
  }
  sim_image_close(m->image);
  m->image = image;
  return PAH_OK;
}

static void sim_unload(struct pah_device *dev, void *image) {
  (void)dev;
  sim_image_close(image);
}

static int sim_module_variable(struct pah_device *dev, struct pah_module *m, const char *symbol, void **data,
                               int64_t *bytes) {
  (void)dev;
  return sim_variable(m->image, symbol, data, bytes);
}

static int most_shared(int arch) {
  return pah_arch_limits_of(arch)->shared_block;
}

static uint64_t restricted_of(const struct sim_image *image, int64_t kernel) {
  char name[48];
  snprintf(name, sizeof name, "pah_restricted_%lld", (long long)kernel);
  const uint64_t *bits = dlsym(image->handle, name);
  return bits ? *bits : 0;
}

/* Each process has a shadow of the memory that it touches, of up to 13 bytes for one; all may take half of what the
 * machine has. Thread blocks that wait for each other are run by one. */
static int processes_for(const struct state *s, const struct pah_device *dev, const struct pah_launch *l) {
  const int64_t blocks = l->grid[0] * l->grid[1] * l->grid[2];
  const int64_t memory = dev->info.bytes / 2 / (13 * (int64_t)s->arena.bytes + ((int64_t)32 << 20));
  if (l->cooperative || l->cluster[0]) return 1;
  int64_t n = l->processors ? l->processors : s->defaults.processors;
  if (!n) n = pah_get_threads();
  if (n > SIM_MOST_PROCESSES) n = SIM_MOST_PROCESSES;
  if (n > blocks) n = blocks;
  if (n > memory) n = memory;
  return n < 1 ? 1 : (int)n;
}

static int sim_run(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *k,
                   const struct pah_launch *launch, struct pah_report *report) {
  struct state *s = dev->state;
  struct sim_image *image = m->image;
  struct pah_launch l = *launch;
  const uint64_t fixed = sim_static_shared(image, sim_image_kernel(image, k - m->kernels));
  if (l.schedule < 0) l.schedule = s->defaults.schedule, l.seed = s->defaults.seed;
  if (l.counters < 0) l.counters = s->defaults.counters;
  if (!(l.limit > 0)) l.limit = s->defaults.limit;
  struct sim_job job = {.arena = &s->arena,
                        .image = image,
                        .signature = &k->signature,
                        .launch = &l,
                        .kernel = k->name,
                        .source_path = m->path,
                        .source = m->text,
                        .arch = s->arch,
                        .restricted = restricted_of(image, k - m->kernels),
                        .static_shared = (int64_t)fixed,
                        .at_once = l.processors > 1};
  if (!image->alone && (image->alone = calloc((size_t)m->kernel_count, sizeof *image->alone)))
    image->alone_count = m->kernel_count;
  if (k - m->kernels < image->alone_count) job.alone = &image->alone[k - m->kernels];
  memcpy(&job.entry, &k->handle, sizeof job.entry);
  int status = sim_check_limits(&job, k - m->kernels, &l);
  if (!status) status = sim_check_arguments(k, &l);
  if (status) return status;
  job.processes = job.alone && *job.alone ? 1 : processes_for(s, dev, &l); /* l has the kernel's own cluster by now */
  return sim_launch(&job, report);
}

static struct pah_tally *sim_tally(struct pah_device *dev) {
  return &((struct state *)dev->state)->tally;
}

static int sim_resources(struct pah_device *dev, struct pah_module *m, struct pah_module_kernel *k,
                         struct pah_resources *r) {
  const struct sim_image *image = m->image;
  const uint64_t kernel = sim_image_kernel(image, k - m->kernels);
  *r = (struct pah_resources){.shared_bytes = (int32_t)sim_static_shared(image, kernel),
                              .max_threads = sim_launch_bounds(image, kernel)};
  r->max_shared_bytes = most_shared(((struct state *)dev->state)->arch);
  return PAH_OK;
}

const struct pah_device_ops pah_sim_ops = {
    .kind = "sim",
    .host_readable = 1,
    .usable = sim_usable,
    .open = sim_open,
    .close = sim_close,
    .alloc = sim_alloc,
    .free = sim_free,
    .copy_in = sim_copy_in,
    .copy_out = sim_copy_out,
    .set = sim_set,
    .tensor_copy = sim_tensor_copy,
    .tensor_fill = sim_tensor_fill,
    .tensor_random = sim_tensor_random,
    .tensor_hash = sim_tensor_hash,
    .attention = pah_gpu_attention,
    .merge = pah_gpu_merge,
    .kv_append = pah_gpu_kv_append,
    .ptx_kernels = ptx_entries,
    .compile = sim_compile,
    .finds_kernels = 1,
    .unload = sim_unload,
    .launch = sim_run,
    .resources = sim_resources,
    .variable = sim_module_variable,
    .tally = sim_tally,
    .tensor_map = sim_tensor_map,
};
