/* build.c - compiles a .cu source for sim: the system's C++ compiler, our CUDA header included first, every load and
 * store preceded by a call of ours (-fsanitize=thread used as an instrumentation only; sim/block/hooks.c). Shared
 * memory becomes thread-local memory; what is declared `extern __shared__` gets one common address at its end.
 * Promises: compiled once, then taken from the cache until the source, a header, a define or the compiler changes.
 * Read next: elf.c, sim/include/pah_sim.h, module/compile_cache.c. */
#define _GNU_SOURCE
#include "build.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/datadir.h"
#include "error.h"

extern char **environ;

enum { MAX_ARGS = 256, DYNAMIC_ALIGN = 1024, DYNAMIC_ROOM = 228 * 1024 };

/* ---- The compiler ---- */

static int find_program(const char *name, char *path, size_t bytes) {
  if (strchr(name, '/')) return snprintf(path, bytes, "%s", name), access(name, X_OK) == 0;
  const char *dirs = getenv("PATH");
  for (const char *p = dirs ? dirs : "/usr/bin:/bin"; *p;) {
    size_t n = strcspn(p, ":");
    snprintf(path, bytes, "%.*s/%s", (int)n, p, name);
    if (n && access(path, X_OK) == 0) return 1;
    p += n + (p[n] == ':');
  }
  return 0;
}

const char *sim_compiler(void) {
  static char path[PATH_MAX];
  const char *asked = getenv("PAH_SIM_CXX");
  if (asked && *asked) return find_program(asked, path, sizeof path) ? path : NULL;
  static const char *const names[] = {"g++", "c++", "clang++"};
  for (int i = 0; i < 3; i++)
    if (find_program(names[i], path, sizeof path)) return path;
  return NULL;
}

static int is_clang(const char *compiler) {
  char real[PATH_MAX];
  return strstr(realpath(compiler, real) ? real : compiler, "clang") != NULL;
}

/* Runs a program and collects what it says. Returns its exit status, or -1; *output is malloc'ed, cut at 256 KiB. */
static int run(char *const argv[], char **output) {
  int fds[2];
  *output = NULL;
  if (pipe2(fds, O_CLOEXEC)) return -1;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t pid;
  int failed = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(fds[1]);
  if (failed) return close(fds[0]), -1;
  size_t used = 0, room = 256 * 1024;
  char *text = malloc(room + 1), drain[4096];
  for (;;) {
    int keep = text && used < room;
    ssize_t n = read(fds[0], keep ? text + used : drain, keep ? room - used : sizeof drain);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (keep) used += (size_t)n;
  }
  close(fds[0]);
  if (text) text[used] = 0;
  *output = text;
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct command {
  char *argv[MAX_ARGS + 1];
  int count;
};

static void add(struct command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct command *c, const char *format, ...) {
  if (c->count == MAX_ARGS) return;
  va_list args;
  va_start(args, format);
  if (vasprintf(&c->argv[c->count], format, args) < 0) c->argv[c->count] = NULL;
  va_end(args);
  c->count += c->argv[c->count] != NULL;
}

static void drop(struct command *c) {
  for (int i = 0; i < c->count; i++) free(c->argv[i]);
}

/* All that a precompiled header and the source have to agree on. */
static void add_flags(struct command *c, int arch, const char *compiler) {
  static const char *const all[] = {"-std=c++17",
                                    "-O2",
                                    "-gdwarf-4",
                                    "-fPIC",
                                    "-fno-exceptions",
                                    "-fno-rtti",
                                    "-fno-strict-aliasing",
                                    "-fno-optimize-sibling-calls", /* the caller's line is in the return address */
                                    "-fsanitize=thread",
                                    "-w",
                                    "-ffp-contract=off",
                                    "-fdiagnostics-color=never",
                                    "-DPAH_SIM=1",
                                    "-D__CUDACC__=1"};
  /* A unique symbol would be shared with the modules opened before: its shared memory would be theirs. */
  static const char *const gcc[] = {"-fno-tree-sra", /* a float4 stays one access */
                                    "-fno-tree-vectorize",
                                    "-fno-tree-slp-vectorize",
                                    "-fmax-errors=20",
                                    "-fno-gnu-unique",
                                    "-fno-extern-tls-init",
                                    "--param=tsan-instrument-func-entry-exit=0",
                                    "--param=tsan-distinguish-volatile=1"};
  static const char *const clang[] = {"-fno-vectorize", "-fno-slp-vectorize",
                                      "-mllvm",         "-tsan-instrument-func-entry-exit=0",
                                      "-mllvm",         "-tsan-distinguish-volatile=1"};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) add(c, "%s", all[i]);
  for (size_t i = 0; i < sizeof gcc / sizeof *gcc && !is_clang(compiler); i++) add(c, "%s", gcc[i]);
  for (size_t i = 0; i < sizeof clang / sizeof *clang && is_clang(compiler); i++) add(c, "%s", clang[i]);
  add(c, "-D__CUDA_ARCH__=%d", arch * 10);
  if (arch == 90) add(c, "-D__CUDA_ARCH_FEAT_SM90_ALL=1");
}

