/* counters.c - what the memory system would have to do for a warp: global memory moves sectors of 32 bytes, shared
 * memory serves 32 banks of 4 bytes in a wavefront. A request is what the lanes of a warp do at the n-th execution of
 * one instruction since they were last together. Ideal: the same bytes, packed. These are counts, never times.
 * Most requests are lanes at one distance from each other: those are kept as their first address and the distance, and
 * what they cost is remembered. Read next: check.c, which calls it for every access. */
#include "counters.h"

#include <stdlib.h>
#include <string.h>

#include "sim/block/claim.h"
#include "sim/block/sched.h"
#include "shadow.h"

enum { SECTOR = 32, BANKS = 32, WORD = 4, MOST_UNITS = SIM_WARP * (4 * SECTOR / WORD + 1), WAITING = 1 << 16 };

struct sim_line *sim_line_of(struct sim_result *r, const void *pc) {
  uint64_t at = ((uintptr_t)pc * 0x9e3779b97f4a7c15u) >> 52;
  for (int tried = 0; tried < SIM_MAX_LINES; tried++, at = (at + 1) % SIM_MAX_LINES) {
    struct sim_line *l = &r->lines[at];
    if (!l->pc) l->pc = pc;
    if (l->pc == pc) return l;
  }
  return NULL; /* a kernel of more instructions than that: the totals still count */
}

/* ---- What n accesses cost ---- */

static void sort(uint64_t *values, int n) {
  for (int i = 1; i < n; i++) {
    uint64_t v = values[i];
    int j = i;
    for (; j > 0 && values[j - 1] > v; j--) values[j] = values[j - 1];
    values[j] = v;
  }
}

/* Distinct units of `unit` bytes among n accesses, ascending; sorts the addresses. */
static int units(uint64_t *addresses, int n, uint32_t bytes, uint32_t unit, uint64_t *found) {
  int count = 0;
  sort(addresses, n);
  for (int i = 0; i < n; i++) {
    uint64_t first = addresses[i] / unit, last = (addresses[i] + bytes - 1) / unit;
    if (count && first <= found[count - 1]) first = found[count - 1] + 1;
    for (uint64_t u = first; u <= last; u++) found[count++] = u;
  }
  return count;
}

struct cost {
  int64_t units, ideal; /* sectors of global memory, wavefronts of shared memory */
};

static struct cost cost_of_global(uint64_t *addresses, int n, uint32_t bytes) {
  uint64_t found[MOST_UNITS];
  uint32_t word = bytes < WORD ? bytes : WORD;
  struct cost c = {units(addresses, n, bytes, SECTOR, found), 0};
  c.ideal = ((int64_t)units(addresses, n, bytes, word, found) * word + SECTOR - 1) / SECTOR;
  return c;
}

/* Those of a phase of 16 bytes each: eight fill a wavefront. */
static int wavefronts_of_chunks(const uint64_t *addresses, int n, int *ideal) {
  enum { SLOTS = BANKS * WORD / CHUNK_BYTES };
  uint64_t seen[SLOTS][SIM_WARP / 4];
  int per_slot[SLOTS] = {0}, most = 0, different = 0;
  for (int i = 0; i < n; i++) {
    const uint64_t chunk = addresses[i] / CHUNK_BYTES, slot = chunk % SLOTS;
    int j = 0;
    while (j < per_slot[slot] && seen[slot][j] != chunk) j++;
    if (j < per_slot[slot]) continue;
    seen[slot][j] = chunk;
    per_slot[slot]++;
    different++;
    if (per_slot[slot] > most) most = per_slot[slot];
  }
  *ideal = (different * CHUNK_BYTES / WORD + BANKS - 1) / BANKS;
  return most;
}

/* Wavefronts of one phase: words of one bank must be served one after another, equal words once. */
static int wavefronts(uint64_t *addresses, int n, uint32_t bytes, int *ideal) {
  uint64_t found[MOST_UNITS];
  int words = units(addresses, n, bytes, WORD, found), per_bank[BANKS] = {0}, most = 0;
  for (int i = 0; i < words; i++) {
    int bank = (int)(found[i] % BANKS);
    if (++per_bank[bank] > most) most = per_bank[bank];
  }
  *ideal = (words + BANKS - 1) / BANKS;
  return most;
}

static struct cost cost_of_shared(uint64_t *addresses, int n, uint32_t bytes) {
  /* 8-byte accesses are served by half warps, 16-byte ones by quarters. */
  int phase = bytes <= 4 ? SIM_WARP : bytes == 8 ? SIM_WARP / 2 : SIM_WARP / 4;
  struct cost c = {0, 0};
  for (int i = 0; i < n; i += phase) {
    int ideal;
    const int count = n - i < phase ? n - i : phase;
    c.units += bytes == CHUNK_BYTES ? wavefronts_of_chunks(addresses + i, count, &ideal)
                                    : wavefronts(addresses + i, count, bytes, &ideal);
    c.ideal += ideal;
  }
  return c;
}

