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
/* 1: a softcap of at most 50, and weights with the exponents of f32. Then no maximum is looked for: weights are
 * exp(score - softcap / 2), from e^-75 to e^25, and sums of them and of weighted values are numbers. */
#ifndef BOUNDED
#define BOUNDED 0
#endif
#ifndef CAP_FOLDED
#define CAP_FOLDED 1 /* 0: no registers are left for coefficients with the scale in them */
#endif
static_assert(!BOUNDED || (SOFTCAP && P_LOG2 == 0), "BOUNDED: scores have a softcap");
constexpr float BOUNDED_MAX = 0.5f; /* of the cap, where scores are tanh */

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
    max[0] = max[1] = BOUNDED ? BOUNDED_MAX : negative_infinity();
    sum[0] = sum[1] = 0;
  }

  template <int count, class F> __device__ __forceinline__ void cap(float inner, float (&s)[count], F then) const;

  /* Lets the maximum of row r rise to that of its scores; what was summed up before shrinks by what is returned. */
  template <int count> __device__ __forceinline__ float raise(int r, const float (&s)[count]) {
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
    return ptx::ex2(old * scale - exponent_base(now) * scale);
  }

  /* Scores become weights, exp(score - max); what was summed up before must be multiplied by shrink. */
  template <int count> __device__ __forceinline__ void weigh(float (&s)[count], float (&shrink)[2]) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      shrink[r] = BOUNDED ? 1 : raise(r, s);
      const float factor = BOUNDED ? 1 : scale, base = BOUNDED ? 0 : exponent_base(max[r]) * scale - P_LOG2;
      float add[2] = {0, 0};
#pragma unroll
      for (int i = 0; i < count; i += 4) {
        s[i + 2 * r] = ptx::ex2(s[i + 2 * r] * factor - base);
        s[i + 2 * r + 1] = ptx::ex2(s[i + 2 * r + 1] * factor - base);
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

/* tanh(x) / x of |x| up to CAP_SMALL, off by 6e-7 at most: minimax in x^2. */
constexpr float CAP_SMALL = 0.5f, CAP_0 = 0.99999946f, CAP_1 = -0.33326318f, CAP_2 = 0.13190297f, CAP_3 = -0.044402226f;

/* s becomes tanh(s * inner) * scale + offset. Where all of a warp's are small, by a polynomial with inner and scale
 * multiplied into its coefficients: 2 multiplications and 4 multiply-adds a score, one of which another would need too.
 * Else by two more MUFU operations, to a few 2^-23 of the cap; x itself where that is too much of x. then() comes
 * behind, in each of the two branches, so that its exponentials mix with the polynomial. */
template <int count, class F>
__device__ __forceinline__ void tanh_of_scaled(float inner, float scale, float offset, float (&s)[count], F then) {
  if (!CAP_FOLDED) {
#pragma unroll
    for (int i = 0; i < count; i++) s[i] *= inner;
    inner = 1;
  }
  const bool ordinary = !CAP_FOLDED || (inner > 1e-5f && inner < 1e4f); /* the coefficients are numbers */
  float largest = 0;
#pragma unroll
  for (int i = 0; i < count; i++) largest = fmaxf(largest, fabsf(s[i]));
  if (__any_sync(0xffffffffu, !ordinary || largest * inner > CAP_SMALL)) {
#pragma unroll
    for (int i = 0; i < count; i++) {
      const float x = s[i] * inner, large = 1 - 2 * ptx::rcp(1 + ptx::ex2(x * (2 * LOG2E)));
      s[i] = fmaf(fabsf(x) < 1e-3f ? x : large, scale, offset);
    }
    then();
  } else {
    const float square = inner * inner, c0 = scale * inner * CAP_0, c1 = scale * inner * square * CAP_1,
                c2 = scale * inner * square * square * CAP_2, c3 = scale * inner * square * square * square * CAP_3;
#pragma unroll
    for (int i = 0; i < count; i++) {
      const float y = s[i] * s[i];
      s[i] = fmaf(s[i], c0 + y * (c1 + y * (c2 + y * c3)), offset);
    }
    then();
  }
}

/* Scores after the cap, but for it itself, which is part of scale; where they are BOUNDED, what weigh() takes as it is.
 * inner: softmax_state::inner, and what descales may ask for without a cap. */
template <int count, class F>
__device__ __forceinline__ void softmax_state::cap(float inner, float (&s)[count], F then) const {
  if (SOFTCAP) {
    tanh_of_scaled(inner, BOUNDED ? scale : 1, BOUNDED ? -BOUNDED_MAX * scale : 0, s, then);
    return;
  }
  if (DESCALED && inner != 1) {
#pragma unroll
    for (int i = 0; i < count; i++) s[i] *= inner;
  }
  then();
}

struct nothing {
  __device__ __forceinline__ void operator()() const {}
};

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
