/* sm90/backward/gradient.cuh - from a tile of scores to weights and gradients of scores, in the registers where wgmma
 * leaves them; keys by queries, as dkdv.cuh has them: element i of a thread is key row_of(i / 2 % 2), query
 * 8 * (i / 4) + 2t + i % 2, so that numbers of queries come in pairs from shared memory. Read next: dkdv.cuh. */
#pragma once
#include "../../store.cuh"
#include "uses.cuh"

/* row_of(), from the special register once more: kept from the start of the kernel it would cost the register that the
 * products lack, and ptxas would spill it. */
__device__ __forceinline__ int row_again(int r) {
#ifdef PAH_SIM
  return row_of(r);
#else
  int id;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(id));
  return id / 32 * 16 + id % 32 / 4 + 8 * r;
#endif
}

/* lse and delta of two neighbouring queries, the first and second of the eight of column c that are this thread's:
 * 16 bytes at once, for shared memory is what dkdv.cuh is short of. */
__device__ __forceinline__ float4 numbers_at(const float *stats, int c) {
  return *(const float4 *)(stats + 2 * (8 * c + 2 * (int)(threadIdx.x % 4)));
}

/* With a softcap: (dP - delta) tanh', while the scores are still there, tanh itself. */
__device__ __forceinline__ void uncap_gradients(const pah_attn_params &p, const float *stats, float (&s)[QUERIES / 2],
                                                float (&dp)[QUERIES / 2]) {
  if (!SOFTCAP) return;
  tanh_of_scaled(p.softmax_scale / p.softcap, 1, 0, s, nothing());
#pragma unroll
  for (int c = 0; c < QUERIES / 8; c++) {
    /* volatile: what is loaded with them would be kept for later, and there are no registers to keep it in */
    const volatile float *of = stats + 2 * (8 * c + 2 * (int)(threadIdx.x % 4));
    const float delta[2] = {of[1], of[3]};
#pragma unroll
    for (int i = 4 * c; i < 4 * c + 4; i++) dp[i] = (dp[i] - delta[i % 2]) * (1 - s[i] * s[i]);
  }
}

/* Weights exp(s - lse) and gradients of scores as A operands, neighbours in pairs: the layout of sums is that of A. */
__device__ __forceinline__ void weigh_queries(const pah_attn_params &p, const float *stats,
                                              const float (&s)[QUERIES / 2], const float (&dp)[QUERIES / 2],
                                              unsigned (&weights)[QUERIES / 16][4],
                                              unsigned (&gradients)[QUERIES / 16][4]) {
  const float factor = (SOFTCAP ? p.softcap : p.softmax_scale) * LOG2E;
#pragma unroll
  for (int c = 0; c < QUERIES / 8; c++) {
    const float4 of = numbers_at(stats, c);
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int i = 4 * c + 2 * r;
      const float x = ptx::ex2(s[i] * factor - of.x), y = ptx::ex2(s[i + 1] * factor - of.z);
      weights[c / 2][c % 2 * 2 + r] = pair_of(IO_T(), x, y);
      gradients[c / 2][c % 2 * 2 + r] = SOFTCAP ? pair_of(IO_T(), x * dp[i], y * dp[i + 1])
                                                : pair_of(IO_T(), x * (dp[i] - of.y), y * (dp[i + 1] - of.w));
    }
  }
}

/* Scores of queries that do not see a key become -inf. */
__device__ __forceinline__ void mask_queries(const pah_attn_params &p, const key_use &w, int tile,
                                             float (&s)[QUERIES / 2]) {
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int before = tile * QUERIES + 2 * (int)(threadIdx.x % 4);
    const seeing_queries by = seeing(p, w.s, w.token + row_again(r));
    const int first = by.first - before, last = by.last - before;
#pragma unroll
    for (int i = 0; i < QUERIES / 2; i += 4) {
#pragma unroll
      for (int e = 0; e < 2; e++)
        if (2 * i + e < first || 2 * i + e > last) s[i + 2 * r + e] = negative_infinity();
    }
  }
}

/* Tiles of queries that see one of the 64 keys of an item from `from` on, and those of which all see all of them, but
 * for keys past the item's end, which nobody stores. */
struct tile_range {
  int begin, end, full_begin, full_end;
};

__device__ inline tile_range tiles_seeing(const pah_attn_params &p, const key_use &w, int from) {
  tile_range t = {0, 0, 0, 0};
  const int first_key = w.token + from, stored = at_most(w.token + w.rows - first_key, 64);
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
