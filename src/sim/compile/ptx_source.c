/* ptx_source.c - modules that come to sim as PTX and are translated to C++ (sim/translate): those of dev:load, and with
 * PAH_SIM_NVCC=nvcc every CUDA source. Then what runs is what the real compiler made of it: its unrolling, its widths
 * of loads. PTX knows a kernel by its mangled name only: a variable set to the address of each kernel asked for tells
 * that, as "add<float, 3>" is written in C++. Read next: build.c. */
#define _GNU_SOURCE
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "module/content.h"
#include "build.h"
#include "compiler.h"
#include "sim/translate/translate.h"

const char *sim_nvcc(void) {
  static char path[PATH_MAX];
  const char *asked = getenv("PAH_SIM_NVCC");
  return asked && *asked && sim_find_program(asked, path, sizeof path) ? path : NULL;
}

/* ---- Names ---- */

void sim_ptx_name(const char *kernel, char *name, size_t bytes) {
  size_t n = 0;
  for (; *kernel && n + 5 < bytes; kernel++) {
    if (isalnum((unsigned char)*kernel) || *kernel == '_')
      name[n++] = *kernel;
    else
      n += (size_t)snprintf(name + n, bytes - n, "_%02x_", (unsigned char)*kernel);
  }
  name[n] = 0;
}

void sim_ptx_plain_name(char *name) {
  char plain[512] = "";
  size_t n = 0;
  const int is_nested = !strncmp(name, "_ZN", 3);
  if (strncmp(name, "_Z", 2) != 0) return;
  const char *at = name + 2 + is_nested;
  do {
    char *end;
    const unsigned long length = strtoul(at, &end, 10);
    if (end == at || length > strlen(end) || n + length + 3 > sizeof plain) return;
    n += (size_t)snprintf(plain + n, sizeof plain - n, "%s%.*s", n ? "::" : "", (int)length, end);
    at = end + length;
  } while (is_nested && isdigit((unsigned char)*at));
  if (*at == 'I' || (is_nested && *at != 'E')) return; /* an instance of a template, or more than names */
  memcpy(name, plain, n + 1);
}

static const char VARIABLE[] = "pah_kernel_name_";

/* Variables with the addresses of the kernels asked for; one written with its parameters has no such expression. */
static void write_names(const struct pah_module *m, FILE *f) {
  for (int64_t i = 0; i < m->kernel_count; i++)
    if (!strchr(m->kernels[i].name, '('))
      fprintf(f, "\nextern \"C\" __device__ const void *%s%lld = (const void *)(void *)%s;", VARIABLE, (long long)i,
              m->kernels[i].name);
}

static int is_part_of_name(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%';
}

/* The text with a word in the place of another; malloc'ed. */
static char *with_word(const char *text, const char *from, const char *to) {
  char *result = NULL;
  size_t bytes, n = strlen(from);
  FILE *f = open_memstream(&result, &bytes);
  if (!f) return NULL;
  for (const char *at; (at = strstr(text, from)); text = at + n) {
    const int whole = !(at > text && is_part_of_name(at[-1])) && !is_part_of_name(at[n]);
    fwrite(text, 1, (size_t)(at - text), f);
    fputs(whole ? to : from, f);
  }
  fputs(text, f);
  return fclose(f) ? free(result), NULL : result;
}

/* Kernels asked for take the names of sim_ptx_name; the variables go. */
static int rename_kernels(const struct pah_module *m, char **ptx) {
  for (int64_t i = 0; i < m->kernel_count; i++) {
    char variable[64], mangled[512], name[512];
    snprintf(variable, sizeof variable, "%s%lld = ", VARIABLE, (long long)i);
    char *at = strstr(*ptx, variable), *end = at ? strchr(at, ';') : NULL;
    if (!end) continue;
    at += strlen(variable);
    snprintf(mangled, sizeof mangled, "%.*s", (int)(end - at), at);
    char *line = at;
    while (line > *ptx && line[-1] != '\n') line--;
    memset(line, ' ', (size_t)(end + 1 - line));
    sim_ptx_name(m->kernels[i].name, name, sizeof name);
    char *renamed = with_word(*ptx, mangled, name);
    if (!renamed) return pah_fail(PAH_ENOMEM, "%s: no memory", m->path);
    free(*ptx);
    *ptx = renamed;
  }
  return PAH_OK;
}

