/* warp.c - what the lanes of a warp do together: the last lane of a mask to come does the work for all. Lanes of one
 * warp may be at different collectives at once, so pending ones are told apart by kind and mask. A shuffle or a vote
 * orders no memory; __syncwarp does. Findings: warp-mask (a lane outside its own mask), warp-divergence (lanes of one
 * mask wait at different collectives). Read next: barrier.c, sim/block/lanes.c, sim/ptx/mma.c. */
#include <stdlib.h>
#include <string.h>

#include "sim/check/check.h"
#include "sim/check/counters.h"
#include "sched.h"

enum { PENDING = SIM_WARP }; /* each lane may wait at another one */

static const char active[] = "__activemask";

struct pending {
  struct sim_collective c;
  void (*run)(struct sim_collective *); /* an exit may complete it, too */
  unsigned arrived;
};
/* Of all thread blocks that are alive, by team. */
static struct pending (*pending)[PENDING];
static unsigned *busy, *open_ones; /* bits of pending: in use; lanes may still come */
static unsigned *exited;           /* lanes that are not there any more, or never were */

static struct sim_group_collective *groups; /* by team / 4 */
static int *group_arrived;

static void *room(size_t each) {
  void *p = calloc((size_t)sim_all_teams(), each);
  if (!p) sim_give_up("no memory left for what warps do together");
  return p;
}

void sim_warps_open(void) {
  pending = room(sizeof *pending);
  busy = room(sizeof *busy);
  open_ones = room(sizeof *open_ones);
  exited = room(sizeof *exited);
  groups = room(sizeof *groups);
  group_arrived = room(sizeof *group_arrived);
}

void sim_warps_reset(void) {
  for (int w = 0; w < sim_all_teams(); w++) {
    int lanes = sim_block.count - w % sim_block.warps * SIM_WARP;
    exited[w] = lanes >= SIM_WARP ? 0 : lanes <= 0 ? ~0u : ~0u << lanes;
    busy[w] = open_ones[w] = 0;
    group_arrived[w / 4] = 0;
  }
}

static int complete(const struct pending *p) {
  return (p->arrived | exited[p->c.team]) == (p->c.mask | exited[p->c.team]);
}

/* Readies every lane that came but `self`, which just goes on. */
static void finish(struct pending *p, struct sim_thread *self) {
  const int warp = p->c.team;
  const unsigned bit = 1u << (p - pending[warp]), missing = ~p->arrived;
  open_ones[warp] &= ~bit; /* `run` may come back here by way of another collective */
  if (sim_counting && complete(p)) sim_count_flush(warp);
  for (unsigned left = missing; left; left &= left - 1) {
    p->c.lanes[__builtin_ctz(left)] = NULL;
    p->c.threads[__builtin_ctz(left)] = NULL;
  }
  if (p->c.kind != active && p->c.mask & missing) sim_lanes_missing(&p->c, p->c.mask & missing);
  p->run(&p->c);
  sim_ready_lanes(p->c.threads, p->arrived & ~(self ? 1u << self->lane : 0), !missing);
  busy[warp] &= ~bit;
}

/* Lanes at different __activemask, as in two branches, are not active together. */
static struct pending *find_pending(int team, const char *kind, unsigned mask, const void *pc) {
  for (unsigned left = open_ones[team]; left; left &= left - 1) {
    struct pending *p = &pending[team][__builtin_ctz(left)];
    if (p->c.mask == mask && (p->c.kind == kind || !strcmp(p->c.kind, kind)) && (kind != active || p->c.pc == pc))
      return p;
  }
  return NULL;
}

static struct pending *new_pending(const struct sim_thread *t, const char *kind, unsigned mask,
                                   void (*run)(struct sim_collective *)) {
  const int team = t->team;
  if (busy[team] == ~0u) return NULL;
  const int i = __builtin_ctz(~busy[team]);
  struct pending *p = &pending[team][i];
  busy[team] |= 1u << i;
  open_ones[team] |= 1u << i;
  p->c.kind = kind;
  p->c.mask = mask;
  p->c.warp = t->warp;
  p->c.team = team;
  p->run = run;
  p->arrived = 0;
  return p;
}

static void join(struct pending *p, struct sim_thread *t, void *operand, const void *pc) {
  p->c.lanes[t->lane] = operand;
  p->c.threads[t->lane] = t;
  p->c.pc = pc;
  p->arrived |= 1u << t->lane;
  if (complete(p))
    finish(p, t);
  else
    sim_block_here(p->c.kind);
}

