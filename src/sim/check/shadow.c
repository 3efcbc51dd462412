/* shadow.c - what others did to a word, and whether that is ordered with what is done now. The order is that of vector
 * clocks: what thread u did at its step s came before what thread t does now if t's clock knows step s of u.
 * A plain write must come after everything; so the last one and the uses since are all there is to remember. A use is
 * forgotten for a later one that is after it and meets the same enemies; of those of an earlier thread block that has
 * released nothing, one will do. Cells live as long as the child process, which is one launch.
 * Read next: space.c, clock.h, check.c. */
#include "shadow.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "sim/block/sched.h"

/* ---- Memory ---- */

/* Older uses, those of the same step, bytes and kind together. A key and a warp are the key of a use. */
struct older {
  sim_epoch key;
  uint64_t warps;
  uint32_t next, pc;
  uint32_t lanes[]; /* of each warp in `warps` */
};
/* Older uses, and halves of cells; those of shared memory are forgotten with the thread block. */
static struct pool {
  uint8_t *older;
  struct sim_cell (*halves)[2];
  uint32_t next_older, free_older, next_half, free_half;
} pools[2];
static const uint64_t pool_bytes = (uint64_t)1 << 33;
static uint64_t older_bytes; /* of a struct older with the lanes of all warps, and of the agents */

void sim_pools_open(void) {
  for (int i = 0; i < 2; i++) pools[i] = (struct pool){sim_reserve(pool_bytes), sim_reserve(pool_bytes), 1, 0, 1, 0};
  const int64_t *block = sim_job->launch->block, warps = (block[0] * block[1] * block[2] + SIM_WARP - 1) / SIM_WARP;
  older_bytes = (sizeof(struct older) + (uint64_t)(warps + SIM_AGENTS / SIM_WARP) * sizeof(uint32_t) + 7) / 8 * 8;
}

void sim_pools_block(void) {
  pools[1].next_older = pools[1].next_half = 1;
  pools[1].free_older = pools[1].free_half = 0;
}

static struct older *older_at(const struct pool *p, uint32_t i) {
  return (struct older *)(void *)(p->older + i * older_bytes);
}

#define KEY_WARP(key) (EPOCH_ID(key) / SIM_WARP)
static sim_epoch without_warp(sim_epoch key) {
  return key & ~EPOCH(0, 0x7e0, 0);
}

static struct sim_use use_of(const struct older *o, uint32_t warp) {
  return (struct sim_use){o->key | EPOCH(0, warp * SIM_WARP, 0), o->lanes[warp], o->pc};
}

static void pop(struct pool *p, uint32_t *at) {
  struct older *o = older_at(p, *at);
  const uint32_t i = *at;
  *at = o->next;
  o->next = p->free_older;
  p->free_older = i;
}

/* Adds a use to the older ones. */
static void push(struct pool *p, uint32_t *at, const struct sim_use *use) {
  const sim_epoch key = without_warp(use->key);
  const uint32_t warp = KEY_WARP(use->key);
  uint32_t i = *at;
  while (i && older_at(p, i)->key != key) i = older_at(p, i)->next;
  if (!i) {
    i = p->free_older ? p->free_older : p->next_older++;
    if (i >= pool_bytes / older_bytes) sim_give_up("too many threads use the same words");
    struct older *o = older_at(p, i);
    if (p->free_older) p->free_older = o->next;
    o->key = key;
    o->pc = use->pc;
    o->warps = 0;
    o->next = *at;
    *at = i;
  }
  struct older *o = older_at(p, i);
  o->lanes[warp] = (o->warps >> warp & 1 ? o->lanes[warp] : 0) | use->lanes;
  o->warps |= (uint64_t)1 << warp;
  if (!sim_is_guess(sim_text + use->pc)) o->pc = use->pc;
}

/* ---- Order ---- */

static int ordered(const struct sim_view *v, sim_epoch e) {
  uint32_t id = EPOCH_ID(e), step = EPOCH_STEP(e);
  if (EPOCH_BLOCK(e) == EPOCH_BLOCK(v->write)) return id == v->id || v->clock->at[id] >= step;
  const struct sim_clock *c = sim_foreign_find(v->foreign, EPOCH_BLOCK(e));
  return c && c->at[id] >= step;
}

