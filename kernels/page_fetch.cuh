/* page_fetch.cuh - Q, and K and V through the block table, into shared memory by cp.async: 16 bytes a lane, eight lanes
 * a row of 128 bytes, so that an instruction reads four whole lines. Each lane looks up one token of the tile and hands
 * its place to the lanes that copy it; the table is read a tile ahead. Tokens past the end, and of blocks that are
 * none, become zeros without being read. A row of more than 128 bytes is cut into columns. Chunk c of row r lies at
 * chunk c ^ r % 8: neither copies nor ldmatrix meet in a bank. fp8 is copied as it is, each thread widens what it
 * copied itself when it has arrived, and then all wait for each other as they do anyway. The kernel's config.cuh comes
 * first: Q_T, KV_T, K_T and V_T (as they are multiplied), DIM, DIM_V, COLUMNS (elements of 128 bytes), TILE_M, STRIPE,
 * TILE_N, WARPS, SLOTS, AHEAD, PACK. Read next: sm80/forward/products.cuh. */
#pragma once
#include "places.cuh"
#include "row_tiles.cuh"
#include "widen.cuh"

constexpr bool FP8_Q = sizeof(Q_T) == 1, FP8_CACHE = sizeof(KV_T) == 1;
constexpr int ROW_BYTES = 128, CHUNK = 16 / (int)sizeof(K_T); /* elements of a chunk */
constexpr int FP8_CHUNK = 16, FP8_COLUMNS = 128;              /* as they are copied */

/* Q, then a ring of SLOTS tiles of K and V by turns; of an fp8 cache a tile of each, and the ring is behind them. */
template <int dim> constexpr int COLUMNS_OF = (dim + COLUMNS - 1) / COLUMNS;
constexpr unsigned Q_BYTES = TILE_M * COLUMNS_OF<DIM> * ROW_BYTES;
constexpr int WIDER = DIM > DIM_V ? DIM : DIM_V;
constexpr unsigned SLOT_BYTES = TILE_N * COLUMNS_OF<WIDER> * ROW_BYTES;
template <int dim> constexpr int FP8_COLUMNS_OF = (dim + FP8_COLUMNS - 1) / FP8_COLUMNS;
constexpr unsigned FP8_BYTES = TILE_N * FP8_COLUMNS_OF<WIDER> * ROW_BYTES; /* a slot of fp8 */

static_assert(SLOTS >= 2 && TILE_N % (4 * WARPS) == 0 && TILE_N / WARPS <= 32, "warps share the rows of a tile");
static_assert(TILE_M % PACK == 0 && DIM % 8 == 0 && DIM_V % 8 == 0, "PACK divides the rows; copies move 16 bytes");

/* What the host hands to the kernel beside pah_attn_params; in constant memory it costs no registers. */
struct fetch_sizes {
  place_units k, v;
  int tile_blocks, tile_slots; /* TILE_N tokens as blocks and slots */
};

extern __shared__ __align__(1024) unsigned char pool[];

struct fetcher {
  const pah_attn_params &p;
  const fetch_sizes &sizes;
  const work_item &w;
  unsigned q, ring;             /* in shared memory */
  int block, slot_of_block, id; /* of this lane's token of the tile that comes next */
  int kv_head;

  static __device__ __forceinline__ int warp() {
    return (int)threadIdx.x / 32;
  }
  static __device__ __forceinline__ int lane() {
    return (int)threadIdx.x % 32;
  }
  /* Rows 4w to 4w + 3 of every 4 * WARPS belong to warp w; lane l looks up the l % 4-th of them, l / 4 times on. */
  static __device__ __forceinline__ int my_token() {
    return lane() / 4 * (4 * WARPS) + warp() * 4 + lane() % 4;
  }

  __device__ __forceinline__ void begin() {
    const int token = (w.end - 1) * TILE_N + my_token();
    kv_head = kv_head_of(p, w);
    block = token / p.block_size;
    slot_of_block = token - block * p.block_size;
    look_up(w.end - 1);
  }

