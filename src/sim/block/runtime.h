/* runtime.h - the simulated GPU inside the child process of a launch: threads, accesses, findings; for the files of
 * this folder that emulate instructions (warp.c, sim/ptx/mma.c, sim/ptx/copy/async.c, ...). sim/abi.h is what kernels
 * see of it. One OS thread runs the thread blocks, those of a cluster or of a cooperative grid together; threads are
 * fibers that run until they must wait. Read next: fiber.h, sched.c (who runs when), home.c (thread blocks that are
 * alive), check.c (what an access means), child.c (the child process). */
#ifndef PAH_SIM_RUNTIME_H
#define PAH_SIM_RUNTIME_H

#include <stdint.h>
#include <stddef.h>

#include "pah_module.h"
#include "sim/abi.h"
#include "fiber.h"

enum {
  SIM_WARP = 32,
  SIM_MAX_THREADS = 1024,
  SIM_MAX_WARPS = SIM_MAX_THREADS / SIM_WARP,
  SIM_AGENTS = 128, /* clocks beside those of the threads: asynchronous agents, one per mbarrier, warpgroup, ... */
  SIM_SHARED_LIMIT = 227 * 1024
};

/* What happened before what: clock[i] is the last step of thread (or agent) i that its holder knows to be over.
 * Immutable once shared; counted. A thread's own step is in struct sim_thread. */
struct sim_clock {
  int64_t references;
  uint64_t content; /* a number that changes whenever the entries do: equal numbers, equal entries */
  uint64_t holds;   /* the content of the clock that was joined into this one last: need not be again */
  uint32_t floor;   /* the least of the threads' entries, or less */
  uint32_t size;    /* entries: threads of the thread block, filled up to whole warps, + SIM_AGENTS */
  uint32_t at[];
};

struct sim_access {
  const void *address;
  uint32_t bytes; /* 1 to 16, or any number of a range */
  uint32_t flags; /* PAH_SIM_READ, WRITE, ATOMIC, VOLATILE; SIM_ASYNC_PROXY; SIM_QUIET: no uninitialised finding */
  int32_t agent;  /* -1: the thread itself; else an agent number */
  const void *pc;
};

/* What each access and each switch needs stands in the first two lines of the cache. */
struct sim_thread {
  struct sim_fiber fiber;
  int32_t lane, team;            /* id % 32; among the warps of all thread blocks that are alive */
  int32_t number;                /* among the threads of all that are alive */
  int32_t state;                 /* enum sim_state */
  struct sim_home *home;         /* its thread block (sched.h) */
  const char *waits_for;         /* for the deadlock report: "__syncthreads", "mbarrier", ... */
  const void *pc;                /* where it entered the runtime last */
  uint64_t write_epoch, use_key; /* what an access at this step leaves (shadow.h) */
  struct sim_clock *clock;       /* what it knows of the others */
  uint32_t step;                 /* its own clock; grows whenever it releases: sim_thread_step */
  uint32_t floor;                /* of its clock, at the last barrier */
  int32_t unset_bytes;           /* of local variables that are watched */
  int32_t flying_sums;           /* sets of sums in its registers that wgmma has not delivered */
  int32_t id, warp;              /* in the thread block: x + y*bx + z*bx*by; id / 32 */
  uint8_t *unset;                /* of each word of its stack, the bytes that nobody has set; NULL: not looked at yet */
  const void *before;            /* pc before its last atomic */
  int32_t line;                  /* of the barrier it waits at */
  uint32_t spin_count;           /* how often in a row a volatile or atomic load has read spin_address */
  const volatile void *spin_address;
  struct sim_clock *fence_clock; /* what it knew at its last __threadfence (later atomics release it); may be NULL */
  struct sim_clock *block_fence_clock;       /* the same of __threadfence_block, for its thread block; may be NULL */
  struct sim_foreign *foreign;               /* what it has acquired of other thread blocks; may be NULL */
  struct pah_sim_dim index;                  /* threadIdx */
  const char *asked_for;                     /* what a test of its own found missing last; NULL: nothing */
  int (*ready)(struct sim_thread *, void *); /* state SIM_WAITING: may it go on? */
  void *ready_data;
  uint64_t result;           /* of a collective or barrier, for sim/abi.h */
  const void *operand;       /* of the tile that it waits with */
  struct sim_access suspect; /* a read that may be a race (check.h), if it has an address; with whom */
  uint64_t suspect_other;
  uint32_t suspect_pc;
  int32_t reduces; /* the result of its next atomic is not used */
} __attribute__((aligned(64)));

