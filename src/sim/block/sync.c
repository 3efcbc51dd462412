/* sync.c - what orders accesses beside barriers: fences with atomics, variables of the emulator (mbarriers), agents
 * that do asynchronous work on behalf of threads. Read next: check.c (what order means), sim/ptx/copy/async.c. */
#include <stdlib.h>
#include <string.h>

#include "sim/check/check.h"
#include "sched.h"
#include "sim/check/clock.h"
#include "sim/check/shadow.h"

/* ---- Agents ---- */

int sim_agent_new(struct sim_home *home, const char *name) {
  for (int i = 0; i < SIM_AGENTS; i++) {
    struct sim_agent *agent = &home->agents[i];
    if (agent->used) continue;
    /* Its steps go on, so that old accesses are never taken for new ones. */
    *agent = (struct sim_agent){.name = name, .step = agent->step + 1, .used = 1};
    agent->clock = sim_clock_new((uint32_t)(sim_block.first_agent + SIM_AGENTS));
    return home->slot * SIM_AGENTS + i;
  }
  sim_fatal(sim_self()->pc, "unsupported", "more than %d mbarriers and asynchronous operations at once", SIM_AGENTS);
}

void sim_agent_free(int agent) {
  struct sim_agent *a = sim_agent_at(agent);
  sim_clock_drop(a->clock);
  sim_foreign_drop(a->foreign);
  a->clock = NULL;
  a->foreign = NULL;
  a->used = 0;
}

uint32_t sim_agent_start(int agent, struct sim_thread *t) {
  struct sim_agent *a = sim_agent_at(agent);
  struct sim_known known = {a->clock, a->foreign};
  sim_release_to(t, sim_agent_home(agent), &known);
  a->clock = known.clock;
  a->foreign = known.foreign;
  return ++a->step;
}

uint32_t sim_agent_start_with(int agent, const struct sim_clock *known, struct sim_foreign *foreign) {
  struct sim_agent *a = sim_agent_at(agent);
  sim_clock_max(sim_clock_own(&a->clock), known);
  sim_foreign_learn(&a->foreign, foreign);
  return ++a->step;
}

uint32_t sim_agent_start_again(int agent) {
  return ++sim_agent_at(agent)->step;
}

void sim_agent_join(struct sim_thread *t, int agent, uint32_t step) {
  sim_clock_learn(&t->clock, (uint32_t)sim_agent_id(agent), step);
}

/* ---- Release and acquire ---- */

void sim_release(struct sim_thread *t, struct sim_clock **into) {
  if (*into)
    sim_clock_max(sim_clock_own(into), t->clock);
  else
    *into = sim_clock_copy(t->clock);
  sim_clock_raise(sim_clock_own(into), (uint32_t)t->id, t->step);
  sim_thread_step(t);
}

void sim_acquire(struct sim_thread *t, const struct sim_clock *from) {
  if (from) sim_clock_join(&t->clock, from);
}

/* What another thread block releases is foreign here, but for what it knows of this one. */
static void release_abroad(struct sim_thread *t, const struct sim_home *home, struct sim_known *into) {
  struct sim_clock *own = NULL;
  sim_release(t, &own);
  struct sim_foreign *one = sim_foreign_one(t->home->index & SIM_BLOCK_MASK, own);
  sim_foreign_learn(&into->foreign, one);
  sim_foreign_drop(one);
  sim_clock_drop(own);
  const struct sim_clock *home_clock = sim_foreign_find(t->foreign, home->index & SIM_BLOCK_MASK);
  if (!home_clock) return;
  if (into->clock)
    sim_clock_max(sim_clock_own(&into->clock), home_clock);
  else
    into->clock = sim_clock_copy(home_clock);
}

void sim_release_to(struct sim_thread *t, const struct sim_home *home, struct sim_known *into) {
  if (t->foreign) sim_foreign_learn(&into->foreign, t->foreign);
  if (t->home == home)
    sim_release(t, &into->clock);
  else
    release_abroad(t, home, into);
}

void sim_acquire_from(struct sim_thread *t, const struct sim_known *from) {
  sim_acquire(t, from->clock);
  if (from->foreign) sim_foreign_learn(&t->foreign, from->foreign);
}

void sim_known_share(struct sim_known *to, const struct sim_known *from) {
  const struct sim_known shared = {sim_clock_share(from->clock), sim_foreign_share(from->foreign)};
  sim_known_drop(to);
  *to = shared;
}

void sim_known_drop(struct sim_known *k) {
  sim_clock_drop(k->clock);
  sim_foreign_drop(k->foreign);
  *k = (struct sim_known){NULL, NULL};
}

/* A fence of block scope orders for other thread blocks only what one of a wider scope has ordered before. */
void pah_sim_fence(int scope) {
  struct sim_thread *t = sim_self();
  if (scope == PAH_SIM_FENCE_PROXY_ASYNC) {
    sim_async_fence(t);
    return;
  }
  struct sim_clock **clock = scope == PAH_SIM_FENCE_BLOCK ? &t->block_fence_clock : &t->fence_clock;
  sim_clock_drop(t->block_fence_clock);
  t->block_fence_clock = NULL;
  if (scope != PAH_SIM_FENCE_BLOCK) sim_clock_drop(t->fence_clock), t->fence_clock = NULL;
  sim_release(t, clock);
}

