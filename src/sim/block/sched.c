/* sched.c - runs one thread block: its threads are fibers that go on until they must wait for one another. Which of the
 * runnable ones is next is the schedule: in order, reverse, or random by seed. When nobody can run, conditions are
 * asked; when none holds, it is a deadlock, and the report says who waits where.
 * Read next: barrier.c, warp.c (what threads wait for), check.c. */
#include "sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/check/check.h"
#include "sim/check/clock.h"
#include "sim/check/shadow.h"

struct sim_block sim_block;

struct sim_thread *sim_self(void) {
  return sim_block.running;
}

struct sim_thread *sim_thread_at(int id) {
  return &sim_block.threads[id];
}

int sim_block_threads(void) {
  return sim_block.count;
}

int64_t sim_block_index(void) {
  return sim_block.index;
}

int sim_arch(void) {
  return sim_job->arch;
}

/* ---- The queue ---- */

/* splitmix64: enough to shuffle with. */
static uint64_t random_next(void) {
  uint64_t z = sim_block.random += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void sim_ready(struct sim_thread *t) {
  struct sim_block *b = &sim_block;
  if (t->state == SIM_RUNNABLE || t->state == SIM_EXITED) return;
  t->state = SIM_RUNNABLE;
  t->waits_for = NULL;
  b->queue[(b->queue_first + b->queue_count++) % SIM_MAX_THREADS] = t->id;
}

static struct sim_thread *take(void) {
  struct sim_block *b = &sim_block;
  int schedule = sim_job->launch->schedule;
  int last = (b->queue_first + b->queue_count - 1) % SIM_MAX_THREADS, id;
  if (schedule == PAH_IN_ORDER) {
    id = b->queue[b->queue_first];
    b->queue_first = (b->queue_first + 1) % SIM_MAX_THREADS;
  } else {
    if (schedule == PAH_RANDOM) {
      int at = (b->queue_first + (int)(random_next() % (uint64_t)b->queue_count)) % SIM_MAX_THREADS;
      int other = b->queue[at];
      b->queue[at] = b->queue[last];
      b->queue[last] = other;
    }
    id = b->queue[last];
  }
  b->queue_count--;
  return &b->threads[id];
}

/* ---- Threads ---- */

/* Turns in which threads only yield, after which conditions are asked. */
static int64_t idle_enough(void) {
  return 1000 + 200 * (int64_t)sim_block.count;
}

static void to_scheduler(void) {
  sim_fiber_switch(&sim_block.running->fiber, &sim_block.scheduler);
}

/* The running thread goes on to whoever is next; the scheduler is asked only when nobody can run, or all spin. */
static void give_way(void) {
  struct sim_block *b = &sim_block;
  struct sim_thread *t = b->running;
  if (!b->queue_count || b->idle > idle_enough()) {
    to_scheduler();
    return;
  }
  b->running = take();
  if (b->running != t) sim_fiber_switch(&t->fiber, &b->running->fiber);
}

void sim_block_here(const char *waits_for) {
  sim_block.running->state = SIM_BLOCKED;
  sim_block.running->waits_for = waits_for;
  give_way();
}

void sim_wait(const char *waits_for, int (*ready)(struct sim_thread *, void *), void *data) {
  struct sim_thread *t = sim_block.running;
  if (ready(t, data)) return;
  t->state = SIM_WAITING;
  t->waits_for = waits_for;
  t->ready = ready;
  t->ready_data = data;
  give_way();
}

static const char its_turn[] = "its turn";

/* Lets the others run first. A block in which all only yield for long waits for something that will not come. */
void sim_yield(void) {
  sim_yield_for(its_turn);
}

void sim_yield_for(const char *waits_for) {
  struct sim_thread *t = sim_block.running;
  sim_block.idle++;
  t->state = SIM_BLOCKED;
  t->waits_for = waits_for;
  struct sim_block *b = &sim_block;
  t->state = SIM_RUNNABLE; /* at the far end, whatever the schedule, else it would be next again */
  if (sim_job->launch->schedule == PAH_IN_ORDER) {
    b->queue[(b->queue_first + b->queue_count++) % SIM_MAX_THREADS] = t->id;
  } else {
    b->queue_first = (b->queue_first + SIM_MAX_THREADS - 1) % SIM_MAX_THREADS;
    b->queue[b->queue_first] = t->id;
    b->queue_count++;
  }
  give_way();
}

void sim_leave(void) {
  sim_block.fatal = 1;
  to_scheduler();
  abort(); /* never: the scheduler does not come back */
}

void pah_sim_exit(void) {
  struct sim_thread *t = sim_block.running;
  if (sim_deferred_address) sim_deferred_look(); /* there may be no later access to look before */
  sim_suspect_look(t);
  t->state = SIM_EXITED;
  sim_block.exited++;
  sim_warps_exit(t);
  sim_barriers_exit();
  give_way();
  abort();
}

void sim_thread_step(struct sim_thread *t) {
  t->step++;
  t->write_epoch += EPOCH(0, 0, 1);
  t->use_key += EPOCH(0, 0, 1);
}

static void *arguments[PAH_MAX_PARAMETERS];
static uint8_t argument_values[64 * 1024] __attribute__((aligned(64)));

int sim_is_argument(const void *p) {
  return (const uint8_t *)p >= argument_values && (const uint8_t *)p < argument_values + sizeof argument_values;
}

static void thread_main(void) {
  sim_job->entry(arguments);
  pah_sim_exit();
}

/* The values of the arguments, where kernels may read them. */
static void copy_arguments(void) {
  uint8_t *values = argument_values;
  size_t at = 0;
  for (int i = 0; i < sim_job->signature->count; i++) {
    size_t size = (size_t)sim_job->signature->size[i];
    at = (at + 63) / 64 * 64; /* a struct may ask for any alignment up to that of a tensor map */
    if (at + size > sizeof argument_values) sim_give_up("the arguments are larger than 64 KiB");
    memcpy(values + at, sim_job->launch->args[i], size);
    arguments[i] = values + at;
    at += size;
  }
}

/* ---- The block ---- */

static struct pah_sim_dim dim(const int64_t *n) {
  return (struct pah_sim_dim){(unsigned)n[0], (unsigned)n[1], (unsigned)n[2]};
}

static void begin(int64_t index) {
  struct sim_block *b = &sim_block;
  const int64_t *grid = sim_job->launch->grid, *block = sim_job->launch->block;
  static int opened;
  b->count = (int)(block[0] * block[1] * block[2]);
  if (!opened) {
    static struct sim_fiber fibers[SIM_MAX_THREADS];
    if (sim_fibers_new(fibers, b->count)) sim_give_up("no memory for the stacks of the threads");
    for (int i = 0; i < b->count; i++) b->threads[i].fiber = fibers[i];
    b->random = sim_job->launch->seed;
    b->block_dim = dim(block);
    b->grid_dim = dim(grid);
    copy_arguments();
    opened = 1;
  }
  b->index = index;
  b->at = (struct pah_sim_dim){(unsigned)(index % grid[0]), (unsigned)(index / grid[0] % grid[1]),
                               (unsigned)(index / grid[0] / grid[1])};
  b->exited = b->queue_count = b->queue_first = 0;
  b->idle = 0;
  b->first_agent = (b->count + SIM_WARP - 1) / SIM_WARP * SIM_WARP;
  struct sim_clock *clock = sim_clock_new((uint32_t)sim_agent_id(SIM_AGENTS));
  for (int i = 0; i < b->count; i++) {
    struct sim_thread *t = &b->threads[i];
    struct sim_fiber fiber = t->fiber;
    *t = (struct sim_thread){.fiber = fiber, .id = i, .lane = i % SIM_WARP, .warp = i / SIM_WARP};
    t->write_epoch = EPOCH(index & SIM_BLOCK_MASK, i, 0);
    t->use_key = EPOCH(index & SIM_BLOCK_MASK, t->warp * SIM_WARP, 0);
    sim_thread_step(t);
    t->index = (struct pah_sim_dim){(unsigned)(i % block[0]), (unsigned)(i / block[0] % block[1]),
                                    (unsigned)(i / block[0] / block[1])};
    t->clock = sim_clock_share(clock);
    t->state = SIM_BLOCKED;
    sim_fiber_start(&t->fiber, thread_main);
    sim_ready(t);
  }
  sim_clock_drop(clock);
}

static void end(void) {
  for (int i = 0; i < sim_block.count; i++) {
    sim_suspect_look(&sim_block.threads[i]);
    sim_locals_end(&sim_block.threads[i]);
    sim_clock_drop(sim_block.threads[i].clock);
    sim_clock_drop(sim_block.threads[i].fence_clock);
    sim_clock_drop(sim_block.threads[i].block_fence_clock);
    sim_foreign_drop(sim_block.threads[i].foreign);
  }
  sim_result->counters.thread_blocks++;
  sim_result->counters.threads += sim_block.count;
}

/* Readies the waiting threads whose condition holds; 0: none. */
static int ask_waiting(void) {
  int woken = 0;
  for (int i = 0; i < sim_block.count; i++) {
    struct sim_thread *t = &sim_block.threads[i];
    if (t->state != SIM_WAITING) continue;
    sim_block.running = t;
    if (t->ready(t, t->ready_data)) sim_ready(t), woken++;
  }
  return woken;
}

/* "64 threads in __syncthreads (line 12), 1 in mbarrier": what everybody waits for. */
static void describe_waiting(char *text, size_t bytes) {
  size_t n = 0;
  char done[SIM_MAX_THREADS] = {0};
  text[0] = 0;
  for (int i = 0; i < sim_block.count && n + 1 < bytes; i++) {
    struct sim_thread *t = &sim_block.threads[i];
    if (done[i] || t->state == SIM_EXITED) continue;
    int alike = 0;
    for (int j = i; j < sim_block.count; j++) {
      struct sim_thread *other = &sim_block.threads[j];
      if (other->state == SIM_EXITED || other->waits_for != t->waits_for || other->line != t->line) continue;
      done[j] = 1;
      alike++;
    }
    n += (size_t)snprintf(text + n, bytes - n, "%s%d thread%s (first %d) in %s", n ? ", " : "", alike,
                          alike == 1 ? "" : "s", i, t->waits_for ? t->waits_for : "nothing");
    if (t->line && n < bytes) n += (size_t)snprintf(text + n, bytes - n, " (line %d)", t->line);
  }
}

static void standstill(const char *code, const char *what) {
  char text[400];
  describe_waiting(text, sizeof text);
  int first = 0;
  while (first + 1 < sim_block.count && sim_block.threads[first].state == SIM_EXITED) first++;
  sim_block.running = &sim_block.threads[first];
  sim_find(sim_block.running->pc, code, "%s: %s", what, text);
  sim_block.fatal = 1;
}

/* Does everybody wait for something that only threads of this block can do? Else someone looks at memory. */
static int all_wait(void) {
  for (int i = 0; i < sim_block.count; i++) {
    const struct sim_thread *t = &sim_block.threads[i];
    if (t->state != SIM_EXITED && (!t->waits_for || t->waits_for == its_turn)) return 0;
  }
  return 1;
}

static void stand_or_spin(void) {
  if (all_wait())
    standstill("deadlock", "nobody can go on");
  else
    standstill("livelock", "threads spin for something that nobody in this thread block will do (thread blocks run one "
                           "after another on sim)");
}

void sim_run_block(int64_t index) {
  struct sim_block *b = &sim_block;
  begin(index);
  sim_shadow_block();
  sim_barriers_reset();
  sim_warps_reset();
  sim_sync_reset();
  sim_async_block_begin();
  while (b->exited < b->count && !b->fatal) {
    if (b->queue_count) {
      if (b->idle > idle_enough()) {
        if (ask_waiting())
          b->idle = 0;
        else if (b->idle > 100000 + 2000 * (int64_t)b->count)
          stand_or_spin();
        if (b->fatal) break;
      }
      b->running = take();
      sim_fiber_switch(&b->scheduler, &b->running->fiber);
    } else if (!ask_waiting() && !sim_warps_standstill() && !sim_barriers_standstill()) {
      standstill("deadlock", "nobody can go on");
    }
  }
  if (!b->fatal) sim_async_block_end();
  end();
}