static __attribute__((noinline)) void join_another(const char *kind, unsigned mask, void *operand,
                                                   void (*run)(struct sim_collective *), const void *pc) {
  struct sim_thread *t = sim_block.running;
  if (!(mask >> t->lane & 1))
    sim_fatal(pc, "warp-mask", "lane %d calls %s with mask 0x%08x, which does not hold it", t->lane, kind, mask);
  struct pending *p = find_pending(t->team, kind, mask, pc);
  if (!p) p = new_pending(t, kind, mask, run);
  if (!p) sim_fatal(pc, "warp-divergence", "lanes of warp %d wait at %d different collectives", t->warp, PENDING);
  join(p, t, operand, pc);
}

/* Most warps have one that is pending, in the first place. */
void sim_collective(const char *kind, unsigned mask, void *operand, void (*run)(struct sim_collective *),
                    const void *pc) {
  struct sim_thread *t = sim_block.running;
  struct pending *first = pending[t->team];
  t->pc = pc;
  if (open_ones[t->team] == 1 && first->c.kind == kind && first->c.mask == mask && mask >> t->lane & 1 &&
      kind != active)
    join(first, t, operand, pc);
  else
    join_another(kind, mask, operand, run, pc);
}

void sim_warps_exit(struct sim_thread *t) {
  exited[t->team] |= 1u << t->lane;
  for (unsigned left = open_ones[t->team]; left; left &= left - 1) {
    struct pending *p = &pending[t->team][__builtin_ctz(left)];
    if (complete(p)) finish(p, t);
  }
}

void sim_group_collective(const char *kind, void *operand, void (*run)(struct sim_group_collective *), const void *pc) {
  struct sim_thread *t = sim_self();
  const int group = t->team / 4, size = 4 * SIM_WARP;
  t->pc = pc;
  if ((t->warp / 4 + 1) * size > sim_block.count)
    sim_fatal(pc, "warpgroup", "%s needs four whole warps, warp %d is in none of them", kind, t->warp);
  struct sim_group_collective *g = &groups[group];
  if (!group_arrived[group]) *g = (struct sim_group_collective){.kind = kind, .warpgroup = group};
  if (strcmp(g->kind, kind) != 0)
    sim_fatal(pc, "warpgroup", "warp %d calls %s while others of its warpgroup are at %s", t->warp, kind, g->kind);
  g->lanes[t->id % size] = operand;
  g->threads[t->id % size] = t;
  g->pc = pc;
  if (++group_arrived[group] < size) {
    sim_block_here(kind);
    return;
  }
  group_arrived[group] = 0;
  struct sim_group_collective all = *g;
  run(&all);
  for (int i = 0; i < 4; i++) {
    const int warp = sim_job->launch->schedule == PAH_IN_ORDER ? 3 - i : i; /* the first one is to be the next */
    sim_ready_lanes(all.threads + warp * SIM_WARP, ~(warp == t->warp % 4 ? 1u << t->lane : 0), 1);
  }
}

/* ---- __syncwarp ---- */

static void meet(struct sim_collective *c) {
  struct sim_thread *threads[SIM_WARP];
  int n = 0;
  for (int i = 0; i < SIM_WARP; i++)
    if (c->threads[i]) threads[n++] = c->threads[i];
  sim_clocks_meet(threads, n);
  sim_result->counters.warp_barriers++;
}

void pah_sim_syncwarp(unsigned mask, int line) {
  struct sim_thread *t = sim_self();
  t->line = line;
  sim_collective("__syncwarp", mask, NULL, meet, __builtin_return_address(0));
  t->line = 0;
}

/* ---- Shuffles, votes, matches, reductions ---- */

struct operand {
  int op;
  uint64_t value, argument, result;
};

static uint64_t shuffle(const struct sim_collective *c, int lane, const struct operand *o) {
  int width = (int)(o->argument >> 32), delta = (int)(uint32_t)o->argument, first = lane & ~(width - 1), from;
  switch (o->op) {
  case PAH_SIM_SHFL_IDX: from = first + (delta & (width - 1)); break;
  case PAH_SIM_SHFL_UP: from = lane - delta < first ? lane : lane - delta; break;
  case PAH_SIM_SHFL_DOWN: from = lane + delta >= first + width || delta > 31 ? lane : lane + delta; break;
  default: /* xor may reach into earlier segments, never into later ones */
    from = lane ^ delta;
    if (from >= first + width) from = lane;
  }
  const struct operand *source = from >= 0 && from < SIM_WARP ? c->lanes[from] : NULL;
  if (!source) sim_lane_absent(c, lane, from, width, o->op);
  return source ? source->value : UINT64_MAX; /* what a lane gives that is not there is undefined */
}

