/* sm80/backward/config.cuh - the sizes of dK and dV by mma.sync: what the host defines (DIM, DIM_V: head_dim of q and
 * k, and of v; IO_T, KEYS, QUERIES, QUERY_STAGES, WARPS, SHARE), and what follows from it. A warp has KEY_TILES tiles
 * of 16 keys. SHARE warps have the same keys: each computes the scores of its part of a tile's queries, and the sums of
 * its WIDTH elements of head_dim, with the weights of all of them. So the sums of both gradients take 128 registers.
 * Read next: dkdv.cu. */
#pragma once
#include "mask.cuh"
#include "ptx.cuh"
#include "row_options.cuh"
#include "types.cuh"

#ifndef DIM_V
#define DIM_V DIM
#endif
#ifndef LAZY_LOG2
#define LAZY_LOG2 0
#endif
#define CAP_FOLDED 0
#define ASK_AHEAD 0 /* of ../../backward/uses.cuh: a walk does not stay in registers */
#ifndef BLOCKS_PER_SM
#define BLOCKS_PER_SM (WARPS > 4 ? 1 : 2)
#endif

constexpr int TILE_N = QUERIES, ROWS_OF_QUERIES = KEYS; /* of what the forward does with tiles, not used here */
typedef IO_T K_T;
template <class T> constexpr bool IS_BF16 = false;
template <> constexpr bool IS_BF16<bf16> = true;
constexpr int ROW_BYTES = 128, CHUNK = 8; /* elements of 16 bytes; as page_fetch.cuh has them */
constexpr int COLUMNS = 64;               /* elements of 128 bytes, into which shared memory cuts a row */
constexpr int LARGER_DIM = DIM > DIM_V ? DIM : DIM_V, HEAD_DIM = LARGER_DIM <= 64 ? 64 : LARGER_DIM <= 128 ? 128 : 256;
constexpr int HEAD_DIM_V = HEAD_DIM, THREADS = 32 * WARPS;

constexpr int GROUPS = WARPS / SHARE, WARP_KEYS = KEYS / GROUPS, KEY_TILES = WARP_KEYS / 16, WIDTH = HEAD_DIM / SHARE;
constexpr int MOST_QUERIES = SHARE == 1 && SOFTCAP ? 16 : 32; /* at a time; tanh takes registers */
constexpr int WARP_QUERIES = QUERIES / SHARE, PART = WARP_QUERIES > MOST_QUERIES ? MOST_QUERIES : WARP_QUERIES;
constexpr int PART_TILES = PART / 16;
static_assert(WARPS % SHARE == 0 && WARP_KEYS % 16 == 0 && WIDTH % COLUMNS == 0, "warps share keys and elements");
static_assert(WARP_QUERIES % PART == 0 && PART % 16 == 0, "a part is tiles of 16 queries");
static_assert(SHARE == 1 || WARP_QUERIES == PART, "who shares weights has one part");
static_assert(QUERIES % (4 * WARPS) == 0 && KEYS % (4 * WARPS) == 0, "a warp copies four rows at a time");

/* Shared memory: K and V of an item; a ring of tiles of Q, of dout, and of the numbers of their queries; weights and
 * gradients that warps give to those of the same keys. */
constexpr unsigned KEY_BYTES = KEYS * HEAD_DIM * 2, QUERY_BYTES = QUERIES * HEAD_DIM * 2, STATS_BYTES = 8 * QUERIES;
constexpr unsigned VALUES_START = KEY_BYTES, QUERIES_START = 2 * KEY_BYTES;
constexpr unsigned D_OUT_START = QUERIES_START + QUERY_STAGES * QUERY_BYTES;
constexpr unsigned STATS_START = D_OUT_START + QUERY_STAGES * QUERY_BYTES;
constexpr unsigned FRAGMENT_BYTES = 16 * 32, WEIGHTS_BYTES = KEY_TILES * PART_TILES * FRAGMENT_BYTES; /* of a warp */
constexpr unsigned WEIGHTS_START = STATS_START + QUERY_STAGES * STATS_BYTES;
constexpr unsigned GRADIENTS_START = WEIGHTS_START + WARPS * WEIGHTS_BYTES;
