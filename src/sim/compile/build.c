/* build.c - compiles a .cu source for sim: the system's C++ compiler, our CUDA header included first. Shared memory
 * becomes thread-local memory; what is declared `extern __shared__` gets one common address at its end.
 * Promises: compiled once, then taken from the cache until a file that went in, a define or the compiler changes.
 * Read next: compiler.c, elf.c, sim/include/pah_sim.h, module/compile_cache.c. */
#define _GNU_SOURCE
#include "build.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/datadir.h"
#include "pah_measure.h"
#include "error.h"
#include "compiler.h"
#include "sim/host/process.h"
#include "device_source.h"

enum { DYNAMIC_ROOM = 228 * 1024 };

/* ---- The steps ---- */

static int write_text(const char *path, const char *text, const char *more) {
  FILE *f = fopen(path, "w");
  int written = f && fputs(text, f) >= 0 && fputs(more, f) >= 0;
  if (f && fclose(f)) written = 0;
  return written ? PAH_OK : pah_fail(PAH_EIO, "%s: cannot be written: %s", path, strerror(errno));
}

/* The compiler's words; what was left out may be what it misses. */
int sim_compile_error(const char *compiler, int exit_status, const char *output, const struct pah_module *m,
                      const char *missing) {
  if (exit_status < 0) return pah_fail(PAH_EDEVICE, "%s: cannot be run: %s", compiler, strerror(errno));
  char names[400] = "";
  size_t n = 0;
  for (const char *p = missing; *p && n + 2 < sizeof names; p += strcspn(p, "\n") + 1)
    n += (size_t)snprintf(names + n, sizeof names - n, "%s%.*s", n ? ", " : "", (int)strcspn(p, "\n"), p);
  return pah_fail(PAH_EINVAL, "%s: does not compile for sim:\n%s%s%s%s", m->path,
                  n ? "(not found, and taken as empty: " : "", names, n ? ")\n" : "", output ? output : "");
}

/* sim/include/pah_sim.h is most of what there is to compile, so g++ keeps it compiled. Writes pah.h into the work
 * folder, which includes it, and beside it pah.h.gch, if there is one: pah.h stands in where that does not fit. The
 * files that went into pah.h.gch are added to `reads`. */
static int prepare_header(int arch, const char *compiler, const char *std, const char *salt, struct pah_work *w,
                          struct pah_reads *reads) {
  char key[PAH_KEY_SIZE], header[PATH_MAX], ready[PATH_MAX], path[PATH_MAX], text[PATH_MAX + 32], *output;
  struct pah_hash hash;
  struct pah_reads theirs = {.count = 0};
  pah_data_path(header, sizeof header, "src/sim/include/pah_sim.h");
  snprintf(text, sizeof text, "#include \"%s\"\n", header);
  snprintf(path, sizeof path, "%s/pah.h", w->path);
  int status = write_text(path, text, "");
  if (status || sim_is_clang(compiler)) return status;
  pah_hash_init(&hash);
  pah_hash_string(&hash, salt);
  pah_hash_string(&hash, "gch");
  pah_hash_string(&hash, std);
  pah_hash_finish(&hash, key);
  int found = pah_cache_find(key, "gch", &theirs, ready, sizeof ready);
  if (found == 0) {
    struct sim_command c = {.count = 0};
    pah_reads_begin(&theirs);
    sim_add_word(&c, "%s", compiler);
    sim_add_flags(&c, arch, compiler, std);
    sim_add_words(&c, (const char *const[]){"-x", "c++-header", header, "-MD", "-MT", "x", "-MF", NULL});
    sim_add_word(&c, "%s/pah.d", w->path);
    sim_add_word(&c, "-o");
    sim_add_word(&c, "%s/gch", w->path);
    snprintf(path, sizeof path, "%s/pah.d", w->path);
    if (!sim_run_program(c.argv, &output)) {
      pah_reads_depfile(&theirs, path, w->path);
      pah_reads_end(&theirs);
      found = !pah_cache_keep(w, "gch", key, "gch", &theirs, ready, sizeof ready);
    }
    free(output);
    sim_drop_command(&c);
  }
  snprintf(path, sizeof path, "%s/pah.h.gch", w->path);
  if (found == 1 && !link(ready, path)) pah_reads_add_all(reads, &theirs); /* the cache may drop its own meanwhile */
  pah_reads_free(&theirs);
  return PAH_OK;
}

