/* sm90/mla/load.cuh - the warpgroup that loads: Q of a segment, then its tiles of K, by bulk copies of boxes of tokens
 * where block_size is a multiple of 8, else token by token, eight lanes copying 128 bytes of a row. Tokens past the end
 * become zeros, and rows that are no query; no id leads out of the pool. What cp.async writes is ordinary memory to the
 * tensor cores: who waits for it fences after it. Read next: compute.cuh. */
#pragma once
#include "tile.cuh"

#include "../../sm80/work.cuh"

struct loader {
  const pah_attn_params &p;
  const plan &l;
  channels &c;
  const ptx::tensor_map &map; /* of k_blocks */
  int box;
  ring_place k_at;
  unsigned q_parity = 0, tail_parity = 0;

  static __device__ __forceinline__ int warp() {
    return threadIdx.x / 32 % 4;
  }

  /* 16 rows of a warp, of D elements each: `from` is the address of this lane's row (16 lanes), 0: it is none. */
  __device__ __forceinline__ void copy(unsigned to, const Q_T *from) {
    const int lane = threadIdx.x % 32, in_row = lane % 8;
#pragma unroll 1
    for (int i = 0; i < 4; i++) {
      const int row = 16 * warp() + 4 * i + lane / 8;
      const Q_T *source = (const Q_T *)__shfl_sync(0xffffffffu, (unsigned long long)from, 4 * i + lane / 8);
      const unsigned place = to + ptx::swizzled<128>(row * ROW_BYTES + in_row * 16);
#pragma unroll
      for (int j = 0; j < D / COLUMNS; j++)
        ptx::cp_async_cg(place + j * BLOCK_BYTES, source ? source + j * COLUMNS + in_row * 8 : (const Q_T *)p.k.data,
                         source ? 16 : 0);
    }
  }

  __device__ __forceinline__ void load_q(const segment &g) {
    ptx::mbarrier_wait(at(c.q_empty), q_parity ^ 1);
    q_parity ^= 1;
    row_place r = row_of(l, g, 16 * warp() + threadIdx.x % 16);
    copy(ptx::shared(pool), r.query < 0 ? 0 : row_at<Q_T>(p.q, g.b, r.head, (long long)g.first_row + r.query));
    ptx::cp_async_mbarrier_arrive_noinc(at(c.q_full));
  }

  /* Where a token of the sequence lies; block -1: it is none. The table is read only for tokens in use. */
  __device__ __forceinline__ void find(const segment &g, int tile, int in_tile, int &block, int &slot) {
    const int n = tile * KEYS + in_tile;
    block = -1;
    slot = 0;
    if (in_tile >= KEYS || tile >= g.end || n >= g.keys) return;
    const int token = g.first + n, in_table = token / p.block_size;
    slot = token - in_table * p.block_size;
    block = p.block_table[g.b * p.table_batch + in_table * p.table_block];
  }

#if GATHER
  int block, slot; /* of this lane's token of the tile that is next */

  __device__ __forceinline__ void find_next(const segment &g, int tile) {
    find(g, tile, 16 * warp() + threadIdx.x % 16, block, slot);
  }

  __device__ __forceinline__ void load_k(const segment &g, int) {
    const Q_T *from = (const Q_T *)p.k.data + (block < p.num_blocks && block >= 0 ? block : 0) * p.k.block +
                      slot * p.k.slot + g.head * p.k.head;
    copy(ptx::shared(pool) + K_START + k_at.slot * K_BYTES, block == -1 ? 0 : from);
    ptx::cp_async_mbarrier_arrive_noinc(at(c.k_full[k_at.slot]));
  }
#else
  int block, slot; /* of this lane's box */

  /* A box of `box` tokens and 64 columns is a copy; every fourth box of a tile is of one warp, one a lane. */
  __device__ __forceinline__ int token_of_box() const {
    return (warp() + 4 * (int)(threadIdx.x % 32)) * box;
  }

  __device__ __forceinline__ void find_next(const segment &g, int tile) {
    find(g, tile, token_of_box(), block, slot);
  }

  /* What lies outside of the pool arrives as zeros. Rows past the end but inside of the last box hold what others left
   * there, maybe NaN, and 0 * NaN is NaN: they become 0 before it is said that the tile is there. */
  __device__ __forceinline__ void load_k(const segment &g, int tile) {
    const int used = g.keys - tile * KEYS, token = token_of_box();
    const bool cut = used < KEYS && used % box != 0;
    const unsigned full = at(c.k_full[k_at.slot]), landed = cut ? at(c.tail) : full;
    unsigned char *to = pool + K_START + k_at.slot * K_BYTES;
    __syncwarp(); /* all have seen the slot empty: one that still waited could miss the phase */
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive_expect_tx(landed, (KEYS / box - warp() + 3) / 4 * box * (D * 2));
    __syncwarp();
    if (token < KEYS)
#pragma unroll 1
      for (int j = 0; j < D / COLUMNS; j++)
        ptx::tensor_load(ptx::shared(to) + j * BLOCK_BYTES + token * ROW_BYTES, map, j * COLUMNS, g.head, slot, block,
                         landed);
    if (!cut) return;
    ptx::mbarrier_wait(landed, tail_parity);
    tail_parity ^= 1;
    if (warp() == 0) {
      for (int row = used; row < (used + box - 1) / box * box; row++)
        for (int i = threadIdx.x % 32; i < D / COLUMNS * 32; i += 32)
          *(unsigned *)(to + i / 32 * BLOCK_BYTES + row * ROW_BYTES + i % 32 * 4) = 0;
      ptx::fence_proxy_async_shared();
      __syncwarp();
    }
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(full);
  }
#endif

  __device__ __forceinline__ void run(const segment &g) {
    find_next(g, g.tile);
    load_q(g);
#pragma unroll 1
    for (int tile = g.tile; tile < g.end; tile++) {
      ptx::mbarrier_wait(at(c.k_empty[k_at.slot]), k_at.parity ^ 1);
      load_k(g, tile);
      find_next(g, tile + 1); /* on its way while this tile is */
      k_at.advance();
    }
  }
};
