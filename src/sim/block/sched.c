/* sched.c - runs the thread blocks of a gang: their threads are fibers that go on until they must wait for one another.
 * Which of the runnable ones of all thread blocks is next is the schedule: in order, reverse, or random by seed. When
 * nobody can run, conditions are asked; when none holds, it is a deadlock, and the report says who waits where.
 * Read next: home.c, barrier.c, wide.c, warp.c (what threads wait for), check.c. */
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

struct sim_thread *sim_thread_at(int number) {
  return &sim_block.threads[number];
}

int sim_block_threads(void) {
  return sim_block.count;
}

int sim_all_threads(void) {
  return sim_block.all;
}

int sim_all_teams(void) {
  return sim_block.alive * sim_block.warps;
}

int64_t sim_home_index(const struct sim_thread *t) {
  return t->home->index & SIM_BLOCK_MASK;
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

/* Where in the ring the i-th of the queue stands. */
static int queue_at(int i) {
  const int at = sim_block.queue_first + i;
  return at < sim_block.all ? at : at - sim_block.all;
}

void sim_ready(struct sim_thread *t) {
  struct sim_block *b = &sim_block;
  if (t->state == SIM_RUNNABLE || t->state == SIM_EXITED) return;
  t->state = SIM_RUNNABLE;
  t->waits_for = NULL;
  b->queue[queue_at(b->queue_count++)] = t->number;
}

void sim_ready_lanes(struct sim_thread *const *threads, unsigned lanes, int whole) {
  struct sim_block *b = &sim_block;
  const int in_order = whole && sim_job->launch->schedule == PAH_IN_ORDER;
  while (lanes) {
    const int lane = in_order ? 31 - __builtin_clz(lanes) : __builtin_ctz(lanes);
    struct sim_thread *t = threads[lane];
    lanes &= ~(1u << lane);
    if (!in_order) {
      sim_ready(t);
      continue;
    }
    if (t->state == SIM_RUNNABLE || t->state == SIM_EXITED) continue;
    t->state = SIM_RUNNABLE;
    t->waits_for = NULL;
    b->queue_first = b->queue_first ? b->queue_first - 1 : b->all - 1;
    b->queue[b->queue_first] = t->number;
    b->queue_count++;
  }
}

static inline __attribute__((always_inline)) struct sim_thread *take(void) {
  struct sim_block *b = &sim_block;
  int schedule = sim_job->launch->schedule, last = queue_at(b->queue_count - 1), number;
  if (schedule == PAH_IN_ORDER) {
    number = b->queue[b->queue_first];
    b->queue_first = queue_at(1);
  } else {
    if (schedule == PAH_RANDOM) {
      int at = queue_at((int)(random_next() % (uint64_t)b->queue_count));
      int other = b->queue[at];
      b->queue[at] = b->queue[last];
      b->queue[last] = other;
    }
    number = b->queue[last];
  }
  b->queue_count--;
  return &b->threads[number];
}

/* ---- Threads ---- */

/* Turns in which threads only yield, after which conditions are asked. */
static int64_t idle_enough(void) {
  return 1000 + 200 * (int64_t)sim_block.all;
}

static void to_scheduler(void) {
  sim_fiber_switch(&sim_block.running->fiber, &sim_block.scheduler);
}

/* The running thread goes on to whoever is next; the scheduler is asked only when nobody can run, or all spin. */
static inline __attribute__((always_inline)) void give_way(void) {
  struct sim_block *b = &sim_block;
  struct sim_thread *t = b->running;
  if (!b->queue_count || (b->idle > 1000 && b->idle > idle_enough())) {
    to_scheduler();
    return;
  }
  sim_enter(take());
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

/* Lets the others run first. A thread block in which all only yield for long waits for something that will not come. */
void sim_yield(void) {
  sim_yield_for(its_turn);
}

void sim_yield_for(const char *waits_for) {
  struct sim_thread *t = sim_block.running;
  sim_block.idle++;
  t->state = SIM_BLOCKED;
  t->waits_for = waits_for;
  if (waits_for != its_turn) t->asked_for = waits_for;
  struct sim_block *b = &sim_block;
  t->state = SIM_RUNNABLE; /* at the far end, whatever the schedule, else it would be next again */
  if (sim_job->launch->schedule == PAH_IN_ORDER) {
    b->queue[queue_at(b->queue_count++)] = t->number;
  } else {
    b->queue_first = queue_at(b->all - 1);
    b->queue[b->queue_first] = t->number;
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
  sim_block.left--;
  t->home->exited++;
  sim_warps_exit(t);
  sim_barriers_exit();
  sim_wide_exit(t);
  if (t->home->exited == sim_block.count) sim_home_exit();
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

void sim_thread_main(void) {
  sim_job->entry(arguments);
  pah_sim_exit();
}

/* The values of the arguments, where kernels may read them. */
void sim_copy_arguments(void) {
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

/* ---- The gang ---- */

/* Readies the waiting threads whose condition holds; 0: none. */
static int ask_waiting(void) {
  int woken = 0;
  for (int i = 0; i < sim_block.all; i++) {
    struct sim_thread *t = &sim_block.threads[i];
    if (t->state != SIM_WAITING) continue;
    sim_enter(t);
    if (t->ready(t, t->ready_data)) sim_ready(t), woken++;
  }
  return woken;
}

/* Does the thread wait where the other does? */
static int alike(const struct sim_thread *a, const struct sim_thread *b) {
  return b->state != SIM_EXITED && a->home == b->home && a->waits_for == b->waits_for && a->line == b->line &&
         a->asked_for == b->asked_for;
}

/* It looks at memory, as far as is known. */
static int is_free(const struct sim_thread *t) {
  return !t->waits_for || t->waits_for == its_turn;
}

/* "64 threads in __syncthreads (line 12), 1 in mbarrier": what everybody waits for. */
static void describe_waiting(char *text, size_t bytes) {
  size_t n = 0;
  const struct sim_block *b = &sim_block;
  char *done = calloc((size_t)b->all, 1), of[48] = "";
  text[0] = 0;
  for (int i = 0; i < b->all && done && n + 1 < bytes; i++) {
    const struct sim_thread *t = &b->threads[i];
    if (done[i] || t->state == SIM_EXITED) continue;
    int count = 0;
    for (int j = i, end = (t->home->slot + 1) * b->count; j < end; j++)
      if (!done[j] && alike(t, &b->threads[j])) done[j] = 1, count++;
    if (b->alive > 1) snprintf(of, sizeof of, " of thread block %lld", (long long)t->home->index);
    n += (size_t)snprintf(text + n, bytes - n, "%s%d thread%s%s (first %d) in %s", n ? ", " : "", count,
                          count == 1 ? "" : "s", of, t->id, t->waits_for ? t->waits_for : "nothing");
    if (t->line && n < bytes) n += (size_t)snprintf(text + n, bytes - n, " (line %d)", t->line);
    if (is_free(t) && t->asked_for && n < bytes)
      n += (size_t)snprintf(text + n, bytes - n, " after a test of %s", t->asked_for);
  }
  free(done);
}

static void standstill(const char *code, const char *what) {
  char text[400];
  describe_waiting(text, sizeof text);
  int first = 0;
  while (first + 1 < sim_block.all && sim_block.threads[first].state == SIM_EXITED) first++;
  sim_enter(&sim_block.threads[first]);
  sim_find(sim_block.running->pc, code, "%s: %s", what, text);
  sim_block.fatal = 1;
}

/* Does everybody wait for something that only threads that are alive can do? Else someone looks at memory. */
static int all_wait(void) {
  for (int i = 0; i < sim_block.all; i++) {
    const struct sim_thread *t = &sim_block.threads[i];
    if (t->state != SIM_EXITED && is_free(t)) return 0;
  }
  return 1;
}

static void stand_or_spin(void) {
  if (all_wait())
    standstill("deadlock", "nobody can go on");
  else if (sim_job->launch->cooperative)
    standstill("livelock", "threads spin for something that nobody in the grid will do");
  else if (sim_block.alive > 1)
    standstill("livelock", "threads spin for something that nobody in this cluster will do (clusters run one after "
                           "another on sim)");
  else
    standstill("livelock", "threads spin for something that nobody in this thread block will do (thread blocks run one "
                           "after another on sim)");
}

void sim_run_gang(int64_t gang) {
  struct sim_block *b = &sim_block;
  sim_gang_begin(gang);
  while (b->left && !b->fatal) {
    if (b->queue_count) {
      if (b->idle > idle_enough()) {
        if (ask_waiting())
          b->idle = 0;
        else if (b->idle > 100000 + 2000 * (int64_t)b->all)
          stand_or_spin();
        if (b->fatal) break;
      }
      sim_enter(take());
      sim_fiber_switch(&b->scheduler, &b->running->fiber);
    } else if (!ask_waiting() && !sim_warps_standstill() && !sim_barriers_standstill()) {
      standstill("deadlock", "nobody can go on");
    }
  }
  sim_gang_end();
}