static void add_folders(struct command *c, const struct pah_module *m, const char *headers) {
  add(c, "-iquote");
  add(c, "%s", m->include[0]);
  add(c, "-I%s", headers); /* before any toolkit's headers of the same names */
  for (char **i = m->include; *i; i++) add(c, "-I%s", *i);
}

/* ---- The steps ---- */

static int write_text(const char *path, const char *text, const char *more) {
  FILE *f = fopen(path, "w");
  int written = f && fputs(text, f) >= 0 && fputs(more, f) >= 0;
  if (f && fclose(f)) written = 0;
  return written ? PAH_OK : pah_fail(PAH_EIO, "%s: cannot be written: %s", path, strerror(errno));
}

/* The defines, behind our header instead of on the command line: a macro T or N must not reach into it. */
static char *beginning(const struct pah_module *m) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  for (char **d = m->defines; *d; d++) {
    const char *value = strchr(*d, '=');
    fprintf(f, "#define %.*s %s\n", (int)(value ? value - *d : (long)strlen(*d)), *d, value ? value + 1 : "1");
  }
  fprintf(f, "#line 1 \"%s\"\n", m->path);
  fclose(f);
  return text;
}

/* What finds the kernels again: an entry and a signature each (sim/include/pah_sim_entry.h). */
static char *entries(const struct pah_module *m) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  fprintf(f, "\n#line 1 \"pah_entries\"\n");
  for (int64_t i = 0; i < m->kernel_count; i++)
    fprintf(f, "PAH_SIM_ENTRY(%lld, %s)\n", (long long)i, m->kernels[i].name);
  fclose(f);
  return text;
}

/* The compiler's words, with the name of the source instead of our copy of it. */
static int compile_error(const char *compiler, int exit_status, const char *output, const struct pah_module *m) {
  if (exit_status < 0) return pah_fail(PAH_EDEVICE, "%s: cannot be run: %s", compiler, strerror(errno));
  const char *assembly = output ? strstr(output, "asm") : NULL;
  int is_asm = assembly && (strstr(output, "invalid 'asm'") || strstr(output, "impossible constraint") ||
                            strstr(output, "invalid instruction") || strstr(output, "Error: "));
  return pah_fail(PAH_EINVAL, "%s: does not compile for sim:\n%s%s", m->path, output ? output : "",
                  is_asm ? "(inline PTX cannot be simulated: call the functions of kernels/ptx.cuh instead)" : "");
}

/* sim/include/pah_sim.h is most of what there is to compile, so g++ keeps it compiled (KEY.h.gch) beside a header that
 * includes it (KEY.h) and stands in where the other does not fit. Writes what is to be included into `path`. */
