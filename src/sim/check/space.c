/* space.c - the memory that is watched and what stands beside it: global memory, shared memory, a module's variables.
 * All of it is addresses reserved for one launch; memory is used as it is touched. Read next: shadow.c. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "shadow.h"
#include "sim/block/sched.h"

enum { SIM_GAP_WORDS = 1024 / WORD_BYTES }; /* as compile/gaps.c makes them */

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

/* Words whose bytes may be touched. */
static void open_words(uint8_t *state, uint64_t at, uint64_t bytes) {
  for (uint64_t end = at + bytes; at < end;)
    if (at % WORD_BYTES == 0 && end - at >= WORD_BYTES)
      state[at / WORD_BYTES] |= SIM_ADDRESSABLE, at += WORD_BYTES;
    else
      state[at / WORD_BYTES] |= (uint8_t)(0x10 << at % WORD_BYTES), at++;
}

/* Of the shared memory of a thread block at its start: variables, and what is dynamic; between them is nobody's. */
static uint8_t *fresh_state;

static void open_shared(void) {
  const struct sim_image *image = sim_job->image;
  fresh_state = sim_reserve(sim_shared_bytes() / WORD_BYTES + 1);
  for (int i = 0; i < image->variable_count; i++)
    if (image->variables[i].is_shared) open_words(fresh_state, image->variables[i].at, image->variables[i].bytes);
  if (image->dynamic_offset) open_words(fresh_state, image->dynamic_offset - 1, (uint64_t)sim_job->launch->shared);
}

/* What build.c has put behind the variables of the device: from the end of each to the next. */
static void close_gaps(const struct sim_space *s) {
  const struct sim_image *image = sim_job->image;
  const uint64_t base = (uint64_t)(s->base - image->text);
  for (int i = 0; i < image->variable_count; i++) {
    const struct sim_variable *v = &image->variables[i];
    if (v->is_shared) continue;
    const uint64_t from = (v->at + v->bytes - base + WORD_BYTES - 1) / WORD_BYTES, most = s->size / WORD_BYTES;
    memset(s->state + from, 0, from + SIM_GAP_WORDS < most ? SIM_GAP_WORDS : most > from ? most - from : 0);
  }
  for (int i = 0; i < image->variable_count; i++) {
    const struct sim_variable *v = &image->variables[i];
    const uint64_t from = (v->at - base) / WORD_BYTES, to = (v->at - base + v->bytes + WORD_BYTES - 1) / WORD_BYTES;
    if (!v->is_shared) memset(s->state + from, SIM_INITIALISED | SIM_ADDRESSABLE, to - from);
  }
}

void sim_shadow_open(void) {
  const struct sim_image *image = sim_job->image;
  sim_text = image->text;
  /* Only what has been given out of the arena can be touched without a finding. */
  open_space(SIM_GLOBAL, "global", sim_job->arena->base, sim_job->arena->next, sim_job->arena->state);
  const uint64_t shared = sim_block.alive > 1 ? sim_window_bytes() * (uint64_t)sim_block.alive : sim_shared_bytes();
  open_space(SIM_SHARED, "shared", sim_block.homes[0].window, shared, NULL);
  sim_pending_open(shared / WORD_BYTES + 1);
  open_space(SIM_MODULE, "module", image->data, (uint64_t)(image->data_end - image->data), NULL);
  memset(sim_spaces[SIM_MODULE].state, 0xff, sim_spaces[SIM_MODULE].size / 4 + 1);
  open_shared();
  close_gaps(&sim_spaces[SIM_MODULE]);
  sim_pools_open();
}

static void new_window(struct sim_space *s, uint64_t from, uint64_t bytes) {
  const uint64_t whole = bytes / WORD_BYTES;
  memset(s->chunks + from / CHUNK_BYTES, 0, (bytes / CHUNK_BYTES + 1) * sizeof *s->chunks);
  memset(s->split + from / CHUNK_BYTES, 0, bytes / CHUNK_BYTES + 1);
  memcpy(s->state + from / WORD_BYTES, fresh_state, whole + 1);
  memset(s->base + from, 0xff, bytes); /* NaN in every type */
}

void sim_shadow_block(void) {
  struct sim_space *s = &sim_spaces[SIM_SHARED];
  for (int i = 0; i < sim_block.alive; i++) new_window(s, sim_window_bytes() * (uint64_t)i, sim_shared_bytes());
  sim_pools_block();
}

struct sim_space *sim_space_of(const void *p) {
  for (int i = 0; i < SIM_SPACES; i++)
    if ((const uint8_t *)p - sim_spaces[i].base >= 0 &&
        (uint64_t)((const uint8_t *)p - sim_spaces[i].base) < sim_spaces[i].size)
      return &sim_spaces[i];
  return NULL;
}
