/* shadow.h - what is remembered of every word that a kernel may touch: who wrote it last, who has used it since, and
 * its state byte (sim/arena.h). Global memory, shared memory and a module's variables are three spaces of one kind.
 * See shadow.c. */
#ifndef PAH_SIM_SHADOW_H
#define PAH_SIM_SHADOW_H

#include "check.h"

/* Who and when, in 64 bits; 0: nobody. */
typedef uint64_t sim_epoch;
enum {
  EPOCH_AGENT = 1, /* in that of a write: not by a thread */
  EPOCH_STEP_AT = 2,
  EPOCH_ID_AT = 28,
  EPOCH_BLOCK_AT = 39
};
#define EPOCH(block, id, step)                                                                                         \
  ((uint64_t)(block) << EPOCH_BLOCK_AT | (uint64_t)(id) << EPOCH_ID_AT | (uint64_t)(step) << EPOCH_STEP_AT)
#define EPOCH_STEP(e) ((uint32_t)((e) >> EPOCH_STEP_AT) & ((1u << (EPOCH_ID_AT - EPOCH_STEP_AT)) - 1))
#define EPOCH_ID(e) ((uint32_t)((e) >> EPOCH_ID_AT) & ((1u << (EPOCH_BLOCK_AT - EPOCH_ID_AT)) - 1))
#define EPOCH_BLOCK(e) ((int64_t)((e) >> EPOCH_BLOCK_AT))

/* A use: a read, or an atomic operation. Those since the last write may be at the same time, so all are kept; but of
 * the lanes of a warp that do the same in the same step, one. The key is an epoch whose lowest bits of the id, those of
 * the lane, say which bytes of the word are meant and USE_OF_BLOCK, and whose lowest two bits are the kind. */
enum { USE_READ = 0, USE_ATOMIC = 1, USE_WRITE = 2, USE_KIND = 3 };
#define USE_OF_BLOCK ((uint64_t)1 << (EPOCH_ID_AT + 4)) /* an atomic whose scope is the thread block */
struct sim_use {
  sim_epoch key;  /* 0: none */
  uint32_t lanes; /* a bit for each */
  uint32_t pc;    /* in the kernel's object */
};
#define USE_BYTES(key) ((unsigned)((key) >> EPOCH_ID_AT) & 0xf)
#define USE_FIRST(key) (EPOCH_ID(key) & ~31u) /* thread of lane 0 */

struct sim_cell {                      /* of a word of 4 bytes, or of a chunk of 16 */
  sim_epoch write;                     /* CELL_SPLIT: there are two cells of half of its bytes, at `more` of the pool */
  struct sim_use use;                  /* the newest */
  uint32_t write_pc : 31, atomics : 1; /* atomics: there may be some that write among the uses */
  uint32_t more;                       /* older uses, a chain in the pool; 0: none */
};
#define CELL_SPLIT UINT64_MAX
enum { WORD_BYTES = 4, CHUNK_BYTES = 16, CHUNK_WORDS = CHUNK_BYTES / WORD_BYTES };

struct sim_space {
  const char *name; /* "global", "shared", "module" */
  uint8_t *base;
  uint64_t size;
  uint8_t *state;                  /* a byte per word */
  uint8_t *split;                  /* a byte per chunk; 0: its words are alike, so one cell is enough */
  struct sim_cell *chunks, *cells; /* one per chunk; one per word, those of chunks that are split */
};

enum { SIM_GLOBAL, SIM_SHARED, SIM_MODULE, SIM_SPACES };
extern struct sim_space sim_spaces[SIM_SPACES];

extern const uint8_t *sim_text;                /* of the kernel's object */
void sim_shadow_open(void);                    /* once per launch */
void sim_shadow_block(void);                   /* at the start of every gang: shared memory is new */
void sim_pools_open(void);                     /* shadow.c: once per launch */
void sim_pools_block(void);                    /* and of every gang */
void *sim_reserve(uint64_t bytes);             /* zeroes, memory as it is touched */
struct sim_space *sim_space_of(const void *p); /* NULL: none of the three */

/* Who accesses a word, and how. */
struct sim_view {
  struct sim_thread *thread;
  const struct sim_clock *clock;
  const struct sim_foreign *foreign; /* what it knows of other thread blocks */
  uint32_t id;
  uint32_t lane;        /* the bit of the lane */
  sim_epoch write, use; /* what it would leave; use: a read of all bytes */
  unsigned kind;        /* USE_*; USE_WRITE alone: a plain write */
  uint64_t scope;       /* USE_OF_BLOCK or 0 */
  int is_shared;        /* the word is of shared memory */
  int is_loose;         /* volatile; a write of that kind has no fence before it, and is no flag */
};
/* finding.c: an access that is not ordered after another. Two writes are no race that anyone could notice when the
 * value is there already: that is looked at once the second one is done. */
void sim_find_race(const struct sim_access *a, sim_epoch other, const void *other_pc, const char *what);
/* The same, unless the reads at `read` are guesses. */
void sim_find_race_unless(const struct sim_access *a, sim_epoch other, const void *other_pc, const char *what,
                          const void *read);
void sim_find_race_of_writes(const struct sim_view *v, const struct sim_access *a, sim_epoch other, uint32_t pc);

/* check.c: an asynchronous access after this write, whose place is `pc` of the object. */
void sim_check_proxy(const struct sim_view *v, const struct sim_access *a, sim_epoch write, uint32_t pc);

/* The access of the bytes of a word that `mask` names, or of a whole chunk: finds races, and is remembered. */
void sim_touch_word(const struct sim_view *v, struct sim_space *s, uint64_t word, unsigned mask,
                    const struct sim_access *a);
void sim_touch_chunk(const struct sim_view *v, struct sim_space *s, uint64_t chunk, const struct sim_access *a);
/* A plain read like those of other warps in this step, of a cell that was read; else 0. */
int sim_touch_other_warp(struct sim_cell *c, sim_epoch key, uint32_t lane, int is_shared, uint32_t pc);
/* Are the older uses of a cell those of the same thread block's threads, in steps that are over? Then they go; else 0.
 */
int sim_forget_older(struct sim_cell *c, sim_epoch now, uint32_t floor, int is_shared);
void sim_join_chunk(struct sim_space *s, uint64_t chunk); /* one plain write has just been to all of its words */

/* Is a copy under way to one of these bytes of shared memory? */
static inline int sim_pending_at(const uint8_t *p, uint32_t bytes) {
  if (!sim_pending_words) return 0;
  const uint64_t word = (uint64_t)(p - sim_spaces[SIM_SHARED].base) / WORD_BYTES;
  for (uint64_t i = 0; i < (bytes + WORD_BYTES - 1) / WORD_BYTES; i++)
    if (sim_pending_of[word + i]) return 1;
  return 0;
}

#endif