/* ---- Lanes into requests ---- */

struct request {
  uint64_t first;   /* address of the lane that came first, */
  int32_t distance; /* the others are so far from it and each other, */
  int32_t list;     /* or, if this is not 0, those addresses */
  uint32_t lanes;
  uint16_t bytes; /* of copies of more than fit here, as many as do */
  uint8_t first_lane, is_shared;
};

struct site {               /* an instruction */
  struct request *requests; /* by how often a lane has been here since the lanes were together */
  uint32_t count, room, number;
  uint32_t turns[SIM_WARP];
};

static struct collector { /* of one warp; by team */
  struct site *sites;     /* by number */
  uint32_t site_room, *touched, touched_count;
  uint64_t (*lists)[SIM_WARP];
  int32_t list_count, list_room, waiting;
} * collectors;

int sim_counting;
static uint32_t *numbers; /* of the instructions, by their place in the object, from 1 on */
static struct sim_line **lines;
static uint32_t number_count, number_room;

static void *grown(void *p, size_t count, size_t each) {
  p = realloc(p, count * each);
  if (!p) sim_give_up("no memory left for the counters");
  return p;
}

static uint64_t text_bytes; /* places beyond the object count as one */

void sim_count_open(void) {
  const struct sim_image *image = sim_job->image;
  text_bytes = (uint64_t)(image->text_end - image->text);
  sim_counting = sim_job->launch->counters > 0;
  if (!sim_counting) return;
  collectors = calloc((size_t)sim_all_teams(), sizeof *collectors);
  if (!collectors || !(numbers = calloc(text_bytes + 1, sizeof *numbers)))
    sim_give_up("no memory left for the counters");
}

static uint32_t new_number(const void *pc) {
  if (number_count + 1 >= number_room) {
    number_room = number_room ? 2 * number_room : 256;
    lines = grown(lines, number_room, sizeof *lines);
  }
  lines[++number_count] = sim_line_of(sim_result, pc);
  if (!lines[number_count] || pc >= (const void *)sim_job->image->text_end)
    sim_team_over(SIM_OVER_ORDER); /* which ones are counted depends on who comes first */
  return number_count;
}

static inline uint32_t number_of(const void *pc) {
  const uint64_t at = (uint64_t)((const uint8_t *)pc - sim_text);
  uint32_t *n = &numbers[at < text_bytes ? at : text_bytes];
  if (!*n) *n = new_number(pc);
  return *n;
}

static struct site *new_site(struct collector *c, uint32_t number) {
  if (number >= c->site_room) {
    uint32_t room = number + 64;
    c->sites = grown(c->sites, room, sizeof *c->sites);
    c->touched = grown(c->touched, room, sizeof *c->touched);
    memset(c->sites + c->site_room, 0, (room - c->site_room) * sizeof *c->sites);
    c->site_room = room;
  }
  c->sites[number].number = number;
  return &c->sites[number];
}

static void new_request(struct collector *c, struct site *s, struct request first) {
  if (s->count == s->room) {
    s->room = s->room ? 2 * s->room : 8;
    s->requests = grown(s->requests, s->room, sizeof *s->requests);
  }
  if (s->count == 0) c->touched[c->touched_count++] = s->number;
  s->requests[s->count++] = first;
  c->waiting++;
}

static uint64_t address_of(const struct request *r, int lane) {
  return r->first + (uint64_t)((int64_t)r->distance * (lane - r->first_lane));
}

/* A lane that is not where the others let expect. */
static void another_distance(struct collector *c, struct request *r, uint64_t address, int lane) {
  int64_t off = (int64_t)(address - r->first), lanes = lane - r->first_lane;
  if (!r->list && !(r->lanes & (r->lanes - 1)) && off % lanes == 0 && off / lanes == (int32_t)(off / lanes)) {
    r->distance = (int32_t)(off / lanes);
    r->lanes |= 1u << lane;
    return;
  }
  if (!r->list) {
    if (c->list_count + 1 >= c->list_room) {
      c->list_room = c->list_room ? 2 * c->list_room : 64;
      c->lists = grown(c->lists, (size_t)c->list_room, sizeof *c->lists);
    }
    r->list = ++c->list_count;
    for (int i = 0; i < SIM_WARP; i++) c->lists[r->list][i] = address_of(r, i);
  }
  c->lists[r->list][lane] = address;
  r->lanes |= 1u << lane;
}

