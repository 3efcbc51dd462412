/* check.c - what an access means: is the memory there, was it written, and is it ordered with what others did to it.
 * The order is that of vector clocks: an access of thread u at its step s came before what thread t does now if t's
 * clock knows step s of u. Barriers, __syncwarp and released variables carry knowledge; shuffles do not.
 * Findings: race, uninitialised, out-of-bounds, misaligned, use-after-free, bad-address, missing-proxy-fence, plus
 * those of pending copies. Read next: shadow.h, hooks.c, sync.c. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "sched.h"
#include "clock.h"
#include "shadow.h"

/* ---- Who is asking ---- */

struct view {
  uint32_t id, step;
  const struct sim_clock *clock;
  struct sim_thread *thread;
};

static int ordered(const struct view *v, sim_epoch e) {
  uint32_t id = EPOCH_ID(e), step = EPOCH_STEP(e);
  if (EPOCH_BLOCK(e) == (sim_block.index & SIM_BLOCK_MASK)) return id == v->id || v->clock->at[id] >= step;
  const struct sim_clock *c = sim_foreign_find(v->thread->foreign, EPOCH_BLOCK(e));
  return c && c->at[id] >= step;
}

/* ---- Races. A write of the same value is none that anyone could notice: it is looked at again after the write. ----
 */

static struct {
  const uint8_t *address;
  uint32_t bytes;
  uint8_t old[16];
  struct sim_access access;
  sim_epoch other;
  const void *other_pc;
  struct sim_thread *thread;
} deferred;

static void describe(char *text, size_t bytes, sim_epoch e) {
  uint32_t id = EPOCH_ID(e);
  if ((int)id >= sim_block.count)
    snprintf(text, bytes, "an asynchronous copy or matrix instruction");
  else if (EPOCH_BLOCK(e) == (sim_block.index & SIM_BLOCK_MASK))
    snprintf(text, bytes, "thread %u", id);
  else
    snprintf(text, bytes, "thread %u of thread block %lld", id, (long long)EPOCH_BLOCK(e));
}

static void find_race(const struct sim_access *a, sim_epoch other, const void *other_pc, const char *what) {
  char who[96];
  describe(who, sizeof who, other);
  sim_find_at(a->pc, other_pc, a->address, "race", "%s of %u bytes of %s memory is not ordered after the %s by %s",
              what, a->bytes, sim_space_name(a->address), a->flags & PAH_SIM_WRITE ? "access" : "write", who);
}

void sim_deferred_look(void) {
  const uint8_t *p = deferred.address;
  deferred.address = NULL;
  if (!memcmp(p, deferred.old, deferred.bytes)) return;
  struct sim_thread *now = sim_block.running;
  sim_block.running = deferred.thread;
  find_race(&deferred.access, deferred.other, deferred.other_pc, "a write");
  sim_block.running = now;
}

int sim_deferred_any(void) {
  return deferred.address != NULL;
}

static void race_write(const struct view *v, const struct sim_access *a, const struct sim_cell *c) {
  const void *other_pc = sim_job->image->text + c->write_pc;
  if (a->bytes > sizeof deferred.old || a->agent >= 0 || a->flags & PAH_SIM_READ) {
    find_race(a, c->write, other_pc, a->flags & PAH_SIM_READ ? "an atomic" : "a write");
    return;
  }
  if (deferred.address) return; /* one of the words of this access is enough */
  deferred.address = a->address;
  deferred.bytes = a->bytes;
  memcpy(deferred.old, a->address, a->bytes);
  deferred.access = *a;
  deferred.other = c->write;
  deferred.other_pc = other_pc;
  deferred.thread = v->thread;
}

static inline int conflicts(const struct view *v, sim_epoch e, unsigned atomic) {
  return e && !(atomic & e & EPOCH_ATOMIC) && !ordered(v, e);
}

/* Copies and wgmma see what a thread wrote only after a fence.proxy.async. */
static void check_proxy(const struct view *v, const struct sim_access *a, const struct sim_cell *c) {
  const int writer = (int)EPOCH_ID(c->write);
  if (!c->write || writer >= sim_block.count || EPOCH_BLOCK(c->write) != (sim_block.index & SIM_BLOCK_MASK)) return;
  if (sim_proxy_fenced(writer, EPOCH_STEP(c->write), v->thread, v->clock->at[writer])) return;
  sim_find_at(a->pc, sim_job->image->text + c->write_pc, a->address, "missing-proxy-fence",
              "an asynchronous read of %s memory that thread %d wrote, with no fence.proxy.async between",
              sim_space_name(a->address), writer);
}

