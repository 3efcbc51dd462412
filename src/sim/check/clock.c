/* clock.c - vector clocks: at[i] is the last step of thread or agent i that the holder knows to be over. One barrier
 * makes one clock for all who leave it, so they cost no more than a counter of barriers would; and threads that learn
 * the same one after another go on sharing one. Read next: check.c. */
#include "clock.h"

#include <stdlib.h>
#include <string.h>

#include "sim/block/job.h"

static void *allocate(size_t bytes) {
  void *p = calloc(1, bytes);
  if (!p) sim_give_up("no memory left for the simulator's clocks");
  return p;
}

/* Entries come in vectors: the last one is filled up with zeros. Steps are small, so signed comparisons will do. */
typedef int32_t vector __attribute__((vector_size(16)));
enum { LANES = sizeof(vector) / sizeof(int32_t) };

static uint64_t contents; /* numbers given out */

static size_t vectors(const struct sim_clock *c) {
  return (c->size + LANES - 1) / LANES;
}

struct sim_clock *sim_clock_new(uint32_t size) {
  struct sim_clock *c = allocate(sizeof *c + (size + LANES) * sizeof *c->at);
  c->references = 1;
  c->content = ++contents;
  c->size = size;
  return c;
}

struct sim_clock *sim_clock_copy(const struct sim_clock *c) {
  struct sim_clock *copy = sim_clock_new(c->size);
  memcpy(copy->at, c->at, c->size * sizeof *c->at);
  copy->content = c->content;
  copy->holds = c->holds;
  copy->floor = c->floor;
  return copy;
}

struct sim_clock *sim_clock_share(struct sim_clock *c) {
  if (c) c->references++;
  return c;
}

void sim_clock_drop(struct sim_clock *c) {
  if (c && --c->references == 0) free(c);
}

static int holds(const struct sim_clock *c, const struct sim_clock *other) {
  return c->holds == other->content || c->content == other->content;
}

void sim_clock_max(struct sim_clock *into, const struct sim_clock *from) {
  if (holds(into, from)) return;
  vector changed = {0};
  for (size_t i = 0; i < vectors(into); i++) {
    vector a, b;
    memcpy(&a, into->at + i * LANES, sizeof a);
    memcpy(&b, from->at + i * LANES, sizeof b);
    const vector later = b > a;
    changed |= later;
    a = (b & later) | (a & ~later);
    memcpy(into->at + i * LANES, &a, sizeof a);
  }
  if (changed[0] | changed[1] | changed[2] | changed[3]) into->content = ++contents;
  into->holds = from->content;
  if (from->floor > into->floor) into->floor = from->floor;
}

void sim_clock_min(struct sim_clock *into, const struct sim_clock *from) {
  if (into->content == from->content) return;
  for (uint32_t i = 0; i < into->size; i++)
    if (from->at[i] < into->at[i]) into->at[i] = from->at[i];
  into->content = ++contents;
  into->holds = 0;
  if (from->floor < into->floor) into->floor = from->floor;
}

void sim_clock_raise(struct sim_clock *c, uint32_t i, uint32_t step) {
  if (c->at[i] >= step) return;
  c->at[i] = step;
  c->content = ++contents;
}

void sim_clock_floor(struct sim_clock *c, int threads) {
  uint32_t least = UINT32_MAX;
  for (int i = 0; i < threads; i++)
    if (c->at[i] < least) least = c->at[i];
  c->floor = least;
}

struct sim_clock *sim_clock_own(struct sim_clock **c) {
  if ((*c)->references > 1) {
    struct sim_clock *copy = sim_clock_copy(*c);
    sim_clock_drop(*c);
    *c = copy;
  }
  return *c;
}

/* The lanes of a warp learn the same one after the other, so the last few results are kept. */
static struct learnt {
  uint64_t before, what, step;
  struct sim_clock *after;
} learnt[8];

static struct learnt *learnt_at(const struct sim_clock *before, uint64_t what, uint64_t step) {
  static unsigned next;
  for (unsigned i = 0; i < sizeof learnt / sizeof *learnt; i++) {
    struct learnt *l = &learnt[i];
    if (l->after && l->before == before->content && l->what == what && l->step == step) return l;
  }
  struct learnt *l = &learnt[next++ % (sizeof learnt / sizeof *learnt)];
  sim_clock_drop(l->after);
  *l = (struct learnt){before->content, what, step, NULL};
  return l;
}

