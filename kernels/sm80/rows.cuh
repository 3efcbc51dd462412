/* rows.cuh - the rows of a row group are queries x the query heads of a KV head, heads first: where they are, their Q
 * in registers, which keys they see. A lane loads row g of each octet, and has scores of rows 2t and 2t + 1. */
#pragma once
#include "../softmax.cuh"
#include "operands.cuh"
#include "tile.cuh"
#include "work.cuh"

template <class T> constexpr bool IS_BF16 = false;
template <> constexpr bool IS_BF16<bf16> = true;

struct warp_rows {
  queries q;
  float scale[OCTETS][2];                /* from a product to a score in powers of two */
  int first[OCTETS][2], last[OCTETS][2]; /* visible keys, counted from the segment's first */
  int query[OCTETS][2];                  /* -1: there is no such row */
};

/* Q in registers; rows that do not exist are zero. */
__device__ __forceinline__ void load_queries(const pah_attn_params &p, const plan &l, const segment &g, queries &q) {
  int lane = threadIdx.x % 32, t = lane % 4;
#pragma unroll
  for (int r = 0; r < OCTETS; r++) {
    row_place at = row_of(l, g, member_of() * WARP_ROWS + 8 * r + lane / 4);
    bool live = at.query >= 0;
    const u32 *row = (const u32 *)row_at<Q_T>(p.q, g.b, at.head, (long long)g.first_row + (live ? at.query : 0));
#pragma unroll
    for (int k = 0; k < D / 16; k++) { /* fp8: four neighbours a lane, as for K */
      q[k][r][0] = live ? row[8 * k + (FP8 ? 2 * t : t)] : 0;
      q[k][r][1] = live ? row[8 * k + (FP8 ? 2 * t + 1 : t + 4)] : 0;
    }
  }
}

/* Q is wanted soon: into the L2 cache, a line of 128 bytes a lane. */
__device__ inline void ask_for_queries(const pah_attn_params &p, const plan &l, const segment &g) {
  constexpr int lines = D / 64;
#pragma unroll
  for (int i = threadIdx.x % 32; i < WARP_ROWS * lines; i += 32) {
    row_place at = row_of(l, g, member_of() * WARP_ROWS + i / lines);
    const Q_T *row = row_at<Q_T>(p.q, g.b, at.head, (long long)g.first_row + at.query);
    if (at.query >= 0) ptx::prefetch_l2(row + i % lines * 64);
  }
}

/* Brings bf16 rows near 1 by a power of two, so that f16 holds them; the scales of the scores take that back. */
__device__ inline void narrow_queries(warp_rows &w) {
#pragma unroll
  for (int r = 0; r < OCTETS; r++) {
    u32 top = 0;
#pragma unroll
    for (int i = 0; i < D / 8; i++) {
      u32 x = w.q[i / 2][r][i % 2], lo = x & 0x7fffu, hi = x >> 16 & 0x7fffu;
      top = top > lo ? top : lo;
      top = top > hi ? top : hi;
    }
    for (int step = 1; step < 4; step *= 2) {
      u32 other = __shfl_xor_sync(0xffffffffu, top, step);
      top = top > other ? top : other;
    }
    u32 exponent = top >> 7;
    exponent = exponent < 20 ? 20 : exponent > 253 ? 253 : exponent;
    float down = bits_to_float((254 - exponent) << 23), up = bits_to_float(exponent << 23);
#pragma unroll
    for (int i = 0; i < D / 8; i++) {
      u32 x = w.q[i / 2][r][i % 2];
      w.q[i / 2][r][i % 2] = ptx::cvt_f16x2(bits_to_float(x << 16) * down, bits_to_float(x & 0xffff0000u) * down);
    }
    for (int i = 0; i < 2; i++) w.scale[r][i] *= __shfl_sync(0xffffffffu, up, threadIdx.x % 4 * 8 + 4 * i);
  }
}

