/* locals.c - local variables that the compiler was told to put before the checker because they may be read before they
 * are set (sim/compile/locals.c): a byte for each word of a thread's stack says which of its bytes nobody has set.
 * A copy of a whole struct or of a machine vector is told of only where all of it was never set: parts of one may be
 * left alone. Read next: hooks.c. */
#include <string.h>

#include "check.h"
#include "shadow.h"
#include "sim/block/sched.h"

enum { STATES = SIM_STACK_SIZE / WORD_BYTES };
static uint8_t *unset; /* of each thread, STATES bytes */

static uint8_t *states_of(const struct sim_thread *t) {
  if (!unset) unset = sim_reserve((uint64_t)sim_all_threads() * STATES);
  return unset + (uint64_t)t->number * STATES;
}

static void change(const struct sim_thread *t, const uint8_t *p, uint32_t bytes, int on) {
  uint8_t *states = states_of(t);
  const uint64_t from = (uint64_t)(p - (const uint8_t *)t->fiber.stack);
  for (uint64_t at = from; at < from + bytes && at < SIM_STACK_SIZE; at++) {
    const uint8_t bit = (uint8_t)(1 << at % WORD_BYTES);
    states[at / WORD_BYTES] = (uint8_t)(on ? states[at / WORD_BYTES] | bit : states[at / WORD_BYTES] & ~bit);
  }
}

static int is_on_stack(const struct sim_thread *t, const void *p) {
  return t && (uint64_t)((const uint8_t *)p - (const uint8_t *)t->fiber.stack) < SIM_STACK_SIZE;
}

void pah_sim_local_begin(void *p, unsigned long bytes) {
  struct sim_thread *t = sim_block.running;
  if (!is_on_stack(t, p)) return;
  t->unset_locals++;
  change(t, p, (uint32_t)bytes, 1);
  memset(p, 0xff, bytes); /* NaN in every type */
}

void pah_sim_local_end(void *p, unsigned long bytes) {
  struct sim_thread *t = sim_block.running;
  if (!is_on_stack(t, p)) return;
  t->unset_locals--;
  change(t, p, (uint32_t)bytes, 0);
}

/* How many of the bytes are not set. */
static uint32_t count_unset(const struct sim_thread *t, const uint8_t *p, uint32_t bytes) {
  const uint8_t *states = states_of(t);
  const uint64_t from = (uint64_t)(p - (const uint8_t *)t->fiber.stack);
  uint32_t count = 0;
  for (uint64_t at = from; at < from + bytes && at < SIM_STACK_SIZE; at++)
    count += states[at / WORD_BYTES] >> at % WORD_BYTES & 1;
  return count;
}

void sim_local_access(const struct sim_thread *t, const void *p, uint32_t bytes, uint32_t flags, const void *pc) {
  const uint32_t count = count_unset(t, p, bytes);
  const int is_whole = bytes <= 8 && !(flags & SIM_UNALIGNED);
  if (!count) return;
  if (flags & PAH_SIM_READ && (is_whole || count == bytes)) {
    sim_find_at(pc, NULL, NULL, "uninitialised", "reads %u bytes of a local variable that nobody has set", bytes);
    change(t, p, bytes, 0);
  }
  if (flags & PAH_SIM_WRITE) change(t, p, bytes, 0);
}

void sim_local_set(const struct sim_thread *t, const void *p, uint32_t bytes) {
  if (t->unset_locals && is_on_stack(t, p)) change(t, p, bytes, 0);
}

void sim_locals_end(struct sim_thread *t) {
  if (t->unset_locals) memset(states_of(t), 0, STATES);
  t->unset_locals = 0;
}
