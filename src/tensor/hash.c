/* hash.c - a 64-bit hash of a tensor's bits, to see whether anything was written into it. Pieces are hashed by many
 * threads and joined in order, so that it depends on the values alone. Not for use against an adversary.
 * Read next: lua/pah/measure/attention.lua, which asks. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "device.h"
#include "error.h"
#include "tensor.h"

enum { PIECE = PAH_HASH_PIECE };

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

/* The pieces' hashes by the host; a device's memory is copied to it. */
static int hash_by_host(const struct pah_tensor *t, int64_t bytes, int64_t pieces, uint64_t *part) {
  struct pah_host_view v;
  int status = pah_host_view_open(&v, t);
  if (status) return status;
  const unsigned char *data = v.t.data;
#pragma omp parallel for schedule(static) if (pieces > 16)
  for (int64_t i = 0; i < pieces; i++)
    part[i] = pah_interrupted ? 0 : hash_piece(data + i * PIECE, i == pieces - 1 ? bytes - i * PIECE : PIECE);
  return pah_host_view_close(&v, 0);
}

int pah_tensor_hash(const struct pah_tensor *t, uint64_t *hash) {
  int status = pah_tensor_check("tensor", t);
  if (status) return status;
  if (!hash) return pah_fail(PAH_EINVAL, "hash: is NULL, must be a place for 64 bits");
  if (!pah_tensor_is_contiguous(t)) return pah_fail(PAH_EINVAL, "hash: the tensor is not contiguous");
  int64_t bytes = pah_tensor_numel(t) * pah_dtype_size(t->dtype), pieces = (bytes + PIECE - 1) / PIECE;
  uint64_t *part = malloc((size_t)(pieces ? pieces : 1) * sizeof *part);
  if (!part) return pah_fail(PAH_ENOMEM, "hash: no memory for %lld pieces", (long long)pieces);
  const struct pah_device_ops *ops = t->device->ops;
  status = bytes && ops->tensor_hash ? ops->tensor_hash(t->device, t, part) : PAH_LEFT_TO_HOST;
  if (status == PAH_LEFT_TO_HOST) status = bytes ? hash_by_host(t, bytes, pieces, part) : PAH_OK;
  uint64_t state = (uint64_t)bytes;
  for (int64_t i = 0; i < pieces && !status; i++) state = mix(state, part[i]);
  free(part);
  if (!status) status = pah_tensor_stopped();
  if (!status) *hash = state;
  return status;
}
