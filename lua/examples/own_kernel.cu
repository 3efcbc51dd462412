// own_kernel.cu - a custom decode kernel: one query per sequence against its paged cache, f32.
// A thread block takes one head of one sequence; thread d owns element d of the head. Keys go by in tiles: first each
// thread computes the score of a token, then all weigh V by the scores of the tile (online softmax).
#include <math.h>

constexpr int TILE = 32; // tokens at a time

extern "C" __global__ void own_decode(float *out, float *lse, const float *q, const float *k_blocks,
                                      const float *v_blocks, const int *block_table, const int *seqused_k, int heads,
                                      int kv_heads, int block_size, int max_blocks_per_seq, float softmax_scale) {
  __shared__ float query[HEAD_DIM], score[TILE];
  const int head = blockIdx.x, b = blockIdx.y, d = threadIdx.x, kv_head = head / (heads / kv_heads);
  const long long row = ((long long)b * heads + head) * HEAD_DIM;
  query[d] = q[row + d] * softmax_scale;
  __syncthreads();

  float largest = -INFINITY, total = 0, sum = 0;
  for (int first = 0; first < seqused_k[b]; first += TILE) {
    const int count = min(TILE, seqused_k[b] - first);
    if (d < count) { // the score of token first + d
      const int token = first + d, block = block_table[b * max_blocks_per_seq + token / block_size];
      const float *k =
          k_blocks + (((long long)block * block_size + token % block_size) * kv_heads + kv_head) * HEAD_DIM;
      float product = 0;
      for (int i = 0; i < HEAD_DIM; i++) product += query[i] * k[i];
      score[d] = product;
    }
    __syncthreads(); // scores are complete
    float tile_largest = largest;
    for (int t = 0; t < count; t++) tile_largest = fmaxf(tile_largest, score[t]);
    const float shrink = expf(largest - tile_largest);
    largest = tile_largest;
    total *= shrink;
    sum *= shrink;
    for (int t = 0; t < count; t++) {
      const int token = first + t, block = block_table[b * max_blocks_per_seq + token / block_size];
      const float weight = expf(score[t] - largest);
      total += weight;
      sum +=
          weight * v_blocks[(((long long)block * block_size + token % block_size) * kv_heads + kv_head) * HEAD_DIM + d];
    }
#ifndef FORGOTTEN
    __syncthreads(); // before the next tile's scores take the place of these
#endif
  }
  out[row + d] = total > 0 ? sum / total : 0;
  if (d == 0) lse[b * heads + head] = total > 0 ? largest + logf(total) : -INFINITY;
}
