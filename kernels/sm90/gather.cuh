/* sm90/gather.cuh - K and V token by token, for any block size: 128 threads copy 16 bytes each with cp.async, eight
 * lanes a row of 128 bytes, and swizzle as a bulk copy would. A lane looks up one token of the tile ahead of time and
 * hands its place to those that copy it. Tokens past the end, and of blocks that are none, become zeros. Each thread's
 * copies arrive at the "full" barrier by themselves when they land. What cp.async writes is ordinary memory to the
 * tensor cores, so there the consumers fence after they have waited (channel.cuh): a fence here would wait for the
 * copies on their way. Read next: producer.cuh. */
#pragma once
#include "places.cuh"
#include "ring.cuh"

template <int rows> struct gather { /* of a tile */
  static_assert(rows <= 128, "a lane of four warps looks up one token: a tile has 128 at most");

  const pah_attn_params &p;
  const sm90_sizes &n;
  unsigned long long &tail; /* not used */

  static constexpr int ARRIVALS = 128;

  __device__ __forceinline__ void begin() {}

  /* Rows 4w to 4w + 3 of every 16 belong to warp w; lane l looks up the l % 4-th of them in 16 rows number l / 4. */
  __device__ __forceinline__ int my_token() const {
    const int lane = threadIdx.x % 32;
    return lane / 4 * 16 + (int)threadIdx.x / 32 % 4 * 4 + lane % 4;
  }

  /* all: each of the warp's tokens lies somewhere, and rows have no columns past head_dim: then an address is one
   * multiply-add from the place, and two copies follow. */
  template <int head_dim, bool all>
  __device__ __forceinline__ void copy_rows(const kv_operand &of, unsigned char *to_tile, unsigned place) {
    constexpr int columns = columns_of(head_dim, KV_SIZE), row_bytes = columns * KV_SIZE, elements = 16 / KV_SIZE;
    const int lane = threadIdx.x % 32, in_row = lane % 8;
    const int row = (int)threadIdx.x / 32 % 4 * 4 + lane / 8; /* and every 16th after it: they swizzle alike */
    const unsigned to = ptx::shared(to_tile) + ptx::swizzled<row_bytes>(row * row_bytes + in_row * 16);
    const char *from = (const char *)of.blocks.data + in_row * 16;
#ifndef PAH_SIM
    asm volatile("" : "+l"(from)); /* in registers: from constant memory it would be added again for every row */
#endif
    bool inside[head_dim / columns]; /* of the row's columns */
#pragma unroll
    for (int j = 0; j < head_dim / columns; j++) inside[j] = j * columns + in_row * elements < of.head_dim;
#pragma unroll
    for (int i = 0; i < rows / 16; i++) {
      const unsigned found = __shfl_sync(0xffffffffu, place, 4 * i + lane / 8);
      const bool there = all || found != NOWHERE;
      const char *source = from + (unsigned long long)(there ? found : 0) * of.units.bytes;
      if (in_row * 16 >= row_bytes) continue; /* rows of 64 bytes */
#pragma unroll
      for (int j = 0; j < head_dim / columns; j++)
        ptx::cp_async_cg(to + i * (16 * row_bytes) + j * (rows * row_bytes), source + j * row_bytes,
                         all || (there && inside[j]) ? 16 : 0);
    }
  }

  template <int head_dim>
  __device__ __forceinline__ void copy(const kv_operand &of, unsigned char *tile, kv_place at, int kv_head,
                                       unsigned long long &full) {
    const unsigned place = place_of(of.units, (int)p.num_blocks, at.block, at.slot, kv_head);
    const bool found = place != NOWHERE || my_token() >= rows;
    if (of.head_dim == head_dim && __all_sync(0xffffffffu, found))
      copy_rows<head_dim, true>(of, tile, place);
    else
      copy_rows<head_dim, false>(of, tile, place);
    ptx::cp_async_mbarrier_arrive_noinc(ptx::shared(&full));
  }

  /* Tokens past the end are zeros anyway. */
  template <int head_dim>
  __device__ __forceinline__ void copy_clean(const kv_operand &of, unsigned char *tile, kv_place place, int kv_head,
                                             unsigned long long &full, int) {
    copy<head_dim>(of, tile, place, kv_head, full);
  }
};
