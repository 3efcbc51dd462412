/* module.h - a module inside the program: its source, the names compiled, and the device's own image.
 * src/module/module.c keeps the rules; a device only compiles, launches and frees (the slots in device.h).
 * Read next: module.c, compile_cache.h, then sim/compile/build.c and cuda/nvrtc.c. */
#ifndef PAH_MODULE_H
#define PAH_MODULE_H

#include <stdio.h>

#include "compile_cache.h"
#include "device.h"

/* A kernel of a module: the name as asked for, and what the device found out. */
struct pah_module_kernel {
  char *name;
  struct pah_signature signature;
  void *handle; /* the device's: a CUfunction, or the entry of sim */
};

struct pah_module {
  struct pah_device *device; /* retained */
  char *path;                /* of the source as given; "text" for a text */
  char *text;                /* the source, read once; or the image */
  const char *std;           /* of C++: "c++17" */
  int is_image;              /* compiled code of others */
  char **defines, **include; /* NULL-terminated; include starts with the folder of the source, ends with kernels/ */
  struct pah_module_kernel *kernels;
  int64_t kernel_count;
  int64_t references; /* under no lock: modules are used by one thread at a time */
  char *skipped;      /* what of the source was left out, a line each; NULL: nothing is known */
  void *image;        /* the device's own: what its `compile` made */
};

/* The key of what compiling m as it stands begins with: text, path, defines, folders, names and `salt` (compiler,
 * target, flags); and the current folder, if one of the paths starts there. What else goes in: reads.h. */
void pah_module_key(const struct pah_module *m, const char *salt, char key[PAH_KEY_SIZE]);

/* The defines as lines to stand before the text, not on a command line: a macro T must not reach into the device's own
 * header, nor into CUDA's headers that the text names, which come first. */
void pah_module_write_defines(const struct pah_module *m, FILE *to);
/* Names are compared and kept without their blanks, but "unsigned int" keeps its own. `out` may be `name`. */
void pah_module_squeeze(char *out, const char *name);
/* A kernel that the device has found in the source: the next of the list, unless it is there. */
void pah_module_found(struct pah_module *m, const char *name);

#endif
