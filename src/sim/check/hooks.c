/* hooks.c - where the instrumented kernel comes in: the compiler has put one of these before every load and store.
 * Promises: a finding that makes the access impossible ends the launch before it happens. Also the access calls of
 * sim/abi.h. The names are those of the compilers' -fsanitize=thread; nothing else of that sanitizer is used.
 * Read next: check.c. */
#include <string.h>

#include "check.h"
#include "counters.h"
#include "sim/block/sched.h"
#include "shadow.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

enum { SPINS = 64 }; /* equal loads in a row after which others are let run */

/* The last plain write of a cell is ordered before what the thread does. A cell that is split has one of a thread block
 * that there is not. */
static inline __attribute__((always_inline)) int is_after_write(const struct sim_thread *t, const struct sim_cell *c) {
  const sim_epoch write = c->write;
  const uint32_t writer = EPOCH_ID(write);
  if (!write || write == t->write_epoch) return 1;
  if (EPOCH_BLOCK(write ^ t->write_epoch)) return 0;
  if (EPOCH_STEP(write) <= t->floor && !(write & EPOCH_AGENT)) return 1;
  return writer == (uint32_t)t->id || t->clock->at[writer] >= EPOCH_STEP(write);
}

/* A read like one that the warp has made since the last write: of those no more than the lane needs to be known. Cells
 * that do not count, of words in a chunk that is not split or the other way round, have no uses. */
static inline __attribute__((always_inline)) int read_again(const struct sim_thread *t, struct sim_cell *c,
                                                            sim_epoch key) {
  if (c->use.key != key) return 0;
  if (c->use.lanes >> t->lane & 1) return 1;
  if (c->atomics || !is_after_write(t, c)) return 0;
  c->use.lanes |= 1u << t->lane;
  return 1;
}

static inline __attribute__((always_inline)) int read_anew(const struct sim_thread *t, struct sim_cell *c,
                                                           sim_epoch key, int is_shared, uint32_t pc) {
  if (c->atomics || !is_after_write(t, c)) return 0;
  if (sim_restrict_count && c->write && !is_shared) return 0;
  if (c->use.key) return sim_touch_other_warp(c, key, 1u << t->lane, is_shared, pc);
  if (!c->write) return 0; /* a word that is new is counted */
  c->use = (struct sim_use){key, 1u << t->lane, pc};
  return 1;
}

/* Not a cell's first write: that takes the long way, where pages are kept (kept.h) and words claimed (claim.h). */
static inline __attribute__((always_inline)) int write_again(const struct sim_thread *t, struct sim_cell *c,
                                                             int is_shared, uint32_t pc) {
  if (!c->write || !is_after_write(t, c)) return 0;
  if (c->use.key && (EPOCH_BLOCK(c->use.key ^ t->write_epoch) || EPOCH_STEP(c->use.key) > t->floor ||
                     USE_FIRST(c->use.key) >= (uint32_t)sim_agent_id(0)))
    return 0;
  if (c->more && !sim_forget_older(c, t->write_epoch, t->floor, is_shared)) return 0;
  *c = (struct sim_cell){.write = t->write_epoch, .write_pc = pc & INT32_MAX};
  return 1;
}

/* Most accesses are of whole words or chunks that are there and have nothing against them: those need few comparisons.
 * 0: sim_check is to do it, whatever has been done of it. */
