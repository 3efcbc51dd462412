/* module.h - a whole PTX module as the C++ source of its kernels, which sim compiles like any other. See module.c. */
#ifndef PAH_PTX_MODULE_H
#define PAH_PTX_MODULE_H

#include <stddef.h>

/* The source, to be freed; kernel `k` is the function f_k. NULL: `error` says the line and why. `path`: of the PTX, for
 * the places of findings where there is no .loc. */
char *ptx_module(const char *text, const char *path, char *error, size_t bytes);
/* Calls found(data, name) for each .entry. */
void ptx_entries(const char *text, void (*found)(void *data, const char *name), void *data);

#endif
