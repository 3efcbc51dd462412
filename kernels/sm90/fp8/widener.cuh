/* sm90/fp8/widener.cuh - K and V of an fp8 cache for a q of 16 bits: each has a warpgroup that reads a tile through the
 * block table into registers, 16 elements a lane, and writes it widened where wgmma reads it. A row's pieces of what
 * comes next are asked for as soon as a row of this tile is written, so memory is never waited for. Four lanes have 64
 * elements of a token, a warp 8 tokens: the stores of eight lanes are at eight different banks. Any block size will do.
 * Read next: ../../widen.cuh, ../walk.cuh, ../producer.cuh. */
#pragma once
#include "../channel.cuh"
#include "../walk.cuh"
#include "widen.cuh"

/* clean: tokens past the end, and of blocks that are none, become zeros. Else they may be anything. */
template <int head_dim, class To, bool clean> struct widener {
  static constexpr int COUNT = head_dim / 64, STEPS = TILE_N / 32; /* pieces of a lane: columns of 64, rows */
  static constexpr int AHEAD = COUNT > 2 || STEPS % 2 ? 1 : 2;     /* rows on their way */
  static_assert(!WIDENED || (TILE_N % 32 == 0 && TILE_N <= 128), "32 tokens at a time, and a lane looks up one");

  const pah_attn_params &p;
  const kv_operand &from;
  unsigned ring; /* tiles in shared memory, with their barriers: */
  unsigned long long *full, *empty;
  ring_place<STAGES> at = {};
  token_walk walk = {};

  typedef uint4 pieces[AHEAD][COUNT];

  __device__ __forceinline__ void begin() {
    walk.begin(p);
  }

  static __device__ __forceinline__ int lane() {
    return (int)(threadIdx.x % 32);
  }
  /* Rows 8w to 8w + 7 of every 32 belong to warp w. Four lanes share a row, and look up those of 128. */
  static __device__ __forceinline__ int my_row() {
    return (int)(threadIdx.x / 32 % 4) * 8 + lane() / 4;
  }
  static __device__ __forceinline__ int my_token() {
    return lane() % 4 * 32 + my_row();
  }

  /* Asks for the block of the token that this lane looks up, which is used a tile later. */
  __device__ __forceinline__ kv_place look_up(const work_item &w, int tile) {
    const int token = tile * TILE_N + my_token();
    kv_place found = {-1, walk.at.slot};
    if (my_token() < TILE_N && tile >= w.begin && token < w.s.len_k)
      found.block = p.block_table[w.b * p.table_batch + walk.at.block * p.table_block];
    walk.go_back(p);
    return found;
  }
  __device__ __forceinline__ unsigned place(kv_place of, int kv_head) const {
    const unsigned found = place_of(from.units, (int)p.num_blocks, of.block, of.slot, kv_head);
    return clean || found != NOWHERE ? found : 0;
  }

  /* Row number `step` of this lane, of a tile whose places are known. */
  __device__ __forceinline__ void read(pieces &x, int step, unsigned places) const {
    const unsigned found = __shfl_sync(0xffffffffu, places, step, 4);
    const int chunk = lane() % 4 * 16;
    const char *source = (const char *)from.blocks.data + (unsigned long long)found * from.units.bytes + chunk;
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      uint4 &to = x[step % AHEAD][i];
      if (clean || NARROW) to = make_uint4(0, 0, 0, 0);
      if ((clean && found == NOWHERE) || (NARROW && i * 64 + chunk >= from.head_dim)) continue;
      /* Of a token that is not there it may be block 0, whose values are not used. */
      if (!NARROW || i * 64 + chunk + 16 <= from.head_dim) {
        to = *(const uint4 *)(source + i * 64); // pah: allow not-in-sequence
      } else {
        const uint2 half = *(const uint2 *)(source + i * 64); // pah: allow not-in-sequence
        to.x = half.x, to.y = half.y;
      }
    }
  }

  /* first, second: where the two halves of this lane's first piece go, widened. */
  static __device__ __forceinline__ void write(const pieces &x, int step, unsigned first, unsigned second) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      const uint4 &y = x[step % AHEAD][i];
      ptx::store_shared(first + step * (32 * 128) + i * (TILE_N * 128), widened_words<To, KV_T>(y.x, y.y));
      ptx::store_shared(second + step * (32 * 128) + i * (TILE_N * 128), widened_words<To, KV_T>(y.z, y.w));
    }
  }

  /* The tiles of an item; then() is called when the first pieces are on their way. */
  template <class F> __device__ __forceinline__ void run(const work_item &w, F then) {
    pieces x;
    const int kv_head = kv_head_of(p, w);
    walk.go_to(p, (w.end - 1) * TILE_N + my_token());
    unsigned places = place(look_up(w, w.end - 1), kv_head);
    kv_place next = look_up(w, w.end - 2);
#pragma unroll
    for (int step = 0; step < AHEAD; step++) read(x, step, places);
    then();
    const int row = my_row(), chunk = lane() % 4 * 2 ^ row % 8; /* a swizzle repeats after 8 rows */
#pragma unroll 1
    for (int tile = w.end - 1; tile >= w.begin; tile--) {
      const unsigned first = ring + at.slot * (TILE_N * head_dim * 2) + row * 128 + chunk * 16, second = first ^ 16;
      wait_empty(empty[at.slot], at.parity);
#pragma unroll
      for (int step = 0; step < STEPS; step++) {
        write(x, step, first, second);
        if (step == STEPS - AHEAD) { /* from here on, the next tile is read */
          places = place(next, kv_head);
          next = look_up(w, tile - 2);
        }
        read(x, (step + AHEAD) % STEPS, places);
      }
      ptx::fence_proxy_async_shared();
      release_by_warp(full[at.slot]);
      at.advance();
    }
  }
};