/* The source for the host's compiler: k.ii in the work folder. */
static int write_translated(const struct pah_module *m, const char *source, int arch, const char *compiler,
                            const char *headers, const struct pah_work *w, char **missing, uint64_t *align) {
  char path[PATH_MAX], *text = NULL, *names = NULL;
  struct sim_origin origin = {.m = m, .headers = headers, .work = w->path};
  struct pah_side side;
  int status = sim_preprocess(m, source, arch, compiler, headers, w, &text, missing);
  if (status) return status;
  size_t bytes;
  FILE *f = open_memstream(&names, &bytes);
  for (int64_t i = 0; i < m->kernel_count && f; i++) fprintf(f, "%s\n", m->kernels[i].name);
  if (f) fclose(f);
  status = pah_side_read(&side, text, names, sim_is_system, &origin);
  sim_origin_free(&origin);
  if (!status && sim_is_ptx(m)) memset(side.gone, 0, (size_t)side.tokens.count); /* PTX is the device's, all of it */
  if (!status) {
    struct sim_writer *writer = sim_writer_new(&side, sim_is_clang(compiler));
    char *translated = writer ? sim_translate(writer) : NULL,
         *tail = writer ? sim_entries(m, &side, writer, *missing) : NULL;
    snprintf(path, sizeof path, "%s/k.ii", w->path);
    char *values = translated && tail ? sim_take_values(translated, tail) : NULL;
    status = values ? write_text(path, translated, values) : pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
    *align = sim_dynamic_alignment(&side.tokens);
    free(translated);
    free(tail);
    free(values);
    sim_writer_free(writer);
    pah_side_free(&side);
  }
  free(names);
  free(text);
  return status;
}

static int compile_object(const struct pah_module *m, int arch, const char *compiler, const struct pah_work *w,
                          const char *missing) {
  struct sim_command c = {.count = 0};
  char *output;
  sim_add_word(&c, "%s", compiler);
  sim_add_flags(&c, arch, compiler, m->std);
  if (!sim_is_clang(compiler)) sim_add_word(&c, "-fpreprocessed");
  if (!sim_is_clang(compiler) && sim_has_cccl(m)) sim_add_word(&c, "-fpermissive"); /* CUB: using X = X<T> */
  sim_add_words(&c, (const char *const[]){"-x", "c++-cpp-output", "-S", NULL});
  sim_add_word(&c, "%s/k.ii", w->path);
  sim_add_word(&c, "-o");
  sim_add_word(&c, "%s/plain.s", w->path);
  int exit_status = sim_run_program(c.argv, &output);
  int status = exit_status ? sim_compile_error(compiler, exit_status, output, m, missing) : PAH_OK;
  free(output);
  sim_drop_command(&c);
  return status;
}

/* The compiler's assembly to an object, with gaps between the variables. */
static int assemble(const struct pah_module *m, const char *compiler, const struct pah_work *w) {
  struct sim_command c = {.count = 0};
  char plain[PATH_MAX], gaps[PATH_MAX], *output;
  snprintf(plain, sizeof plain, "%s/plain.s", w->path);
  snprintf(gaps, sizeof gaps, "%s/gaps.s", w->path);
  int status = sim_add_gaps(plain, gaps);
  if (status) return status;
  sim_add_word(&c, "%s", compiler);
  sim_add_words(&c, (const char *const[]){"-c", gaps, "-o", NULL});
  sim_add_word(&c, "%s/k.o", w->path);
  int exit_status = sim_run_program(c.argv, &output);
  if (exit_status) status = sim_compile_error(compiler, exit_status, output, m, "");
  free(output);
  sim_drop_command(&c);
  return status;
}

