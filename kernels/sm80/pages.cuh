/* pages.cuh - from the block table to rows in shared memory. Each lane follows one row of the tiles that its warp
 * fetches: it knows the row's block and slot and reads the table one tile ahead; the copies get their addresses from it
 * by shuffles. Addresses count 16 bytes from the first element, in 32 bits: the host sees to it that they fit.
 * Rows past the last key become zero and are not read; an id outside the pool reads block 0. Read next: rows.cuh,
 * fetch.cuh. */
#pragma once
#include "tile.cuh"
#include "work.cuh"

struct units { /* strides of a pool, in 16 bytes */
  u32 block, slot, head;
};

__device__ inline units units_of(const pah_blocks &blocks) {
  constexpr int per = 16 / (int)sizeof(KV_T);
  units u = {(u32)(blocks.block / per), (u32)(blocks.slot / per), (u32)(blocks.head / per)};
  return u;
}

/* n / d and n % d for n below 2^31, d = block_size; `inverse` is 2^32 / d, rounded down and at most 2^32 - 1. */
__device__ inline void divide(int n, int d, u32 inverse, int &quotient, int &rest) {
  if (BLOCK_SIZE) {
    quotient = (u32)n / (BLOCK_SIZE ? BLOCK_SIZE : 1);
    rest = (u32)n % (BLOCK_SIZE ? BLOCK_SIZE : 1);
    return;
  }
  quotient = (int)__umulhi((u32)n, inverse);
  rest = n - quotient * d;
  if (rest >= d) {
    rest -= d;
    quotient++;
  }
}

/* The row that a lane follows. */
struct page_row {
  int token, block, slot; /* token counts from the segment's first key */
  int id;                 /* of the block, as the table has it: looked at when it is used, a tile later */
};

__device__ inline void read_table(const pah_attn_params &p, int b, int keys, page_row &r) {
  r.id = 0;
  if (r.token < keys && threadIdx.x % 32 < OWN) /* maybe past the sequence's end: then it is not used */
    r.id = p.block_table[b * p.table_batch + r.block * p.table_block]; // pah: allow not-in-sequence
}

/* OWN rows of Row bytes into a tile, from the places that lanes 0 to OWN - 1 hold; `rows` of them are in use. */
template <int Row> __device__ __forceinline__ void copy_rows(u32 tile, const void *base, u32 where, int rows) {
  constexpr int chunks = Row / 16, step = 32 / chunks, steps = OWN * chunks / 32;
  static_assert(chunks <= 32, "a row is at most 512 bytes");
  int lane = threadIdx.x % 32, own = member_of() * OWN;
  const char *from = (const char *)base + lane % chunks * 16;
#pragma unroll
  for (int i = 0; i < steps; i++) {
    int row = i * step + lane / chunks;
    u32 at = __shfl_sync(0xffffffffu, where, row);
    ptx::cp_async_cg(place<Row>(tile, own + row, lane % chunks), from + (unsigned long long)at * 16,
                     row < rows ? 16 : 0);
  }
}
