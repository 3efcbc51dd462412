/* shadow.c - the memory behind shadow.h. Cells of global memory are reserved for the whole arena and backed by the
 * system where a launch touches them; they live as long as the child process, which is one launch.
 * Read next: check.c, which gives them meaning. */
#define _GNU_SOURCE
#include "shadow.h"

#include <string.h>
#include <sys/mman.h>

#include "job.h"
#include "sched.h"

struct sim_space sim_spaces[SIM_SPACES];

/* Byte cells, four together; those of shared memory are forgotten with the thread block. */
static struct sim_pool {
  struct sim_cell *cells;
  uint64_t next;
} pools[2];
static const uint64_t pool_bytes = (uint64_t)1 << 33;

static void *reserve(uint64_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) sim_give_up("no addresses left for the shadow of the memory");
  return p;
}

static void open_space(int which, const char *name, uint8_t *base, uint64_t size, uint8_t *state) {
  uint64_t words = (size + (which == SIM_GLOBAL ? SIM_HEAP_BYTES : 0)) / 4 + 4;
  sim_spaces[which] =
      (struct sim_space){name, base, size, state ? state : reserve(words), reserve(words * sizeof(struct sim_cell))};
}

void sim_shadow_open(void) {
  const struct sim_image *image = sim_job->image;
  /* Only what has been given out of the arena can be touched without a finding. */
  open_space(SIM_GLOBAL, "global", sim_job->arena->base, sim_job->arena->next, sim_job->arena->state);
  open_space(SIM_SHARED, "shared", sim_shared_base(), sim_shared_bytes(), NULL);
  open_space(SIM_MODULE, "module", image->data, (uint64_t)(image->data_end - image->data), NULL);
  memset(sim_spaces[SIM_MODULE].state, 0xff, sim_spaces[SIM_MODULE].size / 4 + 1);
  for (int i = 0; i < 2; i++) pools[i] = (struct sim_pool){reserve(pool_bytes), 0};
}

void sim_shadow_block(void) {
  struct sim_space *s = &sim_spaces[SIM_SHARED];
  uint64_t whole = s->size / 4;
  memset(s->cells, 0, (whole + 1) * sizeof *s->cells);
  memset(s->state, 0xf0, whole);
  s->state[whole] = (uint8_t)(((1u << s->size % 4) - 1) << 4);
  memset(s->base, 0xff, s->size); /* NaN in every type */
  pools[1].next = 0;
}

struct sim_cell *sim_split(struct sim_cell *cell) {
  const struct sim_space *shared = &sim_spaces[SIM_SHARED];
  struct sim_pool *pool = &pools[cell >= shared->cells && cell <= shared->cells + shared->size / 4];
  if (cell->write != CELL_SPLIT) {
    if ((pool->next + 4) * sizeof *cell > pool_bytes) sim_give_up("too many bytes are touched one by one");
    struct sim_cell *bytes = pool->cells + pool->next;
    for (int i = 0; i < 4; i++) bytes[i] = *cell;
    cell->write = CELL_SPLIT;
    cell->read[0] = pool->next;
    pool->next += 4;
  }
  return pool->cells + cell->read[0];
}

struct sim_space *sim_space_of(const void *p) {
  for (int i = 0; i < SIM_SPACES; i++)
    if ((const uint8_t *)p - sim_spaces[i].base >= 0 &&
        (uint64_t)((const uint8_t *)p - sim_spaces[i].base) < sim_spaces[i].size)
      return &sim_spaces[i];
  return NULL;
}
