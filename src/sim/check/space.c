/* space.c - the memory that is watched and what stands beside it: global memory, shared memory, a module's variables.
 * All of it is addresses reserved for one launch; memory is used as it is touched. Read next: shadow.c. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "shadow.h"
#include "sim/block/sched.h"

struct sim_space sim_spaces[SIM_SPACES];
const uint8_t *sim_text;

void *sim_reserve(uint64_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) sim_give_up("no addresses left for the shadow of the memory");
  return p;
}

static void open_space(int which, const char *name, uint8_t *base, uint64_t size, uint8_t *state) {
  uint64_t chunks = (size + (which == SIM_GLOBAL ? SIM_HEAP_BYTES : 0)) / CHUNK_BYTES + 2;
  uint64_t words = chunks * CHUNK_WORDS, each = sizeof(struct sim_cell);
  sim_spaces[which] = (struct sim_space){name,
                                         base,
                                         size,
                                         state ? state : sim_reserve(words),
                                         sim_reserve(chunks),
                                         sim_reserve(chunks * each),
                                         sim_reserve(words * each)};
}

void sim_shadow_open(void) {
  const struct sim_image *image = sim_job->image;
  sim_text = image->text;
  /* Only what has been given out of the arena can be touched without a finding. */
  open_space(SIM_GLOBAL, "global", sim_job->arena->base, sim_job->arena->next, sim_job->arena->state);
  open_space(SIM_SHARED, "shared", sim_shared_base(), sim_shared_bytes(), NULL);
  open_space(SIM_MODULE, "module", image->data, (uint64_t)(image->data_end - image->data), NULL);
  memset(sim_spaces[SIM_MODULE].state, 0xff, sim_spaces[SIM_MODULE].size / 4 + 1);
  sim_pools_open();
}

void sim_shadow_block(void) {
  struct sim_space *s = &sim_spaces[SIM_SHARED];
  uint64_t whole = s->size / 4;
  memset(s->chunks, 0, (s->size / CHUNK_BYTES + 1) * sizeof *s->chunks);
  memset(s->split, 0, s->size / CHUNK_BYTES + 1);
  memset(s->state, 0xf0, whole);
  s->state[whole] = (uint8_t)(((1u << s->size % 4) - 1) << 4);
  memset(s->base, 0xff, s->size); /* NaN in every type */
  sim_pools_block();
}

struct sim_space *sim_space_of(const void *p) {
  for (int i = 0; i < SIM_SPACES; i++)
    if ((const uint8_t *)p - sim_spaces[i].base >= 0 &&
        (uint64_t)((const uint8_t *)p - sim_spaces[i].base) < sim_spaces[i].size)
      return &sim_spaces[i];
  return NULL;
}
