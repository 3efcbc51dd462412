/* arena.h - the memory of the simulated GPU: one range of addresses, shared with the child process of a launch, and
 * beside it a byte of state per 4-byte word. See arena.c. */
#ifndef PAH_SIM_ARENA_H
#define PAH_SIM_ARENA_H

#include <stdint.h>

/* State of a word: the low 4 bits say which of its bytes are initialised, the high 4 which may be touched at all. */
enum { SIM_INITIALISED = 0x0f, SIM_ADDRESSABLE = 0xf0 };

struct sim_allocation {
  uint64_t start, bytes; /* of the arena */
  int64_t number;        /* 1 for the first of the device */
  int alive;
};

struct sim_arena {
  uint8_t *base;                      /* of the memory */
  uint64_t size;                      /* addresses reserved; memory is used as it is touched */
  uint8_t *state;                     /* size / 4 */
  uint64_t next;                      /* first address never given out */
  uint64_t bytes, limit;              /* in use; the memory that the device claims to have */
  uint64_t gap;                       /* between allocations, in bytes; 0: as wide as there is room for */
  struct sim_allocation *allocations; /* by start, ascending; freed ones stay until their addresses are used again */
  int64_t count, room, made;
};

int sim_arena_open(struct sim_arena *a, uint64_t limit);
void sim_arena_close(struct sim_arena *a);
int sim_arena_alloc(struct sim_arena *a, int64_t bytes, void **data);
void sim_arena_free(struct sim_arena *a, void *data);
/* Marks bytes as initialised: the host has written them. */
void sim_arena_written(struct sim_arena *a, const void *p, int64_t bytes);
/* Bytes were copied within the arena: what was not initialised is not at its new place. */
void sim_arena_copied(struct sim_arena *a, const void *dst, const void *src, int64_t bytes);
/* Is p an address of the range, whether or not there is an allocation? */
int sim_arena_holds(const struct sim_arena *a, const void *p);
/* The allocation that holds p, else the nearest one below it; NULL: none. */
const struct sim_allocation *sim_arena_find(const struct sim_arena *a, const void *p);

#endif
