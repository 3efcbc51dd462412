/* join.cuh - how what the teams of a thread block have computed of a segment becomes a result, or a part of one
 * (parts.cuh): they leave theirs in shared memory, where a few warps add them up in the order of the teams. With ASIDE
 * there is room for that beside the rings: the other warps go on with the next segment meanwhile, and it is other warps
 * that add up its end. A row group that is cut into segments is joined by the thread block that arrives last: who that
 * is changes nothing. */
#pragma once
#include "parts.cuh"
#include "rows.cuh"
#include "softmax.cuh"

constexpr int MOST_ROWS = ONE_GROUP ? GROUP : ROWS;         /* that exist */
constexpr bool FEW = ASIDE || MOST_ROWS * DV <= 4 * 32 * 4; /* four warps are enough to add them up */
constexpr int JOINERS = FEW && WARPS >= 4 ? 4 : WARPS, SETS = WARPS / JOINERS;
constexpr int JOIN_BARRIER = 15; /* a named barrier of these warps */

/* What the warps tell each other at the end of segments. */
struct join_room {
  unsigned long long left, free; /* mbarriers: all have left their totals; those are added up */
  float2 weights[TEAMS][ROWS];
  int slots[TEAMS];
};

/* Before the first __syncthreads. */
__device__ __forceinline__ void open_join(join_room &room) {
  if (threadIdx.x) return;
  ptx::mbarrier_init(ptx::shared(&room.left), WARPS);
  ptx::mbarrier_init(ptx::shared(&room.free), JOINERS);
}

/* Where a team leaves its totals: `slot` is one of its ring that is not in use. */
__device__ __forceinline__ float *room_of(int team, int slot) {
  return (float *)(pool + (ASIDE ? TEAMS * STAGES * SLOT + team * (MOST_ROWS * DV * 4) : slot * SLOT));
}

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
__device__ __forceinline__ row_part part_of_teams(const join_room &room, int row, int d) {
  row_part a = {{0, 0, 0, 0}, negative_infinity(), 0};
  float4 x[TEAMS];
  float2 weight[TEAMS];
#pragma unroll
  for (int n = 0; n < TEAMS; n++) {
    x[n] = *(float4 *)total_at(room_of(n, room.slots[n]), row, d);
    weight[n] = room.weights[n][row];
  }
  add_parts(a, x, weight);
  return a;
}

/* A row's parts from global memory, BATCH at a time: their loads go out together. */
__device__ __forceinline__ row_part part_of_all(const pah_attn_params &p, const parts &s, int row, int d) {
  constexpr int BATCH = WARPS > 8 ? 12 : 16; /* as registers allow */
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

/* Those warps whose turn it is: first is the first of their threads. */
template <class Parts>
__device__ __forceinline__ void join(const pah_attn_params &p, const plan &l, const segment &g, const join_room &room,
                                     unsigned parity, int first, Parts &&parts_of_group) {
  const int me = threadIdx.x - first, live = live_rows(l, g);
  ptx::mbarrier_wait(ptx::shared(&room.left), parity);
  const parts s = parts_of_group();
  bool final = s.count == 1;
#pragma unroll 1
  for (bool joining = false;; joining = true) {
#pragma unroll 1
    for (int i = me; i < live * (DV / 4); i += 32 * JOINERS) {
      int row = i / (DV / 4), d = i % (DV / 4) * 4;
      row_part a = joining ? part_of_all(p, s, row, d) : part_of_teams(room, row, d);
      if (final) {
        write_result(p, l, g, row, d, a);
      } else {
        float *part = p.partial_out + (long long)s.mine * PART;
        *(float4 *)(part + row * DV + d) = make_float4(a.x[0], a.x[1], a.x[2], a.x[3]);
        if (d == 0) *((float2 *)(part + ROWS * DV) + row) = make_float2(a.max, a.sum);
      }
    }
    if (final) return;
    final = comes_last(p, g, s.count, me == 0, [] { ptx::bar_sync(JOIN_BARRIER, 32 * JOINERS); });
    if (!final) return;
  }
}

/* All warps, at the end of segment number `ended` of this thread block. */
template <class Parts>
__device__ __forceinline__ void end_segment(const pah_attn_params &p, const plan &l, const segment &g, join_room &room,
                                            unsigned ended, int slot, const totals &o, const softmax_state &state,
                                            Parts &&parts_of_group) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first = ended % SETS * JOINERS;
  const unsigned parity = ended % 2, free = ptx::shared(&room.free);
  if (ASIDE) ptx::mbarrier_wait(free, parity ^ 1); /* what was left of the segment before is added up */
  leave_totals(room_of(team_of(), slot), o, live_rows(l, g));
#pragma unroll
  for (int i = 0; i < 2 * OCTETS; i++) {
    float sum = sum_of_row(state.sum[i / 2][i % 2]);
    if (lane < 4)
      room.weights[team_of()][member_of() * WARP_ROWS + i / 2 * 8 + 2 * lane + i % 2] =
          make_float2(state.max[i / 2][i % 2], sum);
  }
  if (lane == 0 && member_of() == 0) room.slots[team_of()] = slot;
  __syncwarp();
  if (lane == 0) ptx::mbarrier_arrive(ptx::shared(&room.left));
  if (warp >= first && warp < first + JOINERS) {
    join(p, l, g, room, parity, 32 * first, parts_of_group);
    __syncwarp();
    if (lane == 0) ptx::mbarrier_arrive(free);
  }
  if (!ASIDE) ptx::mbarrier_wait(free, parity); /* the slots are wanted */
}