static void prepare_header(int arch, const char *compiler, const char *salt, char *path, size_t bytes) {
  char key[PAH_KEY_SIZE], ready[PATH_MAX], temporary[PATH_MAX], text[PATH_MAX + 32], *output;
  struct pah_hash hash;
  pah_data_path(path, bytes, "src/sim/include/pah_sim.h");
  snprintf(text, sizeof text, "#include \"%s\"\n", path);
  pah_hash_init(&hash);
  pah_hash_string(&hash, salt);
  pah_hash_finish(&hash, key);
  int found = is_clang(compiler) ? -1 : pah_cache_find(key, "h.gch", ready, sizeof ready);
  if (found == 0 && !pah_cache_put(key, "h", text, strlen(text)) && !pah_cache_temporary(temporary, sizeof temporary)) {
    struct command c = {.count = 0};
    add(&c, "%s", compiler);
    add_flags(&c, arch, compiler);
    const char *const rest[] = {"-x", "c++-header", path, "-o", temporary};
    for (int i = 0; i < 5; i++) add(&c, "%s", rest[i]);
    if (!run(c.argv, &output))
      found = !pah_cache_commit(temporary, key, "h.gch", ready, sizeof ready);
    else
      unlink(temporary);
    free(output);
    drop(&c);
  }
  if (found == 1) snprintf(path, bytes, "%.*s", (int)(strlen(ready) - strlen(".gch")), ready);
}

static int compile_object(const struct pah_module *m, int arch, const char *compiler, const char *headers,
                          const char *forced, const char *source, const char *object) {
  struct command c = {.count = 0};
  char *output;
  add(&c, "%s", compiler);
  add_flags(&c, arch, compiler);
  add_folders(&c, m, headers);
  const char *const rest[] = {"-include", forced, "-x", "c++", "-c", source, "-o", object};
  for (int i = 0; i < 8; i++) add(&c, "%s", rest[i]);
  int exit_status = run(c.argv, &output);
  int status = exit_status ? compile_error(compiler, exit_status, output, m) : PAH_OK;
  free(output);
  drop(&c);
  return status;
}

/* One label for all that is dynamic shared memory, and the bytes of what is static. */
static int write_shared(const char *path, char *names, uint64_t bytes) {
  FILE *f = fopen(path, "w");
  if (!f) return pah_fail(PAH_EIO, "%s: cannot be written: %s", path, strerror(errno));
  fprintf(f,
          "\t.section .note.GNU-stack,\"\",%%progbits\n\t.section .rodata\n\t.globl pah_static_shared\n\t.balign 8\n"
          "pah_static_shared:\n\t.quad %llu\n",
          (unsigned long long)bytes);
  if (*names) {
    fprintf(f, "\t.section .tbss,\"awT\",%%nobits\n\t.balign %d\n", DYNAMIC_ALIGN);
    fprintf(f, "\t.globl pah_dynamic_shared\n\t.type pah_dynamic_shared, %%tls_object\npah_dynamic_shared:\n");
    for (char *name = strtok(names, "\n"); name; name = strtok(NULL, "\n"))
      fprintf(f, "\t.globl %s\n\t.type %s, %%tls_object\n%s:\n", name, name, name);
    fprintf(f, "\t.zero %d\n", DYNAMIC_ROOM);
  }
  return fclose(f) ? pah_fail(PAH_EIO, "%s: cannot be written", path) : PAH_OK;
}

static int link_object(const struct pah_module *m, const char *compiler, const char *object, const char *assembly,
                       const char *result) {
  /* The object first: what is dynamic must lie behind what is static. */
  char *argv[] = {(char *)compiler, "-shared", "-Wl,-Bsymbolic", "-Wl,-z,now", (char *)object, "-x", "assembler",
                  (char *)assembly, "-o",      (char *)result,   NULL};
  char *output;
  int exit_status = run(argv, &output);
  int status = exit_status ? compile_error(compiler, exit_status, output, m) : PAH_OK;
  free(output);
  return status;
}

