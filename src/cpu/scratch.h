/* cpu/scratch.h - working memory of a call: uninitialised floats, aligned to 64 bytes, from a stock that all
 * instruction sets share. Safe in any thread. Read next: scratch.c. */
#ifndef PAH_CPU_SCRATCH_H
#define PAH_CPU_SCRATCH_H

#include <stdint.h>

/* NULL without memory. */
float *pah_scratch_floats(int64_t n);
void pah_scratch_free(void *floats);

/* What the stock has from the system: in use, or kept for the next call. */
int64_t pah_scratch_bytes(void);

#endif
