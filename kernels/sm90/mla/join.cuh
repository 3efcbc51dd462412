/* sm90/mla/join.cuh - how the parts of a row group become its result. A part is up to 64 rows of 512 totals: 128 KB.
 * The thread block that comes last reads parts as they lie in memory, 16 bytes a thread, four places of four parts at
 * a time, and writes these places when it has been through all parts: few waits for the L2 cache, one after the other,
 * and little code, which is run once and must come from memory too. Read next: ../../sm80/parts.cuh. */
#pragma once
#include "tile.cuh"

#include "../../sm80/parts.cuh"

struct join_scratch { /* where weights were */
  float top[CONSUMERS / ROWS][ROWS], sum[CONSUMERS / ROWS][ROWS], base[ROWS], scale[ROWS];
};
static_assert(sizeof(join_scratch) <= WEIGHT_BYTES, "it must fit there");

/* Where part number n of a row group lies. */
__device__ __forceinline__ const float *part_at(const pah_attn_params &p, const parts &s, int n) {
  return p.partial_out + (long long)(n ? s.next + n - 1 : s.first) * PART;
}

/* A row's maximum and sum in a part. */
__device__ __forceinline__ float2 weight_at(const pah_attn_params &p, const parts &s, int n, int row) {
  return __ldcg((const float2 *)(part_at(p, s, n) + ROWS * DV) + row);
}

/* What all parts say of a row: maxima, sums, what its totals are to be multiplied by; its lse is written. */
template <class Meet>
__device__ __forceinline__ void join_rows(const pah_attn_params &p, const plan &l, const segment &g, const parts &s,
                                          join_scratch &c, Meet &&meet) {
  constexpr int SHARES = CONSUMERS / ROWS;
  const int row = threadIdx.x % ROWS, share = threadIdx.x / ROWS, live = live_rows(l, g);
  const int there = at_most(row, live - 1); /* a row that exists */
  float max = negative_infinity(), sum = 0;
#pragma unroll 1
  for (int n = share; n < s.count; n += SHARES) max = fmaxf(max, weight_at(p, s, n, there).x);
  c.top[share][row] = max;
  meet();
#pragma unroll
  for (int i = 0; i < SHARES; i++) max = fmaxf(max, c.top[i][row]);
  const float base = exponent_base(max);
#pragma unroll 1
  for (int n = share; n < s.count; n += SHARES) {
    const float2 weight = weight_at(p, s, n, there);
    sum += ptx::ex2(weight.x - base) * weight.y;
  }
  c.sum[share][row] = sum;
  meet();
  if (share == 0 && row < live) {
    sum = 0;
#pragma unroll
    for (int i = 0; i < SHARES; i++) sum += c.sum[i][row];
    const row_end e = end_row(p, l, g, row, max, sum);
    c.base[row] = base;
    c.scale[row] = e.scale;
    if (!l.refused) *row_at<float>(p.lse, g.b, e.at.head, e.query) = e.lse;
  }
  meet();
}

/* By all who compute: adds the parts in the order of keys, and writes the result. */
template <class Meet>
__device__ __forceinline__ void join_parts(const pah_attn_params &p, const plan &l, const segment &g, const parts &s,
                                           Meet &&meet) {
  constexpr int PLACES = 4, PARTS = 4, IN_ROW = DV / 4;
  join_scratch &c = *(join_scratch *)(pool + WEIGHT_START);
  join_rows(p, l, g, s, c, meet);
  const int end = live_rows(l, g) * IN_ROW, d = threadIdx.x % IN_ROW * 4;
#pragma unroll 1
  for (int first = threadIdx.x; first < end; first += PLACES * CONSUMERS) {
    float4 total[PLACES] = {};
#pragma unroll 1
    for (int n = 0; n < s.count; n += PARTS) {
      float4 x[PLACES][PARTS];
      float2 weight[PLACES][PARTS];
#pragma unroll
      for (int m = 0; m < PARTS; m++)
#pragma unroll
        for (int i = 0; i < PLACES; i++) {
          const int row = first / IN_ROW + i * (CONSUMERS / IN_ROW);
          x[i][m] = make_float4(0, 0, 0, 0);
          weight[i][m] = make_float2(negative_infinity(), 0);
          if (n + m >= s.count || first + i * CONSUMERS >= end) continue;
          x[i][m] = __ldcg((const float4 *)(part_at(p, s, n + m) + row * DV + d));
          weight[i][m] = weight_at(p, s, n + m, row);
        }
#pragma unroll
      for (int m = 0; m < PARTS; m++)
#pragma unroll
        for (int i = 0; i < PLACES; i++) {
          const int row = at_most(first / IN_ROW + i * (CONSUMERS / IN_ROW), ROWS - 1);
          const float f = ptx::ex2(weight[i][m].x - c.base[row]);
          total[i].x += f * x[i][m].x;
          total[i].y += f * x[i][m].y;
          total[i].z += f * x[i][m].z;
          total[i].w += f * x[i][m].w;
        }
    }
#pragma unroll
    for (int i = 0; i < PLACES; i++) {
      const int row = first / IN_ROW + i * (CONSUMERS / IN_ROW);
      if (first + i * CONSUMERS >= end || l.refused) continue;
      const row_place at = row_of(l, g, row);
      OUT_T *out = row_at<OUT_T>(p.out, g.b, at.head, (long long)g.first_row + at.query) + d;
      const float scale = c.scale[row];
      from_float(out[0], scale == 0 ? 0.0f : total[i].x * scale);
      from_float(out[1], scale == 0 ? 0.0f : total[i].y * scale);
      from_float(out[2], scale == 0 ? 0.0f : total[i].z * scale);
      from_float(out[3], scale == 0 ? 0.0f : total[i].w * scale);
    }
  }
  meet(); /* weights of the next segment go where the scratch is */
}
