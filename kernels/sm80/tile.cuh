/* tile.cuh - the sizes of a decode tile, and where a 16-byte chunk of a row lies in shared memory.
 * Products are computed transposed: 16 keys by 8 query rows in a matrix instruction, so that the few rows of decode
 * waste little. A warp computes 8 * ROW_OCTETS rows. A team of TEAM_WARPS warps shares tiles of K and V, each warp for
 * rows of its own; the teams of a thread block take tiles in turn, each with its own ring of STAGES slots.
 * Defines: HEAD_DIM, HEAD_DIM_V, ROW_OCTETS (1, 2), TEAM_WARPS (1, 2, 4), STAGES, KV_T. Read next: work.cuh. */
#pragma once
#include "../ptx.cuh"
#include "../types.cuh"
#include "options.cuh"

#ifndef HEAD_DIM_V
#define HEAD_DIM_V HEAD_DIM
#endif
#ifndef ROW_OCTETS
#define ROW_OCTETS 1
#endif
#ifndef TEAM_WARPS
#define TEAM_WARPS 1
#endif
#ifndef STAGES
#define STAGES 2
#endif

#ifndef WARPS
#define WARPS 12
#endif
#ifndef MIN_RUN
#define MIN_RUN (WARPS / TEAM_WARPS)
#endif

#ifndef ASIDE
#define ASIDE 0 /* 1: shared memory has room for the totals of all teams beside the rings: join.cuh */
#endif

using ptx::u32;

constexpr int D = HEAD_DIM, DV = HEAD_DIM_V, THREADS = 32 * WARPS;
constexpr int OCTETS = ROW_OCTETS, TEAM = TEAM_WARPS, TEAMS = WARPS / TEAM;
constexpr int WARP_ROWS = 8 * OCTETS, ROWS = WARP_ROWS * TEAM;
constexpr bool FP8 = sizeof(KV_T) == 1;
constexpr int K_ROW = D * (int)sizeof(KV_T), V_ROW = DV * (int)sizeof(KV_T); /* bytes */
constexpr int OWN = FP8 || D <= 64 ? 32 : 16;                                /* keys of a tile that a warp fetches */
constexpr int KEYS = OWN * TEAM;
constexpr int LIST = 128; /* segments that a thread block lists at a time */
constexpr int FIRST_UNIT = 1;
constexpr unsigned TURNS = TEAMS; /* who takes the first tile of a segment */
constexpr int K_TILE = KEYS * K_ROW, V_TILE = KEYS * V_ROW, SLOT = K_TILE + V_TILE;
static_assert(SLOT >= ROWS * DV * 4, "a slot must hold the sums of a team");

extern __shared__ __align__(512) unsigned char pool[]; /* rows start at multiples of their length */

/* Chunks of eight rows that ldmatrix reads together, and of a row that a copy writes, lie in different banks. */
template <int Row> __device__ __forceinline__ u32 place(u32 tile, int row, int chunk) {
  constexpr int chunks = Row / 16 < 8 ? Row / 16 : 8;
  return tile + row * Row + ((chunk ^ (row / (8 / chunks) & (chunks - 1))) << 4);
}

/* The chunk that is an even number further on in the row of chunk 0 or 1: one instruction for each. */
__device__ __forceinline__ u32 along(u32 place, int chunks) {
  return place ^ (u32)chunks << 4;
}

__device__ __forceinline__ int team_of() {
  return threadIdx.x / 32 / TEAM;
}

/* The place of this warp in its team. */
__device__ __forceinline__ int member_of() {
  return threadIdx.x / 32 % TEAM;
}