static inline void touch(struct sim_cell *c, const struct view *v, const struct sim_access *a, sim_epoch me) {
  unsigned atomic = me & EPOCH_ATOMIC;
  uint32_t pc = (uint32_t)((const uint8_t *)a->pc - sim_job->image->text);
  if (a->flags & PAH_SIM_WRITE) {
    if (c->write != me && conflicts(v, c->write, atomic)) race_write(v, a, c);
    for (int i = 0; i < 2; i++)
      if (c->read[i] && conflicts(v, c->read[i], atomic))
        find_race(a, c->read[i], sim_job->image->text + c->read_pc, "a write");
    c->write = me;
    c->write_pc = pc;
    c->read[0] = c->read[1] = 0;
  } else {
    if (conflicts(v, c->write, atomic))
      find_race(a, c->write, sim_job->image->text + c->write_pc, "a read");
    else if (a->flags & SIM_ASYNC_PROXY)
      check_proxy(v, a, c);
    /* Two readers are kept that are not ordered: preferably of different warps, which no __syncwarp joins. */
    if (c->read[0] == me) return;
    if (!c->read[0] || ordered(v, c->read[0]))
      c->read[0] = me;
    else if (!c->read[1] || ordered(v, c->read[1]) || EPOCH_ID(c->read[0]) / SIM_WARP != v->id / SIM_WARP)
      c->read[1] = me;
    c->read_pc = pc;
  }
}

static void touch_bytes(struct sim_cell *cell, const struct view *v, const struct sim_access *a, sim_epoch me,
                        unsigned mask) {
  if (mask == 0xf && cell->write != CELL_SPLIT) {
    touch(cell, v, a, me);
    return;
  }
  struct sim_cell *bytes = sim_split(cell);
  for (int i = 0; i < 4; i++)
    if (mask >> i & 1) touch(&bytes[i], v, a, me);
}

/* ---- Bounds, life, initialisation ---- */

static const char *verb(const struct sim_access *a) {
  return !(a->flags & PAH_SIM_WRITE) ? "reads" : a->flags & PAH_SIM_READ ? "updates" : "writes";
}

const char *sim_space_name(const void *p) {
  const struct sim_space *s = sim_space_of(p);
  return s ? s->name : "local";
}

static void bad_global(const struct sim_access *a) {
  const struct sim_allocation *m = sim_arena_find(sim_job->arena, a->address);
  if (!m) {
    sim_find_at(a->pc, NULL, a->address, "out-of-bounds", "%s %u bytes before the first tensor of the device", verb(a),
                a->bytes);
    return;
  }
  uint64_t at = (uint64_t)((const uint8_t *)a->address - sim_job->arena->base) - m->start;
  if (!m->alive && at < m->bytes)
    sim_find_at(a->pc, NULL, a->address, "use-after-free",
                "%s %u bytes at byte %llu of a tensor of %llu bytes that has "
                "been freed (allocation %lld of the device)",
                verb(a), a->bytes, (unsigned long long)at, (unsigned long long)m->bytes, (long long)m->number);
  else
    sim_find_at(a->pc, NULL, a->address, "out-of-bounds",
                "%s %u bytes, %llu bytes past the end of a tensor of %llu bytes "
                "(allocation %lld of the device)",
                verb(a), a->bytes, (unsigned long long)(at < m->bytes ? 0 : at - m->bytes),
                (unsigned long long)m->bytes, (long long)m->number);
}

static void bad_bounds(const struct sim_space *s, const struct sim_access *a) {
  if (s == &sim_spaces[SIM_GLOBAL])
    bad_global(a);
  else
    sim_find_at(a->pc, NULL, a->address, "out-of-bounds", "%s %u bytes at byte %llu of %s memory, which has %llu bytes",
                verb(a), a->bytes, (unsigned long long)((const uint8_t *)a->address - s->base), s->name,
                (unsigned long long)s->size);
}

/* Not in a space that is watched: the own stack, constants and arguments are fine. */
static int check_elsewhere(struct sim_thread *t, const struct sim_access *a) {
  const uint8_t *p = a->address;
  const struct sim_image *image = sim_job->image;
  int owner, where = sim_fiber_of(p, &owner);
  if (where == 1 && (owner == t->id || sim_block.threads[owner].state != SIM_EXITED)) {
    if (owner == t->id) return 0;
    sim_find_at(a->pc, NULL, NULL, "bad-address", "%s local memory of thread %d", verb(a), owner);
    return -1;
  }
  int reads = !(a->flags & PAH_SIM_WRITE);
  if (reads && p >= image->text && p + a->bytes <= image->text_end) return 0;
  if (reads && sim_is_argument(p)) return 0;
  /* As integers: a kernel without shared memory has its base near zero. */
  uintptr_t shared = (uintptr_t)sim_spaces[SIM_SHARED].base, at = (uintptr_t)p;
  const uint8_t *module = sim_spaces[SIM_MODULE].base;
  if (p < sim_job->arena->base + sim_job->arena->size && p >= sim_job->arena->base)
    bad_global(a);
  else if (shared > 65536 && at >= shared - 65536 && at < shared + sim_spaces[SIM_SHARED].size + 65536 &&
           !(p >= module && p < image->data_end))
    sim_find_at(a->pc, NULL, p, "out-of-bounds", "%s %u bytes at byte %lld of shared memory, which has %llu bytes",
                verb(a), a->bytes, (long long)(at - shared), (unsigned long long)sim_spaces[SIM_SHARED].size);
  else
    sim_find_at(a->pc, NULL, NULL, "bad-address",
                "%s %u bytes at address %p, which is in no tensor, shared or local "
                "memory",
                verb(a), a->bytes, (const void *)p);
  return -1;
}

