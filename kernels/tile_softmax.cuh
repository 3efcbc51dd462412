/* tile_softmax.cuh - the online softmax of a tile of scores, 16 rows a warp, in the registers where the tensor cores
 * leave them, by wgmma and mma.sync alike. A thread holds two rows, g and g + 8 of its warp's 16: element i belongs to
 * row i / 2 % 2, key 8 * (i / 4) + 2t + i % 2. Four neighbouring lanes share a row. Scores stay unscaled:
 * exp(scale * (s - max)) is one multiply-add and one ex2, with scale * log2(e) as the factor. The kernel's config.cuh
 * comes first: TILE_N, PACK, SOFTCAP, TREE, LAZY_LOG2, and what has a default here.
 * Read next: store.cuh, sm90/forward.cu, sm80/forward/forward.cu. */
#pragma once
#include "ptx.cuh"
#include "row_tiles.cuh"
#include "softmax.cuh"

#ifndef DESCALED
#define DESCALED 0 /* 1: descales and o_scale apply */
#endif
#ifndef P_LOG2
#define P_LOG2 0 /* weights are 2^P_LOG2 times exp(score - maximum) */
#endif

template <class F> __device__ __forceinline__ float over_row(float x, F combine) {
  x = combine(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return combine(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

struct larger {
  __device__ __forceinline__ float operator()(float a, float b) const {
    return fmaxf(a, b);
  }
};
struct plus {
  __device__ __forceinline__ float operator()(float a, float b) const {
    return a + b;
  }
};

/* tanh to a few 2^-23 of 1: what is lost of a small x is lost of a score of that size too. */
__device__ __forceinline__ float precise_tanh(float x) {
  return 1.0f - __fdividef(2.0f, 1.0f + ptx::ex2(x * (2 * LOG2E)));
}

struct softmax_state {
  float scale; /* of a score, times log2(e): softmax_scale with the descales, or the cap itself */
  float inner; /* what scores are multiplied by first: before tanh, or where scale would not be a number above 0 */
  float max[2], sum[2];

  __device__ __forceinline__ void begin(const pah_attn_params &p, const work_item &w) {
    float factor = p.softmax_scale;
    inner = 1;
    const int kv_head = kv_head_of(p, w);
    if (DESCALED) factor *= descale_of(p.q_descale, w.b, kv_head) * descale_of(p.k_descale, w.b, kv_head);
    if (SOFTCAP) inner = factor / p.softcap, factor = p.softcap;
    if (DESCALED && !(factor > 0 && factor < -negative_infinity())) inner = factor, factor = 1;
    scale = factor * LOG2E;
    max[0] = max[1] = negative_infinity();
    sum[0] = sum[1] = 0;
  }

  /* Scores become weights, exp(score - max); what was summed up before must be multiplied by shrink. */
  template <int count> __device__ __forceinline__ void weigh(float (&s)[count], float (&shrink)[2]) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float top[2] = {s[2 * r], s[2 * r + 1]}; /* two chains of dependent instructions, not one */
#pragma unroll
      for (int i = 4; i < count; i += 4) {
        top[0] = fmaxf(top[0], s[i + 2 * r]);
        top[1] = fmaxf(top[1], s[i + 2 * r + 1]);
      }
      const float old = max[r];
      float now = fmaxf(old, over_row(fmaxf(top[0], top[1]), larger()));
      if ((now - old) * scale <= LAZY_LOG2) now = old; /* never so while old is -inf */
      max[r] = now;
      const float base = exponent_base(now) * scale, base_p = base - P_LOG2;
      shrink[r] = ptx::ex2(old * scale - base);
      float add[2] = {0, 0};
#pragma unroll
      for (int i = 0; i < count; i += 4) {
        s[i + 2 * r] = ptx::ex2(s[i + 2 * r] * scale - base_p);
        s[i + 2 * r + 1] = ptx::ex2(s[i + 2 * r + 1] * scale - base_p);
        add[0] += s[i + 2 * r];
        add[1] += s[i + 2 * r + 1];
      }
      sum[r] = sum[r] * shrink[r] + (add[0] + add[1]);
    }
  }

  /* What the sums of weighted values are multiplied by at the end, and the lse. A sink is one more score, without a
   * value (-inf: none): all counts from the larger of it and the maximum. */
  __device__ __forceinline__ void finish(int r, float sink, float &factor, float &lse) {
    const float total = over_row(sum[r], plus()), base = exponent_base(max[r]) * scale - P_LOG2;
    if (total == 0 || sink == -negative_infinity()) {
      factor = 0;
      lse = sink;
      return;
    }
    const float sink2 = sink * LOG2E, top = fmaxf(base, sink2), weight = ptx::ex2(base - top);
    const float all = total * weight + ptx::ex2(sink2 - top);
    factor = weight / all;
    lse = (top + log2f(all)) * LN2;
  }
};

/* tanh of the scaled scores: the cap itself is part of softmax_state::scale. Where all of a warp's are below 0.5, a
 * polynomial that is off by 1e-5 of x at most; two more MUFU operations a score cost as much as a product of the tile.
 * inner: softmax_state::inner, and what descales may ask for without a cap. */
template <int count> __device__ __forceinline__ void cap_scores(float inner, float (&s)[count]) {
  if (!SOFTCAP && (!DESCALED || inner == 1)) return;
  float largest = 0;
#pragma unroll
  for (int i = 0; i < count; i++) {
    s[i] *= inner;
    largest = fmaxf(largest, fabsf(s[i]));
  }
  if (!SOFTCAP) return;
  if (__any_sync(0xffffffffu, largest > 0.5f)) {
#pragma unroll
    for (int i = 0; i < count; i++) s[i] = precise_tanh(s[i]);
  } else {
#pragma unroll
    for (int i = 0; i < count; i++) {
      const float y = s[i] * s[i];
      s[i] *= 1 + y * (-1 / 3.0f + y * (2 / 15.0f + y * (-17 / 315.0f + y * (62 / 2835.0f))));
    }
  }
}

/* Row that a thread's rows r = 0 and 1 are, of the 16 * warps rows that the warps hold together. */
__device__ __forceinline__ int row_of(int r) {
  return (int)(threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4) + 8 * r;
}

/* Scores of keys that a row does not see become -inf. Only tiles that are not full come here. first_row: of the tile of
 * rows, where warps hold more than 16 each. */
__device__ __forceinline__ void mask_scores(const pah_attn_params &p, const work_item &w, int tile,
                                            float (&s)[TILE_N / 2], int first_row = 0) {
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int query = w.first_q + (first_row + row_of(r)) / PACK, mine = 2 * (int)(threadIdx.x % 4);
    const visible_keys v = visible_to(p, w.s, query);
    const int first = v.first - tile * TILE_N - mine, last = v.last - tile * TILE_N - mine;
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i += 4) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int key = 2 * i + e; /* 8 * (i / 4) + e */
        if (key < first || key > last) s[i + 2 * r + e] = negative_infinity();
      }
    }
    if (TREE && query < w.s.len_q) {
      const unsigned *bits = tree_row(p, w.s, w.b, query);
#pragma unroll
      for (int i = 0; i < TILE_N / 2; i++) {
        const int key = tile * TILE_N + 2 * (i - i % 4) + i % 2 + mine;
        if (i / 2 % 2 == r && key < w.s.len_k && !tree_sees(bits, w.s, key)) s[i] = negative_infinity();
      }
    }
  }
}
