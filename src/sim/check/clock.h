/* clock.h - vector clocks of a thread block, shared until they change, and what a block knows of other blocks.
 * See clock.c; the meaning of steps is told in check.c. */
#ifndef PAH_SIM_CLOCK_H
#define PAH_SIM_CLOCK_H

#include "sim/block/runtime.h"

struct sim_clock *sim_clock_new(uint32_t size); /* all zero, one reference */
struct sim_clock *sim_clock_copy(const struct sim_clock *c);
struct sim_clock *sim_clock_share(struct sim_clock *c); /* c with one reference more; NULL stays NULL */
void sim_clock_max(struct sim_clock *into, const struct sim_clock *from);
void sim_clock_min(struct sim_clock *into, const struct sim_clock *from);
void sim_clock_raise(struct sim_clock *c, uint32_t i, uint32_t step); /* at[i] to at least `step` */
void sim_clock_floor(struct sim_clock *c, int threads);               /* finds the least entry of the threads */
/* *c with references of its own alone, so that it may be written. */
struct sim_clock *sim_clock_own(struct sim_clock **c);
/* *c becomes what it is with `from` joined, or with at[i] raised. Holders of equal clocks get one and the same. */
void sim_clock_join(struct sim_clock **c, const struct sim_clock *from);
void sim_clock_learn(struct sim_clock **c, uint32_t i, uint32_t step);

/* What has been released by other thread blocks: pairs of a block's index and its clock, ascending. Counted, immutable
 * once shared. */
struct sim_foreign {
  int64_t references;
  int64_t count;
  struct {
    int64_t block;
    struct sim_clock *clock;
  } at[];
};
struct sim_foreign *sim_foreign_share(struct sim_foreign *f);
void sim_foreign_drop(struct sim_foreign *f);
/* *f becomes what it is with `more` joined; holders of one and the same get one and the same. */
void sim_foreign_learn(struct sim_foreign **f, struct sim_foreign *more);
/* What both know; drops neither. */
struct sim_foreign *sim_foreign_common(struct sim_foreign *a, struct sim_foreign *b);
/* The union; drops neither. NULL is empty. */
struct sim_foreign *sim_foreign_join(struct sim_foreign *a, struct sim_foreign *b);
struct sim_foreign *sim_foreign_one(int64_t block, struct sim_clock *clock);
const struct sim_clock *sim_foreign_find(const struct sim_foreign *f, int64_t block); /* NULL: nothing of it */

#endif