/* Is the step of this use over for all threads, as v knows? */
static int all_ordered(const struct sim_view *v, sim_epoch key) {
  return EPOCH_STEP(key) <= v->clock->floor && EPOCH_BLOCK(key) == EPOCH_BLOCK(v->write);
}

/* The first lane whose use is not ordered with what v does; -1: none. */
static int unordered_lane(const struct sim_view *v, const struct sim_use *u) {
  const uint32_t step = EPOCH_STEP(u->key), first = USE_FIRST(u->key);
  const struct sim_clock *c = v->clock;
  const int foreign = EPOCH_BLOCK(u->key) != EPOCH_BLOCK(v->write);
  if (all_ordered(v, u->key) && first < (uint32_t)sim_agent_id(0)) return -1;
  if (foreign && !(c = sim_foreign_find(v->foreign, EPOCH_BLOCK(u->key)))) return __builtin_ctz(u->lanes);
  for (uint32_t left = u->lanes; left; left &= left - 1) {
    const uint32_t lane = (uint32_t)__builtin_ctz(left);
    if (c->at[first + lane] < step && (foreign || first + lane != v->id)) return (int)lane;
  }
  return -1;
}

/* ---- Uses ---- */

/* Two atomics, of which one is atomic for its thread block alone, and the other is not of that. A use that writes is
 * one of those: what plain writes leave is no use. */
static int out_of_scope(const struct sim_view *v, sim_epoch other) {
  return v->kind & USE_ATOMIC && other & (USE_ATOMIC | USE_WRITE) && (v->kind | other) & USE_WRITE &&
         (v->scope | other) & USE_OF_BLOCK && EPOCH_BLOCK(other) != EPOCH_BLOCK(v->write);
}

/* Volatile accesses of global memory are relaxed atomics for other warps: what the lanes of one exchange is no flag. */
static int enemies(const struct sim_view *v, sim_epoch key) {
  const unsigned other = key & USE_KIND;
  const int is_loose = v->is_loose && (v->is_shared || !((key ^ v->use) >> (EPOCH_ID_AT + 5)));
  if (v->kind == USE_WRITE) return 1;
  if (v->kind == USE_READ) return other & USE_WRITE;
  if (is_loose && v->kind & USE_WRITE) return other != (USE_ATOMIC | USE_WRITE);
  return other == (v->kind & USE_WRITE ? USE_READ : is_loose ? USE_WRITE : ~0u);
}

static sim_epoch epoch_of(const struct sim_use *u, int lane) {
  return EPOCH(EPOCH_BLOCK(u->key), USE_FIRST(u->key) + (uint32_t)lane, EPOCH_STEP(u->key));
}

/* 1: a race was found. */
static int check_use(const struct sim_view *v, const struct sim_use *u, unsigned mask, const struct sim_access *a) {
  const unsigned kind = u->key & USE_KIND;
  const int scopes = out_of_scope(v, u->key);
  if (!(USE_BYTES(u->key) & mask) || (!enemies(v, u->key) && !scopes)) return 0;
  const int lane = unordered_lane(v, u);
  if (lane < 0) {
    if (a->flags & SIM_ASYNC_PROXY && kind & USE_WRITE)
      sim_check_proxy(v, a, epoch_of(u, 31 - __builtin_clz(u->lanes)), u->pc);
    return 0;
  }
  if (scopes)
    sim_find_race(a, epoch_of(u, lane), sim_text + u->pc,
                  v->scope ? "an atomic of block scope" : "an atomic beside one of block scope");
  else if (v->kind & kind & USE_WRITE)
    sim_find_race_of_writes(v, a, epoch_of(u, lane), u->pc);
  else if (v->kind == USE_READ && a->agent < 0)
    sim_suspect(v->thread, a, epoch_of(u, lane), u->pc); /* an atomic */
  else
    sim_find_race_unless(a, epoch_of(u, lane), sim_text + u->pc, v->kind & USE_WRITE ? "a write" : "a read",
                         v->kind & USE_WRITE ? sim_text + u->pc : a->pc);
  return 1;
}

