/* tma.c - bulk copies: cp.async.bulk and cp.async.bulk.tensor, loads that report to an mbarrier and stores in groups.
 * A tensor copy moves a box of up to 5 dimensions, innermost first in shared memory, its 16-byte chunks permuted by the
 * swizzle; what lies outside the tensor is read as zero and not written. As seen on an H200: with a swizzle every row
 * of the box takes a whole span of it, the innermost coordinate is a multiple of 16 bytes, and no coordinate of a store
 * is negative. Read next: async.h, mbarrier.c. */
#include <stdlib.h>
#include <string.h>

#include "async.h"
#include "sim/block/sched.h"
#include "sim/check/check.h"
#include "sim/check/shadow.h"
#include "tensor_map.h"

enum {
  CHUNK = 16,
  TENSOR_ALIGNMENT = 128,
  READ_ASYNC = PAH_SIM_READ | SIM_ASYNC_PROXY | SIM_UNALIGNED,
  WRITE_ASYNC = PAH_SIM_WRITE | SIM_ASYNC_PROXY | SIM_UNALIGNED,
  REDUCE_ASYNC = READ_ASYNC | PAH_SIM_WRITE | PAH_SIM_ATOMIC
};

/* Stores of a thread. */
struct stores {
  struct async_copy *first;
  int64_t group; /* groups committed so far */
  int started;   /* it has agents */
  int read_agent, write_agent;
  uint32_t read_now, write_now;           /* steps of the agents */
  uint32_t read_step[64], write_step[64]; /* the same at the commit of group i % 64 */
};
static struct stores *stores; /* by the number of the thread */
static int stores_used;       /* by a thread of this gang */

/* ---- Building a copy ---- */

struct async_copy *bulk_new(uint8_t *shared, uint32_t bytes, int64_t pieces, const void *pc) {
  struct async_copy *c = async_allocate(sizeof *c);
  c->from = sim_self()->home;
  c->pc = pc;
  c->shared = shared;
  c->bytes = c->reported = bytes;
  c->pieces = async_allocate((size_t)pieces * sizeof *c->pieces);
  c->data = async_allocate(bytes);
  return c;
}

void bulk_free(struct async_copy *c) {
  free(c->pieces);
  free(c->data);
  free(c);
}

void bulk_add(struct async_copy *c, int load, uint8_t *s, uint8_t *g, uint32_t bytes, uint32_t at) {
  c->pieces[c->count++] = load ? (struct async_piece){s, g, bytes, at} : (struct async_piece){g, s, bytes, at};
}

/* Swizzled address: bits 4.. of it are changed by those above bit 7; `swizzle` is 0 or the log2 of the chunks in a row.
 */
static uint32_t swizzled(uint32_t address, int swizzle) {
  return address ^ ((address >> 7 & ((1u << swizzle) - 1)) << 4);
}

/* The elements [from, from + count) of a row of the box, which lie in the tensor, at shared address `row`. */
static void add_row(struct async_copy *c, int load, const struct sim_tensor_map *m, uint32_t row, uint32_t from,
                    uint32_t count, uint8_t *global, uint32_t at) {
  uint32_t done = from * m->element_bytes, end = (from + count) * m->element_bytes;
  while (done < end) {
    const uint32_t chunk_end = (done / CHUNK + 1) * CHUNK, stop = m->swizzle != 0 && chunk_end < end ? chunk_end : end;
    const uint32_t address = swizzled(row + done, m->swizzle);
    bulk_add(c, load, sim_shared_base() + address, global + (done - from * m->element_bytes), stop - done, at + done);
    done = stop;
  }
}

/* The part of the box [start, start + box) that lies in [0, size). */
static void clip(int64_t start, int64_t box, int64_t size, int64_t *from, int64_t *count) {
  *from = start < 0 ? -start : 0;
  const int64_t end = start + box > size ? size - start : box;
  *count = end > *from ? end - *from : 0;
  if (*from > box) *from = box;
}

