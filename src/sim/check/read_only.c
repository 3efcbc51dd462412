/* read_only.c - memory that a launch must not write: what __ldg and ld.global.nc read, by a cache that sees no writes,
 * and the tensors of parameters that are const and __restrict__, which the compiler may read the same way. The finding
 * is read-only-written: for __ldg whichever comes first, for __restrict__ a read after a write.
 * Read next: check.c, hooks.c. */
#include "check.h"

#include "pah.h"
#include "shadow.h"
#include "sim/block/sched.h"

uint32_t *sim_read_only_of;
int sim_read_only_words;
int sim_restrict_count;
static struct range {
  const uint8_t *from, *to;
  int parameter;
} ranges[PAH_MAX_PARAMETERS];

static void add_range(const struct pah_tensor *t, int parameter) {
  int64_t last = 0;
  for (int i = 0; i < t->ndim; i++) last += (t->shape[i] - 1) * t->stride[i];
  const uint8_t *from = t->data;
  ranges[sim_restrict_count++] = (struct range){from, from + (last + 1) * pah_dtype_size(t->dtype), parameter};
}

void sim_read_only_open(void) {
  const struct pah_tensor *const *tensors = sim_job->launch->tensors;
  sim_read_only_words = sim_restrict_count = 0;
  for (int i = 0; tensors && i < sim_job->signature->count; i++)
    if (sim_job->restricted >> i & 1 && tensors[i] && tensors[i]->dtype != PAH_NONE && pah_tensor_numel(tensors[i]) > 0)
      add_range(tensors[i], i + 1);
}

static const struct sim_cell *cell_of(const struct sim_space *s, uint64_t word) {
  const struct sim_cell *c = &s->cells[word];
  if (!s->split[word / CHUNK_WORDS]) c = &s->chunks[word / CHUNK_WORDS];
  return c;
}

void pah_sim_read_only(const volatile void *volatile_p, unsigned long bytes, const void *pc) {
  const uint8_t *p = (const uint8_t *)(uintptr_t)volatile_p;
  struct sim_space *s = &sim_spaces[SIM_GLOBAL];
  if (!sim_block.running || sim_space_of(p) != s || (uint64_t)(p - s->base) + bytes > s->size) return;
  if (!sim_read_only_of) sim_read_only_of = sim_reserve(s->size + SIM_HEAP_BYTES);
  for (uint64_t word = (uint64_t)(p - s->base) / WORD_BYTES; word * WORD_BYTES < (uint64_t)(p - s->base) + bytes;
       word++) {
    const struct sim_cell *c = cell_of(s, word);
    if (c->write || c->atomics)
      sim_find_at(pc, c->write && c->write != CELL_SPLIT ? sim_text + c->write_pc : NULL, p, "read-only-written",
                  "reads %lu bytes by __ldg (ld.global.nc) that this launch writes: that cache sees no writes", bytes);
    sim_read_only_of[word] = (uint32_t)((const uint8_t *)pc - sim_text);
  }
  sim_read_only_words = 1;
}

void sim_read_only_written(const struct sim_access *a) {
  const uint64_t at = (uint64_t)((const uint8_t *)a->address - sim_spaces[SIM_GLOBAL].base);
  for (uint64_t word = at / WORD_BYTES; word * WORD_BYTES < at + a->bytes; word++) {
    if (!sim_read_only_of[word]) continue;
    sim_find_at(a->pc, sim_text + sim_read_only_of[word], a->address, "read-only-written",
                "%s %u bytes that this launch reads by __ldg (ld.global.nc): that cache sees no writes; they are read",
                sim_verb(a), a->bytes);
    return;
  }
}

void sim_restrict_read(const struct sim_access *a, const void *writer) {
  for (int i = 0; i < sim_restrict_count; i++) {
    const struct range *r = &ranges[i];
    if ((const uint8_t *)a->address < r->from || (const uint8_t *)a->address >= r->to) continue;
    sim_find_at(a->pc, writer, a->address, "read-only-written",
                "reads %u bytes that this launch has written, of a tensor that is const and __restrict__ as parameter "
                "%d: such reads may miss writes; they were written",
                a->bytes, r->parameter);
    return;
  }
}