/* One label for all that is dynamic shared memory, and the bytes of what is static. */
static int write_shared(const char *path, char *names, uint64_t bytes, int64_t dynamic, int is_clang) {
  FILE *f = fopen(path, "w");
  if (!f) return pah_fail(PAH_EIO, "%s: cannot be written: %s", path, strerror(errno));
  fprintf(f,
          "\t.section .note.GNU-stack,\"\",%%progbits\n\t.section .rodata\n\t.globl pah_static_shared\n\t.balign 8\n"
          "pah_static_shared:\n\t.quad %llu\n",
          (unsigned long long)bytes);
  /* The compiler's calls for what does not fit, by names that are not its own library's. */
  static const char *const calls[][2] = {{"out_of_bounds", "index"},          {"add_overflow", "overflow_add"},
                                         {"sub_overflow", "overflow_sub"},    {"mul_overflow", "overflow_mul"},
                                         {"divrem_overflow", "overflow_div"}, {"negate_overflow", "overflow_neg"}};
  fprintf(f, "\t.section .text\n");
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    fprintf(f,
            "\t.globl __ubsan_handle_%s\n\t.hidden __ubsan_handle_%s\n"
            "\t.type __ubsan_handle_%s, %%function\n__ubsan_handle_%s:\n\t"
#if defined(__aarch64__)
            "b pah_sim_%s\n",
#else
            "jmp pah_sim_%s@PLT\n",
#endif
            calls[i][0], calls[i][0], calls[i][0], calls[i][0], calls[i][1]);
  /* Shared memory is where the running thread block has it, not in this thread of the system. */
  fprintf(f, "\t.globl __tls_get_addr\n\t.hidden __tls_get_addr\n\t.type __tls_get_addr, %%function\n__tls_get_addr:\n"
#if defined(__aarch64__)
             "\tadrp x1, :got:pah_sim_window\n\tldr x1, [x1, :got_lo12:pah_sim_window]\n\tldr x1, [x1]\n"
             "\tldr x0, [x0, #8]\n\tadd x0, x0, x1\n\tret\n");
#else
             "\tmovq pah_sim_window@GOTPCREL(%%rip), %%rax\n\tmovq (%%rax), %%rax\n\taddq 8(%%rdi), %%rax\n\tret\n");
#endif
  /* clang leaves copies and fills to the C library, with no call of ours before them. */
  static const char *const fills[] = {"memcpy", "memmove", "memset"};
  for (size_t i = 0; i < sizeof fills / sizeof *fills && is_clang; i++)
    fprintf(f,
            "\t.globl %s\n\t.hidden %s\n\t.type %s, %%function\n%s:\n\t"
#if defined(__aarch64__)
            "b __tsan_%s\n",
#else
            "jmp __tsan_%s@PLT\n",
#endif
            fills[i], fills[i], fills[i], fills[i], fills[i]);
  /* What the compiler notes of __launch_bounds__; without one there is no such section. */
  fprintf(f, "\t.section .data.rel.ro,\"aw\"\n\t.globl pah_bounds\n\t.balign 8\npah_bounds:\n");
  static const char *const ends[] = {"__start___patchable_function_entries", "__stop___patchable_function_entries",
                                     "__start_pah_launch_bounds", "__stop_pah_launch_bounds"};
  for (int i = 0; i < 4; i++) fprintf(f, "\t.weak %s\n\t.hidden %s\n\t.quad %s\n", ends[i], ends[i], ends[i]);
  if (*names) {
    fprintf(f, "\t.section .tbss,\"awT\",%%nobits\n\t.balign %d\n\t.zero %lld\n", SIM_DYNAMIC_ALIGN,
            dynamic < 0 ? 0 : (long long)(dynamic % SIM_DYNAMIC_ALIGN));
    fprintf(f, "\t.globl pah_dynamic_shared\n\t.type pah_dynamic_shared, %%tls_object\npah_dynamic_shared:\n");
    for (char *name = strtok(names, "\n"); name; name = strtok(NULL, "\n"))
      fprintf(f, "\t.globl %s\n\t.type %s, %%tls_object\n%s:\n", name, name, name);
    fprintf(f, "\t.zero %d\n", DYNAMIC_ROOM);
  }
  return fclose(f) ? pah_fail(PAH_EIO, "%s: cannot be written", path) : PAH_OK;
}

