/* module.c - your own kernels: the rules of pah_module_compile and pah_module_launch, whatever the device.
 * The names of ordinary kernels are found by scanning the source; an instance of a template, or a name that a macro
 * makes, is compiled when it is first asked for. Read next: module.h, scan.c, compile_cache.c, sim/compile/build.c,
 * cuda/nvrtc.c. */
#define _GNU_SOURCE
#include "module.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datadir.h"
#include "error.h"
#include "scan.h"
#include "tally.h"

/* ---- The key ---- */

void pah_module_key(const struct pah_module *m, const char *salt, char key[PAH_KEY_SIZE]) {
  struct pah_hash hash;
  char folder[PATH_MAX];
  int is_relative = *m->path != '/';
  pah_hash_init(&hash);
  pah_hash_string(&hash, salt);
  pah_hash_string(&hash, m->std);
  for (char **s = m->defines; *s; s++) pah_hash_string(&hash, *s);
  pah_hash_string(&hash, "");
  for (char **s = m->include; *s; s++) {
    pah_hash_string(&hash, *s);
    is_relative |= **s != '/';
  }
  pah_hash_string(&hash, "");
  for (int64_t i = 0; i < m->kernel_count; i++) pah_hash_string(&hash, m->kernels[i].name);
  pah_hash_string(&hash, "");
  pah_hash_string(&hash, m->path);
  pah_hash_string(&hash, m->text);
  /* The same names in another folder are other files, and findings name them with their folder. */
  if (is_relative && getcwd(folder, sizeof folder)) pah_hash_string(&hash, folder);
  pah_hash_finish(&hash, key);
}

void pah_module_write_defines(const struct pah_module *m, FILE *to) {
  static const char *const headers[] = {"cuda_fp16.h", "cuda_bf16.h",          "cuda_fp8.h",
                                        "mma.h",       "cooperative_groups.h", "cuda_pipeline.h"};
  for (size_t i = 0; i < sizeof headers / sizeof *headers && *m->defines; i++)
    if (strstr(m->text, headers[i])) fprintf(to, "#include <%s>\n", headers[i]);
  for (char **d = m->defines; *d; d++) {
    const int n = (int)strcspn(*d, "=");
    fprintf(to, "#define %.*s %s\n", n, *d, (*d)[n] ? *d + n + 1 : "1");
  }
}

/* ---- Making and freeing ---- */

static void free_kernels(struct pah_module *m, int64_t from) {
  for (int64_t i = from; i < m->kernel_count; i++) free(m->kernels[i].name);
  if (m->kernel_count > from) m->kernel_count = from;
}

static void free_list(char **list) {
  for (char **s = list; s && *s; s++) free(*s);
  free(list);
}

static void destroy(struct pah_module *m) {
  if (m->image) m->device->ops->unload(m->device, m->image);
  free_kernels(m, 0);
  free(m->kernels);
  free_list(m->defines);
  free_list(m->include);
  free(m->path);
  free(m->text);
  free(m->skipped);
  pah_device_release(m->device);
  free(m);
}

void pah_module_retain(struct pah_module *m) {
  m->references++;
}

void pah_module_release(struct pah_module *m) {
  if (m && --m->references == 0) destroy(m);
}

void pah_module_squeeze(char *out, const char *name) {
  for (const char *p = name; *p; p++) {
    if (!isspace((unsigned char)*p))
      *out++ = *p;
    else if (p > name && (isalnum((unsigned char)p[-1]) || p[-1] == '_') &&
             (isalnum((unsigned char)p[1]) || p[1] == '_'))
      *out++ = ' ';
  }
  *out = 0;
}