/* All steps in files beside `result`. */
static int make(const struct pah_module *m, int arch, const char *compiler, const char *headers, const char *forced,
                const char *result) {
  char source[PATH_MAX + 8], object[PATH_MAX + 8], assembly[PATH_MAX + 8];
  snprintf(source, sizeof source, "%s.cpp", result);
  snprintf(object, sizeof object, "%s.o", result);
  snprintf(assembly, sizeof assembly, "%s.s", result);
  char *first = beginning(m), *tail = entries(m), *names = NULL, *whole = NULL;
  uint64_t bytes = 0;
  if (!first || !tail || asprintf(&whole, "%s%s", first, m->text) < 0) {
    free(first);
    free(tail);
    return pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
  }
  int status = write_text(source, whole, tail);
  if (!status) status = compile_object(m, arch, compiler, headers, forced, source, object);
  if (!status) status = sim_elf_shared(object, &names, &bytes);
  if (!status) status = write_shared(assembly, names, bytes);
  if (!status) status = link_object(m, compiler, object, assembly, result);
  unlink(source);
  unlink(object);
  unlink(assembly);
  free(names);
  free(whole);
  free(first);
  free(tail);
  return status;
}

/* ---- From the cache into memory ---- */

static int open_image(const char *path, struct sim_image **image) {
  struct sim_image *i = calloc(1, sizeof *i);
  if (!i) return pah_fail(PAH_ENOMEM, "sim: no memory");
  i->path = strdup(path);
  i->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  int status = i->handle ? sim_elf_map(i) : pah_fail(PAH_EIO, "%s: cannot be opened: %s", path, dlerror());
  if (!status) status = sim_variables_read(i);
  if (status) {
    sim_image_close(i);
    return status;
  }
  *image = i;
  return PAH_OK;
}

void sim_image_close(struct sim_image *image) {
  if (!image) return;
  if (image->handle) dlclose(image->handle);
  free(image->path);
  free(image->variables);
  free(image);
}

/* Everything but the source: the compiler as a file, the target, our headers. */
static void make_salt(const char *compiler, int arch, const char *headers, char *salt, size_t bytes) {
  char *folders[] = {(char *)headers, NULL}, *none[] = {NULL}, key[PAH_KEY_SIZE];
  struct pah_module ours = {
      .path = (char *)headers,
      .text = "#include \"sim/include/pah_sim.h\"\n#include \"sim/include/cuda_fp8.h\"\n#include \"mma.h\"\n#include "
              "\"cuda/atomic\"\n"
              "#include \"sim/include/cuda_pipeline.h\"\n#include \"cooperative_groups/memcpy_async.h\"\n"
              "#include \"cooperative_groups/scan.h\"\n",
      .defines = none,
      .include = folders};
  struct stat about = {0};
  stat(compiler, &about);
  pah_module_key(&ours, "sim 2", key);
  snprintf(salt, bytes, "%s %lld %lld sm_%d %s", compiler, (long long)about.st_size, (long long)about.st_mtime, arch,
           key);
}

int sim_build(struct pah_module *m, int arch, struct sim_image **image) {
  char headers[PATH_MAX], salt[PATH_MAX + 128], key[PAH_KEY_SIZE], path[PATH_MAX], temporary[PATH_MAX],
      forced[PATH_MAX];
  const char *compiler = sim_compiler();
  if (!compiler) return pah_fail(PAH_EDEVICE, "sim: no C++ compiler is left; install g++ or set PAH_SIM_CXX");
  pah_data_path(headers, sizeof headers, "src/sim/include");
  make_salt(compiler, arch, headers, salt, sizeof salt);
  int cached = pah_module_key(m, salt, key);
  int found = pah_cache_find(key, "so", path, sizeof path);
  if (found < 0) return found;
  if (found && cached && !open_image(path, image)) return PAH_OK; /* a damaged one is made again */
  int status = pah_cache_temporary(temporary, sizeof temporary);
  if (!status) prepare_header(arch, compiler, salt, forced, sizeof forced);
  if (!status) status = make(m, arch, compiler, headers, forced, temporary);
  if (!status && cached) {
    status = pah_cache_commit(temporary, key, "so", path, sizeof path);
    return status ? status : open_image(path, image);
  }
  if (!status) status = open_image(temporary, image); /* stays open without its name; source lines are lost */
  unlink(temporary);
  return status;
}
