/* fiber.h - the simulated threads' stacks and the switch between them, a few nanoseconds each. See fiber.c. */
#ifndef PAH_SIM_FIBER_H
#define PAH_SIM_FIBER_H

#include <stddef.h>
#include <stdint.h>

struct sim_fiber {
  void *sp; /* where its registers are saved; everything else is on its stack */
  uint8_t *stack;
  size_t size;
  void (*entry)(void);
  void *fake_stack; /* AddressSanitizer's, in a build with it */
};

enum { SIM_STACK_SIZE = 256 * 1024 };

/* Stacks for n fibers in one mapping, a page without access below each. Returns 0 or -1. */
int sim_fibers_new(struct sim_fiber *fibers, int n);
/* The range of all stacks, and the fiber whose stack (1) or guard page (2) holds p; 0: neither. */
int sim_fiber_of(const void *p, int *index);
/* The next switch to f calls entry(), which must never return. */
void sim_fiber_start(struct sim_fiber *f, void (*entry)(void));
/* Saves the running fiber in *from and goes on with the one saved in *to. */
void sim_fiber_switch(struct sim_fiber *from, struct sim_fiber *to);

#endif
