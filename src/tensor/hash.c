/* hash.c - a 64-bit hash of a tensor's bits, to see whether anything was written into it. Pieces are hashed by many
 * threads and joined in order, so that it depends on the values alone. Not for use against an adversary.
 * Read next: lua/pah/measure/attention.lua, which asks. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "device.h"
#include "error.h"
#include "tensor.h"

enum { PIECE = 1 << 16 }; /* bytes */

/* Multiply and fold, as in the finalisers of Murmur and SplitMix: one-to-one in `state` for each word. */
static uint64_t mix(uint64_t state, uint64_t word) {
  state = (state ^ word) * 0x9e3779b97f4a7c15u;
  return state ^ state >> 29;
}

static uint64_t hash_piece(const unsigned char *p, int64_t bytes) {
  uint64_t lane[4] = {1, 2, 3, 4}, word[4];
  int64_t i = 0;
  for (; i + (int64_t)sizeof word <= bytes; i += (int64_t)sizeof word) {
    memcpy(word, p + i, sizeof word);
    for (int k = 0; k < 4; k++) lane[k] = mix(lane[k], word[k]);
  }
  for (; i < bytes; i++) lane[0] = mix(lane[0], p[i]);
  return mix(mix(mix(lane[0], lane[1]), lane[2]), lane[3]);
}

int pah_tensor_hash(const struct pah_tensor *t, uint64_t *hash) {
  int status = pah_tensor_check("tensor", t);
  if (status) return status;
  if (!t->device->info.host_memory && !t->device->ops->host_readable)
    return pah_fail(PAH_EUNSUPPORTED, "hash: the tensor is on %s, must be in memory that the host reads",
                    t->device->info.name);
  if (!pah_tensor_is_contiguous(t)) return pah_fail(PAH_EINVAL, "hash: the tensor is not contiguous");
  int64_t bytes = pah_tensor_numel(t) * pah_dtype_size(t->dtype), pieces = (bytes + PIECE - 1) / PIECE;
  uint64_t *part = malloc((size_t)(pieces ? pieces : 1) * sizeof *part);
  if (!part) return pah_fail(PAH_ENOMEM, "hash: no memory for %lld pieces", (long long)pieces);
  const unsigned char *data = t->data;
#pragma omp parallel for schedule(static) if (pieces > 16)
  for (int64_t i = 0; i < pieces; i++)
    part[i] = pah_interrupted ? 0 : hash_piece(data + i * PIECE, i == pieces - 1 ? bytes - i * PIECE : PIECE);
  uint64_t state = (uint64_t)bytes;
  for (int64_t i = 0; i < pieces; i++) state = mix(state, part[i]);
  free(part);
  status = pah_tensor_stopped();
  if (!status) *hash = state;
  return status;
}
