/* cpu/backward/blocks.h - who uses which physical block. A block that one sequence uses gets its gradient straight
 * from the tile; one that several use (a shared prefix) collects a f32 copy per use, and the copies are added in the
 * order of the sequences, so that the sum is rounded once and never depends on the threads. */
#ifndef PAH_CPU_BACKWARD_BLOCKS_H
#define PAH_CPU_BACKWARD_BLOCKS_H

#include <stdlib.h>
#include <string.h>

#include "attention/attn.h"
#include "error.h"
#include "cpu/isa.h"
#include "cpu/vec/rows.h"

/* A use is one logical block of one sequence; uses of shared blocks have a place, counted by physical block and then
 * in the order of the sequences. */
struct bwd_blocks {
  int64_t *first_use; /* [B+1]: use of logical block 0 of each sequence */
  int64_t *place;     /* [uses]: place of the use, -1 if its block is not shared */
  int64_t *filled;    /* [num_blocks]: slots in use, 0 for a block that no sequence uses */
  int64_t shared;     /* physical blocks with more than one use */
  int64_t *block;     /* [shared]: their ids */
  int64_t *start;     /* [shared+1]: first place of each */
  int64_t *tokens;    /* [places]: slots in use in that use */
};

static void bwd_blocks_free(struct bwd_blocks *b) {
  free(b->first_use);
  free(b->place);
  free(b->filled);
  free(b->block);
  free(b->start);
  free(b->tokens);
}

static int64_t bwd_blocks_id(const struct pah_attn *a, int64_t sequence, int64_t logical) {
  const struct pah_tensor *t = &a->block_table;
  return ((const int32_t *)t->data)[sequence * t->stride[0] + logical * t->stride[1]];
}

static int64_t *bwd_blocks_array(int64_t n) {
  return calloc((size_t)n + 1, sizeof(int64_t));
}

/* Second half of bwd_blocks_find: `count` has the uses of each block and becomes the next free place of each. */
static int bwd_blocks_place(struct bwd_blocks *b, const struct pah_attn *a, const struct pah_attn_sizes *s,
                            int64_t *count) {
  int64_t places = 0;
  for (int64_t i = 0; i < s->num_blocks; i++) b->shared += count[i] > 1;
  b->block = bwd_blocks_array(b->shared);
  b->start = bwd_blocks_array(b->shared);
  if (!b->block || !b->start) return PAH_ENOMEM;
  for (int64_t i = 0, n = 0; i < s->num_blocks; i++) {
    if (count[i] > 1) {
      b->block[n] = i;
      b->start[n++] = places;
      places += count[i];
      count[i] = places - count[i];
    } else {
      count[i] = -1;
    }
  }
  b->start[b->shared] = places;
  b->tokens = bwd_blocks_array(places);
  if (!b->tokens) return PAH_ENOMEM;
  for (int64_t i = 0; i < s->B; i++)
    for (int64_t n = 0, len_k = pah_len_k(a, s, i); n * s->block_size < len_k; n++) {
      int64_t id = bwd_blocks_id(a, i, n), left = len_k - n * s->block_size, place = -1;
      if (count[id] >= 0) {
        place = count[id]++;
        b->tokens[place] = left < s->block_size ? left : s->block_size;
      }
      b->place[b->first_use[i] + n] = place;
    }
  return PAH_OK;
}

/* Fills *b, all zero before; free it with bwd_blocks_free also after a failure. */
static int bwd_blocks_find(struct bwd_blocks *b, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  b->first_use = bwd_blocks_array(s->B);
  b->filled = bwd_blocks_array(s->num_blocks);
  int64_t *count = bwd_blocks_array(s->num_blocks);
  int status = b->first_use && b->filled && count ? PAH_OK : PAH_ENOMEM;
  for (int64_t i = 0; !status && i < s->B; i++) {
    int64_t len_k = pah_len_k(a, s, i), n = 0;
    for (; n * s->block_size < len_k; n++) {
      int64_t id = bwd_blocks_id(a, i, n), left = len_k - n * s->block_size;
      int64_t slots = left < s->block_size ? left : s->block_size;
      count[id]++;
      if (b->filled[id] < slots) b->filled[id] = slots;
    }
    b->first_use[i + 1] = b->first_use[i] + n;
  }
  if (!status) {
    b->place = bwd_blocks_array(b->first_use[s->B]);
    status = b->place ? bwd_blocks_place(b, a, s, count) : PAH_ENOMEM;
  }
  free(count);
  return status ? pah_fail(status, "bwd: no memory for the list of %lld blocks", (long long)s->num_blocks) : PAH_OK;
}

static char *bwd_blocks_row(const struct pah_tensor *t, int64_t block, int64_t slot, int64_t head) {
  int64_t at = block * t->stride[0] + slot * t->stride[1] + head * t->stride[2];
  return (char *)t->data + at * pah_dtype_size(t->dtype);
}

/* The slots that no sequence uses become 0. */
static void bwd_blocks_clear(const struct bwd_blocks *b, const struct pah_attn *a, const struct pah_attn_sizes *s,
                             int threads) {
  size_t size = (size_t)pah_dtype_size(a->dk_blocks.dtype);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t id = 0; id < s->num_blocks; id++)
    for (int64_t slot = b->filled[id]; slot < s->block_size; slot++)
      for (int64_t h = 0; h < s->Hkv; h++) {
        memset(bwd_blocks_row(&a->dk_blocks, id, slot, h), 0, (size_t)s->D * size);
        memset(bwd_blocks_row(&a->dv_blocks, id, slot, h), 0, (size_t)s->Dv * size);
      }
}

/* Where the copies of head h of `heads` lie: [heads][places], each dk [block_size][D], then dv [block_size][Dv]. */
static float *bwd_blocks_copy(const struct bwd_blocks *b, const struct pah_attn_sizes *s, float *copies, int64_t h,
                              int64_t place, int which) {
  return copies + ((h * b->start[b->shared] + place) * (s->D + s->Dv) + which * s->D) * s->block_size;
}

/* Adds up the copies of one shared block and head; copy number h, KV head `head`. */
static void bwd_blocks_add(const struct bwd_blocks *b, const struct pah_attn *a, const struct pah_attn_sizes *s,
                           float *copies, int64_t n, int64_t h, int64_t head) {
  const struct pah_tensor *to[2] = {&a->dk_blocks, &a->dv_blocks};
  for (int which = 0; which < 2; which++)
    for (int64_t slot = 0; slot < b->filled[b->block[n]]; slot++) {
      float sum[PAH_MAX_D];
      int64_t D = which ? s->Dv : s->D;
      memset(sum, 0, (size_t)D * sizeof *sum);
      for (int64_t place = b->start[n]; place < b->start[n + 1]; place++) {
        const float *copy = bwd_blocks_copy(b, s, copies, h, place, which) + slot * D;
        if (slot < b->tokens[place])
          for (int64_t d = 0; d < D; d++) sum[d] += copy[d];
      }
      row_store(bwd_blocks_row(to[which], b->block[n], slot, head), to[which]->dtype, sum, D);
    }
}

#endif
