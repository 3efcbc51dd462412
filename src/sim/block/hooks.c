/* hooks.c - where the instrumented kernel comes in: the compiler has put one of these before every load and store.
 * Promises: a finding that makes the access impossible ends the launch before it happens. Also the access calls of
 * sim/abi.h. The names are those of the compilers' -fsanitize=thread; nothing else of that sanitizer is used.
 * Read next: check.c. */
#include <string.h>

#include "check.h"
#include "sched.h"
#include "shadow.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

enum { SPINS = 64 }; /* equal loads in a row after which others are let run */

static inline __attribute__((always_inline)) void access_memory(const volatile void *p, uint32_t bytes, uint32_t flags,
                                                                const void *pc) {
  struct sim_thread *t = sim_block.running;
  if (!t) return; /* constructors of the object, before any launch */
  t->pc = pc;     /* where it is, should the launch be stopped here */
  /* The own stack, which most accesses of escaping arrays go to. */
  if ((uint64_t)((const uint8_t *)p - t->fiber.stack) < SIM_STACK_SIZE) {
    if (t->flying_sums) sim_wgmma_touched(t, (const void *)(uintptr_t)p, pc);
    return;
  }
  struct sim_access a = {(const void *)(uintptr_t)p, bytes, flags, -1, pc};
  if (sim_check(t, &a)) sim_leave();
}

/* A load that is repeated until someone else stores: let the others run now and then. */
static void spin(const volatile void *p, const void *pc) {
  struct sim_thread *t = sim_block.running;
  if (!t) return;
  t->pc = pc;
  t->spin_count = p == t->spin_address ? t->spin_count + 1 : 0;
  t->spin_address = p;
  if (t->spin_count < SPINS) return;
  t->spin_count = 0;
  sim_yield();
}

#define HOOKS(n)                                                                                                       \
  void __tsan_read##n(void *p) {                                                                                       \
    access_memory(p, n, PAH_SIM_READ, __builtin_return_address(0));                                                    \
  }                                                                                                                    \
  void __tsan_write##n(void *p) {                                                                                      \
    access_memory(p, n, PAH_SIM_WRITE, __builtin_return_address(0));                                                   \
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

void pah_sim_atomic(volatile void *p, unsigned long bytes, int flags, int order, const void *pc) {
  spin(p, pc);
  access_memory(p, (uint32_t)bytes, (uint32_t)flags | PAH_SIM_ATOMIC, pc);
  sim_order(sim_block.running, p, flags, order);
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
  return (unsigned)(p - sim_spaces[SIM_SHARED].base); /* what is not shared becomes an address out of bounds */
}

void *pah_sim_shared_pointer(unsigned address) {
  return sim_spaces[SIM_SHARED].base + address;
}
