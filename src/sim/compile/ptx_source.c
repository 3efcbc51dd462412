/* ptx_source.c - modules that come to sim as PTX and are translated to C++ (sim/translate): those of dev:load, and with
 * PAH_SIM_NVCC=nvcc every CUDA source. Then what runs is what the real compiler made of it: its unrolling, its widths
 * of loads. Its kernels must be extern "C": PTX knows no other names. Read next: build.c. */
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

/* `whole`: the source with the defines before it. *ptx is malloc'ed. */
static int by_nvcc(const struct pah_module *m, int arch, const char *nvcc, const char *whole, const struct pah_work *w,
                   char **ptx) {
  struct sim_command c = {.count = 0};
  char source[PATH_MAX], path[PATH_MAX], *output;
  snprintf(source, sizeof source, "%s/k.cu", w->path);
  snprintf(path, sizeof path, "%s/k.ptx", w->path);
  FILE *f = fopen(source, "w");
  const int written = f && fputs(whole, f) >= 0;
  if ((f && fclose(f)) || !written) return pah_fail(PAH_EIO, "%s: cannot be written", source);
  sim_add_word(&c, "%s", nvcc);
  sim_add_words(&c, (const char *const[]){"-ptx", "-std=c++17", "-lineinfo", NULL});
  sim_add_word(&c, "-arch=sm_%d%s", arch, arch == 90 ? "a" : "");
  for (char **i = m->include; *i; i++) sim_add_word(&c, "-I%s", *i);
  sim_add_words(&c, (const char *const[]){source, "-o", path, NULL});
  const int failed = sim_run_program(c.argv, &output);
  int status = failed ? pah_fail(PAH_EINVAL, "%s: does not compile with %s:\n%s", m->path, nvcc, output ? output : "")
                      : pah_read_file("ptx", path, ptx, NULL);
  free(output);
  sim_drop_command(&c);
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
    struct wanted w = {m->kernels[i].name, 0};
    ptx_entries(ptx, see_entry, &w);
    if (!w.found)
      return pah_fail(PAH_EINVAL, "%s: \"%.128s\" is no kernel of the PTX%s", m->path, w.name,
                      m->is_image ? "" : ": with PAH_SIM_NVCC it must be extern \"C\" and no template");
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