static void check_uses(const struct sim_view *v, const struct sim_cell *c, unsigned mask, const struct sim_access *a) {
  if (check_use(v, &c->use, mask, a)) return;
  const struct pool *p = &pools[v->is_shared];
  for (uint32_t i = c->more; i; i = older_at(p, i)->next) {
    const struct older *o = older_at(p, i);
    if (all_ordered(v, o->key) && !(a->flags & SIM_ASYNC_PROXY)) continue;
    for (uint64_t left = o->warps; left; left &= left - 1) {
      const struct sim_use u = use_of(o, (uint32_t)__builtin_ctzll(left));
      if (check_use(v, &u, mask, a)) return;
    }
  }
}

enum { MOST_FOREIGN = 64 };
struct rest { /* of the uses of other thread blocks that are kept */
  unsigned witnesses[2 * (USE_KIND + 1)], count;
};

/* Need uses of other threads not be remembered beside a new use? `after`: that is ordered after them. */
static int superfluous(sim_epoch older, sim_epoch key, int after, struct rest *rest) {
  const unsigned kind = older & USE_KIND, bytes = USE_BYTES(older);
  const int narrow = (older & USE_OF_BLOCK) != 0, narrower = narrow && !(key & USE_OF_BLOCK);
  if (after && !narrower && !(bytes & ~USE_BYTES(key)) && (kind == (key & USE_KIND) || kind == USE_ATOMIC)) return 1;
  if (EPOCH_BLOCK(older) == EPOCH_BLOCK(key)) return 0;
  if (!sim_has_released(EPOCH_BLOCK(older))) {
    unsigned *witnesses = &rest->witnesses[2 * kind + (unsigned)narrow];
    if (!(bytes & ~*witnesses)) return 1;
    *witnesses |= bytes;
  }
  return ++rest->count > MOST_FOREIGN;
}

static int is_after(const struct sim_view *v, const struct older *o) {
  if (all_ordered(v, o->key) && !(o->warps >> sim_agent_id(0) / SIM_WARP)) return 1;
  for (uint64_t left = o->warps; left; left &= left - 1) {
    const struct sim_use u = use_of(o, (uint32_t)__builtin_ctzll(left));
    if (unordered_lane(v, &u) >= 0) return 0;
  }
  return 1;
}

static void add_use(const struct sim_view *v, struct sim_cell *c, unsigned mask, uint32_t pc) {
  const unsigned kind = v->is_loose && v->kind & USE_WRITE ? USE_WRITE : v->kind;
  const sim_epoch key = v->use | (uint64_t)mask << EPOCH_ID_AT | kind | v->scope;
  struct sim_use fresh = {key, v->lane, pc};
  if (c->use.key == key) {
    fresh.lanes |= c->use.lanes;
    if (sim_is_guess(sim_text + pc)) fresh.pc = c->use.pc; /* of several reads, one that is none speaks for all */
  }
  if (c->use.key && c->use.key != key) {
    struct pool *p = &pools[v->is_shared];
    struct rest rest = {{0}, 0};
    for (uint32_t *at = &c->more; *at;) {
      struct older *o = older_at(p, *at);
      const uint32_t warp = KEY_WARP(key);
      if (o->key == without_warp(key)) {
        if (o->warps >> warp & 1) fresh.lanes |= o->lanes[warp];
        at = &o->next;
      } else if (superfluous(o->key, key, is_after(v, o), &rest)) {
        pop(p, at);
      } else {
        at = &o->next;
      }
    }
    if (!superfluous(c->use.key, key, unordered_lane(v, &c->use) < 0, &rest)) push(p, &c->more, &c->use);
  }
  c->use = fresh;
  c->atomics |= v->kind == (USE_ATOMIC | USE_WRITE);
}

int sim_touch_other_warp(struct sim_cell *c, sim_epoch key, uint32_t lane, int is_shared, uint32_t pc) {
  const sim_epoch group = without_warp(key);
  struct pool *p = &pools[is_shared];
  if (without_warp(c->use.key) != group) return 0;
  struct sim_use fresh = {key, lane, pc};
  push(p, &c->more, &c->use);
  const struct older *o = older_at(p, c->more);
  if (o->key != group) return c->use = fresh, 1; /* its lanes are found when they are needed */
  if (o->warps >> KEY_WARP(key) & 1) fresh.lanes |= o->lanes[KEY_WARP(key)];
  c->use = fresh;
  return 1;
}

