/* wgmma.h - between wgmma.c and wgmma_operand.c: the operands that wgmma reads from shared memory, and who reads them.
 * A is read by an agent per warp, each its own 16 rows, and ordered after what the lanes of that warp know. B is read
 * by one agent that knows only what all four warps know: each of them reads all of B. */
#ifndef PAH_SIM_WGMMA_H
#define PAH_SIM_WGMMA_H

#include "matrix.h"
#include "sim/block/runtime.h"

enum { WGMMA_AGENTS = 5 };

struct wgmma_agents {
  int started;
  int number[WGMMA_AGENTS]; /* of the four warps, and of B */
  uint32_t step[WGMMA_AGENTS];
  struct {
    uint64_t content; /* of its clock; 0: it knew of other thread blocks, too */
    uint32_t step;
  } knew[4 * SIM_WARP]; /* each thread, at the last start */
};

void wgmma_agents_start(struct wgmma_agents *a, struct sim_thread *const threads[4 * SIM_WARP]);
void wgmma_agents_join(const struct wgmma_agents *a, const uint32_t step[WGMMA_AGENTS],
                       struct sim_thread *const threads[SIM_WARP]);

struct wgmma_source {
  int kind; /* PAH_SIM_MMA_* */
  const void *pc;
  struct sim_thread *const *threads;
};
/* Rows [from, from + count) of A, or columns of B, into words[from ...]. trans: stored with k outermost (MN-major). */
void wgmma_read(const struct wgmma_source *source, unsigned long long descriptor, int trans, int from, int count,
                int agent, uint32_t (*words)[MATRIX_WORDS]);

#endif
