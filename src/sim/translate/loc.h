/* loc.h - source lines of PTX: .file numbers the files, .loc names the line of what follows and, in an inlined
 * function, the line of the call. Lines of kernels/ptx/ are passed over for those of their callers. See loc.c. */
#ifndef PAH_PTX_LOC_H
#define PAH_PTX_LOC_H

#include "parser.h"

struct ptx_lines *ptx_lines_open(const char *text); /* NULL: no memory */
void ptx_lines_close(struct ptx_lines *lines);
ptx_loc_function ptx_lines_find; /* data: a struct ptx_lines */

#endif
