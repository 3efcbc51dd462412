/* nvrtc.c - a source through NVRTC: machine code (cubin) where NVRTC knows the architecture, else PTX for the driver to
 * finish. Behind the source stands a list of what each kernel takes, which the driver reads back from the image.
 * Promises: compiled once, then taken from the cache until a file that went in, a define or NVRTC changes.
 * Read next: ptxas.c, module.c, module/compile_cache.c. */
#define _GNU_SOURCE
#include "nvrtc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "api.h"
#include "host_code.h"
#include "pah_measure.h"

/* What each kernel takes, as the compiler sees it: the number of parameters, then kind << 24 | bytes of each, which is
 * struct pah_signature again. Mirrors sim/include/pah_sim/entry.h. */
static const char signature_text[] =
    "\n#line 1 \"pah_signature\"\n"
    "namespace pah_signature {\n"
    "template <class T> struct type { enum { kind = __is_enum(T) ? 3 : 5 }; };\n"
    "template <class T> struct type<T *> { enum { kind = 1 }; };\n"
    "#define PAH_KIND(T, k) template <> struct type<T> { enum { kind = k }; };\n"
    "PAH_KIND(char, 2) PAH_KIND(signed char, 2) PAH_KIND(short, 2) PAH_KIND(int, 2) PAH_KIND(long, 2)\n"
    "PAH_KIND(long long, 2) PAH_KIND(unsigned char, 3) PAH_KIND(unsigned short, 3) PAH_KIND(unsigned, 3)\n"
    "PAH_KIND(unsigned long, 3) PAH_KIND(unsigned long long, 3) PAH_KIND(bool, 3) PAH_KIND(float, 4)\n"
    "PAH_KIND(double, 4)\n"
    "template <class... A> struct list {\n"
    "  int values[1 + sizeof...(A)];\n"
    "  static constexpr list make() {\n"
    "    return {{(int)sizeof...(A), (type<A>::kind << 24 | (int)sizeof(A))...}};\n"
    "  }\n"
    "};\n"
    "template <class... A> list<A...> of(void (*)(A...));\n"
    "}\n"
    "#define PAH_SIGNATURE(n, ...) \\\n"
    "  extern \"C\" { __device__ decltype(pah_signature::of(&__VA_ARGS__)) pah_takes_##n = \\\n"
    "    decltype(pah_signature::of(&__VA_ARGS__))::make(); }\n";

void cuda_signature_name(int64_t i, char *name, size_t bytes) {
  snprintf(name, bytes, "pah_takes_%lld", (long long)i);
}

void cuda_read_signature(const int *values, struct pah_signature *signature) {
  signature->count = values[0] < PAH_MAX_PARAMETERS ? values[0] : PAH_MAX_PARAMETERS;
  for (int i = 0; i < signature->count; i++) {
    signature->kind[i] = values[1 + i] >> 24;
    signature->size[i] = values[1 + i] & 0xffffff;
  }
}

/* ---- Architectures ---- */

/* "sm_90a" -> 90; the letter says that code runs on that architecture alone. 0: not of that form. */
static int arch_number(const char *arch) {
  char *end;
  if (strncmp(arch, "sm_", 3) != 0) return 0;
  long n = strtol(arch + 3, &end, 10);
  return n >= 50 && n < 1000 && (!*end || !strcmp(end, "a") || !strcmp(end, "f")) ? (int)n : 0;
}

static int nvrtc_fail(const char *what, const char *call, nvrtcResult result) {
  return pah_fail(result == NVRTC_ERROR_OUT_OF_MEMORY ? PAH_ENOMEM : PAH_EDEVICE, "%s: %s: %s", what, call,
                  nvrtc.nvrtcGetErrorString(result));
}

enum { MOST_ARCHES = 128 };

static int supported(int list[MOST_ARCHES], int *count) {
  nvrtcResult r = nvrtc.nvrtcGetNumSupportedArchs(count);
  if (r) return nvrtc_fail("cuda", "nvrtcGetNumSupportedArchs", r);
  if (*count < 1 || *count > MOST_ARCHES)
    return pah_fail(PAH_EDEVICE, "cuda: NVRTC says that it knows %d architectures", *count);
  r = nvrtc.nvrtcGetSupportedArchs(list);
  return r ? nvrtc_fail("cuda", "nvrtcGetSupportedArchs", r) : PAH_OK;
}