static struct async_copy *box_copy(int load, const struct sim_tensor_map *m, const int *at, uint32_t shared,
                                   const void *pc) {
  const uint32_t row_bytes = (uint32_t)m->box[0] * m->element_bytes;
  int64_t rows = 1, from, count;
  for (int i = 1; i < m->rank; i++) rows *= m->box[i];
  const int64_t chunks = m->swizzle != 0 ? (row_bytes + CHUNK - 1) / CHUNK : 1;
  const uint32_t pitch = m->swizzle != 0 ? (uint32_t)CHUNK << m->swizzle : row_bytes, range = pitch * (uint32_t)rows;
  struct async_copy *c =
      bulk_new(load ? sim_shared_cluster(shared, range, pc) : sim_shared(shared, range, pc), range, rows * chunks, pc);
  c->reported = row_bytes * (uint32_t)rows;
  c->row_bytes = row_bytes;
  c->pitch = pitch > row_bytes ? pitch : 0;
  c->start = shared;
  c->swizzle = m->swizzle;
  c->map = m;
  clip(at[0], m->box[0], m->size[0], &from, &count);
  for (int64_t r = 0; r < rows && count > 0; r++) {
    int64_t rest = r, offset = (at[0] + from) * m->element_bytes;
    int inside = 1;
    for (int i = 1; i < m->rank; i++) {
      const int64_t index = at[i] + rest % m->box[i];
      rest /= m->box[i];
      if (index < 0 || index >= m->size[i]) inside = 0;
      offset += index * (int64_t)m->stride[i - 1];
    }
    if (inside)
      add_row(c, load, m, shared + (uint32_t)r * pitch, (uint32_t)from, (uint32_t)count,
              (uint8_t *)(uintptr_t)m->address + offset, (uint32_t)r * row_bytes);
  }
  return c;
}

static const struct sim_tensor_map *checked_map(const void *map, int rank, const int *at, uint32_t shared, int load,
                                                const void *pc) {
  const struct sim_tensor_map *m = map;
  if (memcmp(m->magic, "pahtmap1", sizeof m->magic) != 0)
    sim_fatal(pc, "bad-tensor-map", "the tensor map at %p was not made by pah_tensor_map", map);
  if (m->rank != rank)
    sim_fatal(pc, "bad-tensor-map", "cp.async.bulk.tensor.%dd with a tensor map of %d dimensions", rank, m->rank);
  if (shared % TENSOR_ALIGNMENT != 0)
    sim_fatal(pc, "misaligned", "cp.async.bulk.tensor: the shared address 0x%x must be a multiple of %d", shared,
              TENSOR_ALIGNMENT);
  if ((int64_t)at[0] * m->element_bytes % CHUNK != 0)
    sim_fatal(pc, "misaligned",
              "cp.async.bulk.tensor: the innermost coordinate %d of %d bytes each must be at a multiple of %d bytes",
              at[0], m->element_bytes, CHUNK);
  for (int i = 0; i < rank && !load; i++)
    if (at[i] < 0)
      sim_fatal(pc, "bad-operand", "cp.async.bulk.tensor: coordinate %d of a store is %d, must not be negative", i,
                at[i]);
  return m;
}

void bulk_check(uintptr_t global, uint32_t shared, uint32_t bytes, const void *pc) {
  if (global % CHUNK != 0 || shared % CHUNK != 0 || bytes % CHUNK != 0 || bytes == 0)
    sim_fatal(
        pc, "misaligned",
        "cp.async.bulk of %u bytes between %p and shared address 0x%x: all must be multiples of 16, and not 0 bytes",
        bytes, (void *)global, shared);
}

/* ---- Loads ---- */

/* 1: every piece may be read; their bytes are in c->data then. */
static int read_sources(struct async_copy *c, int agent) {
  for (int64_t i = 0; i < c->count; i++) {
    const struct async_piece *p = &c->pieces[i];
    if (p->src == NULL) continue; /* from a register */
    const struct sim_access read = {p->src, p->bytes, READ_ASYNC, agent, c->pc};
    if (sim_check(sim_self(), &read) != 0) return 0;
    memcpy(c->data + p->at, p->src, p->bytes);
    sim_counters()->async_bytes += p->bytes;
  }
  return 1;
}