/* Variables that atomics have released something by: address -> what. Global ones live as long as the launch. */
enum { BUCKETS = 4096 };
static struct variable {
  const volatile void *address;
  struct sim_foreign *released, *within; /* within: for threads of the same thread block only */
  struct variable *next;
} * variables[BUCKETS];

static struct variable *variable_at(const volatile void *p, int make) {
  struct variable **at = &variables[((uintptr_t)p >> 2) * 2654435761u % BUCKETS];
  for (; *at; at = &(*at)->next)
    if ((*at)->address == p) return *at;
  if (!make) return NULL;
  *at = calloc(1, sizeof **at);
  if (!*at) sim_give_up("no memory left for the variables that order threads");
  (*at)->address = p;
  return *at;
}

static uint8_t released[(SIM_BLOCK_MASK + 1) / 8]; /* a bit for each thread block */

int sim_has_released(int64_t block) {
  return released[block / 8] >> block % 8 & 1;
}

void sim_mark_released(int64_t block, int has) {
  const uint8_t bit = (uint8_t)(1 << block % 8);
  released[block / 8] = (uint8_t)((released[block / 8] & ~bit) | (has ? bit : 0));
}

static void publish_within(const volatile void *p, struct sim_clock *clock) {
  struct variable *v = variable_at(p, 1);
  struct sim_foreign *own = sim_foreign_one(sim_block.here->index & SIM_BLOCK_MASK, clock);
  struct sim_foreign *all = sim_foreign_join(v->within, own);
  sim_foreign_drop(own);
  sim_foreign_drop(v->within);
  v->within = all;
}

static void publish(struct sim_thread *t, const volatile void *p, struct sim_clock *clock) {
  struct variable *v = variable_at(p, 1);
  const int64_t block = t->home->index & SIM_BLOCK_MASK;
  sim_mark_released(block, 1);
  t->home->published = 1;
  struct sim_foreign *own = sim_foreign_one(block, clock);
  struct sim_foreign *with_foreign = sim_foreign_join(own, t->foreign);
  struct sim_foreign *all = sim_foreign_join(v->released, with_foreign);
  sim_foreign_drop(own);
  sim_foreign_drop(with_foreign);
  sim_foreign_drop(v->released);
  v->released = all;
}

static void acquire_from(struct sim_thread *t, const struct variable *v, int order) {
  const struct sim_clock *own = sim_foreign_find(v->released, t->home->index & SIM_BLOCK_MASK);
  const struct sim_clock *within = sim_foreign_find(v->within, t->home->index & SIM_BLOCK_MASK);
  if (own) sim_acquire(t, own);
  if (within) sim_acquire(t, within);
  if (order & PAH_SIM_OF_BLOCK) return;
  sim_foreign_learn(&t->foreign, v->released);
}

/* An atomic or volatile access as a means of order: a write hands on what was before the last fence, a read takes it.
 */
void sim_order(struct sim_thread *t, const volatile void *p, int flags, int order) {
  struct variable *v = flags & PAH_SIM_READ ? variable_at(p, 0) : NULL;
  if (v) acquire_from(t, v, order);
  if (!(flags & PAH_SIM_WRITE)) return;
  if (order & PAH_SIM_RELEASE) {
    struct sim_clock *now = NULL;
    sim_release(t, &now);
    if (order & PAH_SIM_OF_BLOCK)
      publish_within(p, now);
    else
      publish(t, p, now);
    sim_clock_drop(now);
    return;
  }
  if (t->fence_clock && order & PAH_SIM_OF_BLOCK) publish_within(p, t->fence_clock);
  if (t->fence_clock && !(order & PAH_SIM_OF_BLOCK)) publish(t, p, t->fence_clock);
  if (t->block_fence_clock) publish_within(p, t->block_fence_clock);
}

/* ---- A new gang ---- */

void sim_sync_reset(void) {
  sim_pending_reset();
  for (int i = 0; i < sim_block.alive * SIM_AGENTS; i++) {
    if (sim_agent_at(i)->used) sim_agent_free(i);
    sim_agent_at(i)->step = 0;
  }
  const struct sim_space *shared = &sim_spaces[SIM_SHARED];
  for (int i = 0; i < BUCKETS; i++)
    for (struct variable **at = &variables[i]; *at;) {
      struct variable *v = *at;
      int is_shared =
          (const uint8_t *)v->address >= shared->base && (const uint8_t *)v->address < shared->base + shared->size;
      if (!is_shared) {
        at = &v->next;
        continue;
      }
      *at = v->next;
      sim_foreign_drop(v->released);
      sim_foreign_drop(v->within);
      free(v);
    }
}
