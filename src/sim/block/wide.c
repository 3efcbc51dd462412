/* wide.c - barriers of threads of several thread blocks: that of a cluster, which has two halves (arrive, wait), and
 * that of a cooperative grid. Threads that have ended are not waited for: PTX says so of a cluster; of a grid it is the
 * finding barrier-exited. Who arrives with release hands on all that it knows; who waits is given what all handed on.
 * One that only waits still knows that all thread blocks have begun. Findings: cluster-barrier, grid-sync.
 * Read next: barrier.c, cluster.c. */
#include <stdlib.h>
#include <string.h>

#include "sim/check/check.h"
#include "sim/check/clock.h"
#include "sim/check/counters.h"
#include "sched.h"

struct wide {
  struct sim_home *first;
  int homes;
  int64_t arrived, phase;      /* threads in this phase; phases completed */
  int64_t released;            /* threads that arrived with release */
  struct sim_clock **clocks;   /* of each home: what those know; NULL: nothing */
  struct sim_foreign *foreign; /* and of others */
  struct sim_foreign *met;     /* what whoever waits for the last completed phase is given */
};
static struct wide *clusters, grid;
static void open_all(void);
static struct state { /* of a thread, at its cluster's barrier and the grid's */
  int64_t phase;      /* that it has arrived at, */
  int has_arrived;    /* and not yet waited for */
  int waits;
} * states;

static void *room(size_t count, size_t each) {
  void *p = calloc(count, each);
  if (!p) sim_give_up("no memory left for the barriers of clusters");
  return p;
}

/* At the first use: most kernels have no such barrier. */
static void open_all(void) {
  const int n = sim_block.alive;
  clusters = room((size_t)n, sizeof *clusters);
  states = room((size_t)sim_block.all, 2 * sizeof *states);
  for (int i = 0; i < n; i++) clusters[i].clocks = room((size_t)sim_block.cluster, sizeof(struct sim_clock *));
  grid.clocks = room((size_t)n, sizeof(struct sim_clock *));
  sim_wide_reset();
}

static void forget(struct wide *w) {
  for (int i = 0; i < w->homes; i++) {
    sim_clock_drop(w->clocks[i]);
    w->clocks[i] = NULL;
  }
  sim_foreign_drop(w->foreign);
  w->foreign = NULL;
  w->arrived = w->released = 0;
}

static void reset(struct wide *w, struct sim_home *first, int homes) {
  forget(w);
  sim_foreign_drop(w->met);
  w->met = NULL;
  w->phase = 0;
  w->first = first;
  w->homes = homes;
}

void sim_wide_reset(void) {
  if (!states) return;
  for (int i = 0; i < sim_block.alive / sim_block.cluster; i++)
    reset(&clusters[i], &sim_block.homes[i * sim_block.cluster], sim_block.cluster);
  reset(&grid, sim_block.homes, sim_block.alive);
  memset(states, 0, (size_t)sim_block.all * 2 * sizeof *states);
}

static struct wide *cluster_of(const struct sim_thread *t) {
  if (!states) open_all();
  return &clusters[t->home->slot / sim_block.cluster];
}

static struct state *state_of(const struct wide *w, const struct sim_thread *t) {
  return &states[2 * t->number + (w == &grid)];
}

static int64_t expected(const struct wide *w) {
  int64_t n = (int64_t)w->homes * sim_block.count;
  for (int i = 0; i < w->homes; i++) n -= w->first[i].exited;
  return n;
}

/* What all have handed on, as one: of every thread block at least that it has begun. */
static struct sim_foreign *all_of(struct wide *w) {
  struct sim_foreign *all = sim_foreign_share(w->foreign);
  for (int i = 0; i < w->homes; i++) {
    struct sim_clock *clock = w->clocks[i];
    if (!clock) clock = sim_clock_new((uint32_t)(sim_block.first_agent + SIM_AGENTS));
    if (w->released == (int64_t)w->homes * sim_block.count) sim_clock_floor(clock, sim_block.count);
    w->clocks[i] = clock;
    struct sim_foreign *one = sim_foreign_one(w->first[i].index & SIM_BLOCK_MASK, clock),
                       *both = sim_foreign_join(all, one);
    sim_foreign_drop(all);
    sim_foreign_drop(one);
    all = both;
  }
  return all;
}