void sim_thread_step(struct sim_thread *t);

enum sim_state { SIM_RUNNABLE, SIM_WAITING, SIM_BLOCKED, SIM_EXITED }; /* blocked: until someone readies it */

struct sim_thread *sim_self(void);                  /* the running thread */
struct sim_thread *sim_thread_at(int number);       /* among all that are alive */
int sim_block_threads(void);                        /* threads of a thread block */
int sim_all_threads(void);                          /* of all thread blocks that are alive: numbers are below */
int sim_all_teams(void);                            /* warps of those, a multiple of 4 for each thread block */
int64_t sim_home_index(const struct sim_thread *t); /* of its thread block, as epochs and clocks name it */
int sim_arch(void);                                 /* 80, 90, ... */

/* ---- Findings. The launch goes on after sim_find; sim_fatal ends the thread block's part in the launch. ---- */
void sim_find(const void *pc, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));
void sim_fatal(const void *pc, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* ---- Waiting ---- */
/* Blocks the running thread until ready(thread, data) is true; asked whenever others have run. If nobody can run, the
 * launch ends with the finding "deadlock" that lists every thread's waits_for. */
void sim_wait(const char *waits_for, int (*ready)(struct sim_thread *, void *), void *data);
void sim_yield(void);
void sim_yield_for(const char *waits_for); /* in a loop that waits for this */

/* ---- Warp collectives with operands: the last lane of `mask` to call runs `run` for all of them, then all go on.
 * lanes[i] is the operand that lane i gave, NULL outside mask. `kind` is a name that must agree ("mma.m16n8k16.bf16").
 * Finds a lane outside its own mask, lanes that exited, and kinds that differ. ---- */
struct sim_collective {
  const char *kind;
  unsigned mask;
  int warp, team; /* of the thread block; of all that are alive */
  const void *pc; /* of the last lane */
  void *lanes[SIM_WARP];
  struct sim_thread *threads[SIM_WARP]; /* NULL outside mask */
};
void sim_collective(const char *kind, unsigned mask, void *operand, void (*run)(struct sim_collective *),
                    const void *pc);
/* For instructions that all 32 lanes must execute: fatal when one of them has exited or never was. */
void sim_whole_warp(const struct sim_collective *c);
/* The same for a warpgroup: 4 consecutive warps (wgmma). lanes and threads have 128 entries. */
struct sim_group_collective {
  const char *kind;
  int warpgroup; /* of all that are alive: team / 4 */
  const void *pc;
  void *lanes[4 * SIM_WARP];
  struct sim_thread *threads[4 * SIM_WARP];
};
void sim_group_collective(const char *kind, void *operand, void (*run)(struct sim_group_collective *), const void *pc);

/* ---- Accesses. An access is by a thread or by an agent on its behalf. ---- */
enum { SIM_ASYNC_PROXY = 16, SIM_QUIET = 32 };
/* Checks bounds, alignment, life, initialisation and races, remembers the access. Returns 0 when the memory may really
 * be touched; otherwise a finding has been made and the caller must not touch it. */
int sim_check(struct sim_thread *t, const struct sim_access *a);
/* The same for a plain access of 16 bytes of shared or global memory, aligned. */
int sim_check_chunk(struct sim_thread *t, const uint8_t *p, int writes, const void *pc);
/* A request of the n threads, each for 16 bytes of the own shared memory, or NULL; that becomes NULL after a finding.
 */
void sim_check_rows(struct sim_thread *const *threads, uint8_t **rows, int n, const void *pc);
/* Reads by an agent like `each`, at n places of 16 bytes in the own shared memory; may[i]: 1 if it may be touched. */
void sim_check_chunks(struct sim_thread *t, const struct sim_access *each, const uint8_t *const *at, int n,
                      uint8_t *may);

/* An agent's access happens after what thread t has done so far, and not before anything t does later until t joins:
 * sim_agent_start makes the agent know t's clock and gives a fresh step; sim_join makes t know what the agent has done
 * up to `step`. Accesses of agent a carry its current step. */
int sim_agent_new(struct sim_home *home, const char *name); /* of this thread block; names need not differ */
void sim_agent_free(int agent);
uint32_t sim_agent_start(int agent, struct sim_thread *t); /* t releases to the agent */
uint32_t sim_agent_start_with(int agent, const struct sim_clock *known, struct sim_foreign *foreign);
uint32_t sim_agent_start_again(int agent);                           /* nobody knows more than at its last start */
void sim_agent_join(struct sim_thread *t, int agent, uint32_t step); /* of t's thread block */
/* Release and acquire between threads by way of a variable of the emulator (an mbarrier): what it holds is told apart
 * into what it knows of the thread block that it belongs to, and of others. Either may be NULL: nothing. */
struct sim_known {
  struct sim_clock *clock;
  struct sim_foreign *foreign;
};
void sim_release(struct sim_thread *t, struct sim_clock **into); /* *into becomes the join of itself and t's clock */
void sim_acquire(struct sim_thread *t, const struct sim_clock *from);
void sim_release_to(struct sim_thread *t, const struct sim_home *home, struct sim_known *into);
void sim_acquire_from(struct sim_thread *t, const struct sim_known *from); /* t is of the variable's thread block */
void sim_known_share(struct sim_known *to, const struct sim_known *from);  /* drops what `to` has been */
void sim_known_drop(struct sim_known *k);
void sim_clock_drop(struct sim_clock *c);

/* Shared memory (whole words) that a copy under way will write: until sim_pending_clear a read of it by anyone is the
 * finding async-pending and a write async-overwrite. The bytes hold 0xff meanwhile. See pending.c. */
void sim_pending_set(void *p, uint32_t bytes, const void *pc);
void sim_pending_clear(void *p, uint32_t bytes);

/* Shared memory. An address is a byte, and in a cluster rank * 2^24 + byte. */
uint8_t *sim_shared_base(void);  /* of address 0 */
uint32_t sim_shared_bytes(void); /* of a thread block */
void *sim_shared(uint32_t address, uint32_t bytes,
                 const void *pc); /* of the own thread block; sim_fatal when outside */
void *sim_shared_cluster(uint32_t address, uint32_t bytes, const void *pc); /* of any of the cluster */

/* Counters of the launch, to be added to. */
struct pah_counters *sim_counters(void);
/* ---- What this folder calls of sim/ptx, which is built upon it ---- */
/* At the start of a gang, and at the end of every thread block: async.c keeps its own state there. */
void sim_async_begin(void);
void sim_async_block_end(void);
void sim_async_fence(struct sim_thread *t); /* fence.proxy.async; proxy.c */
/* proxy.c: is a write by `writer` at its step `step` fenced for an asynchronous access on behalf of `reader`, whose
 * agent knows `known` of the writer's steps? */
int sim_proxy_fenced(const struct sim_thread *writer, uint32_t step, const struct sim_thread *reader, uint32_t known);
/* An instruction has set a local variable of the thread; check/locals.c. */
void sim_local_set(struct sim_thread *t, const void *p, uint32_t bytes);
/* The thread reads or writes p on its stack; a finding when that is a sum of wgmma that is not delivered. */
void sim_wgmma_touched(const struct sim_thread *t, const void *p, const void *pc);

#endif