  /* The table is read only for tokens in use. */
  __device__ __forceinline__ void look_up(int tile) {
    id = -1;
    if (lane() < TILE_N / WARPS && tile >= w.begin && tile * TILE_N + my_token() < w.s.len_k)
      id = p.block_table[w.b * p.table_batch + block * p.table_block];
  }

  __device__ __forceinline__ unsigned place(const place_units &units) const {
    return place_of(units, (int)p.num_blocks, id, slot_of_block, kv_head);
  }

  /* Of fp8: the i-th row of this thread's chunk, column j; in an order in which only this thread reads it again. */
  template <int dim> __device__ __forceinline__ unsigned fp8_place(int slot, int i, int j) const {
    const unsigned start = ring + 2 * SLOT_BYTES + slot * FP8_BYTES;
    return start + ((i * FP8_COLUMNS_OF<dim> + j) * (32 * WARPS) + threadIdx.x) * 16;
  }

  template <int dim> __device__ __forceinline__ void copy_fp8(const void *data, const place_units &units, int slot) {
    const int in_row = lane() % 8;
    const unsigned mine = place(units);
#pragma unroll
    for (int i = 0; i < TILE_N / (4 * WARPS); i++) {
      const unsigned at = __shfl_sync(0xffffffffu, mine, 4 * i + lane() / 8);
      const bool there = at != NOWHERE;
      const char *source = (const char *)data + (unsigned long long)(there ? at : 0) * units.bytes + in_row * 16;
#pragma unroll
      for (int j = 0; j < FP8_COLUMNS_OF<dim>; j++) {
        const bool inside = (j + 1) * FP8_COLUMNS <= dim || j * 8 + in_row < dim / FP8_CHUNK;
        ptx::cp_async_cg(fp8_place<dim>(slot, i, j), inside ? source + j * ROW_BYTES : (const char *)data,
                         there && inside ? 16 : 0);
      }
    }
  }

  /* 16 elements of a row, widened, to where they lie in a tile of `rows`. */
  template <int dim, int rows, class To, class From>
  __device__ __forceinline__ void put(unsigned tile, int row, int j, uint4 x) const {
    const int in_row = lane() % 8, column = 2 * j + in_row / 4, chunk = in_row % 4 * 2 ^ row % 8;
    if (column >= COLUMNS_OF<dim>) return;
    const unsigned to = tile + column * (rows * ROW_BYTES) + row * ROW_BYTES + (chunk << 4);
    ptx::store_shared(to, widened_words<To, From>(x.x, x.y));
    ptx::store_shared(to ^ 16, widened_words<To, From>(x.z, x.w));
  }

  template <int dim, class To> __device__ __forceinline__ void widen(int slot, unsigned tile) const {
#pragma unroll
    for (int i = 0; i < TILE_N / (4 * WARPS); i++)
#pragma unroll
      for (int j = 0; j < FP8_COLUMNS_OF<dim>; j++)
        put<dim, TILE_N, To, KV_T>(tile, i * (4 * WARPS) + warp() * 4 + lane() / 8, j,
                                   ptx::load_shared(fp8_place<dim>(slot, i, j)));
  }

  template <int dim> __device__ __forceinline__ void copy(const void *data, const place_units &units, int slot) {
    if (FP8_CACHE) return copy_fp8<dim>(data, units, slot);
    const int in_row = lane() % 8, row = warp() * 4 + lane() / 8;
    const unsigned mine = place(units);
    const unsigned to = ring + slot * SLOT_BYTES + row * ROW_BYTES + ((in_row ^ row % 8) << 4);
#pragma unroll
    for (int i = 0; i < TILE_N / (4 * WARPS); i++) {
      const unsigned at = __shfl_sync(0xffffffffu, mine, 4 * i + lane() / 8);
      const bool there = at != NOWHERE;
      const char *source = (const char *)data + (unsigned long long)(there ? at : 0) * units.bytes + in_row * 16;
#pragma unroll
      for (int j = 0; j < COLUMNS_OF<dim>; j++) {
        const bool inside = (j + 1) * COLUMNS <= dim || j * 8 + in_row < dim / CHUNK;
        ptx::cp_async_cg(to + i * (4 * WARPS * ROW_BYTES) + j * (TILE_N * ROW_BYTES),
                         inside ? source + j * ROW_BYTES : (const char *)data, there && inside ? 16 : 0);
      }
    }
  }

