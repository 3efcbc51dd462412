/* sm90/gather.cuh - K and V token by token, for any block size: 128 threads copy 16 bytes each with cp.async, eight
 * lanes a row of 128 bytes, and swizzle as a bulk copy would. A lane looks up one token of the tile ahead of time and
 * hands its offset to those that copy it. Tokens past the end, and of blocks that are none, become zeros. Each thread's
 * copies arrive at the "full" barrier by themselves when they land. What cp.async writes is ordinary memory to the
 * tensor cores, so there the consumers fence after they have waited (channel.cuh): a fence here would wait for the
 * copies on their way. Read next: producer.cuh. */
#pragma once
#include "channel.cuh"

static_assert(TILE_N <= 128, "a lane of four warps looks up one token: TILE_N is at most 128");

struct gather {
  const pah_attn_params &p;
  const sm90_sizes &n;
  const ptx::tensor_map &k, &v; /* not used */
  channels &c;
  unsigned char *pool;

  static constexpr int ARRIVALS = 128;

  __device__ __forceinline__ void begin() {}

  /* Rows 4w to 4w + 3 of every 16 belong to warp w; lane l looks up the l % 4-th of them in 16 rows number l / 4. */
  __device__ __forceinline__ int my_token() const {
    const int lane = threadIdx.x % 32;
    return lane / 4 * 16 + (int)threadIdx.x / 32 % 4 * 4 + lane % 4;
  }

  template <int head_dim>
  __device__ __forceinline__ void copy(const pah_blocks &blocks, int used_dim, unsigned tile, kv_place place,
                                       int kv_head, unsigned barrier) {
    constexpr int columns = columns_of(head_dim, KV_SIZE), row_bytes = columns * KV_SIZE, elements = 16 / KV_SIZE;
    const int lane = threadIdx.x % 32, in_row = lane % 8;
    const int row = (int)threadIdx.x / 32 % 4 * 4 + lane / 8; /* and every 16th after it */
    long long offset = -1;                                    /* of the token that this lane looked up */
    if (place.block >= 0 && place.block < p.num_blocks)
      offset = place.block * blocks.block + place.slot * blocks.slot + kv_head * blocks.head;
    const unsigned to = tile + ptx::swizzled<row_bytes>(row * row_bytes + in_row * 16); /* 16 rows on swizzle alike */
#pragma unroll 4
    for (int i = 0; i < TILE_N / 16; i++) {
      const long long from = __shfl_sync(0xffffffffu, offset, 4 * i + lane / 8);
      const KV_T *source = (const KV_T *)blocks.data + (from < 0 ? 0 : from + in_row * elements);
      if (in_row * 16 >= row_bytes) continue; /* rows of 64 bytes */
#pragma unroll
      for (int j = 0; j < head_dim / columns; j++) {
        const bool copied = from >= 0 && j * columns + in_row * elements < used_dim;
        ptx::cp_async_cg(to + i * (16 * row_bytes) + j * (TILE_N * row_bytes),
                         copied ? source + j * columns : (const KV_T *)blocks.data, copied ? 16 : 0);
      }
    }
    ptx::cp_async_mbarrier_arrive_noinc(barrier);
  }

  __device__ __forceinline__ void bring_k(unsigned tile, kv_place place, int kv_head, unsigned barrier) {
    copy<HEAD_DIM>(p.k, n.head_dim, tile, place, kv_head, barrier);
  }
  __device__ __forceinline__ void bring_v(unsigned tile, kv_place place, int kv_head, unsigned barrier) {
    copy<HEAD_DIM_V>(p.v, n.head_dim_v, tile, place, kv_head, barrier);
  }
  __device__ __forceinline__ void bring_clean_v(const work_item &, kv_place place, int kv_head, int slot, int) {
    bring_v(ptx::shared(pool) + V_START + slot * V_BYTES, place, kv_head, ptx::shared(&c.v_full[slot]));
  }
};
