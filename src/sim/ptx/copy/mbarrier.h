/* mbarrier.h - an mbarrier as the emulation keeps it, and where in shared memory it is: what mbarrier_at.c and
 * mbarrier.c share. Read next: mbarrier_at.c. */
#ifndef PAH_SIM_MBARRIER_H
#define PAH_SIM_MBARRIER_H

#include "async.h"

enum { MBARRIER_BYTES = 8 };

struct arrival { /* by cp.async.mbarrier.arrive: once the thread's copies up to `sequence` have landed */
  struct arrival *next;
  int thread;
  uint64_t sequence;
};

struct sim_mbarrier {
  struct sim_mbarrier *next;
  struct sim_home *home; /* whose memory it is in */
  uint32_t address;      /* byte of that */
  uint32_t count;        /* arrivals of the next phase */
  uint32_t phase;        /* phases completed */
  int64_t missing;       /* arrivals, those in flight included */
  int64_t tx;            /* bytes expected and not reported */
  int64_t flying;        /* bytes that the copies in flight will report */
  int64_t arriving;      /* arrivals in flight */
  int is_over;           /* no thread is left to arrive */
  struct async_copy *copies;
  struct arrival *arrivals;
  int agent;                            /* of the copies; -1 before the first */
  uint32_t started, landed;             /* steps of the agent */
  int initialiser, visible;             /* the thread; whether the async proxy knows of the initialisation */
  struct sim_known released, completed; /* by all arrivals; by those of completed phases */
  char waits_for[176];                  /* for the report of a deadlock */
  int64_t said[3];                      /* phase, arrivals and bytes in it */
};

extern struct sim_mbarrier **mbarrier_lists; /* of each thread block that is alive */

/* Where it is: whose memory, which byte of it, and that. */
struct mbarrier_spot {
  struct sim_home *home;
  uint32_t at;
  uint8_t *memory;
};

struct mbarrier_spot mbarrier_spot_of(uint32_t address, int whole_cluster, const char *instruction, const void *pc);
struct sim_mbarrier **mbarrier_find(const struct mbarrier_spot *s); /* its place in the list, or the end of that */
struct sim_mbarrier *mbarrier_known(const struct mbarrier_spot *s, const char *instruction, const void *pc);
/* An access to the 8 bytes by the running thread. */
void mbarrier_touch(const struct mbarrier_spot *s, uint32_t flags, const char *instruction, const void *pc);
uint64_t mbarrier_mark(uint32_t at); /* what the 8 bytes hold */
/* "mbarrier full[2]", "mbarrier at byte 16 of storage", or, with no variable there, "mbarrier at byte 1040 of shared
 * memory": good until the call after the next. */
const char *mbarrier_name(uint32_t at);

#endif