static void complete(struct wide *w) {
  sim_foreign_drop(w->met);
  w->met = all_of(w);
  forget(w);
  w->phase++;
  for (int h = 0; h < w->homes; h++) {
    const int slot = w->first[h].slot;
    for (int i = 0; i < sim_block.warps && sim_counting; i++) sim_count_flush(slot * sim_block.warps + i);
    for (int i = 0; i < sim_block.count; i++) {
      struct sim_thread *t = &sim_block.threads[slot * sim_block.count + i];
      if (state_of(w, t)->waits) sim_ready(t);
      state_of(w, t)->waits = 0;
    }
  }
  sim_block.idle = 0;
  sim_result->counters.barriers++;
}

static void open_if_all(struct wide *w, const void *pc) {
  const int64_t all = (int64_t)w->homes * sim_block.count, there = expected(w);
  if (!w->arrived || w->arrived != there) return;
  if (w == &grid && there < all)
    sim_find(pc, "barrier-exited",
             "%lld of the %lld threads of the grid ended without coming to the barrier of the grid",
             (long long)(all - there), (long long)all);
  complete(w);
}

static void release(struct wide *w, struct sim_thread *t) {
  struct sim_known known = {w->clocks[t->home - w->first], w->foreign};
  sim_release_to(t, t->home, &known);
  w->clocks[t->home - w->first] = known.clock;
  w->foreign = known.foreign;
  w->released++;
}

static void arrive(struct wide *w, struct sim_thread *t, int releases) {
  struct state *s = state_of(w, t);
  sim_suspect_look(t);
  *s = (struct state){.phase = w->phase, .has_arrived = 1};
  if (releases) release(w, t);
  w->arrived++;
  open_if_all(w, t->pc);
}

static void wait_for(struct wide *w, struct sim_thread *t, const char *name) {
  struct state *s = state_of(w, t);
  if (s->phase == w->phase) {
    s->waits = 1;
    sim_block_here(name);
  }
  s->has_arrived = 0;
  t->spin_count = 0;
  sim_acquire(t, sim_foreign_find(w->met, t->home->index & SIM_BLOCK_MASK));
  sim_foreign_learn(&t->foreign, w->met);
  t->floor = t->clock->floor;
}

void sim_wide_exit(struct sim_thread *t) {
  if (!states) return;
  struct wide *const both[] = {cluster_of(t), &grid};
  for (int i = 0; i < 2; i++) {
    struct wide *w = both[i];
    if (state_of(w, t)->has_arrived && state_of(w, t)->phase == w->phase) w->arrived--; /* it is not expected either */
    open_if_all(w, t->pc);
  }
}

/* ---- What kernels call ---- */

static void arrive_once(struct wide *w, int releases, const char *name, int line, const void *pc) {
  struct sim_thread *t = sim_self();
  t->pc = pc;
  t->line = line;
  if (state_of(w, t)->has_arrived)
    sim_fatal(pc, "cluster-barrier", "arrives at %s for the second time without having waited", name);
  arrive(w, t, releases);
  t->line = 0;
}

static void wait_once(struct wide *w, const char *name, int line, const void *pc) {
  struct sim_thread *t = sim_self();
  t->pc = pc;
  t->line = line;
  if (!state_of(w, t)->has_arrived) sim_fatal(pc, "cluster-barrier", "waits at %s without having arrived", name);
  wait_for(w, t, name);
  t->line = 0;
}

static const char cluster_name[] = "the barrier of the cluster", grid_name[] = "the barrier of the grid";

void pah_sim_cluster_arrive(int releases, int line) {
  arrive_once(cluster_of(sim_self()), releases, cluster_name, line, __builtin_return_address(0));
}

void pah_sim_cluster_wait(int line) {
  wait_once(cluster_of(sim_self()), cluster_name, line, __builtin_return_address(0));
}

int pah_sim_is_cooperative(void) {
  return sim_job->launch->cooperative;
}

void pah_sim_grid_arrive(int line) {
  const void *pc = __builtin_return_address(0);
  if (!sim_job->launch->cooperative)
    sim_fatal(pc, "grid-sync", "grid.sync() in a launch that is not cooperative: launch with cooperative = true");
  if (!states) open_all();
  arrive_once(&grid, 1, grid_name, line, pc);
}

void pah_sim_grid_wait(int line) {
  const void *pc = __builtin_return_address(0);
  if (!states) open_all();
  wait_once(&grid, grid_name, line, pc);
}
