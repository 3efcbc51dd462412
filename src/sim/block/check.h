/* check.h - between check.c (what an access means), sync.c (what orders accesses) and finding.c. */
#ifndef PAH_SIM_CHECK_H
#define PAH_SIM_CHECK_H

#include "job.h"

/* Flags of an access: a copy of bytes, so alignment means nothing; a part of a request that is counted elsewhere. */
enum { SIM_UNALIGNED = 64, SIM_UNCOUNTED = 128 };
#define SIM_BLOCK_MASK ((1 << 25) - 1) /* what an epoch keeps of a thread block's index */

struct sim_agent {
  const char *name;
  uint32_t step;
  struct sim_clock *clock; /* what it knows */
  int used;
};
const struct sim_agent *sim_agent_at(int agent);
void sim_sync_reset(void); /* at the start of a thread block */

/* A write that would race, but maybe writes what is there: looked at again once it is done. */
int sim_deferred_any(void);
void sim_deferred_look(void);

int sim_pending_any(void);
void sim_pending_check(const struct sim_access *a);
void sim_pending_reset(void);

const char *sim_space_name(const void *p);
int sim_is_argument(const void *p); /* of the kernel: where the values of its parameters stand */

/* sim_find with the place of the other party and the address, which may be NULL. */
void sim_find_at(const void *pc, const void *other_pc, const void *address, const char *code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
