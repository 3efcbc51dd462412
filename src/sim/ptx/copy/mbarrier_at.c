/* mbarrier_at.c - where an mbarrier is: found by its address, in the list of the thread block whose memory it is in,
 * and named by the variable that it stands in. Findings: mbarrier-uninitialised, mbarrier-overwritten, misaligned. Read
 * next: mbarrier.c. */
#include <stdio.h>
#include <string.h>

#include "mbarrier.h"
#include "sim/block/sched.h"

struct sim_mbarrier **mbarrier_lists;

enum { MOST_BARRIERS = 32 }; /* of a variable that is taken for an array of them */

const char *mbarrier_name(uint32_t at) {
  static char names[2][112];
  static int turn;
  char *name = names[turn = !turn];
  const struct sim_image *image = sim_job->image;
  snprintf(name, sizeof names[0], "mbarrier at byte %u of shared memory", at);
  for (int i = 0; i < image->variable_count; i++) {
    const struct sim_variable *v = &image->variables[i];
    const uint64_t offset = at - v->at;
    if (!v->is_shared || v->guard || at < v->at || offset >= v->bytes) continue;
    if (v->bytes == MBARRIER_BYTES)
      snprintf(name, sizeof names[0], "mbarrier %s", v->name);
    else if (v->bytes <= MOST_BARRIERS * MBARRIER_BYTES && v->bytes % MBARRIER_BYTES == 0)
      snprintf(name, sizeof names[0], "mbarrier %s[%d]", v->name, (int)(offset / MBARRIER_BYTES));
    else
      snprintf(name, sizeof names[0], "mbarrier at byte %llu of %s", (unsigned long long)offset, v->name);
  }
  return name;
}

uint64_t mbarrier_mark(uint32_t address) {
  return 0x6d62617272696572u ^ address; /* "mbarrier" */
}

struct sim_mbarrier **mbarrier_find(const struct mbarrier_spot *s) {
  struct sim_mbarrier **b = &mbarrier_lists[s->home->slot];
  while (*b != NULL && (*b)->address != s->at) b = &(*b)->next;
  return b;
}

struct mbarrier_spot mbarrier_spot_of(uint32_t address, int whole_cluster, const char *instruction, const void *pc) {
  if (address % MBARRIER_BYTES != 0)
    sim_fatal(pc, "misaligned", "%s: mbarrier at shared address 0x%x, must be a multiple of 8", instruction, address);
  uint8_t *p =
      whole_cluster ? sim_shared_cluster(address, MBARRIER_BYTES, pc) : sim_shared(address, MBARRIER_BYTES, pc);
  struct sim_home *home = sim_home_at(p);
  return (struct mbarrier_spot){home, (uint32_t)(p - home->window), p};
}

void mbarrier_touch(const struct mbarrier_spot *s, uint32_t flags, const char *instruction, const void *pc) {
  const struct sim_access access = {s->memory, MBARRIER_BYTES, flags | SIM_QUIET, -1, pc};
  if (sim_check(sim_self(), &access) != 0) sim_fatal(pc, "bad-address", "%s: no mbarrier there", instruction);
}

static struct sim_mbarrier *checked(const struct mbarrier_spot *s, const char *instruction, const void *pc) {
  struct sim_mbarrier *b = *mbarrier_find(s);
  if (b == NULL)
    sim_fatal(pc, "mbarrier-uninitialised", "%s: the %s was not initialised", instruction, mbarrier_name(s->at));
  const uint64_t expected = mbarrier_mark(s->at);
  if (memcmp(s->memory, &expected, MBARRIER_BYTES) != 0)
    sim_fatal(pc, "mbarrier-overwritten", "%s: the memory of the %s was written to", instruction, mbarrier_name(s->at));
  return b;
}

struct sim_mbarrier *mbarrier_known(const struct mbarrier_spot *s, const char *instruction, const void *pc) {
  const int is_ours = s->home == sim_block.here; /* else it may be gone */
  if (!is_ours) mbarrier_touch(s, PAH_SIM_READ | PAH_SIM_WRITE | PAH_SIM_ATOMIC, instruction, pc);
  struct sim_mbarrier *b = checked(s, instruction, pc);
  if (is_ours) mbarrier_touch(s, PAH_SIM_READ | PAH_SIM_WRITE | PAH_SIM_ATOMIC, instruction, pc);
  return b;
}

struct sim_mbarrier *mbarrier_at(uint32_t address, const char *instruction, const void *pc) {
  const struct mbarrier_spot s = mbarrier_spot_of(address, 0, instruction, pc);
  return mbarrier_known(&s, instruction, pc);
}

struct sim_mbarrier *mbarrier_in_cluster(uint32_t address, const char *instruction, const void *pc) {
  const struct mbarrier_spot s = mbarrier_spot_of(address, 1, instruction, pc);
  return mbarrier_known(&s, instruction, pc);
}

struct sim_mbarrier *mbarrier_of_copy(uint32_t address, const char *instruction, const void *pc) {
  const struct mbarrier_spot s = mbarrier_spot_of(address, 1, instruction, pc);
  if (s.home == sim_block.here) return mbarrier_known(&s, instruction, pc);
  const struct sim_access access = {s.memory, MBARRIER_BYTES, PAH_SIM_WRITE, -1, pc};
  if (sim_may_visit(sim_self(), &access) != 0) sim_fatal(pc, "bad-address", "%s: no mbarrier there", instruction);
  return checked(&s, instruction, pc);
}
