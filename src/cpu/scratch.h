/* cpu/scratch.h - working memory of a call, on huge pages where the system has them. It is worth more than the TLB:
 * a second-level cache is indexed by physical address, so tiles that should just fit there collide when their small
 * pages happen to lie badly. A backward pass once ran at 0.79 or 0.57 of the peak of a Zen 3, by the luck of the
 * process; later runs did not reproduce a gain from huge pages. */
#ifndef PAH_CPU_SCRATCH_H
#define PAH_CPU_SCRATCH_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* n uninitialised floats, aligned to 64 bytes at least; NULL without memory. Freed by free(). */
static float *scratch_floats(int64_t n) {
  const size_t huge = (size_t)2 << 20, page = (size_t)64 << 10;
  size_t bytes = ((size_t)n * sizeof(float) + page) / page * page;
  if (bytes < huge / 4) return aligned_alloc(64, bytes); /* a call this small should not pay for clearing 2 MiB */
  bytes = (bytes + huge - 1) / huge * huge;
  float *data = aligned_alloc(huge, bytes);
#ifdef MADV_HUGEPAGE
  if (data) madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return data;
}

#endif
