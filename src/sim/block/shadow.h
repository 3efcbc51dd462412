/* shadow.h - what is remembered of every word that a kernel may touch: who wrote and read it last, and its state byte
 * (sim/arena.h). Global memory, shared memory and a module's variables are three spaces of one kind. See shadow.c.
 */
#ifndef PAH_SIM_SHADOW_H
#define PAH_SIM_SHADOW_H

#include "runtime.h"

/* Who and when, in 64 bits; 0: nobody. */
typedef uint64_t sim_epoch;
enum { EPOCH_ATOMIC = 1, EPOCH_PROXY = 2, EPOCH_STEP_BITS = 26, EPOCH_ID_BITS = 11 };
#define EPOCH(block, id, step, flags)                                                                                  \
  ((uint64_t)(block) << (2 + EPOCH_STEP_BITS + EPOCH_ID_BITS) | (uint64_t)(id) << (2 + EPOCH_STEP_BITS) |              \
   (uint64_t)(step) << 2 | (uint64_t)(flags))
#define EPOCH_STEP(e) ((uint32_t)((e) >> 2) & ((1u << EPOCH_STEP_BITS) - 1))
#define EPOCH_ID(e) ((uint32_t)((e) >> (2 + EPOCH_STEP_BITS)) & ((1u << EPOCH_ID_BITS) - 1))
#define EPOCH_BLOCK(e) ((int64_t)((e) >> (2 + EPOCH_STEP_BITS + EPOCH_ID_BITS)))

struct sim_cell { /* of a word of 4 bytes; when `write` is CELL_SPLIT, read[0] is the index of four cells of a byte each
                   */
  sim_epoch write, read[2];
  uint32_t write_pc, read_pc; /* in the kernel's object */
};
#define CELL_SPLIT UINT64_MAX

struct sim_space {
  const char *name; /* "global", "shared", "module" */
  uint8_t *base;
  uint64_t size;
  uint8_t *state;         /* a byte per word */
  struct sim_cell *cells; /* one per word */
};

enum { SIM_GLOBAL, SIM_SHARED, SIM_MODULE, SIM_SPACES };
extern struct sim_space sim_spaces[SIM_SPACES];

void sim_shadow_open(void);                        /* once per launch */
void sim_shadow_block(void);                       /* at the start of every thread block: shared memory is new */
struct sim_cell *sim_split(struct sim_cell *cell); /* the four byte cells of a word */
struct sim_space *sim_space_of(const void *p);     /* NULL: none of the three */

#endif
