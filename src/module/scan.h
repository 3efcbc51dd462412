/* scan.h - what the text of a CUDA source says without compiling it: its kernels and what it includes. See scan.c. */
#ifndef PAH_SCAN_H
#define PAH_SCAN_H

#include <stddef.h>

/* Calls found(data, name) for each __global__ function that is no template: "f", "ns::f". Comments, strings and
 * preprocessor lines are passed over; names that macros make are not seen. */
void pah_scan_kernels(const char *text, void (*found)(void *data, const char *name), void *data);

enum pah_include { PAH_ANGLED = 0, PAH_QUOTED = 1, PAH_ASKED = 2 };

/* Calls found(data, name, how) for each #include, #include_next and #import: PAH_QUOTED for "name", PAH_ANGLED for
 * <name>; and for each __has_include, which is PAH_ASKED besides. Comments, joined lines and raw strings are seen as a
 * compiler sees them; conditions are not evaluated: all branches count. Returns 1, or 0 if there may be more: a name
 * made by a macro, a quote or a comment without an end; *asks is 0 if a question is among those. */
int pah_scan_includes(const char *text, void (*found)(void *data, const char *name, int how), void *data, int *asks);

#endif