static inline __attribute__((always_inline)) int quick(const struct sim_thread *t, int space, const uint8_t *p,
                                                       uint32_t bytes, int writes, const void *pc) {
  enum { THERE = SIM_INITIALISED | SIM_ADDRESSABLE };
  struct sim_space *s = &sim_spaces[space];
  const uint64_t at = (uint64_t)(p - s->base), word = at / WORD_BYTES, chunk = at / CHUNK_BYTES;
  const uint32_t words = bytes / WORD_BYTES, place = (uint32_t)((const uint8_t *)pc - sim_text);
  const unsigned mask = words ? 0xf : ((1u << bytes) - 1) << at % WORD_BYTES;
  const sim_epoch key = t->use_key | (uint64_t)mask << EPOCH_ID_AT;
  struct sim_cell *c = &s->cells[word];
  if (at & (bytes - 1)) return 0;
  if (!writes && words <= 1 && read_again(t, c, key)) return 1;
  if (!writes && words == CHUNK_WORDS && read_again(t, &s->chunks[chunk], key)) return 1;
  if (!words && writes) return 0;
  for (uint32_t i = 0; i < words; i++)
    if (s->state[word + i] != THERE) return 0;
  if (!words && (s->state[word] & mask) != mask) return 0;
  const int split = s->split[chunk];
  if (!split && words != CHUNK_WORDS) return 0;
  for (uint32_t i = 0; writes && space == SIM_GLOBAL && sim_read_only_words && i < words; i++)
    if (sim_read_only_of[word + i]) return 0;
  if (!split) c = &s->chunks[chunk];
  for (uint32_t i = 0; i < (split && words ? words : 1); i++) {
    if (writes ? !write_again(t, &c[i], space == SIM_SHARED, place)
               : !read_again(t, &c[i], key) && !read_anew(t, &c[i], key, space == SIM_SHARED, place))
      return 0;
  }
  if (words == CHUNK_WORDS && writes && split) sim_join_chunk(s, chunk);
  return 1;
}

/* Is p in the space, and in shared memory that of the own thread block? That of others is looked at more closely. */
static inline __attribute__((always_inline)) int is_near(int space, const uint8_t *p) {
  if (space == SIM_SHARED) return (uint64_t)(p - pah_sim_window) < sim_shared_size;
  return (uint64_t)(p - sim_spaces[space].base) < sim_spaces[space].size;
}

static __attribute__((noinline)) void check(struct sim_thread *t, const void *p, uint32_t bytes, uint32_t flags,
                                            const void *pc) {
  const struct sim_access a = {p, bytes, flags, -1, pc};
  if (sim_check(t, &a)) sim_leave();
}

static inline __attribute__((always_inline)) void access_watched(struct sim_thread *t, const uint8_t *p, uint32_t bytes,
                                                                 uint32_t flags, const void *pc) {
  const int writes = flags == PAH_SIM_WRITE, plain = (writes || flags == PAH_SIM_READ) && bytes <= 16;
  if (plain && !((uintptr_t)p & (bytes - 1)) && !sim_deferred_address) {
    if (is_near(SIM_SHARED, p)) {
      if (!sim_pending_at(p, bytes) && quick(t, SIM_SHARED, p, bytes, writes, pc)) {
        if (sim_counting) sim_count_plain(t, 1, writes, bytes, p, pc);
        return;
      }
    } else if (is_near(SIM_GLOBAL, p) && quick(t, SIM_GLOBAL, p, bytes, writes, pc)) {
      if (sim_counting) sim_count_plain(t, 0, writes, bytes, p, pc);
      return;
    }
  }
  check(t, p, bytes, flags, pc);
}

/* No byte of these words of its stack is one that nobody has set, or it is a word that is set now. An access that is
 * not aligned takes the long way. */
static inline __attribute__((always_inline)) int is_set(struct sim_thread *t, const void *p, uint32_t bytes,
                                                        uint32_t flags) {
  const uint64_t at = (uint64_t)((const uint8_t *)p - t->fiber.stack);
  uint32_t states = 0;
  if (bytes > 16 || bytes & (bytes - 1) || at & (bytes - 1)) return 0;
  memcpy(&states, t->unset + at / WORD_BYTES, bytes < WORD_BYTES ? 1 : bytes / WORD_BYTES);
  if (states == 0xf && bytes == WORD_BYTES && flags == PAH_SIM_WRITE) {
    t->unset[at / WORD_BYTES] = 0;
    t->unset_bytes -= WORD_BYTES;
    return 1;
  }
  return !states;
}

static __attribute__((noinline)) void touch_sums(struct sim_thread *t, const void *p, uint32_t bytes, uint32_t flags,
                                                 const void *pc) {
  sim_wgmma_touched(t, p, pc);
  if (t->unset_bytes && !is_set(t, p, bytes, flags)) sim_local_access(t, p, bytes, flags, pc);
}

