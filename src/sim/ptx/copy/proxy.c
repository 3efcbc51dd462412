/* proxy.c - which ordinary ("generic") writes the asynchronous units can see: those with a fence.proxy.async between
 * them and the asynchronous access, by the writer before it hands over, or by the thread that issues the access.
 * The finding missing-proxy-fence is made by sim/check/check.c, which asks here. Read next: tma.c, wgmma.c. */
#include "async.h"
#include "sim/check/clock.h"

/* Steps at which each thread fenced, the last few in a ring; and what it knew of the others at the last one. */
enum { KEPT = 32 };
struct fences {
  uint32_t steps[KEPT];
  uint32_t count;
  struct sim_known known;
};
static struct fences *fences; /* by the number of the thread */
static int fences_used;       /* by a thread of this gang */

void proxy_begin(void) {
  if (!fences) fences = async_allocate((size_t)sim_all_threads() * sizeof *fences);
  for (int i = 0; fences_used && i < sim_all_threads(); i++) {
    sim_known_drop(&fences[i].known);
    fences[i].count = 0;
  }
  fences_used = 0;
}

/* The release ends the step, so that writes of the same step are those before the fence. */
void sim_async_fence(struct sim_thread *t) {
  struct fences *f = &fences[t->number];
  fences_used = 1;
  f->steps[f->count++ % KEPT] = t->step;
  sim_known_drop(&f->known);
  sim_release_to(t, t->home, &f->known);
  mbarrier_visible(t);
}

/* What the reader knew of the writer at its last fence. */
static const struct sim_clock *at_fence(const struct sim_thread *writer, const struct sim_thread *reader) {
  const struct sim_known *k = &fences[reader->number].known;
  return writer->home == reader->home ? k->clock : sim_foreign_find(k->foreign, sim_home_index(writer));
}

int sim_proxy_fenced(const struct sim_thread *writer, uint32_t step, const struct sim_thread *reader, uint32_t known) {
  const struct fences *f = &fences[writer->number];
  const uint32_t kept = f->count < KEPT ? f->count : KEPT;
  for (uint32_t i = 0; i < kept; i++) {
    if (f->steps[i] >= step && (f->steps[i] <= known || writer == reader)) return 1;
  }
  if (f->count > KEPT && f->steps[f->count % KEPT] > step) return 1; /* an older fence may have been it */
  const struct sim_clock *clock = at_fence(writer, reader);
  return clock != NULL && clock->at[writer->id] >= step;
}
