/* variable.c - variables of a module, __device__ and __constant__, from outside: found by the names that compilers give
 * them in the object, written and read as bytes. Read next: sim/host/variable.c, cuda/module.c. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "module.h"

enum { NAME_SIZE = 512 };

/* "ns::x" mangled; `internal`: as a static one. 0: not a name, or too long. */
static int mangle(const char *name, int internal, char *symbol, size_t bytes) {
  const int nested = strstr(name, "::") != NULL;
  int n = snprintf(symbol, bytes, "_Z%s", nested ? "N" : "");
  for (const char *p = name; *p && n > 0 && (size_t)n < bytes;) {
    const char *end = strstr(p, "::");
    const int length = end ? (int)(end - p) : (int)strlen(p);
    n += snprintf(symbol + n, bytes - (size_t)n, "%s%d%.*s", internal && !end ? "L" : "", length, length, p);
    p += length + (end ? 2 : 0);
  }
  if ((size_t)n < bytes && nested) n += snprintf(symbol + n, bytes - (size_t)n, "E");
  return n > 0 && (size_t)n < bytes;
}

static int find(struct pah_module *m, const char *name, void **data, int64_t *bytes) {
  char symbol[NAME_SIZE];
  *data = NULL;
  if (!m->device->ops->variable)
    return pah_fail(PAH_EUNSUPPORTED, "variable: %s does not tell where variables are", m->device->info.name);
  int status = strstr(name, "::") ? PAH_OK : m->device->ops->variable(m->device, m, name, data, bytes);
  for (int internal = 0; internal < 2 && !status && !*data; internal++)
    if (mangle(name, internal, symbol, sizeof symbol))
      status = m->device->ops->variable(m->device, m, symbol, data, bytes);
  if (!status && !*data)
    status =
        pah_fail(PAH_EINVAL, "variable: \"%.128s\" is not a __device__ or __constant__ variable of %s", name, m->path);
  return status;
}

static int find_of_size(struct pah_module *m, const char *name, int64_t bytes, void **data) {
  int64_t there = 0;
  const int status = find(m, name, data, &there);
  if (status || there == bytes) return status;
  return pah_fail(PAH_EINVAL, "variable: %.128s has %lld bytes, the tensor has %lld", name, (long long)there,
                  (long long)bytes);
}

int pah_module_set(struct pah_module *m, const char *name, const void *from, int64_t bytes) {
  void *data;
  const int status = find_of_size(m, name, bytes, &data);
  return status ? status : m->device->ops->copy_in(m->device, data, from, bytes);
}

int pah_module_get(struct pah_module *m, const char *name, void *to, int64_t bytes) {
  void *data;
  const int status = find_of_size(m, name, bytes, &data);
  return status ? status : m->device->ops->copy_out(m->device, to, data, bytes);
}