static int64_t find_kernel(const struct pah_module *m, const char *squeezed) {
  size_t length = strlen(squeezed);
  for (int64_t i = 0; i < m->kernel_count; i++)
    if (!strcmp(m->kernels[i].name, squeezed)) return i;
  int64_t found = -1, count = 0;
  for (int64_t i = 0; i < m->kernel_count; i++) { /* "f" for the only "ns::f" */
    size_t n = strlen(m->kernels[i].name);
    const char *tail = n > length + 2 ? m->kernels[i].name + n - length : NULL;
    if (tail && !strcmp(tail, squeezed) && tail[-1] == ':') found = i, count++;
  }
  return count == 1 ? found : -1;
}

static int add_kernel(struct pah_module *m, const char *name) {
  char *squeezed = malloc(strlen(name) + 1);
  struct pah_module_kernel *more = realloc(m->kernels, (size_t)(m->kernel_count + 1) * sizeof *more);
  if (more) m->kernels = more;
  if (!squeezed || !more) {
    free(squeezed);
    return pah_fail(PAH_ENOMEM, "kernel: no memory for %.64s", name);
  }
  pah_module_squeeze(squeezed, name);
  for (int64_t i = 0; i < m->kernel_count; i++)
    if (!strcmp(m->kernels[i].name, squeezed)) {
      free(squeezed);
      return PAH_OK;
    }
  m->kernels[m->kernel_count++] = (struct pah_module_kernel){.name = squeezed};
  return PAH_OK;
}

void pah_module_found(struct pah_module *m, const char *name) {
  add_kernel(m, name);
}

static void add_found(void *data, const char *name) {
  add_kernel(data, name);
}

/* A copy of `list` with `first` before it and `last` behind it, where they are not NULL. */
static char **copy_list(const char *first, const char *const *list, int64_t count, const char *last) {
  char **copy = calloc((size_t)count + 3, sizeof *copy);
  int64_t n = 0;
  if (!copy) return NULL;
  if (first) copy[n++] = strdup(first);
  for (int64_t i = 0; i < count; i++) copy[n++] = strdup(list[i]);
  if (last) copy[n++] = strdup(last);
  return copy;
}

static int check_spec(const struct pah_device *device, const struct pah_module_spec *spec) {
  if (spec->image && !device->ops->takes_images && !device->ops->ptx_kernels)
    return pah_fail(PAH_EUNSUPPORTED, "load: the device is %s, must be cuda with a GPU, or sim for PTX",
                    device->info.name);
  if (!device->ops->compile)
    return pah_fail(PAH_EUNSUPPORTED, "device: %s compiles no kernels, must be cuda or sim", device->info.name);
  if (!spec->image && !spec->source == !spec->text)
    return pah_fail(PAH_EINVAL, "source: give either source (a path) or text");
  if (spec->std && strcmp(spec->std, "c++17") && strcmp(spec->std, "c++20"))
    return pah_fail(PAH_EINVAL, "std: is \"%.20s\", must be c++17 or c++20", spec->std);
  for (int64_t i = 0; i < spec->define_count; i++) {
    const char *d = spec->defines[i];
    size_t n = strspn(d, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    if (!n || isdigit((unsigned char)*d) || (d[n] && d[n] != '=') || strpbrk(d, "\n\r"))
      return pah_fail(PAH_EINVAL, "defines: \"%.80s\" is not NAME or NAME=VALUE on one line", d);
  }
  return PAH_OK;
}

/* Everything of the module but its image. */
static int fill(struct pah_module *m, const struct pah_module_spec *spec) {
  char kernels[PATH_MAX], folder[PATH_MAX];
  const char *slash = spec->source ? strrchr(spec->source, '/') : NULL;
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - spec->source) : 1, slash ? spec->source : ".");
  if (slash == spec->source) snprintf(folder, sizeof folder, "/");
  pah_data_path(kernels, sizeof kernels, "kernels");
  m->path = strdup(spec->image ? spec->image : spec->source ? spec->source : "text");
  m->is_image = spec->image != NULL;
  m->std = spec->std && !strcmp(spec->std, "c++20") ? "c++20" : "c++17";
  m->defines = copy_list(NULL, spec->defines, spec->define_count, NULL);
  m->include = copy_list(folder, spec->include, spec->include_count, kernels);
  if (!m->path || !m->defines || !m->include) return pah_fail(PAH_ENOMEM, "source: no memory");
  if (spec->text) m->text = strdup(spec->text);
  int status = spec->source ? pah_read_file("source", spec->source, &m->text, NULL) : PAH_OK;
  if (spec->image) status = pah_read_file("image", spec->image, &m->text, NULL);
  if (!status && !m->text) status = pah_fail(PAH_ENOMEM, "text: no memory");
  for (int64_t i = 0; i < spec->kernel_count && !status; i++) status = add_kernel(m, spec->kernels[i]);
  return status;
}

