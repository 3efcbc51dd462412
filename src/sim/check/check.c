/* check.c - what an access means: is the memory there, was it written, and is it ordered with what others did to it.
 * Barriers, __syncwarp and released variables order accesses; shuffles do not.
 * Findings: race, uninitialised, out-of-bounds, misaligned, use-after-free, bad-address, missing-proxy-fence, plus
 * those of pending copies and of read_only.c. Read next: shadow.c (races), hooks.c, sync.c. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "sim/block/sched.h"
#include "sim/block/claim.h"
#include "clock.h"
#include "kept.h"
#include "shadow.h"

/* Is this byte of shared memory the compiler's own? */
static int is_guard(const struct sim_space *s, const struct sim_access *a) {
  const struct sim_image *image = sim_job->image;
  const uint64_t at = (uint64_t)((const uint8_t *)a->address - s->base) & (sim_window_bytes() - 1);
  for (int i = 0; i < image->variable_count && s == &sim_spaces[SIM_SHARED]; i++) {
    const struct sim_variable *v = &image->variables[i];
    if (v->is_shared && v->guard && at >= v->at && at < v->at + v->bytes) return 1;
  }
  return 0;
}

/* What it writes now is a flag: at most a barrier has come since its last fence. */
static int has_just_fenced(const struct sim_thread *t) {
  const struct sim_clock *c = t->block_fence_clock ? t->block_fence_clock : t->fence_clock;
  return c && c->at[t->id] + 2 >= t->step;
}

static struct sim_view view_of(struct sim_thread *t, const struct sim_space *s, const struct sim_access *a) {
  const int is_shared = s == &sim_spaces[SIM_SHARED];
  struct sim_view v = {t, t->clock,  t->foreign, (uint32_t)t->id, 1u << t->lane, t->write_epoch, t->use_key, 0,
                       0, is_shared, 0};
  if (a->agent >= 0) {
    const struct sim_agent *agent = sim_agent_at(a->agent);
    const int64_t block = sim_agent_home(a->agent)->index & SIM_BLOCK_MASK;
    v.id = (uint32_t)sim_agent_id(a->agent);
    v.lane = 1u << v.id % SIM_WARP;
    v.clock = agent->clock;
    v.foreign = agent->foreign;
    v.write = EPOCH(block, v.id, agent->step) | EPOCH_AGENT;
    v.use = EPOCH(block, v.id / SIM_WARP * SIM_WARP, agent->step);
  }
  const int relaxed = (a->flags & (PAH_SIM_ATOMIC | PAH_SIM_VOLATILE)) != 0, writes = (a->flags & PAH_SIM_WRITE) != 0;
  v.is_loose = a->flags & PAH_SIM_VOLATILE && !(writes && has_just_fenced(t));
  v.scope = a->flags & SIM_OF_BLOCK ? USE_OF_BLOCK : 0;
  v.kind = (relaxed ? USE_ATOMIC : 0) | (writes ? USE_WRITE : 0);
  return v;
}

/* These bytes of a word, which nobody has written, are about to be read in a run that tries what comes of it. */
static void fill(const struct sim_space *s, uint64_t word, unsigned bytes, const void *pc) {
  const struct sim_filler *filler = sim_job->filler;
  if (sim_job->kept && s != &sim_spaces[SIM_SHARED]) sim_keep(s, word);
  for (int i = 0; i < WORD_BYTES; i++)
    if (bytes >> i & 1) s->base[word * WORD_BYTES + (uint64_t)i] = filler->pc && filler->pc != pc ? 0xff : filler->byte;
}

static int check_words(struct sim_space *s, struct sim_thread *t, const struct sim_access *a) {
  const struct sim_view v = view_of(t, s, a);
  const int fills = sim_job->filler && !is_guard(s, a);
  uint64_t at = (uint64_t)((const uint8_t *)a->address - s->base), end = at + a->bytes;
  int uninitialised = 0, initialised = 0;
  while (at < end) {
    const uint64_t word = at / WORD_BYTES, chunk = at / CHUNK_BYTES;
    const unsigned from = at % WORD_BYTES, to = end - word * WORD_BYTES < WORD_BYTES ? (unsigned)(end % WORD_BYTES) : 4;
    const int whole = at % CHUNK_BYTES == 0 && end - at >= CHUNK_BYTES;
    const unsigned mask = ((1u << to) - 1) & ~((1u << from) - 1);
    if (sim_team && s != &sim_spaces[SIM_SHARED])
      sim_claim(s, word, whole ? CHUNK_WORDS : 1, (a->flags & PAH_SIM_WRITE) != 0);
    for (unsigned i = 0; i < (whole ? CHUNK_WORDS : 1); i++) {
      uint8_t *state = &s->state[word + i];
      if ((*state >> 4 & mask) != mask) {
        sim_find_bounds(s, a);
        return -1;
      }
      initialised |= (*state & mask) != 0;
      if (a->flags & PAH_SIM_WRITE && sim_job->kept && s != &sim_spaces[SIM_SHARED]) sim_keep(s, word + i);
      if (a->flags & PAH_SIM_READ && (*state & mask) != mask) {
        uninitialised = 1;
        if (fills) fill(s, word + i, mask & ~*state, a->pc);
      }
      if (a->flags & PAH_SIM_WRITE) *state |= (uint8_t)mask;
    }
    if (s == &sim_spaces[SIM_GLOBAL] && !sim_team) sim_count_new(s, word, whole ? CHUNK_WORDS : 1);
    if (whole)
      sim_touch_chunk(&v, s, chunk, a);
    else
      sim_touch_word(&v, s, word, mask, a);
    at = whole ? at + CHUNK_BYTES : word * WORD_BYTES + to;
  }
  if (uninitialised && is_guard(s, a)) return 1; /* not the kernel's doing */
  if (uninitialised && !(a->flags & SIM_QUIET)) sim_find_unwritten(a, s, !initialised);
  return 0;
}

