/* join.cuh - how what the teams of a thread block have computed of a segment becomes a result, or a part of one
 * (parts.cuh): they leave theirs in shared memory, where they are added up in the order of the teams. A row group that
 * is cut into segments is joined by the thread block that arrives last: who that is changes nothing. */
#pragma once
#include "parts.cuh"
#include "rows.cuh"
#include "softmax.cuh"

/* Where elements of a row lie in shared memory: neighbouring rows in different banks. */
__device__ __forceinline__ float *total_at(float *totals_of_team, int row, int d) {
  return totals_of_team + row * DV + (d ^ (row / 2 & 3) << 3);
}

__device__ __forceinline__ void leave_totals(float *to, const totals &o, int live) {
  int first = member_of() * WARP_ROWS + threadIdx.x % 4 * 2;
#pragma unroll
  for (int r = 0; r < OCTETS; r++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int row = first + 8 * r + i % 2;
      if (row < live)
#pragma unroll
        for (int j = 0; j < DV / 16; j++) *total_at(to, row, element_of(j, i)) = o[j][r][i];
    }
}

/* A row's part from the teams of this thread block. */
__device__ __forceinline__ row_part part_of_teams(const int (&slots)[TEAMS], const float2 (&weights)[TEAMS][ROWS],
                                                  int row, int d) {
  row_part a = {{0, 0, 0, 0}, negative_infinity(), 0};
  float4 x[TEAMS];
  float2 weight[TEAMS];
#pragma unroll
  for (int n = 0; n < TEAMS; n++) {
    x[n] = *(float4 *)total_at((float *)(pool + slots[n] * SLOT), row, d);
    weight[n] = weights[n][row];
  }
  add_parts(a, x, weight);
  return a;
}

/* A row's parts from global memory, BATCH at a time: their loads go out together. */
__device__ __forceinline__ row_part part_of_all(const pah_attn_params &p, const parts &s, int row, int d) {
  constexpr int BATCH = 16;
  row_part a = {{0, 0, 0, 0}, negative_infinity(), 0};
  const float *first = p.partial_out + (long long)s.first * PART,
              *part = p.partial_out + (long long)s.next * PART - PART;
#pragma unroll 1
  for (int done = 0; done < s.count; done += BATCH, part += BATCH * PART) {
    float4 x[BATCH];
    float2 weight[BATCH];
#pragma unroll
    for (int n = 0; n < BATCH; n++) {
      const float *from = done + n == 0 ? first : part + n * PART;
      x[n] = make_float4(0, 0, 0, 0);
      weight[n] = make_float2(negative_infinity(), 0);
      if (done + n < s.count) {
        x[n] = __ldcg((const float4 *)(from + row * DV + d));
        weight[n] = __ldcg((const float2 *)(from + ROWS * DV) + row);
      }
    }
    add_parts(a, x, weight);
  }
  return a;
}

/* All threads. `slot` is the one that this warp's team does not use. */
__device__ inline void end_segment(const pah_attn_params &p, const plan &l, const segment &g, const parts &of_group,
                                   int slot, const totals &o, const softmax_state &state) {
  __shared__ float2 weights[TEAMS][ROWS];
  __shared__ int slots[TEAMS];
  int lane = threadIdx.x % 32, live = live_rows(l, g);
  leave_totals((float *)(pool + slot * SLOT), o, live);
#pragma unroll
  for (int i = 0; i < 2 * OCTETS; i++) {
    float sum = sum_of_row(state.sum[i / 2][i % 2]);
    if (lane < 4)
      weights[team_of()][member_of() * WARP_ROWS + i / 2 * 8 + 2 * lane + i % 2] =
          make_float2(state.max[i / 2][i % 2], sum);
  }
  if (lane == 0 && member_of() == 0) slots[team_of()] = slot;
  __syncthreads();
  const parts s = of_group; /* thread 0 has written it */
  bool final = s.count == 1;
#pragma unroll 1
  for (bool joining = false;; joining = true) {
#pragma unroll 1
    for (int i = threadIdx.x; i < live * (DV / 4); i += THREADS) {
      int row = i / (DV / 4), d = i % (DV / 4) * 4;
      row_part a = joining ? part_of_all(p, s, row, d) : part_of_teams(slots, weights, row, d);
      if (final) {
        write_result(p, l, g, row, d, a);
      } else {
        float *part = p.partial_out + (long long)s.mine * PART;
        *(float4 *)(part + row * DV + d) = make_float4(a.x[0], a.x[1], a.x[2], a.x[3]);
        if (d == 0) *((float2 *)(part + ROWS * DV) + row) = make_float2(a.max, a.sum);
      }
    }
    if (final) break;
    final = comes_last(p, g, s.count, [] { __syncthreads(); });
    if (!final) break;
  }
  __syncthreads(); /* the slots are free again */
}