/* Compiles with the names that the scan has found. If that fails it may be the scan's fault (a kernel under #if 0), so
 * the names asked for have the last word. */
static int compile(struct pah_module *m) {
  int64_t asked = m->kernel_count;
  if (m->is_image && m->device->ops->ptx_kernels) m->device->ops->ptx_kernels(m->text, add_found, m);
  if (m->is_image || m->device->ops->finds_kernels) return m->device->ops->compile(m->device, m);
  pah_scan_kernels(m->text, add_found, m);
  int status = m->device->ops->compile(m->device, m);
  if (status != PAH_EINVAL || m->kernel_count == asked) return status;
  char *why = strdup(pah_error());
  free_kernels(m, asked);
  int again = m->device->ops->compile(m->device, m);
  if (again && why) pah_fail(status, "%s", why);
  free(why);
  return again;
}

int pah_module_compile(struct pah_device *device, const struct pah_module_spec *spec, struct pah_module **module) {
  int status = check_spec(device, spec);
  if (status) return status;
  struct pah_module *m = calloc(1, sizeof *m);
  if (!m) return pah_fail(PAH_ENOMEM, "source: no memory");
  m->device = device;
  m->references = 1;
  pah_device_retain(device);
  status = fill(m, spec);
  if (!status) status = compile(m);
  if (status)
    destroy(m);
  else
    *module = m;
  return status;
}

/* ---- Using ---- */

const char *pah_module_kernel(struct pah_module *m, int64_t i) {
  return i >= 0 && i < m->kernel_count ? m->kernels[i].name : NULL;
}

const char *pah_module_skipped(struct pah_module *m) {
  return m->skipped ? m->skipped : "";
}

static int no_kernel(const struct pah_module *m, const char *name, int64_t known) {
  char list[400] = "";
  size_t n = 0;
  for (int64_t i = 0; i < known && n + 2 < sizeof list; i++)
    n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", m->kernels[i].name);
  return pah_fail(PAH_EINVAL, "kernel: \"%.128s\" is not a kernel of %s, which has %s%s", name, m->path,
                  known ? list : "none", n >= sizeof list - 2 ? "..." : "");
}

/* An identifier, with or without template arguments, among them (256) / 4: anything else would be text put into the
 * source. */
static int is_instance(const char *name) {
  static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:";
  const size_t n = strspn(name, word), length = strlen(name);
  if (!n || !name[n]) return n > 0;
  if (name[n] != '<' || name[length - 1] != '>') return 0;
  for (const char *p = name + n; *p; p++)
    if (!strchr(word, *p) && !strchr("<>,* -()/+%&", *p)) return 0;
  return 1;
}

/* The kernel of that name, compiled now if it is none of those known. */
static int kernel(struct pah_module *m, const char *name, struct pah_module_kernel **k) {
  for (int64_t i = 0; i < m->kernel_count; i++) /* nearly always: a launch is not to pay for what follows */
    if (!strcmp(m->kernels[i].name, name)) return *k = &m->kernels[i], PAH_OK;
  char *squeezed = malloc(strlen(name) + 1);
  if (!squeezed) return pah_fail(PAH_ENOMEM, "kernel: no memory");
  pah_module_squeeze(squeezed, name);
  int64_t at = find_kernel(m, squeezed), known = m->kernel_count;
  int status = PAH_OK;
  if (at < 0 && !is_instance(squeezed)) status = no_kernel(m, name, known);
  if (at < 0 && !status) {
    status = add_kernel(m, squeezed);
    if (!status) status = m->device->ops->compile(m->device, m);
    at = known;
    if (status) free_kernels(m, known);
    if (status == PAH_EINVAL) status = no_kernel(m, name, known);
  }
  free(squeezed);
  if (!status) *k = &m->kernels[at];
  return status;
}