/* Its own stack is where most accesses of a thread go that has arrays whose address is taken. Calls come last here, and
 * in the hooks, so that these save no registers. */
static inline __attribute__((always_inline)) int is_own(struct sim_thread *t, const void *p, uint32_t bytes,
                                                        uint32_t flags, const void *pc) {
  if (!t) return 1; /* constructors of the object, before any launch */
  t->pc = pc;       /* where it is, should the launch be stopped here */
  if ((uint64_t)((const uint8_t *)p - t->fiber.stack) >= SIM_STACK_SIZE) return 0;
  if (t->flying_sums)
    touch_sums(t, p, bytes, flags, pc);
  else if (t->unset_bytes && !is_set(t, p, bytes, flags))
    sim_local_access(t, p, bytes, flags, pc);
  return 1;
}

/* A read of memory that the thread or its warp has read before: most are. Short, so that it saves no registers. */
static inline __attribute__((always_inline)) int read_before(const struct sim_thread *t, const uint8_t *p,
                                                             uint32_t bytes, int space) {
  const struct sim_space *s = &sim_spaces[space];
  const uint64_t at = (uint64_t)(p - s->base);
  const unsigned mask = bytes >= WORD_BYTES ? 0xf : ((1u << bytes) - 1) << at % WORD_BYTES;
  if (!is_near(space, p) || at & (bytes - 1) || bytes == 8 || sim_deferred_address) return 0;
  struct sim_cell *c = bytes == CHUNK_BYTES ? &s->chunks[at / CHUNK_BYTES] : &s->cells[at / WORD_BYTES];
  return read_again(t, c, t->use_key | (uint64_t)mask << EPOCH_ID_AT);
}

static void access_memory(const volatile void *volatile_p, uint32_t bytes, uint32_t flags, const void *pc) {
  const void *p = (const void *)(uintptr_t)volatile_p;
  if (!is_own(sim_block.running, p, bytes, flags, pc)) check(sim_block.running, p, bytes, flags, pc);
}

int sim_check_chunk(struct sim_thread *t, const uint8_t *p, int writes, const void *pc) {
  const int is_shared = is_near(SIM_SHARED, p);
  int done = 0;
  if (!sim_deferred_address && is_shared)
    done = !sim_pending_at(p, CHUNK_BYTES) && quick(t, SIM_SHARED, p, CHUNK_BYTES, writes, pc);
  else if (!sim_deferred_address && is_near(SIM_GLOBAL, p))
    done = quick(t, SIM_GLOBAL, p, CHUNK_BYTES, writes, pc);
  if (done) {
    if (sim_counting) sim_count_plain(t, is_shared, writes, CHUNK_BYTES, p, pc);
    return 0;
  }
  const struct sim_access a = {p, CHUNK_BYTES, writes ? PAH_SIM_WRITE : PAH_SIM_READ, -1, pc};
  return sim_check(t, &a);
}

void sim_check_rows(struct sim_thread *const *threads, uint8_t **rows, int n, const void *pc) {
  unsigned uncounted = 0;
  for (int i = 0; i < n; i++) {
    if (!rows[i]) continue;
    if (!sim_deferred_address && !sim_pending_at(rows[i], CHUNK_BYTES) &&
        quick(threads[i], SIM_SHARED, rows[i], CHUNK_BYTES, 0, pc)) {
      uncounted |= 1u << i;
      continue;
    }
    const struct sim_access a = {rows[i], CHUNK_BYTES, PAH_SIM_READ, -1, pc};
    if (sim_check(threads[i], &a)) rows[i] = NULL;
  }
  if (!sim_counting) return;
  if (uncounted == UINT32_MAX >> (SIM_WARP - n)) {
    sim_count_rows(rows, n, pc);
    return;
  }
  for (int i = 0; i < n; i++)
    if (uncounted >> i & 1) sim_count_plain(threads[i], 1, 0, CHUNK_BYTES, rows[i], pc);
}

