/* map.c - tensor maps that a kernel changes: tensormap.replace, the copy of a whole map with a fence, and which changes
 * the unit that copies tensors can see: those with a release by the writer and an acquire of this map after it. Maps in
 * parameters do not change. Findings: missing-proxy-fence, bad-tensor-map, bad-operand. Read next: tensor_map.h, tma.c.
 */
#include <string.h>

#include "async.h"
#include "sim/block/sched.h"
#include "sim/check/check.h"
#include "sim/check/clock.h"
#include "sim/check/shadow.h"
#include "tensor_map.h"

enum { BYTES = 128, ALIGNMENT = 64, KEPT = 8, LARGEST_BOX = 256, CHUNK = 16 };

static const char magic[8] = {'p', 'a', 'h', 't', 'm', 'a', 'p', '1'};

/* The last fences of a thread, of each kind: its step, and what it knew of the others. */
struct fence {
  const void *map; /* of an acquire */
  uint32_t step;
  struct sim_known known;
};
struct fences {
  struct fence released[KEPT], acquired[KEPT];
  uint32_t releases, acquires;
};
static struct fences *fences; /* by the number of the thread */
static int fences_used;       /* by a thread of this gang */

void map_begin(void) {
  if (!fences) fences = async_allocate((size_t)sim_all_threads() * sizeof *fences);
  for (int i = 0; fences_used && i < sim_all_threads(); i++) {
    struct fences *f = &fences[i];
    for (int j = 0; j < KEPT; j++) {
      sim_known_drop(&f->released[j].known);
      sim_known_drop(&f->acquired[j].known);
    }
    memset(f, 0, sizeof *f);
  }
  fences_used = 0;
}

static void add_fence(struct fence *ring, uint32_t *count, const void *map) {
  struct sim_thread *t = sim_self();
  struct fence *f = &ring[(*count)++ % KEPT];
  fences_used = 1;
  f->map = map;
  f->step = t->step;
  sim_known_drop(&f->known);
  sim_release_to(t, t->home, &f->known);
}

void pah_sim_map_release(void) {
  struct fences *f = &fences[sim_self()->number];
  pah_sim_fence(PAH_SIM_FENCE_DEVICE);
  add_fence(f->released, &f->releases, NULL);
}

void pah_sim_map_acquire(const void *map, unsigned bytes) {
  struct sim_thread *t = sim_self();
  struct fences *f = &fences[t->number];
  if (bytes != BYTES)
    sim_fatal(__builtin_return_address(0), "bad-operand",
              "fence.proxy.tensormap::generic.acquire: the size is %u, must be %d", bytes, BYTES);
  pah_sim_fence(PAH_SIM_FENCE_DEVICE);
  add_fence(f->acquired, &f->acquires, map);
}

/* ---- Is a change fenced? ---- */

/* What `reader` knew of the steps of `writer`. */
static uint32_t known_of(const struct sim_known *k, const struct sim_thread *reader, const struct sim_thread *writer) {
  const struct sim_clock *c =
      writer->home == reader->home ? k->clock : sim_foreign_find(k->foreign, sim_home_index(writer));
  return c ? c->at[writer->id] : 0;
}

/* Had the reader, with what it knew, seen step `step` of the writer? */
static int has_seen(const struct sim_known *k, const struct sim_thread *reader, const struct sim_thread *writer,
                    uint32_t own, uint32_t step) {
  return reader == writer ? own >= step : known_of(k, reader, writer) >= step;
}

/* A release that came after the write, and that the acquire knows of. */
static int is_released(const struct sim_thread *writer, uint32_t step, const struct sim_thread *by,
                       const struct fence *acquire) {
  for (int i = 0; i < sim_all_threads(); i++) {
    const struct sim_thread *t = sim_thread_at(i);
    const struct fences *f = &fences[i];
    for (uint32_t j = 0; j < KEPT && j < f->releases; j++) {
      const struct fence *r = &f->released[j];
      if (has_seen(&r->known, t, writer, r->step, step) && has_seen(&acquire->known, by, t, acquire->step, r->step))
        return 1;
    }
  }
  return 0;
}

static const char *missing_fence(const struct sim_thread *writer, uint32_t step, const void *map,
                                 const struct sim_thread *user) {
  const struct sim_known now = {user->clock, user->foreign};
  int acquired = 0;
  for (int i = 0; i < sim_all_threads(); i++) {
    const struct sim_thread *t = sim_thread_at(i);
    const struct fences *f = &fences[i];
    for (uint32_t j = 0; j < KEPT && j < f->acquires; j++) {
      const struct fence *a = &f->acquired[j];
      if (a->map != map || !has_seen(&a->known, t, writer, a->step, step) ||
          !has_seen(&now, user, t, user->step, a->step))
        continue;
      if (is_released(writer, step, t, a)) return NULL;
      acquired = 1;
    }
  }
  return acquired ? "fence.proxy.tensormap::generic.release after the write"
                  : "fence.proxy.tensormap::generic.acquire of it";
}

