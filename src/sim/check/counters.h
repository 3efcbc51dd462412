/* counters.h - sectors, wavefronts and conflicts by source line, counted per warp. See counters.c. */
#ifndef PAH_SIM_COUNTERS_H
#define PAH_SIM_COUNTERS_H

#include "check.h"
#include "shadow.h"

void sim_count_open(void); /* once per launch */
/* The entry of an instruction; NULL: there is none left. */
struct sim_line *sim_line_of(struct sim_result *r, const void *pc);
extern int sim_counting; /* this launch does */
/* One lane's access; lanes of a warp at the same instruction for the n-th time make one request. */
void sim_count_access(struct sim_thread *t, const struct sim_space *s, const struct sim_access *a);
void sim_count_plain(const struct sim_thread *t, int is_shared, int writes, uint32_t bytes, const void *p,
                     const void *pc);
/* One request of the first n lanes for 16 bytes of shared memory each. */
void sim_count_rows(uint8_t *const *rows, int n, const void *pc);
/* Words of global memory that nobody has touched before are counted. */
static inline void sim_count_new(const struct sim_space *s, uint64_t word, int words) {
  for (int i = 0; i < words; i++) {
    const uint64_t chunk = (word + (uint64_t)i) / CHUNK_WORDS;
    const struct sim_cell *c = s->split[chunk] ? &s->cells[word + (uint64_t)i] : &s->chunks[chunk];
    if (!c->write && !c->use.key) sim_result->counters.global_unique_bytes += WORD_BYTES;
  }
}

/* The lanes of the warp are together again: what is collected becomes requests. */
void sim_count_flush(int team);

#endif
