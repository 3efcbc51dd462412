/* clock.c - vector clocks: at[i] is the last step of thread or agent i that the holder knows to be over. One barrier
 * makes one clock for all who leave it, so they cost no more than a counter of barriers would. Read next: check.c. */
#include "clock.h"

#include <stdlib.h>
#include <string.h>

#include "job.h"

static void *allocate(size_t bytes) {
  void *p = calloc(1, bytes);
  if (!p) sim_give_up("no memory left for the simulator's clocks");
  return p;
}

struct sim_clock *sim_clock_new(uint32_t size) {
  struct sim_clock *c = allocate(sizeof *c + size * sizeof *c->at);
  c->references = 1;
  c->size = size;
  return c;
}

struct sim_clock *sim_clock_copy(const struct sim_clock *c) {
  struct sim_clock *copy = sim_clock_new(c->size);
  memcpy(copy->at, c->at, c->size * sizeof *c->at);
  return copy;
}

struct sim_clock *sim_clock_share(struct sim_clock *c) {
  if (c) c->references++;
  return c;
}

void sim_clock_drop(struct sim_clock *c) {
  if (c && --c->references == 0) free(c);
}

void sim_clock_max(struct sim_clock *into, const struct sim_clock *from) {
  for (uint32_t i = 0; i < into->size; i++)
    if (from->at[i] > into->at[i]) into->at[i] = from->at[i];
}

struct sim_clock *sim_clock_own(struct sim_clock **c) {
  if ((*c)->references > 1) {
    struct sim_clock *copy = sim_clock_copy(*c);
    sim_clock_drop(*c);
    *c = copy;
  }
  return *c;
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
