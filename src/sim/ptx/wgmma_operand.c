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

static void read_chunk(const struct wgmma_source *s, uint32_t address, uint32_t span, int agent, void *out) {
  const uint8_t *p = sim_shared(address, CHUNK, s->pc);
  swizzle_check(address, span, s->pc);
  const struct sim_access access = {p, CHUNK, PAH_SIM_READ | SIM_ASYNC_PROXY, agent, s->pc};
  if (sim_check(s->threads[0], &access) == 0)
    memcpy(out, p, CHUNK);
  else
    memset(out, 0xff, CHUNK);
}

static void read_mn(const struct wgmma_source *s, const struct layout *l, int from, int count, int agent,
                    uint32_t (*words)[MATRIX_WORDS]) {
  for (int c = from / 8; c < (from + count) / 8; c++) {
    for (int k = 0; k < 16; k++) {
      uint16_t values[8];
      read_chunk(s, place_mn(l, c, k), l->span, agent, values);
      for (int i = 0; i < 8; i++) {
        uint32_t *word = &words[8 * c + i][k / 2];
        *word = k % 2 == 0 ? values[i] : *word | (uint32_t)values[i] << 16;
      }
    }
  }
}

void wgmma_read(const struct wgmma_source *s, unsigned long long descriptor, int trans, int from, int count, int agent,
                uint32_t (*words)[MATRIX_WORDS]) {
  const struct layout l = layout_of(descriptor);
  if (trans) {
    read_mn(s, &l, from, count, agent, words);
    return;
  }
  for (int r = from; r < from + count; r++) {
    for (int c = 0; c < 2; c++) read_chunk(s, place_k(&l, r, c), l.span, agent, &words[r][4 * c]);
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

void wgmma_agents_start(struct wgmma_agents *a, struct sim_thread *const threads[4 * SIM_WARP]) {
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