static uint64_t reduce(const struct sim_collective *c, int op) {
  uint32_t r = 0;
  int first = 1;
  for (int i = 0; i < SIM_WARP; i++) {
    if (!c->lanes[i]) continue;
    uint32_t v = (uint32_t)((const struct operand *)c->lanes[i])->value;
    if (first)
      r = v, first = 0;
    else
      switch (op) {
      case PAH_SIM_REDUCE_ADD: r += v; break;
      case PAH_SIM_REDUCE_MIN: r = v < r ? v : r; break;
      case PAH_SIM_REDUCE_MAX: r = v > r ? v : r; break;
      case PAH_SIM_REDUCE_SMIN: r = (int32_t)v < (int32_t)r ? v : r; break;
      case PAH_SIM_REDUCE_SMAX: r = (int32_t)v > (int32_t)r ? v : r; break;
      case PAH_SIM_REDUCE_AND: r &= v; break;
      case PAH_SIM_REDUCE_OR: r |= v; break;
      default: r ^= v;
      }
  }
  return r;
}

static unsigned lanes_with(const struct sim_collective *c, uint64_t value) {
  unsigned mask = 0;
  for (int i = 0; i < SIM_WARP; i++)
    if (c->lanes[i] && ((const struct operand *)c->lanes[i])->value == value) mask |= 1u << i;
  return mask;
}

static unsigned lanes_there(const struct sim_collective *c) {
  unsigned mask = 0;
  for (int i = 0; i < SIM_WARP; i++) mask |= (unsigned)(c->lanes[i] != NULL) << i;
  return mask;
}

static void run_shuffle(struct sim_collective *c) {
  for (int i = 0; i < SIM_WARP; i++) {
    struct operand *o = c->lanes[i];
    if (o) o->result = shuffle(c, i, o);
  }
  sim_result->counters.shuffles++;
}

static void run_exchange(struct sim_collective *c) {
  unsigned there = lanes_there(c), zeros = lanes_with(c, 0);
  for (int i = 0; i < SIM_WARP; i++) {
    struct operand *o = c->lanes[i];
    if (!o) continue;
    switch (o->op) {
    case PAH_SIM_BALLOT: o->result = there & ~zeros; break;
    case PAH_SIM_ANY: o->result = (there & ~zeros) != 0; break;
    case PAH_SIM_ALL: o->result = zeros == 0; break;
    case PAH_SIM_UNI: o->result = zeros == 0 || zeros == there; break;
    case PAH_SIM_MATCH_ANY: o->result = lanes_with(c, o->value); break;
    case PAH_SIM_MATCH_ALL: o->result = lanes_with(c, o->value) == there ? there : 0; break;
    default: o->result = reduce(c, o->op);
    }
  }
  sim_result->counters.shuffles++;
}

unsigned long long pah_sim_collective_at(int op, unsigned mask, unsigned long long value, unsigned long long argument,
                                         const void *pc) {
  static const char *const kinds[] = {"__shfl_sync",
                                      "__shfl_up_sync",
                                      "__shfl_down_sync",
                                      "__shfl_xor_sync",
                                      "__ballot_sync",
                                      "__any_sync",
                                      "__all_sync",
                                      "__uni_sync",
                                      "__match_any_sync",
                                      "__match_all_sync",
                                      "__reduce_add_sync",
                                      "__reduce_min_sync",
                                      "__reduce_max_sync",
                                      "__reduce_min_sync (signed)",
                                      "__reduce_max_sync (signed)",
                                      "__reduce_and_sync",
                                      "__reduce_or_sync",
                                      "__reduce_xor_sync"};
  int is_vote = op >= PAH_SIM_BALLOT && op <= PAH_SIM_UNI;
  struct operand o = {.op = op, .value = is_vote ? value != 0 : value, .argument = argument};
  sim_collective(kinds[op], mask, &o, op <= PAH_SIM_SHFL_XOR ? run_shuffle : run_exchange, pc);
  return o.result;
}

unsigned long long pah_sim_collective(int op, unsigned mask, unsigned long long value, unsigned long long argument) {
  return pah_sim_collective_at(op, mask, value, argument, __builtin_return_address(0));
}

/* ---- __activemask: the lanes that come here before the warp can do anything else ---- */

static void run_active(struct sim_collective *c) {
  unsigned there = lanes_there(c);
  for (int i = 0; i < SIM_WARP; i++)
    if (c->lanes[i]) *(unsigned *)c->lanes[i] = there;
}

unsigned pah_sim_activemask(void) {
  unsigned result = 0;
  sim_collective(active, ~0u, &result, run_active, __builtin_return_address(0));
  return result;
}

/* Nobody can run: an __activemask has all the lanes that it will get. Lanes of one mask at different collectives will
 * wait for ever, which the deadlock report then says. */
int sim_warps_standstill(void) {
  int gone_on = 0;
  for (int w = 0; w < sim_all_teams(); w++)
    for (unsigned left = open_ones[w]; left; left &= left - 1) {
      struct pending *p = &pending[w][__builtin_ctz(left)];
      if (p->c.kind != active) continue;
      finish(p, NULL);
      gone_on = 1;
    }
  return gone_on;
}
