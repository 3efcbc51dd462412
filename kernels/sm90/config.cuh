/* sm90/config.cuh - the sizes of the fast forward for sm_90a: what the host defines (HEAD_DIM, HEAD_DIM_V, IO_T or
 * Q_T, KV_T and OUT_T, TILE_N, and what has a default here), and what follows from it. HEAD_DIM is a multiple of 64; a
 * smaller head_dim has zeros in the columns that it lacks, which bulk copies write by themselves. One thread block:
 * CONSUMERS warpgroups that compute 64 rows each, and LOADERS more that only load. A row is a query of one head; with
 * PACK = g, g heads of one K/V head share a tile and row r is query r / g of head r % g.
 * Read next: forward.cu, operands.cuh. */
#pragma once
#include "mask.cuh"
#include "places.cuh"
#include "ptx.cuh"
#include "row_options.cuh"
#include "types.cuh"
#include "operands.cuh"

#ifndef HEAD_DIM_V
#define HEAD_DIM_V HEAD_DIM
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef NARROW
#define NARROW 0 /* 1: of what is widened, rows of the cache may be shorter than HEAD_DIM */
#endif
#ifndef GATHER
#define GATHER 0 /* 1: K and V token by token, for block sizes that are no multiple of 8 */
#endif

/* For experiments: scripts/studies/gpu/forward.lua sets them, doc/design/gpu-forward.md says what came of it. */
#ifndef PING_PONG
#define PING_PONG 0 /* 1: the warpgroups take turns at the tensor cores */
#endif
#ifndef LAZY_LOG2
#define LAZY_LOG2 (P_SIZE == 1 ? 0 : 8) /* a maximum is raised only if it would rise by more than 2^8; 0: always */
#endif
#ifndef Q_IN_REGISTERS
/* 1: Q is read from shared memory once an item, not by every product; of fp8, where registers are left. */
#define Q_IN_REGISTERS (FP8_Q && HEAD_DIM <= 128 && TILE_N <= (P_SIZE == 1 && HEAD_DIM == 64 ? 192 : 128) && !SOFTCAP)
#endif
#ifndef HOLD_WAIT
/* 1: exponentials come before the wait for P V, where ptxas has them after it; where that was measured to pay. */
#define HOLD_WAIT (HEAD_DIM == 128 && HEAD_DIM_V == 128 && !V_STAGED && !FP8_Q && !SOFTCAP)
#endif
#ifndef GATHER_FENCE
#define GATHER_FENCE 1 /* 0: wgmma reads what cp.async wrote with no fence between, which PTX does not allow */
#endif
#ifndef WAIT_FOR_BOTH
/* 1: V of a tile is waited for before Q K^T of the next one is issued, not after: one fence for both. A fence between
 * the products would wait until the tensor cores are done with the first. */
#define WAIT_FOR_BOTH GATHER
#endif
/* Of a thread: so that none spills. Whoever asks for more than the launch has waits for ever: see the assertion. */
#define LARGE_WIDENED (WIDENED && HEAD_DIM_V == 256)
#define LARGE_GATHER (GATHER && V_STAGED && V_SIZE == 2 && HEAD_DIM == 192)
#ifndef PRODUCER_REGISTERS
#define PRODUCER_REGISTERS                                                                                             \
  (CONSUMERS == 3                        ? 32                                                                          \
   : LARGE_WIDENED                       ? 72                                                                          \
   : WIDENED                             ? 80                                                                          \
   : LARGE_GATHER                        ? 104                                                                         \
   : V_STAGED && (V_SIZE == 2 || GATHER) ? 88                                                                          \
   : GATHER || V_STAGED                  ? 72                                                                          \
                                         : 56)
#endif
#ifndef WIDENER_REGISTERS
#define WIDENER_REGISTERS (LARGE_WIDENED ? 40 : 48)
#endif
#ifndef CONSUMER_REGISTERS
#define CONSUMER_REGISTERS                                                                                             \
  (CONSUMERS == 3                        ? 160                                                                         \
   : LARGE_WIDENED                       ? 200                                                                         \
   : WIDENED                             ? 192                                                                         \
   : LARGE_GATHER                        ? 200                                                                         \
   : V_STAGED && (V_SIZE == 2 || GATHER) ? 208                                                                         \
   : GATHER || V_STAGED                  ? 216                                                                         \
                                         : 224)
#endif

constexpr int TILE_M = 64 * CONSUMERS, ROWS_OF_QUERIES = TILE_M / PACK;
constexpr int LOADERS = WIDENED ? 2 : 1; /* one for K and one for V */
constexpr int CONSUMER_THREADS = 128 * CONSUMERS, THREADS = CONSUMER_THREADS + 128 * LOADERS;

/* Shared memory: Q, STAGES tiles of K and of V as they are multiplied, a tile of V on its way to that
 * (fp8/staging.cuh), and sums that left their registers (fp8/sums.cuh). Q and K lie in columns of COLUMNS elements. */
constexpr int COLUMNS = columns_of(HEAD_DIM, Q_SIZE), ROW_BYTES = COLUMNS * Q_SIZE;
constexpr unsigned Q_BYTES = TILE_M * HEAD_DIM * Q_SIZE, K_BYTES = TILE_N * HEAD_DIM * Q_SIZE;
constexpr unsigned V_BYTES = TILE_N * HEAD_DIM_V * V_SIZE;
constexpr unsigned K_START = Q_BYTES, V_START = K_START + STAGES * K_BYTES;
constexpr unsigned RAW_V_START = V_START + STAGES * V_BYTES;
constexpr unsigned SUMS_START = RAW_V_START + (V_STAGED ? TILE_N * HEAD_DIM_V : 0);
constexpr unsigned SHARED_BYTES = SUMS_START + (P_SIZE == 1 ? TILE_M * HEAD_DIM_V * 4 : 0);

static_assert(HEAD_DIM % 64 == 0 && HEAD_DIM_V % 64 == 0 && HEAD_DIM_V <= 256, "head_dim: 64, 128, 192, 256");
static_assert(P_SIZE == 2 || (TILE_N % 32 == 0 && HEAD_DIM_V <= 128), "fp8 weights: TILE_N % 32, head_dim of V to 128");
static_assert(TILE_N % 16 == 0 && TILE_N <= 256, "TILE_N: a multiple of 16 up to 256");
static_assert(TILE_M % PACK == 0, "PACK: divides TILE_M");
static_assert((CONSUMERS * CONSUMER_REGISTERS + PRODUCER_REGISTERS + (LOADERS - 1) * WIDENER_REGISTERS) * 128 <=
                  65536 / THREADS / 8 * 8 * THREADS,
              "registers: a launch has a multiple of 8 for each thread, and no more than a multiprocessor");

/* What the host hands to the kernel beside pah_attn_params. */
struct sm90_sizes {
  int box;                  /* tokens that one bulk copy brings: a multiple of 8 that divides block_size and TILE_N */
  int head_dim, head_dim_v; /* of the tensors: multiples of 8 */
  place_units k, v;         /* where GATHER and the wideners find tokens */
};