/* Copies and wgmma see what a thread wrote only after a fence.proxy.async. */
void sim_check_proxy(const struct sim_view *v, const struct sim_access *a, sim_epoch write, uint32_t pc) {
  const int writer = (int)EPOCH_ID(write), own = EPOCH_BLOCK(write) == EPOCH_BLOCK(v->write);
  const struct sim_home *home = own ? v->thread->home : sim_home_of(EPOCH_BLOCK(write));
  if (!write || writer >= sim_block.count || !home) return;
  const struct sim_clock *clock = own ? v->clock : sim_foreign_find(v->foreign, EPOCH_BLOCK(write));
  const struct sim_thread *by = &sim_block.threads[home->slot * sim_block.count + writer];
  if (sim_proxy_fenced(by, EPOCH_STEP(write), v->thread, clock ? clock->at[writer] : 0)) return;
  sim_find_at(a->pc, sim_text + pc, a->address, "missing-proxy-fence",
              "an asynchronous read of %s memory that thread %d wrote, with no fence.proxy.async between",
              sim_space_name(a->address), writer);
}

int sim_check(struct sim_thread *t, const struct sim_access *a) {
  const uint8_t *p = a->address;
  if (sim_deferred_address && !sim_is_deferred_source(a)) sim_deferred_look();
  struct sim_space *s = sim_space_of(p);
  if (!s) return sim_check_elsewhere(t, a);
  if ((a->bytes == 2 || a->bytes == 4 || a->bytes == 8 || a->bytes == 16) && (uintptr_t)p % a->bytes &&
      !(a->flags & SIM_UNALIGNED)) {
    sim_find_at(a->pc, NULL, p, "misaligned", "%s %u bytes at an address that is %u past a multiple of %u", sim_verb(a),
                a->bytes, (unsigned)((uintptr_t)p % a->bytes), a->bytes);
    return -1;
  }
  if ((uint64_t)(p - s->base) + a->bytes > s->size) {
    sim_find_bounds(s, a);
    return -1;
  }
  if (s == &sim_spaces[SIM_SHARED] && sim_block.alive > 1 && a->agent < 0 && sim_visit(t, a)) return -1;
  if (s == &sim_spaces[SIM_SHARED] && sim_pending_words) sim_pending_check(a);
  if (a->flags & PAH_SIM_WRITE && sim_read_only_words && s == &sim_spaces[SIM_GLOBAL]) sim_read_only_written(a);
  if (sim_sequence_watched && s == &sim_spaces[SIM_GLOBAL]) sim_sequence_look(a);
  int verdict = check_words(s, t, a);
  if (verdict) return verdict < 0 ? verdict : 0;
  if (sim_counting) sim_count_access(t, s, a);
  return 0;
}

void sim_check_chunks(struct sim_thread *t, const struct sim_access *each, const uint8_t *const *at, int n,
                      uint8_t *may) {
  struct sim_space *s = &sim_spaces[SIM_SHARED];
  const struct sim_view v = view_of(t, s, each);
  struct sim_access a = *each;
  for (int i = 0; i < n; i++) {
    const uint64_t place = (uint64_t)(at[i] - s->base);
    uint32_t states;
    memcpy(&states, s->state + place / WORD_BYTES, sizeof states);
    a.address = at[i];
    if (states != UINT32_MAX || place % CHUNK_BYTES || sim_deferred_address || sim_pending_at(at[i], CHUNK_BYTES)) {
      may[i] = sim_check(t, &a) == 0;
      continue;
    }
    sim_touch_chunk(&v, s, place / CHUNK_BYTES, &a);
    if (sim_counting) sim_count_access(t, s, &a);
    may[i] = 1;
  }
}