  /* The n-th tile after K of `tile`, counting V of it as the first and K of the one before it as the second, into a
   * slot of the ring, if there is such a tile; a group of copies in any case. */
  template <int n> __device__ __forceinline__ void fetch(int tile, int to_slot) {
    tile -= n / 2;
    if (tile >= w.begin) {
      if (n % 2) {
        copy<DIM_V>(p.v.data, sizes.v, to_slot);
        block -= sizes.tile_blocks;
        slot_of_block -= sizes.tile_slots;
        if (slot_of_block < 0) slot_of_block += p.block_size, block--;
        look_up(tile - 1);
      } else {
        copy<DIM>(p.k.data, sizes.k, to_slot);
      }
    }
    ptx::cp_async_commit_group();
  }

  /* Waits for K (0) or V (1) of the tile, which is in `slot`, and lets another come in place of what was computed last;
   * `slot` goes on. -> where it is, from the ring's start. */
  template <int value> __device__ __forceinline__ unsigned receive(int tile, int &slot) {
    ptx::cp_async_wait_group<AHEAD - 1>();
    const unsigned at = (FP8_CACHE ? value : slot) * SLOT_BYTES;
    if constexpr (FP8_CACHE) widen<value ? DIM_V : DIM, typename either<value, V_T, K_T>::type>(slot, ring + at);
    __syncthreads(); /* all copies of it are there; and all warps are done with the slot that is filled next */
    fetch<AHEAD + value>(tile, slot == 0 ? SLOTS - 1 : slot - 1);
    slot = slot + 1 == SLOTS ? 0 : slot + 1;
    return at;
  }

  /* What comes before anything is computed. */
  template <int n> __device__ __forceinline__ void fetch_first() {
    fetch<n>(w.end - 1, n);
    if constexpr (n + 1 < AHEAD) fetch_first<n + 1>();
  }

  /* This warp's rows of Q; they land with the first tile of K. Rows that are none become zeros. */
  __device__ __forceinline__ void load_q() {
    const int in_row = lane() % 8;
#pragma unroll
    for (int i = 0; i < TILE_M / STRIPE * 4; i++) {
      const int row = i / 4 * STRIPE + warp() * 16 + i % 4 * 4 + lane() / 8, query = w.first_q + row / PACK;
      const bool there = query < w.s.len_q;
      const Q_T *from = row_at<Q_T>(p.q, w.b, w.head + row % PACK, w.s.first_row + (there ? query : 0)) +
                        in_row * (16 / (int)sizeof(Q_T));
      if constexpr (FP8_Q) {
#pragma unroll
        for (int j = 0; j < FP8_COLUMNS_OF<DIM>; j++) {
          uint4 x = make_uint4(0, 0, 0, 0);
          if (there && j * 8 + in_row < DIM / FP8_CHUNK) x = *(const uint4 *)(from + j * FP8_COLUMNS);
          put<DIM, TILE_M, K_T, Q_T>(q, row, j, x);
        }
        continue;
      }
      const unsigned to = q + row * ROW_BYTES + ((in_row ^ row % 8) << 4);
#pragma unroll
      for (int j = 0; j < COLUMNS_OF<DIM>; j++) {
        const bool inside = (j + 1) * COLUMNS <= DIM || j * 8 + in_row < DIM / CHUNK;
        ptx::cp_async_cg(to + j * (TILE_M * ROW_BYTES), inside ? from + j * COLUMNS : (const Q_T *)p.q.data,
                         there && inside ? 16 : 0);
      }
    }
  }
};