static void check_fences(const struct sim_space *s, const uint8_t *map, const void *pc) {
  const struct sim_thread *user = sim_self();
  const uint64_t first = (uint64_t)(map - s->base) / CHUNK;
  for (uint64_t word = 0; word < BYTES / WORD_BYTES; word++) {
    const uint64_t chunk = first + word / CHUNK_WORDS;
    const sim_epoch write = s->split[chunk] ? s->cells[first * CHUNK_WORDS + word].write : s->chunks[chunk].write;
    const struct sim_home *home = write && write != CELL_SPLIT ? sim_home_of(EPOCH_BLOCK(write)) : NULL;
    if (!home || (int)EPOCH_ID(write) >= sim_block.count) continue;
    const struct sim_thread *writer = sim_thread_at(home->slot * sim_block.count + (int)EPOCH_ID(write));
    const char *missing = missing_fence(writer, EPOCH_STEP(write), map, user);
    if (!missing) continue;
    sim_find(pc, "missing-proxy-fence", "a tensor copy uses a tensor map that thread %d has changed, with no %s",
             writer->id, missing);
    return;
  }
}

/* ---- Is it a tensor map? ---- */

static void check_fields(const struct sim_tensor_map *m, const void *pc) {
  const unsigned row = (unsigned)m->box[0] * m->element_bytes;
  if (!m->address || m->address % CHUNK != 0)
    sim_fatal(pc, "bad-tensor-map", "the tensor map's global_address is 0x%llx, must be a multiple of %d, and not 0",
              (unsigned long long)m->address, CHUNK);
  for (int i = 0; i < m->rank; i++) {
    if (m->box[i] < 1 || m->box[i] > LARGEST_BOX)
      sim_fatal(pc, "bad-tensor-map", "the tensor map's box_dim %d is %u, must be 1 to %d", i, m->box[i], LARGEST_BOX);
    if (i && m->stride[i - 1] % CHUNK != 0)
      sim_fatal(pc, "bad-tensor-map", "the tensor map's global_stride %d is %llu, must be a multiple of %d", i - 1,
                (unsigned long long)m->stride[i - 1], CHUNK);
  }
  if (row % CHUNK != 0 || (m->swizzle && row > (unsigned)CHUNK << m->swizzle))
    sim_fatal(pc, "bad-tensor-map", "a row of the tensor map's box has %u bytes, must be a multiple of %d%s", row,
              CHUNK, m->swizzle ? " and no more than the swizzle's" : "");
}

void map_check(const void *map, int agent, const void *pc) {
  const struct sim_space *s = sim_space_of(map);
  if (!s) return; /* a parameter */
  if (s == &sim_spaces[SIM_SHARED])
    sim_fatal(pc, "bad-tensor-map", "the tensor map is in shared memory, must be in global memory or a parameter");
  const struct sim_access read = {map, BYTES, PAH_SIM_READ | SIM_UNALIGNED, agent, pc};
  if (sim_check(sim_self(), &read) != 0) sim_fatal(pc, "bad-address", "there is no tensor map at %p", map);
  check_fences(s, map, pc);
  if (((const struct sim_tensor_map *)map)->is_changed) check_fields(map, pc);
}

/* ---- Changes ---- */

static void refuse(const void *pc, const char *field, unsigned long long value, const char *must) {
  sim_fatal(pc, "bad-operand", "tensormap.replace.%s: is %llu, must be %s", field, value, must);
}

static void set_field(struct sim_tensor_map *m, int field, int at, unsigned long long value, const void *pc) {
  switch (field) {
  case PAH_SIM_MAP_ADDRESS: m->address = value; break;
  case PAH_SIM_MAP_RANK:
    if (value >= SIM_TENSOR_RANK) refuse(pc, "rank", value, "0 to 4, one less than the dimensions");
    m->rank = (uint8_t)(value + 1);
    break;
  case PAH_SIM_MAP_BOX:
    if (value < 1 || value > LARGEST_BOX) refuse(pc, "box_dim", value, "1 to 256");
    m->box[at] = (uint16_t)value;
    break;
  case PAH_SIM_MAP_SIZE: m->size[at] = (uint32_t)value; break;
  case PAH_SIM_MAP_STRIDE: m->stride[at] = value; break;
  case PAH_SIM_MAP_STEP:
    if (value != 1) refuse(pc, "element_stride", value, "1 on sim");
    break;
  case PAH_SIM_MAP_TYPE:
    if (!tensor_map_bytes((int)value)) refuse(pc, "elemtype", value, "0 to 12 on sim");
    m->type = (uint8_t)value;
    m->element_bytes = (uint8_t)tensor_map_bytes((int)value);
    break;
  case PAH_SIM_MAP_INTERLEAVE:
    if (value != 0) refuse(pc, "interleave_layout", value, "0 on sim");
    break;
  case PAH_SIM_MAP_SWIZZLE:
    if (value > 3) refuse(pc, "swizzle_mode", value, "0 to 3");
    m->swizzle = (uint8_t)value;
    break;
  default:
    if (value != 0) refuse(pc, "fill_mode", value, "0 on sim");
  }
}