/* A load that is repeated until someone else stores: let the others run now and then. */
static void spin(const volatile void *p, const void *pc) {
  struct sim_thread *t = sim_block.running;
  if (!t) return;
  t->pc = pc;
  t->spin_count = p == t->spin_address ? t->spin_count + 1 : 0;
  t->spin_address = p;
  if (t->spin_count == 1) sim_read_is_guess(pc);
  if (t->spin_count < SPINS) return;
  t->spin_count = 0;
  sim_yield();
}

#define HOOKS(n)                                                                                                       \
  static __attribute__((noinline)) void read_anew_##n(void *p, const void *pc) {                                       \
    access_watched(sim_block.running, p, n, PAH_SIM_READ, pc);                                                         \
  }                                                                                                                    \
  static __attribute__((noinline)) void read_##n(void *p, const void *pc) {                                            \
    const struct sim_thread *t = sim_block.running;                                                                    \
    const int is_shared = !sim_pending_words && read_before(t, p, n, SIM_SHARED);                                      \
    if (!is_shared && !read_before(t, p, n, SIM_GLOBAL))                                                               \
      read_anew_##n(p, pc);                                                                                            \
    else if (sim_counting)                                                                                             \
      sim_count_plain(t, is_shared, 0, n, p, pc);                                                                      \
  }                                                                                                                    \
  static __attribute__((noinline)) void write_##n(void *p, const void *pc) {                                           \
    access_watched(sim_block.running, p, n, PAH_SIM_WRITE, pc);                                                        \
  }                                                                                                                    \
  void __tsan_read##n(void *p) {                                                                                       \
    const void *pc = __builtin_return_address(0);                                                                      \
    if (!is_own(sim_block.running, p, n, PAH_SIM_READ, pc)) read_##n(p, pc);                                           \
  }                                                                                                                    \
  void __tsan_write##n(void *p) {                                                                                      \
    const void *pc = __builtin_return_address(0);                                                                      \
    if (!is_own(sim_block.running, p, n, PAH_SIM_WRITE, pc)) write_##n(p, pc);                                         \
  }                                                                                                                    \
  void __tsan_unaligned_read##n(void *p) {                                                                             \
    access_memory(p, n, PAH_SIM_READ, __builtin_return_address(0));                                                    \
  }                                                                                                                    \
  void __tsan_unaligned_write##n(void *p) {                                                                            \
    access_memory(p, n, PAH_SIM_WRITE, __builtin_return_address(0));                                                   \
  }                                                                                                                    \
  void __tsan_read##n##_pc(void *p, void *pc) {                                                                        \
    access_memory(p, n, PAH_SIM_READ, pc);                                                                             \
  }                                                                                                                    \
  void __tsan_write##n##_pc(void *p, void *pc) {                                                                       \
    access_memory(p, n, PAH_SIM_WRITE, pc);                                                                            \
  }                                                                                                                    \
  void __tsan_volatile_read##n(void *p) {                                                                              \
    spin(p, __builtin_return_address(0));                                                                              \
    access_memory(p, n, PAH_SIM_READ | PAH_SIM_VOLATILE, __builtin_return_address(0));                                 \
    if (sim_block.running) sim_order(sim_block.running, p, PAH_SIM_READ, PAH_SIM_RELAXED);                             \
  }                                                                                                                    \
  void __tsan_volatile_write##n(void *p) {                                                                             \
    access_memory(p, n, PAH_SIM_WRITE | PAH_SIM_VOLATILE, __builtin_return_address(0));                                \
    if (sim_block.running) sim_order(sim_block.running, p, PAH_SIM_WRITE, PAH_SIM_RELAXED);                            \
  }                                                                                                                    \
  void __tsan_unaligned_volatile_read##n(void *p) {                                                                    \
    access_memory(p, n, PAH_SIM_READ | PAH_SIM_VOLATILE, __builtin_return_address(0));                                 \
  }                                                                                                                    \
  void __tsan_unaligned_volatile_write##n(void *p) {                                                                   \
    access_memory(p, n, PAH_SIM_WRITE | PAH_SIM_VOLATILE, __builtin_return_address(0));                                \
  }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

