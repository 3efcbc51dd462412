/* sched.h - the running thread block: its threads, who may run, what they wait for. See sched.c. */
#ifndef PAH_SIM_SCHED_H
#define PAH_SIM_SCHED_H

#include "job.h"

struct sim_block {
  struct sim_thread threads[SIM_MAX_THREADS];
  int count, exited;
  int first_agent;                            /* whose entry in clocks is the first behind those of whole warps */
  int64_t index;                              /* linear; the number of this block in the order of the launch */
  struct pah_sim_dim at, block_dim, grid_dim; /* blockIdx, ... */
  struct sim_thread *running;
  struct sim_fiber scheduler;
  int queue[SIM_MAX_THREADS]; /* runnable threads, a ring */
  int queue_first, queue_count;
  int fatal;    /* the launch ends with this block */
  int64_t idle; /* rounds in which threads only yielded */
  uint64_t random;
};
extern struct sim_block sim_block;

static inline int sim_agent_id(int agent) {
  return sim_block.first_agent + agent;
}

void sim_run_block(int64_t index);
void sim_ready(struct sim_thread *t);           /* puts a blocked thread into the queue */
void sim_block_here(const char *waits_for);     /* the running thread gives way until someone readies it */
void sim_leave(void) __attribute__((noreturn)); /* ends the thread block's run; from a thread */

/* barrier.c and warp.c: state of a thread block, and what an exit of a thread or a standstill means to them. */
void sim_barriers_reset(void);
void sim_barriers_exit(void);
int sim_barriers_standstill(void); /* 1: something could go on after a finding */
void sim_warps_reset(void);
void sim_warps_exit(struct sim_thread *t);
int sim_warps_standstill(void);
/* The clock that knows all that the n threads have done; their steps go on. */
void sim_clocks_meet(struct sim_thread **threads, int n);

/* sync.c: an access to a variable that may order threads; see sim/abi.h for flags and order. */
void sim_order(struct sim_thread *t, const volatile void *p, int flags, int order);

#endif
