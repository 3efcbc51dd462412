/* preprocess.c - a source with all that it includes, by the host compiler's preprocessor: macros, conditions and
 * headers are resolved as it does that. A header that is not there is taken as empty: what it would have declared is
 * the host's, or is missed by the compiler. Read next: headers.c, words.c. */
#define _GNU_SOURCE
#include "device_source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "build.h"
#include "compiler.h"

enum { MOST_MISSING = 200 };

/* What a #include could not find, by the compiler's words; 0: it says something else. */
static int missing_name(const char *output, char *name, size_t bytes) {
  const char *at = output ? strstr(output, "fatal error: ") : NULL;
  if (!at) return 0;
  at += strlen("fatal error: ");
  int quoted = *at == '\''; /* clang */
  size_t n = strcspn(at + quoted, quoted ? "'\n" : ":\n");
  const char *rest = at + quoted + n;
  if (strncmp(rest, quoted ? "' file not found" : ": No such file", quoted ? 16 : 14) || n >= bytes) return 0;
  memcpy(name, at + quoted, n);
  name[n] = 0;
  return n > 0;
}

/* CCCL wants to know what is compiled for. */
static const char for_cccl[] = "#define __CUDA_ARCH_LIST__ __CUDA_ARCH__\n";

int sim_has_header(const struct pah_module *m, const char *name) {
  char path[PATH_MAX];
  for (char **folder = m->include; *folder; folder++) {
    snprintf(path, sizeof path, "%s/%s", *folder, name);
    if (!access(path, R_OK)) return 1;
  }
  return 0;
}

int sim_has_cccl(const struct pah_module *m) {
  return sim_has_header(m, "cuda/__cccl_config");
}

char *sim_whole_source(const struct pah_module *m) {
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  if (sim_has_cccl(m) && !sim_is_ptx(m)) fputs(for_cccl, f);
  pah_module_write_defines(m, f);
  fprintf(f, "#line 1 \"%s\"\n%s\n", m->path, m->text);
  return fclose(f) ? free(text), NULL : text;
}

static int write_source(const char *source, const char *path) {
  FILE *f = fopen(path, "w");
  const int written = f && fputs(source, f) >= 0;
  if ((f && fclose(f)) || !written) return pah_fail(PAH_EIO, "%s: cannot be written: %s", path, strerror(errno));
  return PAH_OK;
}

static int run(const struct pah_module *m, int arch, const char *compiler, const char *headers,
               const struct pah_work *w, char **output) {
  struct sim_command c = {.count = 0};
  sim_add_word(&c, "%s", compiler);
  sim_add_flags(&c, arch, compiler, m->std);
  sim_add_word(&c, "-I%s/host", w->path);
  sim_add_folders(&c, m, headers);
  sim_add_word(&c, "-include");
  sim_add_word(&c, "%s/pah.h", w->path);
  sim_add_words(&c, (const char *const[]){"-x", "c++", "-E", NULL});
  if (!sim_is_clang(compiler)) sim_add_word(&c, "-fpch-preprocess");
  sim_add_words(&c, (const char *const[]){"-MD", "-MT", "x", "-MF", NULL});
  sim_add_word(&c, "%s/k.d", w->path);
  sim_add_word(&c, "%s/k.cpp", w->path);
  sim_add_word(&c, "-o");
  sim_add_word(&c, "%s/k.i", w->path);
  int exit_status = sim_run_program(c.argv, output);
  sim_drop_command(&c);
  return exit_status;
}

int sim_preprocess(const struct pah_module *m, const char *source, int arch, const char *compiler, const char *headers,
                   const struct pah_work *w, char **text, char **missing) {
  char path[PATH_MAX], folder[PATH_MAX], name[PATH_MAX], *output = NULL;
  size_t bytes;
  FILE *names = open_memstream(missing, &bytes);
  if (!names) return pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
  snprintf(folder, sizeof folder, "%s/host", w->path);
  sim_make_headers(folder, m);
  snprintf(path, sizeof path, "%s/k.cpp", w->path);
  int status = write_source(source, path), exit_status = 0;
  for (int i = 0; i < MOST_MISSING && !status; i++) {
    free(output);
    exit_status = run(m, arch, compiler, headers, w, &output);
    if (exit_status <= 0 || !missing_name(output, name, sizeof name) || !sim_make_missing_header(folder, name)) break;
    fprintf(names, "%s\n", name);
  }
  fclose(names);
  if (!status && exit_status) status = sim_compile_error(compiler, exit_status, output, m, "");
  free(output);
  snprintf(path, sizeof path, "%s/k.i", w->path);
  if (!status) status = pah_read_file("source", path, text, NULL);
  if (status) free(*missing), *missing = NULL;
  return status;
}