void bulk_load(struct async_copy *c, uint32_t barrier) {
  struct sim_mbarrier *b = mbarrier_of_copy(barrier, "cp.async.bulk", c->pc);
  const int agent = mbarrier_agent(b, c->pc), reduces = c->reduction != NULL || c->operation;
  if (sim_home_at(c->shared) != mbarrier_home(b))
    sim_fatal(c->pc, "bad-operand", "the mbarrier that a copy reports to is not of the thread block that it writes to");
  const struct sim_access write = {c->shared, c->bytes,
                                   c->operation ? REDUCE_ASYNC
                                   : reduces    ? PAH_SIM_READ | PAH_SIM_WRITE | PAH_SIM_ATOMIC
                                                : WRITE_ASYNC,
                                   agent, c->pc};
  if (c->map) map_check(c->map, agent, c->pc);
  if (!read_sources(c, agent) || sim_check(sim_self(), &write) != 0) {
    c->count = 0; /* it still reports its bytes, so that one fault does not end in a deadlock */
  }
  if (c->count && sim_space_of(c->pieces[0].src) == &sim_spaces[SIM_SHARED]) sim_lend(agent, c->bytes, c->pc);
  if (!reduces) sim_pending_set(c->shared, c->bytes, c->pc);
  mbarrier_add_copy(b, c);
}

/* Zeroes where the copy writes; gaps between its rows keep what they hold. */
static void clear_box(struct async_copy *c) {
  if (!c->pitch) memset(c->shared, 0, c->bytes);
  for (uint32_t row = 0; c->pitch && row < c->bytes; row += c->pitch)
    for (uint32_t done = 0; done < c->row_bytes; done += CHUNK)
      memset(c->shared - c->start + swizzled(c->start + row + done, c->swizzle), 0, CHUNK);
}

static void reduce(struct async_copy *c) {
  unsigned long long old = 0, value = 0;
  memcpy(&old, c->shared, c->bytes);
  memcpy(&value, c->data, c->bytes);
  if (c->count) old = c->reduction(old, value);
  memcpy(c->shared, &old, c->bytes);
}

static void prepare_box(struct async_copy *c) {
  sim_pending_clear(c->shared, c->bytes);
  swizzle_laid_out(c->shared, c->bytes, c->map ? 1 << c->swizzle : 0);
  async_check_landing(c->shared, c->bytes, NULL, NULL, 0, c->pc);
  clear_box(c);
}

static void check_source(const struct async_copy *c, const struct async_piece *p, const char *what) {
  if (p->src != NULL && memcmp(p->src, c->data + p->at, p->bytes) != 0)
    sim_find(c->pc, "async-source-changed", "the source of this bulk %s was changed before the %s", what,
             what[0] == 'c' ? "copy had landed" : "store had read it");
}

static void land_piece(const struct async_copy *c, const struct async_piece *p) {
  if (c->operation)
    reduce_elements(c->operation, c->type, p->dst, c->data + p->at, p->bytes);
  else
    memcpy(p->dst, c->data + p->at, p->bytes);
}

void bulk_land(struct async_copy *c) {
  if (c->reduction) {
    reduce(c);
  } else {
    if (!c->operation) prepare_box(c);
    for (int64_t i = 0; i < c->count; i++) {
      check_source(c, &c->pieces[i], "copy");
      land_piece(c, &c->pieces[i]);
    }
  }
  bulk_free(c);
}

void pah_sim_bulk_load(unsigned dst, const void *src, unsigned bytes, unsigned barrier) {
  const void *pc = __builtin_return_address(0);
  bulk_check((uintptr_t)src, dst, bytes, pc);
  uint8_t *shared = sim_shared_cluster(dst, bytes, pc);
  struct async_copy *c = bulk_new(shared, bytes, 1, pc);
  bulk_add(c, 1, shared, (uint8_t *)(uintptr_t)src, bytes, 0);
  bulk_load(c, barrier);
}

struct async_copy *bulk_box(const void *map, int rank, struct pah_sim_coordinates at, uint32_t shared, const void *pc) {
  return box_copy(1, checked_map(map, rank, at.at, shared, 1, pc), at.at, shared, pc);
}

void pah_sim_tensor_load(unsigned dst, const void *map, int rank, struct pah_sim_coordinates at, unsigned barrier) {
  bulk_load(bulk_box(map, rank, at, dst, __builtin_return_address(0)), barrier);
}

/* ---- Stores ---- */

