/* sm90/mla/load.cuh - the warpgroup that loads: Q of a segment, then its tiles of K, token by token for any block size:
 * eight lanes copy 128 bytes of a row. A lane looks one token up and hands its place to those that copy it. Tokens past
 * the end become zeros, rows that are no query too; an id outside of the pool reads block 0. What cp.async writes is
 * ordinary memory to the tensor cores: who waits for a tile fences after it. Read next: compute.cuh. */
#pragma once
#include "tile.cuh"

#include "../../sm80/work.cuh"

struct loader {
  const pah_attn_params &p;
  const plan &l;
  channels &c;
  ring_place k_at;
  unsigned q_parity = 0;

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

  /* The address of this lane's token of a tile; 0: it is none. The table is read only for tokens in use. */
  __device__ __forceinline__ const Q_T *find(const segment &g, int tile) {
    const int in_tile = tile * KEYS + 16 * warp() + threadIdx.x % 16;
    if (tile >= g.end || in_tile >= g.keys) return 0;
    const int token = g.first + in_tile, in_table = token / p.block_size;
    unsigned block = p.block_table[g.b * p.table_batch + in_table * p.table_block];
    if (block >= (unsigned)p.num_blocks) block = 0;
    return (const Q_T *)p.k.data + block * p.k.block + (token - in_table * p.block_size) * p.k.slot + g.head * p.k.head;
  }

  __device__ __forceinline__ void run(const segment &g) {
    const Q_T *here = find(g, g.tile);
    load_q(g);
#pragma unroll 1
    for (int tile = g.tile; tile < g.end; tile++) {
      const Q_T *next = find(g, tile + 1); /* on its way while this tile waits for room */
      ptx::mbarrier_wait(at(c.k_empty[k_at.slot]), k_at.parity ^ 1);
      copy(ptx::shared(pool) + K_START + k_at.slot * K_BYTES, here);
      ptx::cp_async_mbarrier_arrive_noinc(at(c.k_full[k_at.slot]));
      k_at.advance();
      here = next;
    }
  }
};
