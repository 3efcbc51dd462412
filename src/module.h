/* module.h - a module inside the program: its source, the names compiled, and the device's own image.
 * src/module.c keeps the rules and the cache; a device only compiles, launches and frees (the slots in device.h).
 * Read next: module.c, cache.h, then sim/build.c and cuda/nvrtc.c. */
#ifndef PAH_MODULE_H
#define PAH_MODULE_H

#include "device.h"

/* A kernel of a module: the name as asked for, and what the device found out. */
struct pah_module_kernel {
  char *name;
  struct pah_signature signature;
  void *handle; /* the device's: a CUfunction, or the entry of sim */
};

struct pah_module {
  struct pah_device *device; /* retained */
  char *path;                /* of the source as given; for `text`: "text" */
  char *text;                /* the source, read once */
  char **defines, **include; /* NULL-terminated; include starts with the folder of the source, ends with kernels/ */
  struct pah_module_kernel *kernels;
  int64_t kernel_count;
  int64_t references;
  void *image; /* the device's own: what `compile` made; replaced when a further name is compiled */
};

/* `text` with what the device must append so that every kernel of `m` can be found with its parameters: see module.c.
 * key: 32 hex digits over all that the result depends on (source, headers reached, defines, names, `salt`), for
 * cache.h; empty when the source includes by macro and must not be cached. */
struct pah_module_unit {
  char *text;
  char key[33];
};

#endif
