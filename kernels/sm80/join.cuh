/* join.cuh - how parts of a row become a result. A part is a maximum, the sum of 2^(score - maximum), and V totalled
 * with these weights. The teams of a thread block leave theirs in shared memory and add them up in the order of the
 * teams. A row group that is cut into segments is joined by the thread block that arrives last, which finds the other
 * parts in global memory and adds them in the order of keys: who comes last changes nothing. The counter is left at
 * zero. */
#pragma once
#include "rows.cuh"
#include "softmax.cuh"

constexpr int PART = ROWS * (DV + 2); /* floats of a part in global memory: totals, then maximum and sum of each row */

struct row_part { /* four elements of a row */
  float x[4], max, sum;
};

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

/* The sink takes part in the softmax and has no value. */
__device__ inline void write_result(const pah_attn_params &p, const plan &l, const segment &g, int row, int d,
                                    row_part a) {
  if (l.refused) return;
  row_place at = row_of(l, g, row);
  long long query = (long long)g.first_row + at.query;
  const float natural = sink_of(p, at.head), sink = natural * LOG2E;
  const bool no_key = a.sum == 0;
  float factor = 1;
  if (sink == -negative_infinity()) {
    factor = 0;
    a.sum = 1;
    a.max = sink;
  } else if (sink != negative_infinity()) {
    float max = fmaxf(a.max, sink);
    factor = ptx::ex2(a.max - max);
    a.sum = a.sum * factor + ptx::ex2(sink - max);
    a.max = max;
  }
  float scale = factor * descale_of(p.v_descale, g.b, g.head) * ptx::rcp(a.sum);
  OUT_T *out = row_at<OUT_T>(p.out, g.b, at.head, query) + d;
#pragma unroll
  for (int i = 0; i < 4; i++) from_float(out[i], factor == 0 || no_key ? 0.0f : a.x[i] * scale);
  if (d == 0) *row_at<float>(p.lse, g.b, at.head, query) = no_key ? natural : (a.max + ptx::lg2(a.sum)) * LN2;
}

/* A row group of this thread block that other thread blocks of its cluster have parts of, too. */
struct cut {
  segment g;
  int count, rank, first; /* parts; which of them is this one; who in the cluster has the first */
};
__shared__ cut cuts[2]; /* of the run: what goes on from the run before, and what the next one goes on with */

/* Where their parts lie. */
__device__ __forceinline__ float *part_kept(int which) {
  return (float *)(pool + TEAMS * STAGES * SLOT) + which * PART;
}

/* True in all threads of the thread block that comes last with its part of a row group. */
__device__ inline bool comes_last(const pah_attn_params &p, const segment &g, int count) {
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicInc(p.arrivals + g.row_group, (unsigned)count - 1) == (unsigned)count - 1;
    if (last) __threadfence();
  }
  __syncthreads();
  return last;
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
  const int which = g.from == g.start;
  const bool near = CLUSTER > 1 && s.near;
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
        float *part = near ? part_kept(which) : p.partial_out + (long long)s.mine * PART;
        *(float4 *)(part + row * DV + d) = make_float4(a.x[0], a.x[1], a.x[2], a.x[3]);
        if (d == 0) *((float2 *)(part + ROWS * DV) + row) = make_float2(a.max, a.sum);
      }
    }
    if (near && !final && threadIdx.x == 0) cuts[which] = {g, s.count, l.run - s.run, s.run % CLUSTER};
    if (final || near) break;
    final = comes_last(p, g, s.count);
    if (!final) break;
  }
  __syncthreads(); /* the slots are free again */
}
