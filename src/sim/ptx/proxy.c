/* proxy.c - which ordinary ("generic") writes the asynchronous units can see: those with a fence.proxy.async between
 * them and the asynchronous access, by the writer before it hands over, or by the thread that issues the access.
 * The finding missing-proxy-fence is made by sim/check/check.c, which asks here. Read next: tma.c, wgmma.c. */
#include <string.h>

#include "async.h"
#include "sim/check/clock.h"

/* Steps at which each thread fenced, the last few in a ring; and what it knew of the others at the last one. */
enum { KEPT = 32 };
static struct fences {
  uint32_t steps[KEPT];
  uint32_t count;
  struct sim_clock *known;
} fences[SIM_MAX_THREADS];
static int fences_used; /* by a thread of this thread block */

void proxy_block_begin(void) {
  for (int i = 0; fences_used && i < SIM_MAX_THREADS; i++) {
    sim_clock_drop(fences[i].known);
    fences[i].known = NULL;
    fences[i].count = 0;
  }
  fences_used = 0;
}

/* The release ends the step, so that writes of the same step are those before the fence. */
void sim_async_fence(struct sim_thread *t) {
  struct fences *f = &fences[t->id];
  fences_used = 1;
  f->steps[f->count++ % KEPT] = t->step;
  sim_clock_drop(f->known);
  f->known = NULL;
  sim_release(t, &f->known);
  mbarrier_visible(t->id);
}

int sim_proxy_fenced(int writer, uint32_t step, const struct sim_thread *reader, uint32_t known) {
  const struct fences *f = &fences[writer];
  const uint32_t kept = f->count < KEPT ? f->count : KEPT;
  for (uint32_t i = 0; i < kept; i++) {
    if (f->steps[i] >= step && (f->steps[i] <= known || writer == reader->id)) return 1;
  }
  if (f->count > KEPT && f->steps[f->count % KEPT] > step) return 1; /* an older fence may have been it */
  const struct sim_clock *at_fence = fences[reader->id].known;
  return at_fence != NULL && at_fence->at[writer] >= step;
}
