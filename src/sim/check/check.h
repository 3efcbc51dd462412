/* check.h - between check.c (what an access means), shadow.c, sync.c (what orders accesses) and finding.c. */
#ifndef PAH_SIM_CHECK_H
#define PAH_SIM_CHECK_H

#include "sim/block/job.h"

/* Flags of an access: a copy of bytes, so alignment means nothing; a part of a request that is counted elsewhere. */
enum { SIM_UNALIGNED = 64, SIM_UNCOUNTED = 128 };
enum {
  SIM_OF_BLOCK = 512,
  SIM_REDUCES = 1024
};                                     /* an atomic whose scope is the thread block; whose result is not used */
#define SIM_BLOCK_MASK ((1 << 25) - 1) /* what an epoch keeps of a thread block's index */

void sim_sync_reset(void);           /* at the start of a gang */
int sim_has_released(int64_t block); /* has anything been released by this thread block (as epochs name it)? */

/* A write that would race, but maybe writes what is there: looked at again once it is done. */
extern const uint8_t *sim_deferred_address; /* NULL: there is none */
void sim_deferred_look(void);
int sim_is_deferred_source(const struct sim_access *a); /* the read of a copy whose write has been looked at before */
/* A plain read that would race with the atomic of another, and maybe comes before a compare-and-swap of its word: told
 * when something else follows, a barrier or the end of the thread. */
void sim_suspect(struct sim_thread *t, const struct sim_access *a, uint64_t other, uint32_t pc);
void sim_suspect_look(struct sim_thread *t);
/* The reads at this place are guesses, of which a compare-and-swap decides, or a loop that waits reads there: races of
 * such a read are none, its own and those that were found with it (sim_find_race_unless). */
void sim_read_is_guess(const void *pc);
int sim_is_guess(const void *pc);
void sim_drop_guesses(struct sim_result *r); /* the host, when the child has ended */

extern int64_t sim_pending_words;
extern uint32_t *sim_pending_of; /* of the copy that will write a word: where it was issued; 0: none */
void sim_pending_open(uint64_t words);
void sim_pending_check(const struct sim_access *a);
void sim_pending_reset(void);

struct sim_space;
const char *sim_space_name(const void *p);
const char *sim_verb(const struct sim_access *a); /* "reads", "writes", "updates" */
void sim_find_bounds(const struct sim_space *s, const struct sim_access *a);
/* A read of memory that nobody has written; `whole`: none of its bytes. */
void sim_find_unwritten(const struct sim_access *a, const struct sim_space *s, int whole);
int sim_check_elsewhere(struct sim_thread *t,
                        const struct sim_access *a); /* in no space that is watched; as sim_check */
int sim_is_argument(const void *p);                  /* of the kernel: where the values of its parameters stand */

/* block/lanes.c: lanes that a mask names and that did not come; one whose value a shuffle wants. */
void sim_lanes_missing(const struct sim_collective *c, unsigned missing);
void sim_lane_absent(const struct sim_collective *c, int lane, int from, int width, int op);

/* read_only.c: memory that this launch must not write. */
extern uint32_t *sim_read_only_of; /* of each word of global memory: where __ldg read it, in the object; 0: nowhere */
extern int sim_read_only_words;    /* there are such words */
extern int sim_restrict_count;     /* tensors of parameters that are const and __restrict__ */
void sim_read_only_open(void);     /* once per launch */
void sim_read_only_written(const struct sim_access *a);
void sim_restrict_read(const struct sim_access *a, const void *writer);

/* sequence.c: reads of a paged cache, if the launch has a problem. */
extern int sim_sequence_watched;
void sim_sequence_open(void); /* once per launch */
void sim_sequence_look(const struct sim_access *a);

/* locals.c: a thread touches its own stack, where variables are watched. */
void sim_local_access(struct sim_thread *t, const void *p, uint32_t bytes, uint32_t flags, const void *pc);
void sim_locals_end(struct sim_thread *t);

/* sim_find with the place of the other party and the address, which may be NULL. */
void sim_find_at(const void *pc, const void *other_pc, const void *address, const char *code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