/* `whole`: the source with the defines before it. *ptx is malloc'ed. */
static int by_nvcc(const struct pah_module *m, int arch, const char *nvcc, const char *whole, const struct pah_work *w,
                   char **ptx) {
  struct sim_command c = {.count = 0};
  char source[PATH_MAX], path[PATH_MAX], *output;
  snprintf(source, sizeof source, "%s/k.cu", w->path);
  snprintf(path, sizeof path, "%s/k.ptx", w->path);
  FILE *f = fopen(source, "w");
  const int written = f && fputs(whole, f) >= 0;
  if (f) write_names(m, f);
  if ((f && fclose(f)) || !written) return pah_fail(PAH_EIO, "%s: cannot be written", source);
  sim_add_word(&c, "%s", nvcc);
  sim_add_words(&c, (const char *const[]){"-ptx", "-lineinfo", NULL});
  sim_add_word(&c, "-std=%s", m->std);
  sim_add_word(&c, "-arch=sm_%d%s", arch, arch == 90 ? "a" : "");
  for (char **i = m->include; *i; i++) sim_add_word(&c, "-I%s", *i);
  sim_add_words(&c, (const char *const[]){source, "-o", path, NULL});
  const int failed = sim_run_program(c.argv, &output);
  int status = failed ? pah_fail(PAH_EINVAL, "%s: does not compile with %s:\n%s", m->path, nvcc, output ? output : "")
                      : pah_read_file("ptx", path, ptx, NULL);
  free(output);
  sim_drop_command(&c);
  if (!status) status = rename_kernels(m, ptx);
  return status;
}

int sim_is_ptx(const struct pah_module *m) {
  return m->is_image || sim_nvcc();
}

/* Is the kernel one of the PTX's? */
struct wanted {
  const char *name;
  int found;
};
static void see_entry(void *data, const char *name) {
  struct wanted *w = data;
  if (!strcmp(w->name, name)) w->found = 1;
}

static int check_kernels(const struct pah_module *m, const char *ptx) {
  for (int64_t i = 0; i < m->kernel_count; i++) {
    char name[512];
    sim_ptx_name(m->kernels[i].name, name, sizeof name);
    struct wanted w = {name, 0};
    ptx_entries(ptx, see_entry, &w);
    if (!w.found)
      return pah_fail(PAH_EINVAL, "%s: \"%.128s\" is no kernel of the PTX%s", m->path, w.name,
                      m->is_image ? "" : ": with PAH_SIM_NVCC it is named without its parameters");
  }
  return PAH_OK;
}

int sim_ptx_source(const struct pah_module *m, int arch, const char *whole, const struct pah_work *w, char **text) {
  char why[320], *ptx = NULL;
  int status = PAH_OK;
  if (m->is_image && !isprint((unsigned char)*m->text) && !isspace((unsigned char)*m->text))
    return pah_fail(PAH_EINVAL, "load: %s is no PTX text; sim takes ptx=, neither cubin= nor fatbin=", m->path);
  if (!m->is_image) status = by_nvcc(m, arch, sim_nvcc(), whole, w, &ptx);
  if (!status) *text = ptx_module(ptx ? ptx : m->text, m->path, why, sizeof why);
  if (!status && !*text) status = pah_fail(PAH_EINVAL, "%s:%s", m->path, why);
  if (!status) status = check_kernels(m, ptx ? ptx : m->text);
  free(ptx);
  return status;
}
