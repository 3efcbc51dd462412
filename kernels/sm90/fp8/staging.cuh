/* sm90/fp8/staging.cuh - V of an fp8 cache for an fp8 q: a tile arrives as the cache has it, and a round later the
 * warps of the producer write from there what the consumers multiply: tokens innermost, or f16. So nobody waits for
 * memory; the last V of an item is rewritten behind the first K of the next one. What the tensor cores read was written
 * by ordinary stores, so each thread fences before its warp says "full". Read next: transpose.cuh, widen_tile.cuh. */
#pragma once
#include "../channel.cuh"
#include "transpose.cuh"
#include "widen_tile.cuh"

struct staging {
  channels &c;
  unsigned char *pool;
  unsigned sent = 0, done = 0; /* tiles that were sent for, and that are rewritten: one less, or as many */
  ring_place<STAGES> v_at;
  int used = 0; /* tokens of the tile that was sent for: what is behind them becomes 0 */

  template <class Source>
  __device__ __forceinline__ void send_for_v(Source &source, const kv_operand &v, kv_place place, int kv_head,
                                             int tokens) {
    wait_empty(c.raw_v_empty, sent % 2);
    source.template copy<HEAD_DIM_V>(v, pool + RAW_V_START, place, kv_head, c.raw_v_full);
    sent++;
    used = tokens;
  }

  template <int size> __device__ __forceinline__ void rewrite_as(unsigned from, unsigned to) {
    if (size == 1)
      transpose_tile(from, to, used);
    else
      widen_tile<HEAD_DIM_V, V_T>(from, to, used);
  }

  __device__ __forceinline__ void rewrite() {
    if (sent == done) return;
    wait_full(c.raw_v_full, done % 2);
    wait_empty(c.v_empty[v_at.slot], v_at.parity);
    rewrite_as<V_SIZE>(ptx::shared(pool) + RAW_V_START, ptx::shared(pool) + V_START + v_at.slot * V_BYTES);
    ptx::fence_proxy_async_shared();
    release_by_warp(c.v_full[v_at.slot]);
    release_by_warp(c.raw_v_empty);
    done++;
    v_at.advance();
  }
};
