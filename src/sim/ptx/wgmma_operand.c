/* wgmma_operand.c - shared memory as wgmma reads it: matrix descriptors, canonical layouts, swizzles; and the clocks of
 * those reads. A row of A (or a column of B) takes 32 bytes of k per instruction, two chunks of 16. In units of chunks
 * the layouts are those of the table "canonical layouts" of the PTX ISA. Read next: wgmma.c. */
#include "wgmma.h"

#include <string.h>

#include "sim/abi_ptx.h"
#include "copy/async.h"
#include "sim/check/clock.h"

enum { CHUNK = 16 };

struct layout {
  uint32_t start, leading, stride; /* bytes */
  uint32_t base_offset;
  uint32_t span; /* chunks in a row of the swizzle: 1 (none), 2, 4, 8 */
};

static struct layout layout_of(unsigned long long descriptor) {
  static const uint32_t spans[] = {1, 8, 4, 2};
  return (struct layout){(uint32_t)(descriptor & 0x3fff) << 4, (uint32_t)(descriptor >> 16 & 0x3fff) << 4,
                         (uint32_t)(descriptor >> 32 & 0x3fff) << 4, (uint32_t)(descriptor >> 49 & 7),
                         spans[descriptor >> 62]};
}

/* The swizzle exchanges chunks within a row of the pattern by the number of the row; base_offset says where the
 * pattern starts when that is not at a multiple of its size. */
static uint32_t swizzled(const struct layout *l, uint32_t address) {
  return address ^ ((((address >> 7) - l->base_offset) & (l->span - 1)) << 4);
}

/* K-major: row r, chunk c of k. */
static uint32_t place_k(const struct layout *l, int r, int c) {
  const uint32_t row = l->start + (uint32_t)(r % 8) * l->span * CHUNK + (uint32_t)(r / 8) * l->stride;
  return swizzled(l, row + (uint32_t)c * (l->span == 1 ? l->leading : CHUNK));
}

/* MN-major: chunk c of 8 rows, at k. */
static uint32_t place_mn(const struct layout *l, int c, int k) {
  const uint32_t across = l->span == 1 ? l->stride : l->leading, along = l->span == 1 ? l->leading : l->stride;
  const uint32_t chunk = (uint32_t)c % l->span * CHUNK + (uint32_t)c / l->span * across;
  return swizzled(l, l->start + chunk + (uint32_t)(k % 8) * l->span * CHUNK + (uint32_t)(k / 8) * along);
}

enum { MOST_CHUNKS = 2 * 256 };

static const uint8_t *chunk_at(const struct wgmma_source *s, const struct layout *l, uint32_t address) {
  const uint8_t *p = sim_shared(address, CHUNK, s->pc);
  swizzle_check(address, l->span, s->pc);
  return p;
}

void wgmma_read(const struct wgmma_source *s, unsigned long long descriptor, int trans, int from, int count, int agent,
                uint32_t (*words)[MATRIX_WORDS]) {
  const struct layout l = layout_of(descriptor);
  const struct sim_access each = {NULL, CHUNK, PAH_SIM_READ | SIM_ASYNC_PROXY, agent, s->pc};
  const int chunks = 2 * count; /* trans: 16 rows of k for each 8 rows; else two in a row */
  static const uint8_t *at[MOST_CHUNKS];
  uint8_t may[MOST_CHUNKS];
  for (int i = 0; i < chunks; i++)
    at[i] = chunk_at(s, &l, trans ? place_mn(&l, from / 8 + i / 16, i % 16) : place_k(&l, from + i / 2, i % 2));
  sim_check_chunks(s->threads[0], &each, at, chunks, may);
  for (int i = 0; i < chunks; i++) {
    uint16_t values[CHUNK / 2];
    if (may[i])
      memcpy(values, at[i], CHUNK);
    else
      memset(values, 0xff, CHUNK);
    if (!trans) memcpy(&words[from + i / 2][4 * (i % 2)], values, CHUNK);
    for (int j = 0; j < CHUNK / 2 && trans; j++)
      memcpy((uint16_t *)words[from + i / 16 * 8 + j] + i % 16, &values[j], sizeof *values);
  }
}

/* ---- Clocks ---- */

/* What the lanes of a warp know together. Lanes that come from one barrier share one clock. */
static struct sim_known warp_known(struct sim_thread *const threads[SIM_WARP]) {
  struct sim_known k = {sim_clock_copy(threads[0]->clock), NULL};
  const struct sim_clock *last = threads[0]->clock;
  for (int i = 0; i < SIM_WARP; i++) {
    struct sim_thread *t = threads[i];
    if (t->clock != last) sim_clock_max(k.clock, t->clock);
    last = t->clock;
    sim_clock_raise(k.clock, (uint32_t)t->id, t->step);
    sim_foreign_learn(&k.foreign, t->foreign);
  }
  return k;
}

/* Do the threads know what they did at the last start? It is remembered. */
static int know_the_same(struct wgmma_agents *a, struct sim_thread *const threads[4 * SIM_WARP]) {
  int same = a->started;
  for (int i = 0; i < 4 * SIM_WARP; i++) {
    const struct sim_thread *t = threads[i];
    const uint64_t content = t->foreign ? 0 : t->clock->content;
    if (!content || a->knew[i].content != content || a->knew[i].step != t->step) same = 0;
    a->knew[i].content = content;
    a->knew[i].step = t->step;
  }
  return same;
}

void wgmma_agents_start(struct wgmma_agents *a, struct sim_thread *const threads[4 * SIM_WARP]) {
  if (know_the_same(a, threads)) {
    for (int i = 0; i < WGMMA_AGENTS; i++) a->step[i] = sim_agent_start_again(a->number[i]);
    return;
  }
  if (!a->started) {
    for (int i = 0; i < WGMMA_AGENTS; i++) a->number[i] = sim_agent_new(threads[0]->home, "operands of wgmma");
    a->started = 1;
  }
  struct sim_known common = {NULL, NULL};
  for (int warp = 0; warp < 4; warp++) {
    struct sim_known k = warp_known(threads + warp * SIM_WARP);
    if (warp == 0) {
      common = (struct sim_known){sim_clock_copy(k.clock), sim_foreign_share(k.foreign)};
    } else {
      struct sim_foreign *both = sim_foreign_common(common.foreign, k.foreign);
      sim_clock_min(common.clock, k.clock);
      sim_foreign_drop(common.foreign);
      common.foreign = both;
    }
    a->step[warp] = sim_agent_start_with(a->number[warp], k.clock, k.foreign);
    sim_known_drop(&k);
  }
  a->step[4] = sim_agent_start_with(a->number[4], common.clock, common.foreign);
  sim_known_drop(&common);
}

/* Lanes that share a clock go on sharing one. */
void wgmma_agents_join(const struct wgmma_agents *a, const uint32_t step[WGMMA_AGENTS],
                       struct sim_thread *const threads[SIM_WARP]) {
  struct sim_clock *before = NULL, *after = NULL;
  for (int i = 0; i < SIM_WARP; i++) {
    struct sim_thread *t = threads[i];
    if (before != NULL && t->clock == before) {
      sim_clock_drop(t->clock);
      t->clock = sim_clock_share(after);
      continue;
    }
    sim_clock_drop(before);
    before = sim_clock_share(t->clock);
    for (int j = 0; j < WGMMA_AGENTS; j++) sim_agent_join(t, a->number[j], step[j]);
    after = t->clock;
  }
  sim_clock_drop(before);
}
