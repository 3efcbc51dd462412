/* pending.c - the words of shared memory that asynchronous copies have not delivered yet, one table entry per word, so
 * that any number of copies may be under way at no cost to the accesses. Read next: check.c, sim/ptx/copy/async.c. */
#include <string.h>

#include "check.h"
#include "sim/block/sched.h"
#include "shadow.h"

uint32_t *sim_pending_of;
int64_t sim_pending_words;

void sim_pending_open(uint64_t words) {
  sim_pending_of = sim_reserve(words * sizeof *sim_pending_of);
}

static uint32_t word_of(const void *p) {
  return (uint32_t)((const uint8_t *)p - sim_spaces[SIM_SHARED].base) / 4;
}

void sim_pending_set(void *p, uint32_t bytes, const void *pc) {
  const uint32_t from = word_of(p), place = (uint32_t)((const uint8_t *)pc - sim_job->image->text);
  for (uint32_t w = from; w < from + bytes / 4; w++) {
    sim_pending_words += sim_pending_of[w] == 0;
    sim_pending_of[w] = place;
  }
  memset(p, 0xff, bytes);
}

void sim_pending_clear(void *p, uint32_t bytes) {
  const uint32_t from = word_of(p);
  for (uint32_t w = from; w < from + bytes / 4; w++) {
    sim_pending_words -= sim_pending_of[w] != 0;
    sim_pending_of[w] = 0;
  }
}

void sim_pending_check(const struct sim_access *a) {
  const uint32_t last = word_of((const uint8_t *)a->address + a->bytes - 1);
  for (uint32_t w = word_of(a->address); w <= last; w++) {
    if (sim_pending_of[w] == 0) continue;
    const int writes = (a->flags & PAH_SIM_WRITE) != 0;
    sim_find_at(a->pc, sim_job->image->text + sim_pending_of[w], a->address,
                writes ? "async-overwrite" : "async-pending",
                "%s %u bytes of shared memory that an asynchronous copy has not delivered yet: wait for it first",
                writes ? "writes" : "reads", a->bytes);
    return;
  }
}

void sim_pending_reset(void) {
  for (int i = 0; i < sim_block.alive && sim_pending_words != 0; i++)
    memset(sim_pending_of + word_of(sim_block.homes[i].window), 0, sim_shared_bytes() / 4 * sizeof *sim_pending_of);
  sim_pending_words = 0;
}
