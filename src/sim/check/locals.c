/* locals.c - local variables that the compiler was told to put before the checker because they may be read before they
 * are set (sim/compile/locals.c): a byte for each word of a thread's stack says which of its bytes nobody has set.
 * A copy of a whole struct or of a machine vector is told of only where all of it was never set: parts of one may be
 * left alone. Other bits say what is nobody's: on both sides of arrays that are reached by pointers. A thread counts
 * the bytes in either state: most of the time there are none. Read next: hooks.c, sim/compile/indices/guards.c. */
#include <string.h>

#include "check.h"
#include "shadow.h"
#include "sim/block/sched.h"

/* Bits of a byte in its state: nobody has set it; it is nobody's. */
enum { STATES = SIM_STACK_SIZE / WORD_BYTES, UNSET = 0, CLOSED = 4 };
static const uint8_t ones[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};

static uint8_t *states_of(struct sim_thread *t) {
  static uint8_t *all; /* of each thread, STATES bytes */
  if (!all) all = sim_reserve((uint64_t)sim_all_threads() * STATES);
  if (!t->unset) t->unset = all + (uint64_t)t->number * STATES;
  return t->unset;
}

/* The bytes of the word at stack offset `at` that lie before `end`. */
static unsigned mask_of(uint64_t at, uint64_t end) {
  const unsigned from = at % WORD_BYTES;
  const uint64_t left = end - (at - from);
  return (left >= WORD_BYTES ? 0xfu : (1u << left) - 1) & ~((1u << from) - 1);
}

static void change(struct sim_thread *t, const uint8_t *p, uint32_t bytes, int shift, int on) {
  uint8_t *states = states_of(t);
  uint64_t at = (uint64_t)(p - (const uint8_t *)t->fiber.stack), end = at + bytes;
  if (end > SIM_STACK_SIZE) end = SIM_STACK_SIZE;
  for (; at < end; at = (at / WORD_BYTES + 1) * WORD_BYTES) {
    uint8_t *state = &states[at / WORD_BYTES];
    const unsigned mask = mask_of(at, end) << shift, now = on ? *state | mask : *state & ~mask;
    t->unset_bytes += ones[now & 15] + ones[now >> 4] - ones[*state & 15] - ones[*state >> 4];
    *state = (uint8_t)now;
  }
}

static int is_on_stack(const struct sim_thread *t, const void *p) {
  return t && (uint64_t)((const uint8_t *)p - (const uint8_t *)t->fiber.stack) < SIM_STACK_SIZE;
}

void pah_sim_local_begin(void *p, unsigned long bytes) {
  struct sim_thread *t = sim_block.running;
  if (!is_on_stack(t, p)) return;
  change(t, p, (uint32_t)bytes, UNSET, 1);
  memset(p, 0xff, bytes); /* NaN in every type */
}

void pah_sim_local_end(void *p, unsigned long bytes) {
  struct sim_thread *t = sim_block.running;
  if (t && t->unset_bytes && is_on_stack(t, p)) change(t, p, (uint32_t)bytes, UNSET, 0);
}

/* The guarded variables of each thread, the newest last; those beyond MOST have no words. */
enum { MOST = 64 };
static struct guarded {
  uint32_t number;
  struct {
    const uint8_t *at;
    uint64_t bytes;
  } list[MOST];
} * guarded;

void pah_sim_guard_begin(void *p, unsigned long bytes, const void *from) {
  struct sim_thread *t = sim_block.running;
  if (from) memcpy(p, from, bytes);
  if (!is_on_stack(t, p)) return;
  if (!guarded) guarded = sim_reserve((uint64_t)sim_all_threads() * sizeof *guarded);
  struct guarded *g = &guarded[t->number];
  if (g->number < MOST) g->list[g->number].at = p, g->list[g->number].bytes = bytes;
  g->number++;
  change(t, (uint8_t *)p - PAH_SIM_GUARD, PAH_SIM_GUARD, CLOSED, 1);
  change(t, (uint8_t *)p + bytes, PAH_SIM_GUARD, CLOSED, 1);
}

void pah_sim_guard_end(void *p, unsigned long bytes) {
  struct sim_thread *t = sim_block.running;
  if (!is_on_stack(t, p)) return;
  guarded[t->number].number--;
  change(t, (uint8_t *)p - PAH_SIM_GUARD, PAH_SIM_GUARD, CLOSED, 0);
  change(t, (uint8_t *)p + bytes, PAH_SIM_GUARD, CLOSED, 0);
}

/* How many of the bytes are in a state. */
static uint32_t count(struct sim_thread *t, const uint8_t *p, uint32_t bytes, int shift) {
  const uint8_t *states = states_of(t);
  uint32_t n = 0;
  uint64_t at = (uint64_t)(p - (const uint8_t *)t->fiber.stack), end = at + bytes;
  if (end > SIM_STACK_SIZE) end = SIM_STACK_SIZE;
  for (; at < end; at = (at / WORD_BYTES + 1) * WORD_BYTES)
    n += ones[states[at / WORD_BYTES] >> shift & mask_of(at, end)];
  return n;
}

static void find_overrun(const struct sim_thread *t, const uint8_t *p, uint32_t bytes, uint32_t flags, const void *pc) {
  const struct sim_access a = {p, bytes, flags, -1, pc};
  const struct guarded *g = &guarded[t->number];
  uint32_t i = g->number < MOST ? g->number : MOST;
  while (i > 0 && (p + bytes <= g->list[i - 1].at - PAH_SIM_GUARD ||
                   p >= g->list[i - 1].at + g->list[i - 1].bytes + PAH_SIM_GUARD))
    i--;
  if (i)
    sim_find_at(pc, NULL, NULL, "array-bounds", "%s %u bytes at byte %lld of a local array, which has %llu bytes",
                sim_verb(&a), bytes, (long long)(p - g->list[i - 1].at), (unsigned long long)g->list[i - 1].bytes);
  else
    sim_find_at(pc, NULL, NULL, "array-bounds", "%s %u bytes beside a local array", sim_verb(&a), bytes);
}

void sim_local_access(struct sim_thread *t, const void *p, uint32_t bytes, uint32_t flags, const void *pc) {
  const uint32_t unset = count(t, p, bytes, UNSET);
  const int is_whole = bytes <= 4 && !(flags & SIM_UNALIGNED);
  if (count(t, p, bytes, CLOSED)) find_overrun(t, p, bytes, flags, pc);
  if (!unset) return;
  if (flags & PAH_SIM_READ && (is_whole || unset == bytes)) {
    sim_find_at(pc, NULL, NULL, "uninitialised", "reads %u bytes of a local variable that nobody has set", bytes);
    change(t, p, bytes, UNSET, 0);
  }
  if (flags & PAH_SIM_WRITE) change(t, p, bytes, UNSET, 0);
}

void sim_local_set(struct sim_thread *t, const void *p, uint32_t bytes) {
  if (t->unset_bytes && is_on_stack(t, p)) change(t, p, bytes, UNSET, 0);
}

void sim_locals_end(struct sim_thread *t) {
  if (t->unset_bytes) memset(t->unset, 0, STATES);
  if (t->unset_bytes && guarded) guarded[t->number].number = 0;
  t->unset_bytes = 0;
}