int cuda_check_arch(const char *arch) {
  int list[MOST_ARCHES], n, number = arch_number(arch), status = supported(list, &n);
  char names[400] = "";
  size_t used = 0;
  if (status) return status;
  for (int i = 0; i < n; i++) {
    if (list[i] == number) return PAH_OK;
    used += (size_t)snprintf(names + used, used < sizeof names ? sizeof names - used : 0, "%ssm_%d", i ? ", " : "",
                             list[i]);
    if (used >= sizeof names) used = sizeof names - 1;
  }
  return pah_fail(PAH_EINVAL, "device: \"cuda:%.32s\" is not an architecture of this NVRTC, which knows %s", arch,
                  names);
}

/* The option, and whether the result is PTX: for the newest that NVRTC knows if the device is newer than that. */
static int choose_target(const char *arch, char *option, size_t bytes, int *is_ptx) {
  int list[MOST_ARCHES], n, number = arch_number(arch), best = 0, least = 0, status = supported(list, &n);
  if (status) return status;
  *is_ptx = 1;
  for (int i = 0; i < n; i++) {
    if (list[i] == number) *is_ptx = 0;
    if (list[i] < number && list[i] > best) best = list[i];
    if (!least || list[i] < least) least = list[i];
  }
  if (*is_ptx && !best)
    return pah_fail(PAH_EDEVICE, "cuda: the GPU is an %s, too old for this NVRTC, which starts at sm_%d", arch, least);
  if (*is_ptx)
    snprintf(option, bytes, "--gpu-architecture=compute_%d", best);
  else
    snprintf(option, bytes, "--gpu-architecture=%s", arch);
  return PAH_OK;
}

/* ---- The steps ---- */

struct options {
  char **list;
  int count;
};

static void add(struct options *o, const char *format, const char *a) {
  char **more = realloc(o->list, (size_t)(o->count + 1) * sizeof *more), *text = NULL;
  if (!more) return;
  o->list = more;
  if (asprintf(&text, format, a) >= 0) o->list[o->count++] = text;
}

static void drop(struct options *o) {
  for (int i = 0; i < o->count; i++) free(o->list[i]);
  free(o->list);
}

static void make_options(struct options *o, const struct pah_module *m, const char *target, int is_ptx) {
  const char *toolkit = cuda_toolkit_headers();
  add(o, "%s", target);
  add(o, "--std=%s", m->std);
  add(o, "%s", "--generate-line-info");
  add(o, "%s", "--pre-include=pah_standard.h");
  add(o, "%s", "--device-as-default-execution-space");
  if (!is_ptx) add(o, "%s", "--ptxas-options=-v");
  for (char **i = m->include; *i; i++) add(o, "--include-path=%s", *i);
  if (toolkit) add(o, "--include-path=%s", toolkit);
  if (toolkit) add(o, "--include-path=%s/cccl", toolkit);
}

static char *whole_text(const struct pah_module *m, const struct cuda_source *source) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  pah_module_write_defines(m, f);
  fprintf(f, "#line 1 \"%s\"\n%s\n", m->path, source->text ? source->text : m->text);
  for (char **d = m->defines; *d; d++) /* the list behind the source has a T of its own */
    fprintf(f, "#undef %.*s\n", (int)strcspn(*d, "="), *d);
  fputs(signature_text, f);
  for (int64_t i = 0; i < m->kernel_count; i++)
    fprintf(f, "PAH_SIGNATURE(%lld, %s)\n", (long long)i, m->kernels[i].name);
  fclose(f);
  return text;
}

/* What the compiler said, "" for nothing. Its warnings are not all that is in it: ptxas counts registers there. */
static int read_log(nvrtcProgram program, const struct pah_module *m, char **log) {
  size_t bytes = 0;
  nvrtcResult r = nvrtc.nvrtcGetProgramLogSize(program, &bytes);
  if (r) return nvrtc_fail(m->path, "nvrtcGetProgramLogSize", r);
  *log = calloc(1, bytes + 1);
  if (!*log) return pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
  r = bytes ? nvrtc.nvrtcGetProgramLog(program, *log) : 0;
  return r ? nvrtc_fail(m->path, "nvrtcGetProgramLog", r) : PAH_OK;
}