/* All but Q. */
__device__ __forceinline__ void place_rows(const pah_attn_params &p, const plan &l, const segment &g, warp_rows &w) {
  float scale = p.softmax_scale * descale_of(p.k_descale, g.b, g.head);
  scale *= p.softcap > 0 ? 2 * LOG2E * ptx::rcp(p.softcap) : LOG2E;
  sequence s = {g.len_q, g.len_k, g.first_row};
  bool alike = g.len_q == 1 && !p.tree_mask; /* all rows see what the only query sees */
#pragma unroll
  for (int r = 0; r < OCTETS; r++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      w.scale[r][i] = scale;
      w.first[r][i] = 0;
      w.last[r][i] = g.keys - 1;
      w.query[r][i] = -1;
      if (alike) continue;
      row_place at = row_of(l, g, member_of() * WARP_ROWS + 8 * r + threadIdx.x % 4 * 2 + i);
      visible_keys v = visible_to(p, s, at.query);
      bool live = at.query >= 0; /* a row that is none holds nothing up */
      w.first[r][i] = live ? v.first - g.first : 0;
      w.last[r][i] = live ? v.last - g.first : 0x3fffffff;
      w.query[r][i] = at.query;
    }
}

__device__ __forceinline__ unsigned bits_below(int n) {
  return n >= 32 ? ~0u : n <= 0 ? 0u : (1u << n) - 1;
}

/* Which of the 32 keys from `key` on a row sees. Bits of the tree are for the last len_q keys; all before are seen. */
__device__ inline unsigned sees(const pah_attn_params &p, const segment &g, int first, int last, int query, int key) {
  unsigned seen = bits_below(last - key + 1) & ~bits_below(first - key);
  int from = key - (g.len_k - g.len_q - g.first); /* the bit of the tree that is bit 0 here */
  if (p.tree_mask && query >= 0 && from > -32) {
    const int *tree =
        p.tree_mask + (p.cu_seqlens_q ? 0 : g.b * p.tree_batch) + (g.first_row + (long long)query) * p.tree_row;
    unsigned bits = 0;
    for (int i = 0; i < (g.len_q + 31) / 32; i++) { /* word i goes to bits 32 i - from */
      int to = 32 * i - from;
      if (to > -32 && to < 32) bits |= to < 0 ? (unsigned)tree[i] >> -to : (unsigned)tree[i] << to;
    }
    seen &= bits | bits_below(-from);
  }
  return seen;
}

/* Products become scores in powers of two, -inf where a row does not see the key. */
__device__ __forceinline__ void score(const pah_attn_params &p, const segment &g, const warp_rows &w, scores &s,
                                      int tile) {
  int key = tile * KEYS;
  bool all = !p.tree_mask || key + KEYS <= g.len_k - g.len_q - g.first;
#pragma unroll
  for (int r = 0; r < OCTETS; r++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int m = 0; m < KEYS / 16; m++) s[m][r][i] *= w.scale[r][i % 2];
      if (i < 2) all &= key >= w.first[r][i] && key + KEYS - 1 <= w.last[r][i];
    }
  if (p.softcap > 0) { /* tanh(x) = 1 - 2 / (1 + e^2x) */
#pragma unroll
    for (int i = 0; i < KEYS / 16 * OCTETS * 4; i++) {
      float &x = s[i / 4 / OCTETS][i / 4 % OCTETS][i % 4];
      x = p.softcap * LOG2E * (1 - 2 * ptx::rcp(1 + ptx::ex2(x)));
    }
  }
  if (__all_sync(0xffffffffu, all)) return;
#pragma unroll
  for (int r = 0; r < OCTETS; r++)
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int m = 0; m < KEYS / 16; m += 2) {
        unsigned seen = sees(p, g, w.first[r][i], w.last[r][i], w.query[r][i], key + 16 * m) >> threadIdx.x % 32 / 4;
#pragma unroll
        for (int j = 0; j < 4 && m + j / 2 < KEYS / 16; j++)
          if (!(seen >> 8 * j & 1)) s[m + j / 2][r][i + j % 2 * 2] = negative_infinity();
      }
}
