/* sm90/config.cuh - the sizes of the fast forward for sm_90a: what the host defines (HEAD_DIM, HEAD_DIM_V, IO_T,
 * TILE_N, and what has a default here), and what follows from it. HEAD_DIM is a multiple of 64; a smaller head_dim has
 * zeros in the columns that it lacks, which bulk copies write by themselves. One thread block: CONSUMERS warpgroups
 * that compute 64 rows each, and one more that only loads. A row is a query of one head; with PACK = g, g heads of one
 * K/V head share a tile and row r is query r / g of head r % g. Read next: forward.cu. */
#pragma once
#include "mask.cuh"
#include "places.cuh"
#include "ptx.cuh"
#include "types.cuh"

#ifndef HEAD_DIM_V
#define HEAD_DIM_V HEAD_DIM
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef PACK
#define PACK 1
#endif
#ifndef GATHER
#define GATHER 0 /* 1: K and V token by token, for block sizes that are no multiple of 8 */
#endif
#ifndef SOFTCAP
#define SOFTCAP 0 /* 1: p.softcap is applied */
#endif
#ifndef TREE
#define TREE 0 /* 1: p.tree_mask is applied */
#endif

/* For experiments: scripts/studies/gpu/forward.lua sets them, doc/design/gpu-forward.md says what came of it. */
#ifndef PING_PONG
#define PING_PONG 0 /* 1: the warpgroups take turns at the tensor cores */
#endif
#ifndef LAZY_LOG2
#define LAZY_LOG2 8 /* a maximum is raised only if it would rise by a factor of more than 2^8; 0: always */
#endif
#ifndef GATHER_FENCE
#define GATHER_FENCE 1 /* 0: wgmma reads what cp.async wrote with no fence between, which PTX does not allow */
#endif
#ifndef PRODUCER_REGISTERS
#define PRODUCER_REGISTERS (CONSUMERS == 3 ? 32 : GATHER ? 72 : 56)
#endif
#ifndef CONSUMER_REGISTERS
#define CONSUMER_REGISTERS (CONSUMERS == 3 ? 160 : GATHER ? 216 : 224)
#endif

constexpr int TILE_M = 64 * CONSUMERS, ROWS_OF_QUERIES = TILE_M / PACK;
constexpr int CONSUMER_THREADS = 128 * CONSUMERS, THREADS = CONSUMER_THREADS + 128;

/* Shared memory holds columns of 64 elements: a row of one is 128 bytes, swizzled, as bulk copies and wgmma want it. */
constexpr int COLUMNS = 64, ROW_BYTES = 128;
constexpr unsigned Q_BYTES = TILE_M * HEAD_DIM * 2, K_BYTES = TILE_N * HEAD_DIM * 2, V_BYTES = TILE_N * HEAD_DIM_V * 2;
constexpr unsigned K_START = Q_BYTES, V_START = K_START + STAGES * K_BYTES;
constexpr unsigned SHARED_BYTES = V_START + STAGES * V_BYTES; /* STAGES tiles of K, and of V */

static_assert(HEAD_DIM % COLUMNS == 0 && HEAD_DIM_V % COLUMNS == 0 && HEAD_DIM_V <= 256, "head_dim: 64, 128, 192, 256");
static_assert(TILE_N % 16 == 0 && TILE_N <= 256, "TILE_N: a multiple of 16 up to 256");
static_assert(TILE_M % PACK == 0, "PACK: divides TILE_M");

/* What the host hands to the kernel beside pah_attn_params. */
struct sm90_sizes {
  int box;                  /* tokens that one bulk copy brings: a multiple of 8 that divides block_size and TILE_N */
  int head_dim, head_dim_v; /* of the tensors: multiples of 8 */
  place_units k, v;         /* where GATHER finds tokens */
};

template <class T> struct wgmma_kind;
template <> struct wgmma_kind<bf16> { static constexpr int value = ptx::WGMMA_BF16; };
template <> struct wgmma_kind<f16> { static constexpr int value = ptx::WGMMA_F16; };
constexpr int KIND = wgmma_kind<IO_T>::value;

__device__ __forceinline__ unsigned pair_of(float lo, float hi) {
  return KIND == ptx::WGMMA_BF16 ? ptx::cvt_bf16x2(lo, hi) : ptx::cvt_f16x2(lo, hi);
}
