/* locals.c - local variables that the compiler was told to put before the checker because they may be read before they
 * are set (sim/compile/locals.c): a byte for each word of a thread's stack says which of its bytes nobody has set.
 * A copy of a whole struct or of a machine vector is told of only where all of it was never set: parts of one may be
 * left alone. A thread counts the bytes that are not set: most of the time there are none. Read next: hooks.c. */
#include <string.h>

#include "check.h"
#include "shadow.h"
#include "sim/block/sched.h"

enum { STATES = SIM_STACK_SIZE / WORD_BYTES };
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

static void change(struct sim_thread *t, const uint8_t *p, uint32_t bytes, int on) {
  uint8_t *states = states_of(t);
  uint64_t at = (uint64_t)(p - (const uint8_t *)t->fiber.stack), end = at + bytes;
  if (end > SIM_STACK_SIZE) end = SIM_STACK_SIZE;
  for (; at < end; at = (at / WORD_BYTES + 1) * WORD_BYTES) {
    uint8_t *state = &states[at / WORD_BYTES];
    const unsigned mask = mask_of(at, end), now = on ? *state | mask : *state & ~mask;
    t->unset_bytes += ones[now] - ones[*state];
    *state = (uint8_t)now;
  }
}

static int is_on_stack(const struct sim_thread *t, const void *p) {
  return t && (uint64_t)((const uint8_t *)p - (const uint8_t *)t->fiber.stack) < SIM_STACK_SIZE;
}

void pah_sim_local_begin(void *p, unsigned long bytes) {
  struct sim_thread *t = sim_block.running;
  if (!is_on_stack(t, p)) return;
  change(t, p, (uint32_t)bytes, 1);
  memset(p, 0xff, bytes); /* NaN in every type */
}

void pah_sim_local_end(void *p, unsigned long bytes) {
  struct sim_thread *t = sim_block.running;
  if (t && t->unset_bytes && is_on_stack(t, p)) change(t, p, (uint32_t)bytes, 0);
}

/* How many of the bytes are not set. */
static uint32_t count_unset(struct sim_thread *t, const uint8_t *p, uint32_t bytes) {
  const uint8_t *states = states_of(t);
  uint32_t count = 0;
  uint64_t at = (uint64_t)(p - (const uint8_t *)t->fiber.stack), end = at + bytes;
  if (end > SIM_STACK_SIZE) end = SIM_STACK_SIZE;
  for (; at < end; at = (at / WORD_BYTES + 1) * WORD_BYTES) count += ones[states[at / WORD_BYTES] & mask_of(at, end)];
  return count;
}

void sim_local_access(struct sim_thread *t, const void *p, uint32_t bytes, uint32_t flags, const void *pc) {
  const uint32_t count = count_unset(t, p, bytes);
  const int is_whole = bytes <= 8 && !(flags & SIM_UNALIGNED);
  if (!count) return;
  if (flags & PAH_SIM_READ && (is_whole || count == bytes)) {
    sim_find_at(pc, NULL, NULL, "uninitialised", "reads %u bytes of a local variable that nobody has set", bytes);
    change(t, p, bytes, 0);
  }
  if (flags & PAH_SIM_WRITE) change(t, p, bytes, 0);
}

void sim_local_set(struct sim_thread *t, const void *p, uint32_t bytes) {
  if (t->unset_bytes && is_on_stack(t, p)) change(t, p, bytes, 0);
}

void sim_locals_end(struct sim_thread *t) {
  if (t->unset_bytes) memset(t->unset, 0, STATES);
  t->unset_bytes = 0;
}
