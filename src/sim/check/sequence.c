/* sequence.c - reads of a paged cache in the words of its problem (problem= of a launch, and every operation): a slot
 * past seqused_k, a block that belongs to no sequence or not to those whose rows of the block table the thread block
 * has read (or its cluster), and an entry of the table past the end of its sequence. The finding is not-in-sequence.
 * Read next: check.c, sim/host/report.c, which says whose token an address is. */
#include "check.h"

#include "pah.h"
#include "shadow.h"
#include "sim/block/sched.h"

int sim_sequence_watched;

static struct cache {
  const uint8_t *from, *to;
  int64_t block, slot, head; /* strides in bytes */
} caches[2];
static const uint8_t *table_from, *table_to;
static int64_t block_size, block_count, sequences, entries;
static uint32_t *reach;   /* of each physical block: slots that some sequence uses */
static int64_t *allowed;  /* of each: the gang that has been found to own it */
static uint8_t *rows;     /* a bit for each sequence whose row this gang has read */
static int64_t rows_read; /* sequences */
static int64_t rows_of;   /* that gang */

/* Thread blocks that are alive together may hand on what they have read: 1 + the first of them. */
static int64_t gang(void) {
  return sim_block.homes[0].index + 1;
}

static int64_t length_of(const struct pah_attn *a, int64_t sequence) {
  const int32_t *used = a->seqused_k.data;
  const int64_t most = entries * block_size;
  const int64_t n = used ? used[sequence * a->seqused_k.stride[0]] : a->seqlen_k >= 0 ? a->seqlen_k : most;
  return n < 0 ? 0 : n < most ? n : most;
}

static int64_t entry_of(const struct pah_attn *a, int64_t sequence, int64_t i) {
  const int32_t *table = a->block_table.data;
  return table[sequence * a->block_table.stride[0] + i * a->block_table.stride[1]];
}

static const uint8_t *end_of(const struct pah_tensor *t) {
  int64_t last = 0;
  for (int i = 0; i < t->ndim; i++) last += (t->shape[i] - 1) * t->stride[i];
  return (const uint8_t *)t->data + (last + 1) * pah_dtype_size(t->dtype);
}

static void add_cache(struct cache *c, const struct pah_tensor *t) {
  const int64_t size = pah_dtype_size(t->dtype);
  if (t->dtype == PAH_NONE || t->ndim != 4 || pah_tensor_numel(t) == 0 || t->stride[0] < t->stride[1] ||
      t->stride[0] < t->stride[2])
    return;
  *c = (struct cache){t->data, end_of(t), t->stride[0] * size, t->stride[1] * size, t->stride[2] * size};
}

void sim_sequence_open(void) {
  const struct pah_attn *a = sim_job->launch->problem;
  if (!a || !a->block_table.data || a->block_table.ndim != 2 || a->k_blocks.ndim != 4) return;
  block_count = a->k_blocks.shape[0];
  block_size = a->k_blocks.shape[1];
  sequences = a->block_table.shape[0];
  entries = a->block_table.shape[1];
  if (!block_count || !block_size || !sequences || !entries) return;
  reach = sim_reserve((uint64_t)block_count * sizeof *reach);
  allowed = sim_reserve((uint64_t)block_count * sizeof *allowed);
  rows = sim_reserve((uint64_t)sequences / 8 + 1);
  for (int64_t b = 0; b < sequences; b++) {
    const int64_t length = length_of(a, b);
    for (int64_t i = 0; i * block_size < length; i++) {
      const int64_t block = entry_of(a, b, i), left = length - i * block_size;
      const uint32_t slots = (uint32_t)(left < block_size ? left : block_size);
      if (block >= 0 && block < block_count && reach[block] < slots) reach[block] = slots;
    }
  }
  add_cache(&caches[0], &a->k_blocks);
  add_cache(&caches[1], &a->v_blocks);
  table_from = a->block_table.data;
  table_to = end_of(&a->block_table);
  sim_sequence_watched = 1;
}

