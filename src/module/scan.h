/* scan.h - what the text of a CUDA source says without compiling it: its kernels and what it includes. See scan.c. */
#ifndef PAH_SCAN_H
#define PAH_SCAN_H

#include <stddef.h>

/* Calls found(data, name) for each __global__ function that is no template: "f", "ns::f". Comments, strings and
 * preprocessor lines are passed over; names that macros make are not seen. */
void pah_scan_kernels(const char *text, void (*found)(void *data, const char *name), void *data);

/* Calls found(data, name, quoted) for each #include: quoted 1 for "name", 0 for <name>. Returns 0 if one of them is
 * neither (a macro), else 1. Conditions are not evaluated: all branches count. */
int pah_scan_includes(const char *text, void (*found)(void *data, const char *name, int quoted), void *data);

#endif
