/* counters.h - sectors, wavefronts and conflicts by source line, counted per warp. See counters.c. */
#ifndef PAH_SIM_COUNTERS_H
#define PAH_SIM_COUNTERS_H

#include "check.h"
#include "shadow.h"

/* One lane's access; lanes of a warp at the same instruction for the n-th time make one request. */
void sim_count_access(struct sim_thread *t, const struct sim_space *s, const struct sim_access *a);
/* The lanes of the warp are together again: what is collected becomes requests. */
void sim_count_flush(int warp);

#endif