static int link_object(const struct pah_module *m, const char *compiler, const struct pah_work *w) {
  struct sim_command c = {.count = 0};
  char *output;
  sim_add_word(&c, "%s", compiler);
  sim_add_words(&c, (const char *const[]){"-shared", "-Wl,-Bsymbolic", "-Wl,-z,now", NULL});
  sim_add_word(&c, "%s/k.o", w->path); /* first: what is dynamic must lie behind what is static */
  sim_add_words(&c, (const char *const[]){"-x", "assembler", NULL});
  sim_add_word(&c, "%s/k.s", w->path);
  sim_add_word(&c, "-o");
  sim_add_word(&c, "%s/k.so", w->path);
  int exit_status = sim_run_program(c.argv, &output);
  int status = exit_status ? sim_compile_error(compiler, exit_status, output, m, "") : PAH_OK;
  free(output);
  sim_drop_command(&c);
  return status;
}

/* The C++ of the module, to be freed; PTX is translated. */
static int source_text(const struct pah_module *m, int arch, const struct pah_work *w, char **text) {
  char *whole = sim_whole_source(m);
  int status = whole ? PAH_OK : pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
  *text = whole;
  if (status || !sim_is_ptx(m)) return status;
  *text = NULL;
  status = sim_ptx_source(m, arch, whole, w, text);
  free(whole);
  return status;
}

/* All steps, in files of the work folder: k.so is the result, k.d says what went in. */
static int make(const struct pah_module *m, int arch, const char *compiler, const char *headers,
                const struct pah_work *w) {
  char object[PATH_MAX], assembly[PATH_MAX];
  snprintf(object, sizeof object, "%s/k.o", w->path);
  snprintf(assembly, sizeof assembly, "%s/k.s", w->path);
  char *names = NULL, *missing = NULL, *text = NULL;
  uint64_t bytes = 0, align = SIM_DYNAMIC_ALIGN;
  int64_t dynamic = -1;
  int status = source_text(m, arch, w, &text);
  if (!status) status = write_translated(m, text, arch, compiler, headers, w, &missing, &align);
  if (!status) status = compile_object(m, arch, compiler, w, missing);
  if (!status) status = assemble(m, compiler, w);
  if (!status) status = sim_elf_shared(object, &names, &bytes);
  if (!status) status = sim_dynamic_start(object, align, &dynamic);
  if (!status) status = write_shared(assembly, names, bytes, dynamic, sim_is_clang(compiler));
  if (!status) status = link_object(m, compiler, w);
  snprintf(object, sizeof object, "%s/k.so", w->path);
  if (!status) status = sim_elf_disarm(object, m->path);
  free(names);
  free(text);
  free(missing);
  return status;
}

/* ---- From the cache into memory ---- */

enum { START_LIMIT = 10 }; /* seconds */

static void start(void *image, int process) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  (void)process;
  for (int i = 0; i < 4; i++) signal(faults[i], SIG_DFL); /* not a sanitizer's of the host */
  sim_elf_start(image);
}

/* Runs what code the source has for its start, the constructors of static objects, in a process of its own. What they
 * leave in the variables stays there for all launches. */
static int start_image(struct sim_image *image, const char *source) {
  enum sim_ending how;
  int end;
  const struct sim_work work = {.what = source, .run = start, .data = image, .limit = START_LIMIT};
  int status = sim_in_process(&work, &how, &end);
  if (status || (how == SIM_ENDED && WIFEXITED(end) && !WEXITSTATUS(end))) return status;
  if (how == SIM_INTERRUPTED) return pah_fail(PAH_EINTERRUPTED, "interrupted");
  if (how == SIM_OVER_LIMIT)
    return pah_fail(PAH_EDEVICE, "%s: a constructor of a static object did not end within %d seconds", source,
                    START_LIMIT);
  if (WIFSIGNALED(end))
    return pah_fail(PAH_EDEVICE, "%s: a constructor of a static object was killed by signal %d (%s)", source,
                    WTERMSIG(end), strsignal(WTERMSIG(end)));
  return pah_fail(PAH_EDEVICE, "%s: a constructor of a static object ended the process (status %d)", source,
                  WEXITSTATUS(end));
}