int sim_forget_older(struct sim_cell *c, sim_epoch now, uint32_t floor, int is_shared) {
  struct pool *p = &pools[is_shared];
  for (uint32_t i = c->more; i; i = older_at(p, i)->next) {
    const struct older *o = older_at(p, i);
    if (EPOCH_BLOCK(o->key ^ now) || EPOCH_STEP(o->key) > floor || o->warps >> sim_agent_id(0) / SIM_WARP) return 0;
  }
  while (c->more) pop(p, &c->more);
  return 1;
}

/* The reads of this word that the thread has made in this step were guesses, which its compare-and-swap decides on. */
static void forget_guesses(const struct sim_view *v, struct sim_cell *c) {
  struct pool *p = &pools[v->is_shared];
  const uint32_t warp = KEY_WARP(v->use);
  if ((c->use.key & ~EPOCH(0, 0xf, 0)) == v->use && c->use.lanes & v->lane) {
    sim_read_is_guess(c->use.lanes == v->lane ? sim_text + c->use.pc : v->thread->before);
    if (!(c->use.lanes &= ~v->lane)) {
      c->use.key |= USE_ATOMIC; /* a read that nothing speaks against, in its place */
      c->use.lanes = v->lane;
    }
  }
  for (uint32_t i = c->more; i; i = older_at(p, i)->next) {
    struct older *o = older_at(p, i);
    if ((o->key & ~EPOCH(0, 0xf, 0)) != without_warp(v->use) || !(o->warps >> warp & 1)) continue;
    if (o->lanes[warp] & v->lane) sim_read_is_guess(v->thread->before);
    o->lanes[warp] &= ~v->lane;
  }
}

/* Has an atomic that reads and writes these bytes seen what this use has left? Then what comes after it comes after
 * that use, too: PTX calls it observation order, which is a part of causality order. */
static int is_observed(const struct sim_view *v, sim_epoch use, unsigned mask) {
  const unsigned kind = use & USE_KIND; /* of global memory USE_WRITE is a volatile write */
  return (kind == (USE_ATOMIC | USE_WRITE) || (kind == USE_WRITE && !v->is_shared)) && !(USE_BYTES(use) & ~mask) &&
         !out_of_scope(v, use);
}

static void forget_observed(const struct sim_view *v, struct sim_cell *c, unsigned mask) {
  if (is_observed(v, c->use.key, mask)) c->use.key = 0; /* a new one follows */
  for (uint32_t *at = &c->more; *at;) {
    struct older *o = older_at(&pools[v->is_shared], *at);
    if (is_observed(v, o->key, mask))
      pop(&pools[v->is_shared], at);
    else
      at = &o->next;
  }
}

/* ---- An access ---- */

static void touch(const struct sim_view *v, struct sim_cell *c, unsigned mask, const struct sim_access *a) {
  const uint32_t pc = (uint32_t)((const uint8_t *)a->pc - sim_text);
  if (a->flags & PAH_SIM_DECIDES) forget_guesses(v, c);
  if (c->write && !ordered(v, c->write)) {
    if (v->kind & USE_WRITE)
      sim_find_race_of_writes(v, a, c->write, c->write_pc);
    else
      sim_find_race(a, c->write, sim_text + c->write_pc, "a read");
  } else if (a->flags & SIM_ASYNC_PROXY && !(v->kind & USE_WRITE)) {
    sim_check_proxy(v, a, c->write, c->write_pc);
  }
  if (c->write && sim_restrict_count && !(v->kind & USE_WRITE) && !v->is_shared)
    sim_restrict_read(a, sim_text + c->write_pc);
  if (c->use.key && (v->kind != USE_READ || c->atomics)) check_uses(v, c, mask, a);
  if (v->kind != USE_WRITE) {
    if (v->kind & USE_WRITE && a->flags & PAH_SIM_READ && !(a->flags & SIM_REDUCES)) forget_observed(v, c, mask);
    add_use(v, c, mask, pc);
    return;
  }
  while (c->more) pop(&pools[v->is_shared], &c->more);
  *c = (struct sim_cell){.write = v->write, .write_pc = pc & INT32_MAX};
}

