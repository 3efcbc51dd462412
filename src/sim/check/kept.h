/* kept.h - what memory held before a launch: pages are kept before they are first written to, so that the launch can
 * be run once more as if nothing had been. Several processes may keep pages at the same time. See kept.c;
 * sim/host/outcome.c and team.c run it again. */
#ifndef PAH_SIM_KEPT_H
#define PAH_SIM_KEPT_H

#include "shadow.h"

enum { SIM_PAGE = 4096, SIM_PAGE_WORDS = SIM_PAGE / WORD_BYTES };

struct sim_kept_space { /* global memory, or a module's variables */
  uint8_t *base;
  uint64_t bytes;
  uint8_t *state;                 /* of the words; NULL: is each process's own */
  uint8_t *is_kept;               /* a byte per page: enum sim_page_kept */
  uint8_t *copy, *copy_of_states; /* at the same places as in the space */
  uint64_t *list;                 /* pages that are kept */
  uint64_t listed;
};

struct sim_kept { /* in memory that parent and child share */
  struct sim_kept_space spaces[2];
  uint64_t reserved;
};

enum sim_page_kept { SIM_NOT_KEPT, SIM_BEING_KEPT, SIM_KEPT };

/* ---- The host ---- */
struct sim_kept *sim_kept_open(const struct sim_job *job); /* NULL: no addresses left for it */
void sim_kept_restore(const struct sim_kept *k);           /* memory becomes what it was */
void sim_kept_forget(struct sim_kept *k);                  /* from here on, memory is as it is now */
void sim_kept_close(struct sim_kept *k);                   /* NULL is nothing */

/* ---- The child ---- */
/* Before a word, or a chunk of words, of this space is written to. */
void sim_keep(const struct sim_space *s, uint64_t word);

#endif
