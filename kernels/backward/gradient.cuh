/* backward/gradient.cuh - from a tile of scores to weights and gradients of scores, in the registers where the tensor
 * cores leave them, by wgmma and mma.sync alike; keys by queries, as dK and dV have them: element i of a thread is key
 * g + 8 * (i / 2 % 2) of its warp's 16, query 8 * (i / 4) + 2t + i % 2, so that numbers of queries come in pairs from
 * shared memory. The kernel's config.cuh comes first: IO_T, SOFTCAP. Read next: sm90/backward/dkdv.cuh,
 * sm80/backward/dkdv.cu. */
#pragma once
#include "store.cuh"
#include "uses.cuh"

/* lse and delta of two neighbouring queries, the first and second of the eight of column c that are this thread's:
 * 16 bytes at once, for shared memory is what dK and dV are short of. */
__device__ __forceinline__ float4 numbers_at(const float *stats, int c) {
  return *(const float4 *)(stats + 2 * (8 * c + 2 * (ptx::thread_again() % 4)));
}

/* With a softcap: (dP - delta) tanh', while the scores are still there, tanh itself. inner: softmax_scale / softcap. */
template <int count>
__device__ __forceinline__ void uncap_gradients(float inner, const float *stats, float (&s)[count],
                                                float (&dp)[count]) {
  if (!SOFTCAP) return;
  tanh_of_scaled(inner, 1, 0, s, nothing());
#pragma unroll
  for (int c = 0; c < count / 4; c++) {
    /* volatile: what is loaded with them would be kept for later, and there are no registers to keep it in */
    const volatile float *of = stats + 2 * (8 * c + 2 * (int)(threadIdx.x % 4));
    const float delta[2] = {of[1], of[3]};
#pragma unroll
    for (int i = 4 * c; i < 4 * c + 4; i++) dp[i] = (dp[i] - delta[i % 2]) * (1 - s[i] * s[i]);
  }
}

/* Weights exp(s - lse) and gradients of scores as A operands, neighbours in pairs: the layout of sums is that of A. Of
 * `tiles` tiles of keys, for which numbers are loaded once. */
template <int tiles, int count>
__device__ __forceinline__ void weigh_queries(const pah_attn_params &p, const float *stats,
                                              const float (&s)[tiles][count], const float (&dp)[tiles][count],
                                              unsigned (&weights)[tiles][count / 8][4],
                                              unsigned (&gradients)[tiles][count / 8][4]) {
  const float factor = (SOFTCAP ? p.softcap : p.softmax_scale) * LOG2E;
#pragma unroll
  for (int c = 0; c < count / 4; c++) {
    const float4 of = numbers_at(stats, c);
#pragma unroll
    for (int m = 0; m < tiles; m++)
#pragma unroll
      for (int r = 0; r < 2; r++) {
        const int i = 4 * c + 2 * r;
        const float x = ptx::ex2(s[m][i] * factor - of.x), y = ptx::ex2(s[m][i + 1] * factor - of.z);
        weights[m][c / 2][c % 2 * 2 + r] = pair_of(IO_T(), x, y);
        gradients[m][c / 2][c % 2 * 2 + r] = SOFTCAP
                                                 ? pair_of(IO_T(), x * dp[m][i], y * dp[m][i + 1])
                                                 : pair_of(IO_T(), x * (dp[m][i] - of.y), y * (dp[m][i + 1] - of.w));
      }
  }
}

/* Of the numbers r of each four, all of one key: scores of queries that do not see it become -inf. */
template <int count>
__device__ __forceinline__ void mask_key(const pah_attn_params &p, const sequence &s, int key, int r, int first_query,
                                         float (&x)[count]) {
  const int before = first_query + 2 * (int)(threadIdx.x % 4);
  const seeing_queries by = seeing(p, s, key);
  const int first = by.first - before, last = by.last - before;
#pragma unroll
  for (int i = 0; i < count; i += 4) {
#pragma unroll
    for (int e = 0; e < 2; e++)
      if (2 * i + e < first || 2 * i + e > last) x[i + 2 * r + e] = negative_infinity();
  }
}

/* Tiles of queries that see one of `keys` keys of an item from `from` on, and those of which all see all of them, but
 * for keys past the item's end, which nobody stores. */
struct tile_range {
  int begin, end, full_begin, full_end;
};

__device__ inline tile_range tiles_seeing(const pah_attn_params &p, const key_use &w, int from, int keys) {
  tile_range t = {0, 0, 0, 0};
  const int first_key = w.token + from, stored = at_most(w.token + w.rows - first_key, keys);
  const int count = at_most(w.s.len_k - first_key, stored);
  if (count <= 0) return t;
  const seeing_queries first = seeing(p, w.s, first_key), last = seeing(p, w.s, first_key + count - 1);
  if (first.first > last.last) return t;
  t.begin = first.first / QUERIES, t.end = last.last / QUERIES + 1;
  if (count < stored) return t;
  t.full_begin = (last.first + QUERIES - 1) / QUERIES;
  t.full_end = first.last == w.s.len_q - 1 ? t.end : (first.last + 1) / QUERIES; /* of queries past the end all is 0 */
  return t;
}