/* Copies of whole structs. These and those below have the unusual types that gcc gives them: it compares in a build
 * with its sanitizers. */
void __tsan_read_range(void *p, long bytes) {
  if (bytes) access_memory(p, (uint32_t)bytes, PAH_SIM_READ | SIM_UNALIGNED, __builtin_return_address(0));
}

void __tsan_write_range(void *p, long bytes) {
  if (bytes) access_memory(p, (uint32_t)bytes, PAH_SIM_WRITE | SIM_UNALIGNED, __builtin_return_address(0));
}

void __tsan_init(void) {}
void __tsan_func_entry(void *pc) {
  (void)pc;
}
void __tsan_func_exit(void *pc) {
  (void)pc;
}
void __tsan_vptr_update(void *p, void *value) {
  (void)value;
  access_memory(p, sizeof(void *), PAH_SIM_WRITE, __builtin_return_address(0));
}
void __tsan_vptr_read(void **p) {
  access_memory(p, sizeof *p, PAH_SIM_READ, __builtin_return_address(0));
}

void *__tsan_memcpy(void *dst, const void *src, unsigned long bytes) {
  return pah_sim_memcpy(dst, src, bytes);
}
void *__tsan_memset(void *dst, int value, unsigned long bytes) {
  return pah_sim_memset(dst, value, bytes);
}
void *__tsan_memmove(void *dst, const void *src, unsigned long bytes) {
  return pah_sim_memcpy(dst, src, bytes);
}

/* ---- The calls of sim/abi.h ---- */

void pah_sim_access(const volatile void *p, unsigned long bytes, int flags) {
  access_memory(p, (uint32_t)bytes, (uint32_t)flags, __builtin_return_address(0));
}

void pah_sim_reduces(void) {
  if (sim_block.running) sim_block.running->reduces = 1;
}

void pah_sim_atomic(volatile void *p, unsigned long bytes, int flags, int order, const void *pc) {
  struct sim_thread *t = sim_block.running;
  t->before = t->pc;
  spin(p, pc);
  if (t->suspect.address && flags & PAH_SIM_DECIDES && t->suspect.address == p)
    t->suspect.address = NULL;
  else
    sim_suspect_look(t);
  const uint32_t kind = (order & PAH_SIM_OF_BLOCK ? SIM_OF_BLOCK : 0u) | (t->reduces ? SIM_REDUCES : 0u);
  t->reduces = 0;
  access_memory(p, (uint32_t)bytes, (uint32_t)flags | PAH_SIM_ATOMIC | kind, pc);
  sim_order(t, p, flags, order);
  sim_result->counters.atomics++;
}

void *pah_sim_memcpy(void *dst, const void *src, unsigned long bytes) {
  if (!bytes) return dst;
  access_memory(src, (uint32_t)bytes, PAH_SIM_READ | SIM_UNALIGNED, __builtin_return_address(0));
  access_memory(dst, (uint32_t)bytes, PAH_SIM_WRITE | SIM_UNALIGNED, __builtin_return_address(0));
  return memmove(dst, src, bytes);
}

void *pah_sim_memset(void *dst, int value, unsigned long bytes) {
  if (!bytes) return dst;
  access_memory(dst, (uint32_t)bytes, PAH_SIM_WRITE | SIM_UNALIGNED, __builtin_return_address(0));
  return memset(dst, value, bytes);
}

int pah_sim_space(const volatile void *volatile_p) {
  const void *p = (const void *)(uintptr_t)volatile_p;
  const struct sim_space *s = sim_space_of(p);
  int owner;
  if (s) return s == &sim_spaces[SIM_SHARED] ? 2 : 1;
  return sim_fiber_of(p, &owner) ? 3 : sim_is_argument(p) ? 4 : 0;
}

unsigned pah_sim_shared_address(const volatile void *volatile_p) {
  const uint8_t *p = (const uint8_t *)(uintptr_t)volatile_p;
  return (unsigned)(p - sim_shared_base()); /* what is not shared becomes an address out of bounds */
}

void *pah_sim_shared_pointer(unsigned address) {
  return sim_shared_base() + address;
}
