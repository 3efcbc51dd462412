/* c_function.c - attention over a paged cache as a plain C function, f32: what c_function.lua judges. One pass over the
 * keys of each query with an online softmax. Tensors are contiguous; queries are [B, H, Sq, D]. */
#include <math.h>
#include <stdint.h>

void attention(float *out, float *lse, const float *q, const float *k_blocks, const float *v_blocks,
               const int32_t *block_table, const int32_t *seqused_k, const int64_t *sizes, int causal, float scale,
               float softcap) {
  int64_t B = sizes[0], H = sizes[1], Sq = sizes[2], D = sizes[3];
  int64_t Hkv = sizes[4], block_size = sizes[5], width = sizes[6]; /* width: of block_table */
  for (int64_t r = 0; r < B * H * Sq; r++) {
    int64_t b = r / (H * Sq), h = r / Sq % H, i = r % Sq, g = h / (H / Hkv), len_k = seqused_k[b];
    const float *query = q + r * D;
    float *to = out + r * D, top = -INFINITY, sum = 0;
    for (int64_t d = 0; d < D; d++) to[d] = 0;
    for (int64_t j = 0; j < len_k; j++) {
      if (causal && j > i + len_k - Sq) break; /* the last query stands at the end of the sequence */
      int64_t slot = block_table[b * width + j / block_size] * block_size + j % block_size;
      const float *k = k_blocks + (slot * Hkv + g) * D, *v = v_blocks + (slot * Hkv + g) * D;
      float s = 0;
      for (int64_t d = 0; d < D; d++) s += query[d] * k[d];
      s *= scale;
      if (softcap > 0) s = softcap * tanhf(s / softcap);
      float raised = fmaxf(top, s), shrink = expf(top - raised), weight = expf(s - raised);
      sum = sum * shrink + weight;
      for (int64_t d = 0; d < D; d++) to[d] = to[d] * shrink + weight * v[d];
      top = raised;
    }
    for (int64_t d = 0; d < D && sum > 0; d++) to[d] /= sum;
    lse[r] = sum > 0 ? top + logf(sum) : -INFINITY;
  }
}
