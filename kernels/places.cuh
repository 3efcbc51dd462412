/* places.cuh - where a token lies in a pool of K or V, in 32 bits: a count of units, of which the pool's strides are
 * multiples. With heads that touch a unit is a row of one head, 256 bytes for 128 elements of bf16, and pools of a
 * terabyte fit. The host finds unit and strides (src/gpu/fast/forward_common.c). Read next: page_fetch.cuh. */
#pragma once
#include "ptx.cuh"

constexpr unsigned NOWHERE = 0xffffffffu;

struct place_units {
  unsigned bytes;             /* of a unit: a multiple of 16 */
  unsigned block, slot, head; /* strides, in units */
};

/* Of a slot of a block; NOWHERE if the pool has no such block. */
__device__ __forceinline__ unsigned place_of(const place_units &u, int num_blocks, int block, int slot, int kv_head) {
  if ((unsigned)block >= (unsigned)num_blocks) return NOWHERE;
  return block * u.block + slot * u.slot + kv_head * u.head;
}
