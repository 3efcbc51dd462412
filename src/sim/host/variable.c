/* variable.c - the shared variables of an opened object by its symbol table: which bytes are the compiler's own (g++
 * guards arrays of classes, though there is nothing to initialise), and how much of it one kernel has: the object
 * holds the variables of all. A variable in a function is named after it: _ZZ1fPfE1s is s in f(float *).
 * Read next: elf.c, sim/check/check.c. */
#define _GNU_SOURCE
#include <elf.h>
#include <stdio.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "module/content.h"
#include "error.h"
#include "sim/compile/build.h"

struct table {
  const Elf64_Sym *symbols;
  size_t count;
  const char *strings;
};

static int find_table(const char *file, size_t size, struct table *t) {
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
  const Elf64_Shdr *sections = (const Elf64_Shdr *)(file + header->e_shoff);
  if (size <= sizeof *header || header->e_shoff + header->e_shnum * sizeof *sections > size) return 0;
  *t = (struct table){.count = 0};
  for (int i = 0; i < header->e_shnum; i++) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    t->symbols = (const Elf64_Sym *)(file + sections[i].sh_offset);
    t->count = sections[i].sh_size / sizeof *t->symbols;
    t->strings = file + sections[sections[i].sh_link].sh_offset;
  }
  return t->symbols != NULL;
}

/* extern "C" functions are mangled as a length and a name. */
int sim_is_within(const char *variable, const char *function) {
  char prefix[24] = "_ZZ";
  if (!strncmp(function, "_Z", 2))
    function += 2;
  else
    snprintf(prefix, sizeof prefix, "_ZZ%zu", strlen(function));
  size_t n = strlen(prefix), length = strlen(function);
  return !strncmp(variable, prefix, n) && !strncmp(variable + n, function, length) && variable[n + length] == 'E';
}

/* The kernel that owns the variable, by its address in the object; 0: none. Kernels are protected symbols; those of
 * internal linkage count when they were asked for. */
static uint64_t owner_of(const struct table *t, const char *variable, const struct sim_image *image) {
  if (strncmp(variable, "_ZZ", 3)) return 0;
  for (size_t i = 0; i < t->count; i++) {
    const Elf64_Sym *s = &t->symbols[i];
    if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || !s->st_value) continue;
    int is_kernel = ELF64_ST_VISIBILITY(s->st_other) == STV_PROTECTED || sim_image_has_kernel(image, s->st_value);
    if (is_kernel && sim_is_within(variable, t->strings + s->st_name)) return s->st_value;
  }
  return 0;
}

static int is_in_data(const struct sim_image *image, uint64_t at) {
  return image->text + at >= image->data && image->text + at < image->data_end;
}

/* The last name within a mangled one: s of _ZZ1fPfE1s. */
static void plain_name(const char *mangled, char *name, size_t bytes) {
  const size_t length = strlen(mangled);
  snprintf(name, bytes, "%s", mangled);
  for (size_t i = 0; i < length; i++) {
    if (mangled[i] < '1' || mangled[i] > '9' || (i && mangled[i - 1] >= '0' && mangled[i - 1] <= '9')) continue;
    char *end;
    const size_t n = strtoul(mangled + i, &end, 10), from = (size_t)(end - mangled);
    if (from + n == length || (from + n < length && strchr("E_", mangled[from + n])))
      snprintf(name, bytes, "%.*s", (int)n, end);
  }
}

