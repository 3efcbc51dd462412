/* parts.cuh - what is computed of a row before all of its keys are, and how such parts become a result. A part is a
 * maximum, the sum of 2^(score - maximum), and V totalled with these weights. Parts of thread blocks meet in global
 * memory: a counter says who comes last, which adds them in the order of keys. The counter is left at zero.
 * Read next: join.cuh. */
#pragma once
#include "../softmax.cuh"
#include "work.cuh"

constexpr int PART = ROWS * (DV + 2); /* floats of a part in global memory: totals, then maximum and sum of each row */

struct row_part { /* four elements of a row */
  float x[4], max, sum;
};

/* Adds N parts: weights are maximum and sum. */
template <int N>
__device__ __forceinline__ void add_parts(row_part &a, const float4 (&x)[N], const float2 (&weight)[N]) {
  float max = a.max;
#pragma unroll
  for (int n = 0; n < N; n++) max = fmaxf(max, weight[n].x);
  float base = exponent_base(max), factor = ptx::ex2(a.max - base);
  a.max = max;
  a.sum *= factor;
#pragma unroll
  for (int i = 0; i < 4; i++) a.x[i] *= factor;
#pragma unroll
  for (int n = 0; n < N; n++) {
    factor = ptx::ex2(weight[n].x - base);
    a.sum += factor * weight[n].y;
    a.x[0] += factor * x[n].x;
    a.x[1] += factor * x[n].y;
    a.x[2] += factor * x[n].z;
    a.x[3] += factor * x[n].w;
  }
}

/* What makes a row's totals its result. The sink takes part in the softmax and has no value. */
struct row_end {
  row_place at;
  long long query;
  float scale, lse; /* scale 0: the result is 0, whatever the totals are */
};

__device__ inline row_end end_row(const pah_attn_params &p, const plan &l, const segment &g, int row, float max,
                                  float sum) {
  row_end r;
  r.at = row_of(l, g, row);
  r.query = (long long)g.first_row + r.at.query;
  const float natural = sink_of(p, r.at.head), sink = natural * LOG2E;
  const bool no_key = sum == 0;
  float factor = 1;
  if (sink == -negative_infinity()) {
    factor = 0;
    sum = 1;
    max = sink;
  } else if (sink != negative_infinity()) {
    float top = fmaxf(max, sink);
    factor = ptx::ex2(max - top);
    sum = sum * factor + ptx::ex2(sink - top);
    max = top;
  }
  r.scale = factor == 0 || no_key ? 0.0f : factor * descale_of(p.v_descale, g.b, g.head) * ptx::rcp(sum);
  r.lse = no_key ? natural : (max + ptx::lg2(sum)) * LN2;
  return r;
}

__device__ inline void write_result(const pah_attn_params &p, const plan &l, const segment &g, int row, int d,
                                    row_part a) {
  if (l.refused) return;
  const row_end r = end_row(p, l, g, row, a.max, a.sum);
  OUT_T *out = row_at<OUT_T>(p.out, g.b, r.at.head, r.query) + d;
#pragma unroll
  for (int i = 0; i < 4; i++) from_float(out[i], r.scale == 0 ? 0.0f : a.x[i] * r.scale);
  if (d == 0) *row_at<float>(p.lse, g.b, r.at.head, r.query) = r.lse;
}

/* True in all of the threads that `meet` waits for, those of the thread block that comes last with its part of a row
 * group. One of them is `first`. */
template <class Meet>
__device__ inline bool comes_last(const pah_attn_params &p, const segment &g, int count, bool first, Meet &&meet) {
  __shared__ bool last;
  meet();
  if (first) last = ptx::atomic_inc_ordered(p.arrivals + g.row_group, (unsigned)count - 1) == (unsigned)count - 1;
  meet();
  return last;
}
