/* occupancy.h - what a multiprocessor of each architecture holds, and how many thread blocks of a kernel fit on it.
 * One table for sim, cuda and `pah kernels`. See occupancy.c. */
#ifndef PAH_GPU_OCCUPANCY_H
#define PAH_GPU_OCCUPANCY_H

#include <stdint.h>

struct pah_arch_limits {
  int arch;                              /* 90 */
  int threads, thread_blocks, registers; /* of a multiprocessor */
  int shared, shared_block;              /* bytes: of a multiprocessor, and the most that one thread block may have */
};

/* The limits of "sm_90a", of an older one of the table where it is not known itself. */
const struct pah_arch_limits *pah_arch_limits(const char *arch);
const struct pah_arch_limits *pah_arch_limits_of(int arch);

/* Thread blocks of `threads` threads with so many registers each (0: not known) and `shared` bytes that one
 * multiprocessor holds at a time; *occupancy is the fraction of its threads, may be NULL. */
int32_t pah_thread_blocks_per_sm(const struct pah_arch_limits *limits, int64_t threads, int64_t registers,
                                 int64_t shared, double *occupancy);

#endif