void bulk_store(struct async_copy *c) {
  struct sim_thread *t = sim_self();
  struct stores *s = &stores[t->number];
  if (!s->started) {
    s->started = stores_used = 1;
    s->read_agent = sim_agent_new(t->home, "reads of bulk stores");
    s->write_agent = sim_agent_new(t->home, "writes of bulk stores");
  }
  s->read_now = sim_agent_start(s->read_agent, t);
  s->write_now = sim_agent_start(s->write_agent, t);
  if (c->map) map_check(c->map, s->read_agent, c->pc);
  for (int64_t i = 0; i < c->count; i++) {
    const struct async_piece *p = &c->pieces[i];
    const struct sim_access write = {p->dst, p->bytes, c->operation ? REDUCE_ASYNC : WRITE_ASYNC, s->write_agent,
                                     c->pc};
    if (sim_check(t, &write) != 0) c->count = 0;
  }
  if (!read_sources(c, s->read_agent)) c->count = 0;
  c->group = s->group;
  struct async_copy **last = &s->first;
  while (*last != NULL) last = &(*last)->next;
  *last = c;
}

static void check_sources(struct async_copy *c) {
  for (int64_t i = 0; i < c->count; i++) {
    struct async_piece *p = &c->pieces[i];
    check_source(c, p, "store");
    p->src = NULL; /* from now on it may change */
  }
}

static void land_store(struct async_copy *c) {
  check_sources(c);
  for (int64_t i = 0; i < c->count; i++) land_piece(c, &c->pieces[i]);
  bulk_free(c);
}

void pah_sim_bulk_store(void *dst, unsigned src, unsigned bytes) {
  const void *pc = __builtin_return_address(0);
  bulk_check((uintptr_t)dst, src, bytes, pc);
  uint8_t *shared = sim_shared(src, bytes, pc);
  struct async_copy *c = bulk_new(shared, bytes, 1, pc);
  bulk_add(c, 0, shared, dst, bytes, 0);
  bulk_store(c);
}

void pah_sim_tensor_store(const void *map, int rank, struct pah_sim_coordinates at, unsigned src) {
  const void *pc = __builtin_return_address(0);
  bulk_store(box_copy(0, checked_map(map, rank, at.at, src, 0, pc), at.at, src, pc));
}

void pah_sim_tensor_reduce(const void *map, int rank, struct pah_sim_coordinates at, unsigned src, int operation) {
  const void *pc = __builtin_return_address(0);
  const struct sim_tensor_map *m = checked_map(map, rank, at.at, src, 0, pc);
  reduce_check(operation, m->type, 0, pc);
  struct async_copy *c = box_copy(0, m, at.at, src, pc);
  c->operation = operation;
  c->type = m->type;
  bulk_store(c);
}

void pah_sim_bulk_commit(void) {
  struct stores *s = &stores[sim_self()->number];
  const int slot = (int)(s->group++ % 64);
  stores_used = 1;
  s->read_step[slot] = s->read_now;
  s->write_step[slot] = s->write_now;
}

void pah_sim_bulk_wait(int groups, int read) {
  struct sim_thread *t = sim_self();
  struct stores *s = &stores[t->number];
  const int64_t last = s->group - groups; /* groups below are over */
  if (last <= 0 || !s->started) return;
  for (struct async_copy *c = s->first; c != NULL && c->group < last; c = c->next) check_sources(c);
  sim_agent_join(t, s->read_agent, s->read_step[(last - 1) % 64]);
  if (read) return;
  while (s->first != NULL && s->first->group < last) {
    struct async_copy *c = s->first;
    s->first = c->next;
    land_store(c);
  }
  sim_agent_join(t, s->write_agent, s->write_step[(last - 1) % 64]);
}

void bulk_begin(void) {
  if (!stores) stores = async_allocate((size_t)sim_all_threads() * sizeof *stores);
  if (stores_used) memset(stores, 0, (size_t)sim_all_threads() * sizeof *stores);
  stores_used = 0;
}

/* Shared memory goes with its thread block: a store must have read it by then. */
void bulk_block_end(void) {
  const int first = sim_self()->number - sim_self()->id;
  for (int i = first; stores_used && i < first + sim_block_threads(); i++) {
    while (stores[i].first != NULL) {
      struct async_copy *c = stores[i].first;
      stores[i].first = c->next;
      if (c->count > 0 && c->pieces[0].src != NULL)
        sim_find(c->pc, "async-unfinished",
                 "the thread block ended before cp.async.bulk.wait_group: the store may read what is no longer there");
      land_store(c);
    }
  }
}
