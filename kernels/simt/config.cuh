/* simt/config.cuh - the sizes of the forward without tensor cores: what the host defines (DIM, DIM_V: head_dim of q and
 * k, and of v; IO_T, TILE_N, WARPS, SLOTS, PACK), and what follows from it. A warp is 4 by 8 threads: a thread has
 * THREAD_ROWS rows, LANES_Y * WARPS apart, of scores every 8th key, of sums every 8th chunk of four elements.
 * Read next: forward.cu. */
#pragma once
#include "mask.cuh"
#include "ptx.cuh"
#include "row_options.cuh"
#include "types.cuh"

#ifndef DIM_V
#define DIM_V DIM
#endif
typedef IO_T K_T, V_T;
#ifndef BLOCKS_PER_SM
#define BLOCKS_PER_SM (DIM_V > 128 ? 1 : 2)
#endif

constexpr int COLUMNS = 32; /* elements of 128 bytes, into which shared memory cuts a row */
constexpr int THREAD_ROWS = 4, LANES_X = 8, LANES_Y = 4, THREAD_KEYS = TILE_N / LANES_X;
constexpr int THREADS = 32 * WARPS, AHEAD = SLOTS - 1; /* tiles of K and V, by turns */
constexpr int STRIPE = 16 * WARPS, TILE_M = LANES_Y * WARPS * THREAD_ROWS, ROWS_OF_QUERIES = TILE_M / PACK;
constexpr int THREAD_COLUMNS = (DIM_V + COLUMNS - 1) / COLUMNS; /* chunks of sums of a thread */
static_assert(TILE_M == STRIPE && TILE_N % COLUMNS == 0,
              "a warp copies 16 rows of Q; weights are rows of 128 bytes too");