static int open_image(const char *path, struct sim_image **image) {
  struct sim_image *i = calloc(1, sizeof *i);
  if (!i) return pah_fail(PAH_ENOMEM, "sim: no memory");
  i->path = strdup(path);
  i->places = sim_places_new();
  i->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  int status = i->handle ? sim_elf_map(i) : pah_fail(PAH_EIO, "%s: cannot be opened: %s", path, dlerror());
  if (!status && !i->places) status = pah_fail(PAH_ENOMEM, "sim: no memory");
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
  free(image->alone);
  sim_places_free(image->places);
  free(image);
}

/* Everything but the source and what it includes: the compiler as a file, its environment, the target. */
static void make_salt(const char *compiler, int arch, const char *headers, char *salt, size_t bytes) {
  static const char *const variables[] = {"CPATH", "CPLUS_INCLUDE_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH"};
  struct stat about = {0};
  stat(compiler, &about);
  const char *nvcc = sim_nvcc();
  size_t n =
      (size_t)snprintf(salt, bytes, "sim 42 %s %lld %lld.%09ld sm_%d %s nvcc %s", compiler, (long long)about.st_size,
                       (long long)about.st_mtim.tv_sec, about.st_mtim.tv_nsec, arch, headers, nvcc ? nvcc : "");
  for (size_t i = 0; i < sizeof variables / sizeof *variables && n < bytes; i++) {
    const char *value = getenv(variables[i]);
    n += (size_t)snprintf(salt + n, bytes - n, " %s=%s", variables[i], value ? value : "");
  }
}

static int build(struct pah_module *m, int arch, const char *compiler, const char *headers, const char *salt,
                 struct pah_work *w, char *path, size_t bytes) {
  char key[PAH_KEY_SIZE], depfile[PATH_MAX];
  struct pah_reads own, reads = {.count = 0};
  int status = prepare_header(arch, compiler, m->std, salt, w, &reads);
  pah_reads_begin(&own);
  if (!status) status = make(m, arch, compiler, headers, w);
  snprintf(depfile, sizeof depfile, "%s/k.d", w->path);
  if (!status) {
    pah_reads_scan(&own, m->text, m->path, m->include, 1);
    pah_reads_depfile(&own, depfile, w->path);
    pah_reads_add_all(&own, &reads);
    pah_reads_end(&own);
    pah_module_key(m, salt, key);
    status = pah_cache_keep(w, "k.so", key, "so", &own, path, bytes);
  }
  pah_reads_free(&own);
  pah_reads_free(&reads);
  return status;
}

int sim_build(struct pah_module *m, int arch, struct sim_image **image) {
  char headers[PATH_MAX], salt[3 * PATH_MAX], key[PAH_KEY_SIZE], path[PATH_MAX];
  struct pah_work w;
  const char *compiler = sim_compiler();
  if (!compiler) return pah_fail(PAH_EDEVICE, "sim: no C++ compiler is left; install g++ or set PAH_SIM_CXX");
  pah_data_path(headers, sizeof headers, "src/sim/include");
  make_salt(compiler, arch, headers, salt, sizeof salt);
  pah_module_key(m, salt, key);
  int found = pah_cache_find(key, "so", NULL, path, sizeof path);
  if (found < 0) return found;
  int status = PAH_OK;
  if (!found || open_image(path, image)) { /* one of another system is made again */
    status = pah_work_open(&w);
    if (status) return status;
    char text[PATH_MAX + 32];
    snprintf(text, sizeof text, "compiling %s for sim", m->path);
    pah_notice(text);
    status = build(m, arch, compiler, headers, salt, &w, path, sizeof path);
    pah_notice(NULL);
    pah_work_close(&w);
    if (!status) status = open_image(path, image);
  }
  if (status) return status;
  status = start_image(*image, m->path);
  if (status) sim_image_close(*image);
  return status;
}
