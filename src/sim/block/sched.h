/* sched.h - the thread blocks that are alive together, a "gang": one, or those of a cluster, or a cooperative grid. Who
 * may run, what they wait for. See home.c (the thread blocks), sched.c (whose turn it is), wide.c (barriers over
 * several). */
#ifndef PAH_SIM_SCHED_H
#define PAH_SIM_SCHED_H

#include "job.h"

struct sim_agent {
  const char *name;
  uint32_t step;
  struct sim_clock *clock;     /* what it knows of its thread block, */
  struct sim_foreign *foreign; /* and of others; may be NULL */
  int used;
};

/* A thread block that is alive. Those of a cluster have slots in a row. */
struct sim_home {
  int64_t index;             /* linear; the number of this thread block in the order of the launch */
  struct pah_sim_dim at;     /* blockIdx */
  struct pah_sim_dim inside; /* its place in the cluster */
  int slot, rank;            /* among all that are alive; in the cluster */
  int exited;                /* threads */
  int published;             /* it has released something by a variable in memory */
  uint8_t *window;           /* its shared memory */
  struct sim_home *first;    /* of its cluster: rank 0 */
  struct sim_visit *visits;  /* by others of the cluster to its shared memory (cluster.c); NULL: none */
  struct sim_loan *loans;    /* of its shared memory to asynchronous reads of others; NULL: none */
  struct sim_agent agents[SIM_AGENTS];
};

struct sim_block {
  struct sim_home *homes, *here; /* alive; that of the running thread */
  int alive, cluster;            /* thread blocks alive; of a cluster, 1 without */
  struct sim_thread *threads;    /* of all homes, by number */
  int count, warps;              /* of a thread block; warps: filled up to whole warpgroups */
  int all, left;                 /* threads of all homes; those that have not ended */
  int first_agent;               /* whose entry in clocks is the first behind those of whole warps */
  struct pah_sim_dim block_dim, grid_dim, cluster_dim;
  struct sim_thread *running;
  struct sim_fiber scheduler;
  int *queue; /* runnable threads by number, a ring of `all` */
  int queue_first, queue_count;
  int fatal;    /* the launch ends with this gang */
  int64_t idle; /* rounds in which threads only yielded */
  uint64_t random;
};
extern struct sim_block sim_block;

/* What the kernel's object adds its offsets to (sim/compile/build.c): the window of the running thread. */
extern uint8_t *pah_sim_window;
extern uint64_t sim_shared_size; /* of it */
extern int sim_window_shift;
static inline uint64_t sim_window_bytes(void) { /* from one window to the next */
  return (uint64_t)1 << sim_window_shift;
}

/* The thread runs, or is looked at as if it did. */
static inline void sim_enter(struct sim_thread *t) {
  sim_block.running = t;
  if (t->home == sim_block.here) return;
  sim_block.here = t->home;
  pah_sim_window = t->home->window;
}

/* An agent's number says whose it is, too. */
static inline int sim_agent_id(int agent) {
  return sim_block.first_agent + agent % SIM_AGENTS;
}
static inline struct sim_home *sim_agent_home(int agent) {
  return &sim_block.homes[agent / SIM_AGENTS];
}
static inline struct sim_agent *sim_agent_at(int agent) {
  return &sim_agent_home(agent)->agents[agent % SIM_AGENTS];
}

/* home.c */
void sim_homes_open(void);    /* once per launch; sim_give_up when there is no room */
int64_t sim_gang_count(void); /* of the launch */
void sim_gang_begin(int64_t gang);
void sim_gang_end(void);
void sim_home_exit(void);                    /* the last thread of the running thread block has ended */
struct sim_home *sim_home_of(int64_t block); /* alive, by its index as epochs name it; NULL: none */
struct sim_home *sim_home_at(const void *p); /* whose window p is in; p is shared memory */

void sim_copy_arguments(void); /* once per launch */
void sim_run_gang(int64_t gang);
/* The same of lanes of a warp. Those of a whole one are next if threads go in order: what they touch is near. */
void sim_ready_lanes(struct sim_thread *const *threads, unsigned lanes, int whole);
void sim_ready(struct sim_thread *t);           /* puts a blocked thread into the queue */
void sim_block_here(const char *waits_for);     /* the running thread gives way until someone readies it */
void sim_leave(void) __attribute__((noreturn)); /* ends the gang's run; from a thread */
void sim_thread_main(void);                     /* what a fiber runs */

/* barrier.c and warp.c: state of a thread block, and what an exit of a thread or a standstill means to them. */
void sim_barriers_open(void);
void sim_barriers_reset(void);
void sim_barriers_exit(void);
int sim_barriers_standstill(void); /* 1: something could go on after a finding */
void sim_warps_open(void);
void sim_warps_reset(void);
void sim_warps_exit(struct sim_thread *t);
int sim_warps_standstill(void);
/* The clock that knows all that the n threads have done; their steps go on. */
void sim_clocks_meet(struct sim_thread **threads, int n);

/* wide.c: barriers of a cluster and of the grid. */
void sim_wide_reset(void);
void sim_wide_exit(struct sim_thread *t);

/* sync.c: an access to a variable that may order threads; see sim/abi.h for flags and order. */
void sim_order(struct sim_thread *t, const volatile void *p, int flags, int order);

/* Is it worth while to remember what this thread block, as epochs name it, has used: may it yet release something? */
void sim_mark_released(int64_t block, int may);

/* cluster.c: what is done to the shared memory of other thread blocks of the cluster. */
struct sim_access;
/* May an access outside the own window be? Returns 0, or -1 after a finding. sim_visit remembers that it was. */
int sim_may_visit(const struct sim_thread *t, const struct sim_access *a);
int sim_visit(struct sim_thread *t, const struct sim_access *a);
/* The agent reads the running thread block's memory until it is over; its home is another one. */
void sim_lend(int agent, uint32_t bytes, const void *pc);
void sim_visits_end(struct sim_home *home); /* its threads have ended: has all of this before? */
void sim_visits_forget(struct sim_home *home);

#endif