/* Does a sequence whose row has been read own the block? */
static int is_owned(const struct pah_attn *a, int64_t block) {
  if (allowed[block] == gang()) return 1;
  for (int64_t b = 0; b < sequences; b++) {
    if (!(rows[b / 8] >> b % 8 & 1)) continue;
    for (int64_t i = 0; i * block_size < length_of(a, b); i++)
      if (entry_of(a, b, i) == block) return allowed[block] = gang(), 1;
  }
  return 0;
}

static int64_t some_row(void) {
  int64_t b = 0;
  while (b < sequences && !(rows[b / 8] >> b % 8 & 1)) b++;
  return b;
}

static void forget_rows(void) {
  if (rows_of == gang()) return;
  rows_of = gang();
  for (int64_t i = 0; rows_read && i <= sequences / 8; i++) rows[i] = 0;
  rows_read = 0;
}

static void look_at_table(const struct sim_access *a, const struct pah_attn *p) {
  const int64_t at = ((const uint8_t *)a->address - table_from) / (int64_t)sizeof(int32_t);
  const int64_t row = p->block_table.stride[0];
  if (p->block_table.stride[1] != 1 || row < entries) return; /* rows that mix say nothing */
  for (int64_t k = 0; k < (int64_t)a->bytes / 4; k++) {
    const int64_t b = (at + k) / row, i = (at + k) % row;
    if (b >= sequences || i >= entries) continue;
    rows_read += !(rows[b / 8] >> b % 8 & 1);
    rows[b / 8] |= (uint8_t)(1 << b % 8);
    if (a->bytes == 4 && i * block_size >= length_of(p, b))
      sim_find_at(
          a->pc, NULL, a->address, "not-in-sequence",
          "reads entry %lld of the block table of sequence %lld, a table entry past the end: it has %lld tokens "
          "in %lld blocks",
          (long long)i, (long long)b, (long long)length_of(p, b),
          (long long)((length_of(p, b) + block_size - 1) / block_size));
  }
}

static void look_at_cache(const struct sim_access *a, const struct pah_attn *p, const struct cache *c) {
  const int64_t at = (const uint8_t *)a->address - c->from, block = at / c->block, rest = at % c->block;
  const int64_t slot = (c->slot >= c->head ? rest : rest % c->head) / c->slot;
  const char *name = c == &caches[0] ? "k_blocks" : "v_blocks";
  if (block >= block_count || slot >= block_size) return;
  if (!reach[block])
    sim_find_at(a->pc, NULL, a->address, "not-in-sequence", "reads block %lld of %s, which no sequence owns",
                (long long)block, name);
  else if ((uint32_t)slot >= reach[block] && !(a->flags & SIM_ASYNC_PROXY))
    sim_find_at(a->pc, NULL, a->address, "not-in-sequence",
                "reads slot %lld of block %lld of %s, past seqused_k: of that block %u slots are in use",
                (long long)slot, (long long)block, name, reach[block]);
  else if (rows_read && !is_owned(p, block))
    sim_find_at(a->pc, NULL, a->address, "not-in-sequence",
                "reads block %lld of %s, a block that sequence %lld does not own, whose row of the block table this "
                "thread block has read%s",
                (long long)block, name, (long long)some_row(), rows_read > 1 ? " (with those of others)" : "");
}

void sim_sequence_look(const struct sim_access *a) {
  const struct pah_attn *p = sim_job->launch->problem;
  const uint8_t *at = a->address;
  if (!(a->flags & PAH_SIM_READ)) return;
  forget_rows();
  if (at >= table_from && at < table_to) look_at_table(a, p);
  for (int i = 0; i < 2; i++)
    if (at >= caches[i].from && at < caches[i].to) {
      look_at_cache(a, p, &caches[i]);
      return;
    }
}