/* Results of a finished compilation; *log is what the compiler said. */
static int collect(nvrtcProgram program, const struct pah_module *m, int is_ptx, struct cuda_code *code) {
  nvrtcResult r =
      is_ptx ? nvrtc.nvrtcGetPTXSize(program, &code->bytes) : nvrtc.nvrtcGetCUBINSize(program, &code->bytes);
  if (r) return nvrtc_fail(m->path, is_ptx ? "nvrtcGetPTXSize" : "nvrtcGetCUBINSize", r);
  code->image = malloc(code->bytes + 1);
  code->entries = calloc((size_t)m->kernel_count + 1, sizeof *code->entries);
  if (!code->image || !code->entries) return pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
  code->image[code->bytes] = 0;
  r = is_ptx ? nvrtc.nvrtcGetPTX(program, code->image) : nvrtc.nvrtcGetCUBIN(program, code->image);
  if (r) return nvrtc_fail(m->path, is_ptx ? "nvrtcGetPTX" : "nvrtcGetCUBIN", r);
  for (code->count = 0; code->count < m->kernel_count; code->count++) {
    const char *lowered = NULL;
    r = nvrtc.nvrtcGetLoweredName(program, m->kernels[code->count].name, &lowered);
    if (r || !lowered)
      return pah_fail(PAH_EDEVICE, "%s: nvrtcGetLoweredName of %s: %s", m->path, m->kernels[code->count].name,
                      r ? nvrtc.nvrtcGetErrorString(r) : "there is none");
    code->entries[code->count].lowered = strdup(lowered);
    if (!code->entries[code->count].lowered) return pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
  }
  return PAH_OK;
}

/* Only a source that does not compile is the user's error; all else is NVRTC's own. */
static int compile_program(nvrtcProgram program, const struct pah_module *m, const struct options *o, int is_ptx,
                           struct cuda_code *code, char **log) {
  for (int64_t i = 0; i < m->kernel_count; i++) {
    nvrtcResult r = nvrtc.nvrtcAddNameExpression(program, m->kernels[i].name);
    if (r) return nvrtc_fail(m->path, "nvrtcAddNameExpression", r);
  }
  nvrtcResult r = nvrtc.nvrtcCompileProgram(program, o->count, (const char *const *)o->list);
  int told = read_log(program, m, log);
  if (r == NVRTC_ERROR_COMPILATION && told) return told;
  /* A name that is no kernel of the source is the source's, or the caller's. */
  if (r == NVRTC_ERROR_COMPILATION || r == NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID)
    return pah_fail(PAH_EINVAL, "%s: does not compile for cuda:\n%s", m->path, told ? "" : *log);
  if (r && !told && **log)
    return pah_fail(PAH_EDEVICE, "%s: nvrtcCompileProgram: %s: %s", m->path, nvrtc.nvrtcGetErrorString(r), *log);
  if (r) return nvrtc_fail(m->path, "nvrtcCompileProgram", r);
  return told ? told : collect(program, m, is_ptx, code);
}

static int compile_once(const struct pah_module *m, const struct cuda_source *source, const struct options *o,
                        int is_ptx, struct cuda_code *code, char **log) {
  char *text = whole_text(m, source);
  nvrtcProgram program = NULL;
  if (!text) return pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
  nvrtcResult r = nvrtc.nvrtcCreateProgram(&program, text, m->path, source->count, source->texts, source->names);
  free(text);
  if (r) return nvrtc_fail(m->path, "nvrtcCreateProgram", r);
  int status = compile_program(program, m, o, is_ptx, code, log);
  nvrtc.nvrtcDestroyProgram(&program);
  return status;
}

/* What was left out stands at the end of the log, which the cache keeps. */
static const char left_out[] = "\npah: left out\n";

static int compile(const struct pah_module *m, const struct options *o, int is_ptx, struct cuda_code *code,
                   char **log) {
  struct cuda_source source;
  int status = cuda_source_begin(&source);
  if (status) return status;
  status = compile_once(m, &source, o, is_ptx, code, log);
  while (status == PAH_EINVAL && cuda_source_again(&source, m, *log)) {
    free(*log);
    *log = NULL;
    status = compile_once(m, &source, o, is_ptx, code, log);
  }
  char *both = NULL;
  if (!status && source.skipped && asprintf(&both, "%s%s%s", *log, left_out, source.skipped) >= 0) {
    free(*log);
    *log = both;
  }
  cuda_source_end(&source);
  return status;
}

/* ---- The cache: one file of the names, the log and the image ---- */

static const char magic[] = "pahcode1";

static void store(const char *key, const struct cuda_code *code, const char *log, const struct pah_reads *reads) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return;
  fprintf(f, "%s %lld %zu %zu\n", magic, (long long)code->count, strlen(log), code->bytes);
  for (int64_t i = 0; i < code->count; i++) fprintf(f, "%s\n", code->entries[i].lowered);
  fputs(log, f);
  fwrite(code->image, 1, code->bytes, f);
  if (!fclose(f)) pah_cache_put(key, "code", reads, text, bytes); /* a full disk only means that it is compiled again */
  free(text);
}

