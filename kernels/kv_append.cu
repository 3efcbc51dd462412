/* kv_append.cu - new tokens into the paged cache: token t goes to slot slot_mapping[t] = block * block_size + offset, -1
 * skips it. A thread block per token and head, a thread per element; stored = real / descale.
 * Defines: IN_T, KV_T. */
#include "params.h"
#include "types.cuh"

__device__ inline void put(const pah_blocks &blocks, long long slot, long long block_size, int head, int d, float x) {
  KV_T *to = (KV_T *)blocks.data + slot / block_size * blocks.block + slot % block_size * blocks.slot + head * blocks.head;
  from_float(to[d], x);
}

extern "C" __global__ void kv_append(pah_append_params p) {
  long long t = blockIdx.x;
  int head = blockIdx.y, d = threadIdx.x;
  long long slot = p.slot_bytes == 8 ? ((const long long *)p.slot_mapping)[t * p.slot_stride]
                                     : ((const int *)p.slot_mapping)[t * p.slot_stride];
  if (slot < 0) return;
  float k = to_float(((const IN_T *)p.k)[t * p.k_token + head * p.k_head + d]);
  float v = to_float(((const IN_T *)p.v)[t * p.v_token + head * p.v_head + d]);
  put(p.k_blocks, slot, p.block_size, head, d, p.k_descale ? k / *p.k_descale : k);
  put(p.v_blocks, slot, p.block_size, head, d, p.v_descale ? v / *p.v_descale : v);
}