static void take(struct sim_clock **c, struct learnt *l) {
  sim_clock_drop(*c);
  *c = sim_clock_share(l->after);
}

void sim_clock_join(struct sim_clock **c, const struct sim_clock *from) {
  if (holds(*c, from)) return;
  struct learnt *l = learnt_at(*c, from->content, 0);
  if (!l->after) {
    l->after = sim_clock_copy(*c);
    sim_clock_max(l->after, from);
  }
  take(c, l);
}

void sim_clock_learn(struct sim_clock **c, uint32_t i, uint32_t step) {
  if ((*c)->at[i] >= step) return;
  struct learnt *l = learnt_at(*c, i, step);
  if (!l->after) {
    l->after = sim_clock_copy(*c);
    sim_clock_raise(l->after, i, step);
  }
  take(c, l);
}

struct sim_foreign *sim_foreign_share(struct sim_foreign *f) {
  if (f) f->references++;
  return f;
}

void sim_foreign_drop(struct sim_foreign *f) {
  if (!f || --f->references) return;
  for (int64_t i = 0; i < f->count; i++) sim_clock_drop(f->at[i].clock);
  free(f);
}

static struct sim_foreign *foreign_new(int64_t room) {
  struct sim_foreign *f = allocate(sizeof *f + (size_t)room * sizeof f->at[0]);
  f->references = 1;
  return f;
}

struct sim_foreign *sim_foreign_one(int64_t block, struct sim_clock *clock) {
  struct sim_foreign *f = foreign_new(1);
  f->count = 1;
  f->at[0].block = block;
  f->at[0].clock = sim_clock_share(clock);
  return f;
}

struct sim_foreign *sim_foreign_join(struct sim_foreign *a, struct sim_foreign *b) {
  if (!a || !b || a == b) return sim_foreign_share(a ? a : b);
  struct sim_foreign *f = foreign_new(a->count + b->count);
  int64_t i = 0, j = 0;
  while (i < a->count || j < b->count) {
    int64_t block_a = i < a->count ? a->at[i].block : INT64_MAX, block_b = j < b->count ? b->at[j].block : INT64_MAX;
    struct sim_clock *clock;
    if (block_a == block_b && a->at[i].clock != b->at[j].clock) {
      clock = sim_clock_copy(a->at[i].clock);
      sim_clock_max(clock, b->at[j].clock);
    } else {
      clock = sim_clock_share(block_a <= block_b ? a->at[i].clock : b->at[j].clock);
    }
    f->at[f->count].block = block_a < block_b ? block_a : block_b;
    f->at[f->count++].clock = clock;
    i += block_a <= block_b;
    j += block_b <= block_a;
  }
  return f;
}

const struct sim_clock *sim_foreign_find(const struct sim_foreign *f, int64_t block) {
  int64_t low = 0, high = f ? f->count : 0;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (f->at[middle].block == block) return f->at[middle].clock;
    if (f->at[middle].block < block)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

struct sim_foreign *sim_foreign_common(struct sim_foreign *a, struct sim_foreign *b) {
  if (!a || !b || a == b) return a == b ? sim_foreign_share(a) : NULL;
  struct sim_foreign *f = foreign_new(a->count);
  for (int64_t i = 0; i < a->count; i++) {
    const struct sim_clock *other = sim_foreign_find(b, a->at[i].block);
    if (!other) continue;
    struct sim_clock *clock = sim_clock_copy(a->at[i].clock);
    sim_clock_min(clock, other);
    f->at[f->count].block = a->at[i].block;
    f->at[f->count++].clock = clock;
  }
  return f;
}

/* The threads of a thread block learn the same one after the other. */
void sim_foreign_learn(struct sim_foreign **f, struct sim_foreign *more) {
  static struct sim_foreign *before, *what, *after;
  if (!more || *f == more || (*f == after && what == more)) return;
  if (!after || before != *f || what != more) {
    struct sim_foreign *both = sim_foreign_join(*f, more), *had = sim_foreign_share(*f);
    sim_foreign_drop(before);
    sim_foreign_drop(what);
    sim_foreign_drop(after);
    before = had;
    what = sim_foreign_share(more);
    after = both;
  }
  struct sim_foreign *result = sim_foreign_share(after);
  sim_foreign_drop(*f);
  *f = result;
}