int sim_variables_read(struct sim_image *image) {
  char *file;
  size_t size;
  int status = pah_read_file("object", image->path, &file, &size);
  if (status) return status;
  struct table t;
  const int found = find_table(file, size, &t), prefix = dlsym(image->handle, "pah_from_ptx") ? 2 : 0; /* "x_" */
  image->variables = calloc(found ? t.count : 1, sizeof *image->variables);
  for (size_t i = 0; image->variables && found && i < t.count; i++) {
    const Elf64_Sym *s = &t.symbols[i];
    const char *name = t.strings + s->st_name;
    const int is_shared = ELF64_ST_TYPE(s->st_info) == STT_TLS;
    if ((!is_shared && (ELF64_ST_TYPE(s->st_info) != STT_OBJECT || !is_in_data(image, s->st_value))) || !s->st_size)
      continue;
    struct sim_variable *v = &image->variables[image->variable_count++];
    *v = (struct sim_variable){.at = s->st_value, .bytes = s->st_size, .is_shared = is_shared};
    v->guard = !strncmp(name, "_ZGV", 4);
    v->owner = is_shared ? owner_of(&t, name, image) : 0;
    plain_name(name, v->name, sizeof v->name);
    if (!strncmp(v->name, "x_", prefix)) memmove(v->name, v->name + prefix, strlen(v->name + prefix) + 1);
  }
  free(file);
  return image->variables ? PAH_OK : pah_fail(PAH_ENOMEM, "sim: no memory for the variables of a module");
}

uint64_t sim_static_shared(const struct sim_image *image, uint64_t kernel) {
  uint64_t bytes = 0;
  for (int i = 0; i < image->variable_count; i++) {
    const struct sim_variable *v = &image->variables[i];
    if (v->is_shared && !v->guard && (!v->owner || v->owner == kernel)) bytes += v->bytes;
  }
  return bytes;
}

/* What compile/bounds.c has noted: places in kernels and their most threads; 0: nothing of this kernel. */
static int noted_bounds(const struct sim_image *image, uint64_t kernel, const uint64_t *note, const uint64_t *end) {
  Dl_info function;
  for (; note && note < end; note += 2)
    if (dladdr((const void *)(uintptr_t)note[0], &function) && function.dli_saddr == image->text + kernel)
      return (int)note[1];
  return 0;
}

int sim_launch_bounds(const struct sim_image *image, uint64_t kernel) {
#if defined(__aarch64__)
  static const uint8_t nop[] = {0x1f, 0x20, 0x03, 0xd5};
#else
  static const uint8_t nop[] = {0x90};
#endif
  enum { MOST = 1024 };
  const uint8_t *const *bounds = dlsym(image->handle, "pah_bounds");
  const int noted = bounds ? noted_bounds(image, kernel, (const void *)bounds[2], (const void *)bounds[3]) : 0;
  if (noted) return noted;
  if (!bounds || !bounds[0]) return MOST;
  const uint8_t *at = image->text + kernel;
  for (const uint8_t *const *entry = (const void *)bounds[0]; entry < (const uint8_t *const *)(const void *)bounds[1];
       entry++) {
    uint64_t count = (uint64_t)(at - *entry) / sizeof nop, i = 0;
    if (*entry >= at || count > MOST) continue;
    while (i < count && !memcmp(*entry + i * sizeof nop, nop, sizeof nop)) i++;
    if (i == count) return (int)count;
  }
  return MOST;
}

int sim_cluster_dims(const struct sim_image *image, int64_t i, int64_t dims[3]) {
  char name[48];
  snprintf(name, sizeof name, "pah_cluster_%lld", (long long)i);
  const int *noted = dlsym(image->handle, name);
  for (int k = 0; k < 3 && noted; k++) dims[k] = noted[k] ? noted[k] : 1;
  return noted != NULL;
}

int sim_variable(const struct sim_image *image, const char *symbol, void **data, int64_t *bytes) {
  char *file;
  size_t size;
  struct table t;
  *data = NULL;
  int status = pah_read_file("object", image->path, &file, &size);
  if (status) return status;
  for (size_t i = 0; find_table(file, size, &t) && i < t.count && !status; i++) {
    const Elf64_Sym *s = &t.symbols[i];
    if (ELF64_ST_TYPE(s->st_info) != STT_OBJECT || !s->st_size || strcmp(t.strings + s->st_name, symbol) != 0) continue;
    *data = image->text + s->st_value;
    *bytes = (int64_t)s->st_size;
    if ((uint8_t *)*data < image->data || (uint8_t *)*data >= image->data_end)
      status = pah_fail(PAH_EINVAL, "variable: %s is const: it has no place that can be set", symbol);
    break;
  }
  free(file);
  return status;
}
