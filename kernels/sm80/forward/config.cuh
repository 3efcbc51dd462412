/* sm80/forward/config.cuh - the sizes of the forward by mma.sync: what the host defines (DIM, DIM_V: head_dim of q and
 * k, and of v; IO_T, or Q_T, KV_T and OUT_T; TILE_N, M_TILES, WARPS, SLOTS, PACK; TF32 where IO_T is f32), and what
 * follows from it. A warp computes M_TILES tiles of 16 rows, a thread block WARPS times as many. Two such tiles a warp
 * halve what is read from shared memory for a product; with head_dim_v above 128 their sums do not fit into registers.
 * Read next: forward.cu. */
#pragma once
#include "mask.cuh"
#include "ptx.cuh"
#include "row_options.cuh"
#include "types.cuh"

#ifndef DIM_V
#define DIM_V DIM
#endif
#define P_LOG2 (sizeof(KV_T) == 1 ? 6 : 0) /* weights of f16 are 2^P_LOG2 times exp(score - maximum) */

/* Q and K, and weights and V, as they are multiplied: fp8 is widened. */
typedef either<sizeof(Q_T) == 1, f16, Q_T>::type K_T;
typedef either<sizeof(KV_T) == 1, f16, KV_T>::type V_T;

/* In shared memory a row is cut into columns of 128 bytes; what head_dim lacks of the last one is zero. */
constexpr int COLUMNS = 128 / (int)sizeof(K_T);
constexpr int HEAD_DIM = (DIM + COLUMNS - 1) / COLUMNS * COLUMNS;
constexpr int HEAD_DIM_V = (DIM_V + COLUMNS - 1) / COLUMNS * COLUMNS;

/* For experiments: scripts/studies/gpu/forward.lua sets them, doc/design/gpu-forward-sm80.md says what came of it. */
#ifndef LAZY_LOG2
#define LAZY_LOG2 8 /* a maximum is raised only if it would rise by a factor of more than 2^8; 0: always */
#endif
#ifndef PARTS
#define PARTS 1 /* of a tile of keys: the softmax of one beside the values of the one before it */
#endif
#ifndef BLOCKS_PER_SM
#define BLOCKS_PER_SM (WARPS > 4 ? 1 : M_TILES * HEAD_DIM_V >= 128 ? 2 : 3)
#endif
#ifndef Q_IN_REGISTERS
#define Q_IN_REGISTERS (M_TILES == 1 && HEAD_DIM * (int)sizeof(K_T) <= 256)
#endif
#ifndef TF32
#define TF32 0 /* 1: products of f32 whose factors are rounded to 10 bits: values_tf32.cuh */
#endif
#define CAP_FOLDED 0
#define SPREAD_COLUMNS TF32 /* how sums lie: store.cuh */
static_assert(TF32 == (sizeof(K_T) == 4), "TF32 is for f32");

constexpr int THREADS = 32 * WARPS, AHEAD = SLOTS - 1; /* tiles of K and V, by turns */
constexpr int STRIPE = 16 * WARPS, TILE_M = STRIPE * M_TILES, ROWS_OF_QUERIES = TILE_M / PACK;

template <class T> constexpr bool IS_BF16 = false;
template <> constexpr bool IS_BF16<bf16> = true;