/* 1: filled from the bytes of a file; 0: that file is not whole. */
static int parse(char *data, size_t bytes, int64_t count, struct cuda_code *code, char **log) {
  long long names;
  size_t log_bytes, image_bytes;
  char *at = memchr(data, '\n', bytes);
  if (!at || strncmp(data, magic, strlen(magic)) != 0 ||
      sscanf(data + strlen(magic), "%lld %zu %zu", &names, &log_bytes, &image_bytes) != 3 || names != count)
    return 0;
  at++;
  code->entries = calloc((size_t)count + 1, sizeof *code->entries);
  for (int64_t i = 0; i < count && code->entries; i++) {
    char *end = memchr(at, '\n', bytes - (size_t)(at - data));
    if (!end) return 0;
    code->entries[i].lowered = strndup(at, (size_t)(end - at));
    code->count++;
    at = end + 1;
  }
  size_t left = bytes - (size_t)(at - data);
  if (log_bytes > left || image_bytes != left - log_bytes) return 0;
  *log = strndup(at, log_bytes);
  code->image = malloc(image_bytes + 1);
  if (!code->image || !*log || !code->entries) return 0;
  memcpy(code->image, at + log_bytes, image_bytes);
  code->image[image_bytes] = 0;
  code->bytes = image_bytes;
  return 1;
}

static int fetch(const char *key, int64_t count, struct cuda_code *code, char **log) {
  void *data;
  size_t bytes;
  int found = pah_cache_get(key, "code", &data, &bytes);
  if (found != 1) return found;
  found = parse(data, bytes, count, code, log);
  free(data);
  if (found) return 1;
  cuda_code_free(code); /* a damaged one is made again */
  free(*log);
  *log = NULL;
  return 0;
}

static void describe(struct cuda_code *code, const char *log) {
  const char *at = strstr(log, left_out);
  if (at) code->skipped = strdup(at + strlen(left_out));
  for (int64_t i = 0; i < code->count; i++) cuda_read_log(log, code->entries[i].lowered, &code->entries[i].known);
}

/* The toolkit's own headers stand for themselves by the library that they came with. */
static int make_salt(const struct options *o, char *salt, size_t bytes) {
  int major = 0, minor = 0;
  nvrtcResult r = nvrtc.nvrtcVersion(&major, &minor);
  if (r) return nvrtc_fail("cuda", "nvrtcVersion", r);
  size_t n = (size_t)snprintf(salt, bytes, "nvrtc 5 %d.%d %s", major, minor, cuda_nvrtc_build());
  for (int i = 0; i < o->count && n < bytes; i++) n += (size_t)snprintf(salt + n, bytes - n, " %s", o->list[i]);
  return PAH_OK;
}

/* NVRTC does not say what it has read, so that all counts that it could mean by the includes. */
static int compile_and_store(const struct pah_module *m, const struct options *o, int is_ptx, const char *key,
                             struct cuda_code *code, char **log) {
  struct pah_reads reads;
  pah_reads_begin(&reads);
  pah_reads_scan(&reads, m->text, m->path, m->include, 0);
  char text[256];
  snprintf(text, sizeof text, "compiling %.200s for cuda", m->path);
  pah_notice(text);
  int status = compile(m, o, is_ptx, code, log);
  pah_notice(NULL);
  if (!status) pah_reads_end(&reads);
  if (!status && !reads.unsure) store(key, code, *log, &reads);
  pah_reads_free(&reads);
  return status;
}

int cuda_compile(const struct pah_module *m, const char *arch, struct cuda_code *code) {
  char target[64], salt[4 * PATH_MAX], key[PAH_KEY_SIZE], *log = NULL;
  struct options o = {.count = 0};
  int is_ptx, found = 0;
  *code = (struct cuda_code){.count = 0};
  int status = choose_target(arch, target, sizeof target, &is_ptx);
  if (!status) make_options(&o, m, target, is_ptx);
  if (!status) status = make_salt(&o, salt, sizeof salt);
  if (!status) {
    pah_module_key(m, salt, key);
    found = fetch(key, m->kernel_count, code, &log);
    status = found < 0 ? found : PAH_OK;
  }
  if (!status && !found) status = compile_and_store(m, &o, is_ptx, key, code, &log);
  if (!status) describe(code, log);
  if (status) cuda_code_free(code);
  free(log);
  drop(&o);
  return status;
}

void cuda_take_skipped(struct pah_module *m, struct cuda_code *code) {
  free(m->skipped);
  m->skipped = code->skipped;
  code->skipped = NULL;
}

void cuda_code_free(struct cuda_code *code) {
  for (int64_t i = 0; i < code->count; i++) free(code->entries[i].lowered);
  free(code->entries);
  free(code->image);
  free(code->skipped);
  *code = (struct cuda_code){.count = 0};
}