static void inherit_use(struct pool *p, struct sim_cell *half, struct sim_use u, unsigned span) {
  const unsigned bytes = USE_BYTES(u.key) & span;
  u.key = (u.key & ~EPOCH(0, 0xf, 0)) | EPOCH(0, bytes, 0);
  if (bytes && half->use.key)
    push(p, &half->more, &u);
  else if (bytes)
    half->use = u;
}

/* The uses of a cell that meet the bytes of `span`, for one of its halves. */
static void inherit(struct pool *p, const struct sim_cell *c, struct sim_cell *half, unsigned span) {
  *half = (struct sim_cell){.write = c->write, .write_pc = c->write_pc, .atomics = c->atomics};
  if (c->use.key) inherit_use(p, half, c->use, span);
  for (uint32_t i = c->more; i; i = older_at(p, i)->next)
    for (uint64_t left = older_at(p, i)->warps; left; left &= left - 1)
      inherit_use(p, half, use_of(older_at(p, i), (uint32_t)__builtin_ctzll(left)), span);
}

static void split(struct pool *p, struct sim_cell *c, unsigned low, unsigned high) {
  const uint32_t i = p->free_half ? p->free_half : p->next_half++;
  if (p->free_half) p->free_half = p->halves[i][0].more;
  if (i >= pool_bytes / sizeof *p->halves) sim_give_up("too many bytes are touched one by one");
  inherit(p, c, &p->halves[i][0], low);
  inherit(p, c, &p->halves[i][1], high);
  while (c->more) pop(p, &c->more);
  *c = (struct sim_cell){.write = CELL_SPLIT, .more = i};
}

/* `span`: the bytes of the cell, all four or half of them or one. */
static void touch_part(const struct sim_view *v, struct sim_cell *c, unsigned span, unsigned mask,
                       const struct sim_access *a) {
  struct pool *p = &pools[v->is_shared];
  if (c->write != CELL_SPLIT && (mask == span || v->kind != USE_WRITE)) {
    touch(v, c, mask, a);
    return;
  }
  const unsigned low = span == 0xf ? 0x3 : span & -span, high = span & ~low;
  if (c->write != CELL_SPLIT) split(p, c, low, high);
  const uint32_t i = c->more;
  struct sim_cell *halves = p->halves[i];
  if (mask & low) touch_part(v, &halves[0], low, mask & low, a);
  if (mask & high) touch_part(v, &halves[1], high, mask & high, a);
  if (mask != span || v->kind != USE_WRITE) return;
  *c = halves[0]; /* the halves are alike again */
  halves[0].more = p->free_half;
  p->free_half = i;
}

static void split_chunk(struct pool *p, struct sim_space *s, uint64_t chunk) {
  struct sim_cell *c = &s->chunks[chunk];
  for (int i = 0; i < CHUNK_WORDS; i++) {
    struct sim_cell *word = &s->cells[chunk * CHUNK_WORDS + (uint64_t)i];
    if (c->more)
      inherit(p, c, word, 0xf);
    else
      *word = *c;
  }
  while (c->more) pop(p, &c->more);
  *c = (struct sim_cell){.write = 0}; /* cells that do not count have no uses: hooks.c relies on it */
  s->split[chunk] = 1;
}

void sim_touch_word(const struct sim_view *v, struct sim_space *s, uint64_t word, unsigned mask,
                    const struct sim_access *a) {
  if (!s->split[word / CHUNK_WORDS]) split_chunk(&pools[v->is_shared], s, word / CHUNK_WORDS);
  touch_part(v, &s->cells[word], 0xf, mask, a);
}

void sim_join_chunk(struct sim_space *s, uint64_t chunk) {
  s->chunks[chunk] = s->cells[chunk * CHUNK_WORDS];
  s->split[chunk] = 0;
}

void sim_touch_chunk(const struct sim_view *v, struct sim_space *s, uint64_t chunk, const struct sim_access *a) {
  if (!s->split[chunk]) {
    touch(v, &s->chunks[chunk], 0xf, a);
    return;
  }
  struct sim_cell *words = &s->cells[chunk * CHUNK_WORDS];
  for (int i = 0; i < CHUNK_WORDS; i++) touch_part(v, &words[i], 0xf, 0xf, a);
  if (v->kind == USE_WRITE) sim_join_chunk(s, chunk);
}
