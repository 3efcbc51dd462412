/* counters.c - what the memory system would have to do for a warp: global memory moves sectors of 32 bytes, shared
 * memory serves 32 banks of 4 bytes in a wavefront. A request is what the lanes of a warp do at the n-th execution of
 * one instruction since they were last together. Ideal: the same bytes, packed. These are counts, never times. Read
 * next: check.c, which calls it for every access. */
#include "counters.h"

#include <stdlib.h>
#include <string.h>

#include "sched.h"
#include "shadow.h"

enum { SECTOR = 32, BANKS = 32, WORD = 4 };

static struct sim_line *line_of(const void *pc) {
  uint64_t at = ((uintptr_t)pc * 0x9e3779b97f4a7c15u) >> 52;
  for (int tried = 0; tried < SIM_MAX_LINES; tried++, at = (at + 1) % SIM_MAX_LINES) {
    struct sim_line *l = &sim_result->lines[at];
    if (!l->pc) l->pc = pc;
    if (l->pc == pc) return l;
  }
  return NULL; /* a kernel of more instructions than that: the totals still count */
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Sorts and removes doubles; returns how many are left. */
static int unique(uint64_t *values, int n) {
  qsort(values, (size_t)n, sizeof *values, by_value);
  int kept = 0;
  for (int i = 0; i < n; i++)
    if (!kept || values[i] != values[kept - 1]) values[kept++] = values[i];
  return kept;
}

/* Distinct units of `unit` bytes among n accesses. */
static int units(const void *const *addresses, int n, uint32_t bytes, uint32_t unit, uint64_t *found) {
  int count = 0;
  for (int i = 0; i < n; i++) {
    uint64_t first = (uintptr_t)addresses[i] / unit, last = ((uintptr_t)addresses[i] + bytes - 1) / unit;
    for (uint64_t u = first; u <= last; u++) found[count++] = u;
  }
  return unique(found, count);
}

void sim_count_global(const void *pc, const void *const *addresses, int n, uint32_t bytes) {
  uint64_t found[SIM_WARP * 6];
  if (bytes > 4 * SECTOR) return; /* copies of whole structs: counted in bytes only */
  int sectors = units(addresses, n, bytes, SECTOR, found);
  int words = units(addresses, n, bytes < WORD ? bytes : bytes, bytes < WORD ? bytes : WORD, found);
  int64_t ideal = ((int64_t)words * (bytes < WORD ? bytes : WORD) + SECTOR - 1) / SECTOR;
  sim_result->counters.global_sectors += sectors;
  sim_result->counters.global_sectors_ideal += ideal;
  struct sim_line *l = line_of(pc);
  if (!l) return;
  l->count.global_requests++;
  l->count.global_bytes += (int64_t)n * bytes;
  l->count.global_sectors += sectors;
  l->count.global_sectors_ideal += ideal;
}

/* Wavefronts of one phase: words of one bank must be served one after another, equal words once. */
static int wavefronts(const void *const *addresses, int n, uint32_t bytes, int *ideal) {
  uint64_t found[SIM_WARP * 6];
  int words = units(addresses, n, bytes, WORD, found), per_bank[BANKS] = {0}, most = 0;
  for (int i = 0; i < words; i++) {
    int bank = (int)(found[i] % BANKS);
    if (++per_bank[bank] > most) most = per_bank[bank];
  }
  *ideal = (words + BANKS - 1) / BANKS;
  return most;
}

void sim_count_shared(const void *pc, const void *const *addresses, int n, uint32_t bytes) {
  /* 8-byte accesses are served by half warps, 16-byte ones by quarters. */
  int phase = bytes <= 4 ? SIM_WARP : bytes == 8 ? SIM_WARP / 2 : SIM_WARP / 4;
  int64_t all = 0, ideal = 0;
  if (bytes > 16) return;
  for (int i = 0; i < n; i += phase) {
    int least;
    all += wavefronts(addresses + i, n - i < phase ? n - i : phase, bytes, &least);
    ideal += least;
  }
  sim_result->counters.shared_wavefronts += all;
  sim_result->counters.shared_wavefronts_ideal += ideal;
  struct sim_line *l = line_of(pc);
  if (!l) return;
  l->count.shared_requests++;
  l->count.shared_bytes += (int64_t)n * bytes;
  l->count.shared_wavefronts += all;
  l->count.shared_wavefronts_ideal += ideal;
}

/* ---- Lanes into requests ---- */

struct request {
  const void *pc;
  uint32_t bytes, turn; /* the turn-th execution of pc since the lanes were together */
  int is_shared, lanes;
  const void *addresses[SIM_WARP];
};

static struct collector { /* of one warp */
  struct request *requests;
  int64_t count, room;
  struct slot { /* open hash table from (pc, turn) to requests, and from (pc, lane) to turns */
    const void *pc;
    uint32_t key, value;
  } * slots;
  uint64_t slot_room, used;
} collectors[SIM_MAX_WARPS];

static struct slot *find_slot(struct collector *c, const void *pc, uint32_t key) {
  uint64_t at = ((uintptr_t)pc * 0x9e3779b97f4a7c15u ^ key * 0xc2b2ae3d27d4eb4fu) >> 20;
  for (;; at++) {
    struct slot *s = &c->slots[at % c->slot_room];
    if (!s->pc || (s->pc == pc && s->key == key)) return s;
  }
}

static void grow(struct collector *c) {
  struct collector old = *c;
  c->slot_room = old.slot_room ? 2 * old.slot_room : 1024;
  c->slots = calloc(c->slot_room, sizeof *c->slots);
  if (!c->slots) sim_give_up("no memory left for the counters");
  for (uint64_t i = 0; i < old.slot_room; i++)
    if (old.slots[i].pc) *find_slot(c, old.slots[i].pc, old.slots[i].key) = old.slots[i];
  free(old.slots);
}

static struct slot *slot(struct collector *c, const void *pc, uint32_t key) {
  if (2 * c->used >= c->slot_room) grow(c);
  struct slot *s = find_slot(c, pc, key);
  if (!s->pc) *s = (struct slot){pc, key, 0}, c->used++;
  return s;
}

void sim_count_access(struct sim_thread *t, const struct sim_space *s, const struct sim_access *a) {
  int is_shared = s == &sim_spaces[SIM_SHARED];
  struct pah_counters *all = &sim_result->counters;
  if (is_shared)
    all->shared_bytes += a->bytes;
  else if (a->flags & PAH_SIM_WRITE)
    all->global_store_bytes += a->bytes;
  else
    all->global_load_bytes += a->bytes;
  if (a->agent >= 0 || a->flags & SIM_UNCOUNTED) return; /* the emulator counts its own requests */
  struct collector *c = &collectors[t->warp];
  uint32_t turn = slot(c, a->pc, (uint32_t)t->lane)->value++;
  struct slot *at = slot(c, a->pc, (turn + 1) * SIM_WARP);
  if (!at->value) {
    if (c->count == c->room) {
      c->room = c->room ? 2 * c->room : 256;
      c->requests = realloc(c->requests, (size_t)c->room * sizeof *c->requests);
      if (!c->requests) sim_give_up("no memory left for the counters");
    }
    c->requests[c->count] = (struct request){.pc = a->pc, .bytes = a->bytes, .turn = turn, .is_shared = is_shared};
    at->value = (uint32_t)++c->count;
  }
  struct request *r = &c->requests[at->value - 1];
  if (r->lanes < SIM_WARP) r->addresses[r->lanes++] = a->address;
  if (c->count > 1 << 16) sim_count_flush(t->warp); /* a kernel that never comes together */
}

void sim_count_flush(int warp) {
  struct collector *c = &collectors[warp];
  for (int64_t i = 0; i < c->count; i++) {
    const struct request *r = &c->requests[i];
    if (r->is_shared)
      sim_count_shared(r->pc, r->addresses, r->lanes, r->bytes);
    else
      sim_count_global(r->pc, r->addresses, r->lanes, r->bytes);
  }
  c->count = 0;
  if (c->used) memset(c->slots, 0, c->slot_room * sizeof *c->slots);
  c->used = 0;
}
