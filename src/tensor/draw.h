/* draw.h - what a kind of random numbers needs to be drawn: shared by random.c, which checks it and draws on the host,
 * and by the devices that draw with kernels of their own (gpu/tensor.c, kernels/tensor/random.cu). */
#ifndef PAH_DRAW_H
#define PAH_DRAW_H

#include <stdint.h>

/* The kind is the fourth word of the counter as well, so that kinds of one seed do not correlate. */
enum pah_draw_kind { PAH_DRAW_UNIFORM = 0, PAH_DRAW_NORMAL, PAH_DRAW_INTEGER, PAH_DRAW_PERMUTATION };

struct pah_draw {
  int kind;
  uint64_t seed;
  double a, b;        /* uniform: from a to below b; normal: mean and standard deviation */
  double first, last; /* uniform: the dtype's smallest and largest value in [a, b), as rounding may lead out */
  int64_t low;        /* integer: the smallest, */
  uint64_t range;     /* and how many there are; 0: 2^64 */
};

#endif
