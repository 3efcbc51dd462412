/* fiber.c - fibers by hand: the switch saves what a C call must preserve, nothing more. ucontext would make two system
 * calls of each switch, 50 times the price.
 * Read next: sched.c, which decides who runs. */
#define _GNU_SOURCE
#include "fiber.h"

#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#if defined(SIM_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
__asm__(".text\n.type sim_switch_stacks, @function\nsim_switch_stacks:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n  movq (%rsi), %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  retq\n.size sim_switch_stacks, .-sim_switch_stacks\n");
enum { SAVED_WORDS = 6, RETURN_WORD = 6 };
#elif defined(__aarch64__)
__asm__(".text\n.type sim_switch_stacks, %function\nsim_switch_stacks:\n"
        "  sub sp, sp, #160\n"
        "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n  stp x25, x26, [sp, #48]\n"
        "  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n"
        "  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
        "  mov x9, sp\n  str x9, [x0]\n  ldr x9, [x1]\n  mov sp, x9\n"
        "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n"
        "  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n"
        "  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n  add sp, sp, #160\n  ret\n"
        ".size sim_switch_stacks, .-sim_switch_stacks\n");
enum { SAVED_WORDS = 20, RETURN_WORD = 11 };
#else
#error "sim: fiber.c has no switch for this processor"
#endif

void sim_switch_stacks(void **save, void **load);

enum { PAGE = 4096, GUARD_INSTALL = 102 /* MADV_GUARD_INSTALL, Linux 6.13 */ };
static uint8_t *all_stacks;
static int all_count;

int sim_fibers_new(struct sim_fiber *fibers, int n) {
  size_t each = SIM_STACK_SIZE + PAGE;
  all_stacks = mmap(NULL, each * (size_t)n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all_stacks == MAP_FAILED) return -1;
  all_count = n;
  for (int i = 0; i < n; i++) {
    uint8_t *guard = all_stacks + each * (size_t)i;
    /* One mapping for all of them where the system can, for it has only so many. */
    if (madvise(guard, PAGE, GUARD_INSTALL) && mprotect(guard, PAGE, PROT_NONE)) return -1;
    fibers[i].stack = guard + PAGE;
    /* Tops at different offsets in a page: else the same lines of all stacks fall into one set of the cache. */
    fibers[i].size = SIM_STACK_SIZE - (size_t)(i * 17 & 63) * 64;
  }
  return 0;
}

int sim_fiber_of(const void *p, int *index) {
  size_t each = SIM_STACK_SIZE + PAGE, offset = (size_t)((const uint8_t *)p - all_stacks);
  if ((const uint8_t *)p < all_stacks || offset >= each * (size_t)all_count) return 0;
  *index = (int)(offset / each);
  return offset % each < PAGE ? 2 : 1;
}

/* ---- The switch. AddressSanitizer is told which stack is in use, and that one begun anew holds nothing ---- */

static struct sim_fiber *left, *running;

static void arrive(void *fake_stack) {
#if defined(SIM_ASAN)
  const void *bottom;
  __sanitizer_finish_switch_fiber(fake_stack, &bottom, &left->size);
  left->stack = (uint8_t *)(uintptr_t)bottom; /* the scheduler's is known from here on */
#else
  (void)fake_stack;
#endif
}

static void enter(void) {
  arrive(NULL);
  running->entry();
}

void sim_fiber_start(struct sim_fiber *f, void (*entry)(void)) {
  uintptr_t top = ((uintptr_t)f->stack + f->size) & ~(uintptr_t)63;
  void **frame = (void **)(top - 256); /* a multiple of 16, which leaves sp as a called function expects it */
  void (*first)(void) = enter;
#if defined(SIM_ASAN)
  if (f->sp) ASAN_UNPOISON_MEMORY_REGION(f->sp, top - (uintptr_t)f->sp); /* what it was left in the middle of */
#endif
  memset(frame, 0, (SAVED_WORDS + 1) * sizeof *frame);
  memcpy(&frame[RETURN_WORD], &first, sizeof first);
  f->sp = frame;
  f->entry = entry;
}

void sim_fiber_switch(struct sim_fiber *from, struct sim_fiber *to) {
  left = from;
  running = to;
#if defined(SIM_ASAN)
  __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->size);
#endif
  sim_switch_stacks(&from->sp, &to->sp);
  arrive(from->fake_stack);
}