void sim_count_plain(const struct sim_thread *t, int is_shared, int writes, uint32_t bytes, const void *p,
                     const void *pc) {
  const int lane = t->lane;
  struct pah_counters *all = &sim_result->counters;
  if (is_shared)
    all->shared_bytes += bytes;
  else if (writes)
    all->global_store_bytes += bytes;
  else
    all->global_load_bytes += bytes;
  struct collector *c = &collectors[t->team];
  const uint32_t number = number_of(pc);
  struct site *at = number < c->site_room ? &c->sites[number] : NULL;
  if (!at || !at->number) at = new_site(c, number);
  const uint32_t turn = at->turns[lane]++;
  if (turn == at->count) {
    new_request(c, at,
                (struct request){(uintptr_t)p, 0, 0, 1u << lane, bytes < UINT16_MAX ? (uint16_t)bytes : UINT16_MAX,
                                 (uint8_t)lane, (uint8_t)is_shared});
    if (c->waiting > WAITING) sim_count_flush(t->team); /* a kernel that never comes together */
    return;
  }
  struct request *r = &at->requests[turn];
  if (!r->list && r->lanes & (r->lanes - 1) && address_of(r, lane) == (uintptr_t)p)
    r->lanes |= 1u << lane;
  else
    another_distance(c, r, (uintptr_t)p, lane);
}

void sim_count_access(struct sim_thread *t, const struct sim_space *s, const struct sim_access *a) {
  const int is_shared = s == &sim_spaces[SIM_SHARED], writes = (a->flags & PAH_SIM_WRITE) != 0;
  struct pah_counters *all = &sim_result->counters;
  if (a->agent < 0 && !(a->flags & SIM_UNCOUNTED)) {
    sim_count_plain(t, is_shared, writes, a->bytes, a->address, a->pc);
    return;
  }
  *(is_shared ? &all->shared_bytes : writes ? &all->global_store_bytes : &all->global_load_bytes) += a->bytes;
}

/* ---- Requests into counts ---- */

/* Costs depend on where in the pattern of banks or sectors a request begins, not on the address: they are kept. */
static struct cost cost_of(const struct collector *c, const struct request *r) {
  enum { KEPT = 1024, PATTERN = BANKS * WORD };
  static struct kept {
    int32_t distance;
    uint32_t lanes, bytes, place;
    struct cost cost;
  } kept[KEPT];
  uint64_t addresses[SIM_WARP];
  uint32_t place = (uint32_t)(address_of(r, 0) % PATTERN) * 2 + r->is_shared + 1;
  uint32_t hash = ((uint32_t)r->distance * 0x9e3779b1u) ^ (r->lanes * 0x85ebca6bu) ^ (place * 0xc2b2ae35u) ^ r->bytes;
  struct kept *k = &kept[(hash ^ hash >> 15) % KEPT];
  if (!r->list && k->distance == r->distance && k->lanes == r->lanes && k->bytes == r->bytes && k->place == place)
    return k->cost;
  int n = 0;
  for (int i = 0; i < SIM_WARP; i++)
    if (r->lanes >> i & 1) addresses[n++] = r->list ? c->lists[r->list][i] : address_of(r, i);
  struct cost cost = r->is_shared ? cost_of_shared(addresses, n, r->bytes) : cost_of_global(addresses, n, r->bytes);
  if (!r->list) *k = (struct kept){r->distance, r->lanes, r->bytes, place, cost};
  return cost;
}

/* A request of so many bytes, at line l or none. */
static void add(struct sim_line *l, int is_shared, int64_t bytes, struct cost cost) {
  struct pah_counters *all = &sim_result->counters;
  if (is_shared) {
    all->shared_wavefronts += cost.units;
    all->shared_wavefronts_ideal += cost.ideal;
  } else {
    all->global_sectors += cost.units;
    all->global_sectors_ideal += cost.ideal;
  }
  if (!l) return;
  if (is_shared) {
    l->count.shared_requests++;
    l->count.shared_bytes += bytes;
    l->count.shared_wavefronts += cost.units;
    l->count.shared_wavefronts_ideal += cost.ideal;
  } else {
    l->count.global_requests++;
    l->count.global_bytes += bytes;
    l->count.global_sectors += cost.units;
    l->count.global_sectors_ideal += cost.ideal;
  }
}

static void count(const struct collector *c, const struct request *r, struct sim_line *l) {
  if (r->bytes > (r->is_shared ? 16 : 4 * SECTOR)) return; /* copies of whole structs: counted in bytes only */
  add(l, r->is_shared, (int64_t)__builtin_popcount(r->lanes) * r->bytes, cost_of(c, r));
}

void sim_count_rows(uint8_t *const *rows, int n, const void *pc) {
  uint64_t addresses[SIM_WARP];
  for (int i = 0; i < n; i++) addresses[i] = (uintptr_t)rows[i];
  const int64_t bytes = (int64_t)n * CHUNK_BYTES;
  sim_result->counters.shared_bytes += bytes;
  add(lines[number_of(pc)], 1, bytes, cost_of_shared(addresses, n, CHUNK_BYTES));
}

void sim_count_flush(int team) {
  struct collector *c = &collectors[team];
  for (uint32_t i = 0; i < c->touched_count; i++) {
    struct site *s = &c->sites[c->touched[i]];
    for (uint32_t j = 0; j < s->count; j++) count(c, &s->requests[j], lines[s->number]);
    s->count = 0;
    memset(s->turns, 0, sizeof s->turns);
  }
  c->touched_count = 0;
  c->list_count = c->waiting = 0;
}