int pah_module_signature(struct pah_module *m, const char *name, struct pah_signature *signature) {
  struct pah_module_kernel *k;
  int status = kernel(m, name, &k);
  if (!status) *signature = k->signature;
  return status;
}

int pah_module_resources(struct pah_module *m, const char *name, struct pah_resources *resources) {
  struct pah_module_kernel *k;
  int status = kernel(m, name, &k);
  return status ? status : m->device->ops->resources(m->device, m, k, resources);
}

static int check_launch(const struct pah_launch *l) {
  static const int64_t grid_limit[3] = {INT32_MAX, 65535, 65535}, block_limit[3] = {1024, 1024, 64};
  int64_t threads = 1;
  for (int i = 0; i < 3; i++) {
    if (l->grid[i] < 1 || l->grid[i] > grid_limit[i])
      return pah_fail(PAH_EINVAL, "grid: %c is %lld, must be 1 to %lld", "xyz"[i], (long long)l -> grid[i],
                      (long long)grid_limit[i]);
    if (l->block[i] < 1 || l->block[i] > block_limit[i])
      return pah_fail(PAH_EINVAL, "block: %c is %lld, must be 1 to %lld", "xyz"[i], (long long)l -> block[i],
                      (long long)block_limit[i]);
    threads *= l->block[i];
  }
  for (int i = 0; i < 3; i++)
    if (l->cluster[i] < 0 || (l->cluster[i] && l->grid[i] % l->cluster[i]))
      return pah_fail(PAH_EINVAL, "cluster: %c is %lld, must divide the grid's, %lld", "xyz"[i],
                      (long long)l -> cluster[i], (long long)l -> grid[i]);
  if (threads > 1024)
    return pah_fail(PAH_EINVAL, "block: has %lld threads, must have at most 1024", (long long)threads);
  if (l->shared < 0 || l->shared > 1 << 20)
    return pah_fail(PAH_EINVAL, "shared: is %lld bytes, must be 0 to what the device has", (long long)l->shared);
  if (l->processors < 0 || l->processors > 64)
    return pah_fail(PAH_EINVAL, "processors: is %d, must be 1 to 64, or 0 for the device's", l->processors);
  if (!(l->limit >= 0)) return pah_fail(PAH_EINVAL, "limit: is %g seconds, must not be negative", l->limit);
  return PAH_OK;
}

int pah_module_launch(struct pah_module *m, const char *name, const struct pah_launch *launch,
                      struct pah_report *report) {
  struct pah_report own = {0};
  struct pah_module_kernel *k;
  int status = check_launch(launch);
  if (!status) status = kernel(m, name, &k);
  if (status) return status;
  if (report) *report = own;
  status = m->device->ops->launch(m->device, m, k, launch, report ? report : &own);
  if (!status) pah_tally_add(m->device, report ? report : &own);
  if (!status && own.finding_count) {
    const struct pah_finding *f = own.findings;
    status = pah_fail(PAH_EINVAL, "%s: %s: %s:%d: %s (%lld finding%s in all)", k->name, f->code, f->file, f->line,
                      f->message, (long long)own.finding_count, own.finding_count == 1 ? "" : "s");
  }
  pah_report_free(&own);
  return status;
}

void pah_report_free(struct pah_report *report) {
  free(report->findings);
  free(report->lines);
  report->findings = NULL;
  report->lines = NULL;
  report->finding_count = report->line_count = 0;
}
