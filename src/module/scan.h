/* scan.h - what the text of a CUDA source says without compiling it: its kernels and what it includes. See scan.c. */
#ifndef PAH_SCAN_H
#define PAH_SCAN_H

#include <stddef.h>

/* Calls found(data, name) for each __global__ function that is no template: "f", "ns::f". Comments, strings and
 * preprocessor lines are passed over; names that macros make are not seen. */
void pah_scan_kernels(const char *text, void (*found)(void *data, const char *name), void *data);

/* Calls found(data, name, quoted) for each #include, #include_next and #import: quoted 1 for "name", 0 for <name>.
 * Comments, joined lines and raw strings are seen as a compiler sees them; conditions are not evaluated: all branches
 * count. Returns 1, or 0 if there may be more: a name made by a macro, a quote or a comment without an end. */
int pah_scan_includes(const char *text, void (*found)(void *data, const char *name, int quoted), void *data);

#endif