void pah_sim_map_replace(void *map, int field, int at, unsigned long long value) {
  const void *pc = __builtin_return_address(0);
  struct sim_tensor_map *m = map;
  static const uint8_t zeros[BYTES];
  if ((uintptr_t)map % ALIGNMENT != 0)
    sim_fatal(pc, "misaligned", "tensormap.replace: the tensor map is at %p, must be at a multiple of %d", map,
              ALIGNMENT);
  if (at < 0 || at >= SIM_TENSOR_RANK - (field == PAH_SIM_MAP_STRIDE))
    sim_fatal(pc, "bad-operand", "tensormap.replace: dimension %d, must be 0 to %d", at,
              SIM_TENSOR_RANK - 1 - (field == PAH_SIM_MAP_STRIDE));
  const struct sim_access access = {map, BYTES, PAH_SIM_READ | PAH_SIM_WRITE | SIM_UNALIGNED, -1, pc};
  if (!sim_space_of(map) || sim_check(sim_self(), &access) != 0)
    sim_fatal(pc, "bad-address", "tensormap.replace: %p is neither global nor shared memory that may be written", map);
  if (!memcmp(map, zeros, BYTES)) { /* one that is made from nothing */
    memcpy(m->magic, magic, sizeof magic);
    m->rank = m->element_bytes = 1;
  } else if (memcmp(m->magic, magic, sizeof magic) != 0) {
    sim_fatal(pc, "bad-tensor-map", "tensormap.replace: there is no tensor map at %p, nor %d zeros", map, BYTES);
  }
  m->is_changed = 1;
  set_field(m, field, at, value, pc);
}

/* ---- tensormap.cp_fenceproxy ---- */

struct map_copy {
  void *dst;
  unsigned src;
};

/* Every lane reads its part, the first one writes and releases, and the others know of that. */
static void run_copy(struct sim_collective *c) {
  sim_whole_warp(c);
  struct sim_thread *self = sim_self(), *first = c->threads[0];
  const struct map_copy *a = c->lanes[0];
  struct sim_known known = {NULL, NULL};
  int fits = 1;
  for (int i = 1; i < SIM_WARP; i++)
    if (memcmp(c->lanes[i], a, sizeof *a) != 0)
      sim_fatal(c->pc, "bad-operand", "tensormap.cp_fenceproxy: lane %d has other addresses than lane 0", i);
  sim_enter(first);
  const uint8_t *from = sim_shared(a->src, BYTES, c->pc);
  for (int i = 0; i < SIM_WARP; i++) {
    const struct sim_access read = {from + i * WORD_BYTES, WORD_BYTES, PAH_SIM_READ, -1, c->pc};
    sim_enter(c->threads[i]);
    if (sim_check(c->threads[i], &read) != 0) fits = 0;
  }
  sim_enter(first);
  const struct sim_access write = {a->dst, BYTES, PAH_SIM_WRITE | SIM_UNALIGNED, -1, c->pc};
  if (sim_check(first, &write) == 0 && fits) memcpy(a->dst, from, BYTES);
  pah_sim_map_release();
  sim_release_to(first, first->home, &known);
  for (int i = 1; i < SIM_WARP; i++) sim_acquire_from(c->threads[i], &known);
  sim_known_drop(&known);
  sim_enter(self);
}

void pah_sim_map_copy(void *dst, unsigned src, unsigned bytes) {
  const void *pc = __builtin_return_address(0);
  struct map_copy operands;
  memset(&operands, 0, sizeof operands);
  operands.dst = dst;
  operands.src = src;
  if (bytes != BYTES) sim_fatal(pc, "bad-operand", "tensormap.cp_fenceproxy: the size is %u, must be %d", bytes, BYTES);
  if ((uintptr_t)dst % ALIGNMENT != 0 || src % ALIGNMENT != 0)
    sim_fatal(pc, "misaligned", "tensormap.cp_fenceproxy: to %p from shared address 0x%x, must be multiples of %d", dst,
              src, ALIGNMENT);
  sim_collective("tensormap.cp_fenceproxy", ~0u, &operands, run_copy, pc);
}
