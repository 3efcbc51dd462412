/* sm90/walk.cuh - where the token lies that a lane looks up, from tile to tile of a sequence, the last one first: block
 * of the sequence and slot in it, without dividing. Read next: producer.cuh, fp8/widener.cuh. */
#pragma once
#include "ring.cuh"

struct token_walk {
  kv_place at;
  int tile_blocks, tile_slots; /* TILE_N / block_size, and the rest */

  __device__ __forceinline__ void begin(const pah_attn_params &p) {
    tile_blocks = (int)(TILE_N / (unsigned)p.block_size); /* unsigned division is shorter */
    tile_slots = (int)(TILE_N % (unsigned)p.block_size);
  }
  __device__ __forceinline__ void go_to(const pah_attn_params &p, int token) {
    at.block = (int)((unsigned)token / (unsigned)p.block_size);
    at.slot = (int)((unsigned)token - (unsigned)at.block * (unsigned)p.block_size); /* of no token it may wrap */
  }
  __device__ __forceinline__ void go_back(const pah_attn_params &p) {
    at.block -= tile_blocks;
    at.slot -= tile_slots;
    if (at.slot < 0) at.slot += p.block_size, at.block--;
  }
};