/* Is this byte of shared memory the compiler's own? */
static int is_guard(const struct sim_image *image, uint64_t at) {
  for (int i = 0; i < image->variable_count; i++) {
    const struct sim_variable *v = &image->variables[i];
    if (v->guard && at >= v->at && at < v->at + v->bytes) return 1;
  }
  return 0;
}

static int check_words(const struct sim_space *s, struct sim_thread *t, const struct sim_access *a) {
  struct view v = {.thread = t};
  const struct sim_agent *agent = a->agent >= 0 ? sim_agent_at(a->agent) : NULL;
  v.id = agent ? (uint32_t)(sim_block.count + a->agent) : (uint32_t)t->id;
  v.step = agent ? agent->step : t->step;
  v.clock = agent ? agent->clock : t->clock;
  int relaxed = a->flags & PAH_SIM_ATOMIC || (a->flags & PAH_SIM_VOLATILE && s != &sim_spaces[SIM_SHARED]);
  sim_epoch me = EPOCH(sim_block.index & SIM_BLOCK_MASK, v.id, v.step, relaxed ? EPOCH_ATOMIC : 0);
  uint64_t at = (uint64_t)((const uint8_t *)a->address - s->base), end = at + a->bytes;
  int uninitialised = 0;
  while (at < end) {
    uint64_t word = at / 4;
    unsigned from = at % 4, to = end - word * 4 < 4 ? (unsigned)(end - word * 4) : 4;
    unsigned mask = ((1u << to) - 1) & ~((1u << from) - 1);
    uint8_t *state = &s->state[word];
    if ((*state >> 4 & mask) != mask) {
      bad_bounds(s, a);
      return -1;
    }
    if (a->flags & PAH_SIM_READ && (*state & mask) != mask) uninitialised = 1;
    if (a->flags & PAH_SIM_WRITE) *state |= (uint8_t)mask;
    struct sim_cell *cell = &s->cells[word];
    if (!cell->write && !cell->read[0] && s == &sim_spaces[SIM_GLOBAL]) sim_result->counters.global_unique_bytes += 4;
    touch_bytes(cell, &v, a, me, mask);
    at = word * 4 + to;
  }
  if (uninitialised && s == &sim_spaces[SIM_SHARED] &&
      is_guard(sim_job->image, (uint64_t)((const uint8_t *)a->address - s->base)))
    return 1; /* not the kernel's doing */
  if (uninitialised && !(a->flags & SIM_QUIET))
    sim_find_at(a->pc, NULL, a->address, "uninitialised", "%s %u bytes of %s memory that nobody has written", verb(a),
                a->bytes, s->name);
  return 0;
}

int sim_check(struct sim_thread *t, const struct sim_access *a) {
  const uint8_t *p = a->address;
  if (deferred.address) sim_deferred_look();
  struct sim_space *s = sim_space_of(p);
  if (!s) return check_elsewhere(t, a);
  if ((a->bytes == 2 || a->bytes == 4 || a->bytes == 8 || a->bytes == 16) && (uintptr_t)p % a->bytes &&
      !(a->flags & SIM_UNALIGNED)) {
    sim_find_at(a->pc, NULL, p, "misaligned", "%s %u bytes at an address that is %u past a multiple of %u", verb(a),
                a->bytes, (unsigned)((uintptr_t)p % a->bytes), a->bytes);
    return -1;
  }
  if ((uint64_t)(p - s->base) + a->bytes > s->size) {
    bad_bounds(s, a);
    return -1;
  }
  if (s == &sim_spaces[SIM_SHARED] && sim_pending_any()) sim_pending_check(a);
  int verdict = check_words(s, t, a);
  if (verdict) return verdict < 0 ? verdict : 0;
  if (sim_job->launch->counters > 0) sim_count_access(t, s, a);
  return 0;
}
