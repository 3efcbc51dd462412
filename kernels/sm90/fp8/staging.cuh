/* sm90/fp8/staging.cuh - an fp8 cache on its way: a tile arrives as the cache has it, and a round later the warps of
 * the producer write from there what the consumers multiply: wider types, or V with tokens innermost. So nobody waits
 * for memory; the last V of an item is rewritten behind the first K of the next one. What the tensor cores read was
 * written by ordinary stores, so each thread fences before its warp says "full". Read next: fp8/transpose.cuh,
 * fp8/widen.cuh, producer.cuh. */
#pragma once
#include "../channel.cuh"
#include "transpose.cuh"
#include "widen.cuh"

/* As ring_place, of a power of two, in one register. */
struct raw_place {
  unsigned count = 0;
  __device__ __forceinline__ unsigned slot() const {
    return count % RAW_STAGES;
  }
  __device__ __forceinline__ unsigned parity() const {
    return count / RAW_STAGES % 2;
  }
};

struct staging {
  channels &c;
  unsigned char *pool;
  raw_place k_in, k_out, v_in, v_out; /* tiles that were sent for, and that are rewritten: one less, or as many */
  ring_place<STAGES> k_at, v_at;
  int used = 0; /* tokens of the tile of V that was sent for: what is behind them becomes 0 */

  template <class Source>
  __device__ __forceinline__ void send_for_k(Source &source, const kv_operand &k, kv_place place, int kv_head) {
    wait_empty(c.raw_k_empty[k_in.slot()], k_in.parity());
    source.template copy<HEAD_DIM>(k, pool + RAW_K_START + k_in.slot() * RAW_K_BYTES, place, kv_head,
                                   c.raw_k_full[k_in.slot()]);
    k_in.count++;
  }

  template <class Source>
  __device__ __forceinline__ void send_for_v(Source &source, const kv_operand &v, kv_place place, int kv_head,
                                             int tokens) {
    wait_empty(c.raw_v_empty[v_in.slot()], v_in.parity());
    source.template copy<HEAD_DIM_V>(v, pool + RAW_V_START + v_in.slot() * RAW_V_BYTES, place, kv_head,
                                     c.raw_v_full[v_in.slot()]);
    v_in.count++;
    used = tokens;
  }

  __device__ __forceinline__ void hand_on(unsigned long long &full, unsigned long long &raw_empty) {
    ptx::fence_proxy_async_shared();
    __syncwarp();
    if (threadIdx.x % 32 != 0) return;
    ptx::mbarrier_arrive(ptx::shared(&full));
    ptx::mbarrier_arrive(ptx::shared(&raw_empty));
  }

  __device__ __forceinline__ void rewrite_k() {
    wait_full(c.raw_k_full[k_out.slot()], k_out.parity());
    wait_empty(c.k_empty[k_at.slot], k_at.parity);
    const unsigned from = ptx::shared(pool) + RAW_K_START + k_out.slot() * RAW_K_BYTES;
    widen_tile<HEAD_DIM, K_T>(from, ptx::shared(pool) + K_START + k_at.slot * K_BYTES, TILE_N);
    hand_on(c.k_full[k_at.slot], c.raw_k_empty[k_out.slot()]);
    k_out.count++;
    k_at.advance();
  }

  __device__ __forceinline__ void rewrite_v() {
    wait_full(c.raw_v_full[v_out.slot()], v_out.parity());
    wait_empty(c.v_empty[v_at.slot], v_at.parity);
    const unsigned from = ptx::shared(pool) + RAW_V_START + v_out.slot() * RAW_V_BYTES;
    const unsigned to = ptx::shared(pool) + V_START + v_at.slot * V_BYTES;
    rewrite_as<V_SIZE>(from, to, used);
    hand_on(c.v_full[v_at.slot], c.raw_v_empty[v_out.slot()]);
    v_out.count++;
    v_at.advance();
  }

  template <int size> __device__ __forceinline__ void rewrite_as(unsigned from, unsigned to, int tokens) {
    if (size == 1)
      transpose_tile(from, to, tokens);
    else
      widen_tile<HEAD_DIM_V, V_T>(from, to, tokens);
  }

  __device__ __forceinline__ void rewrite() {
    if (K_STAGED && k_in.count != k_out.count) rewrite_k();
    if (V_STAGED && v_in.count != v_out.count) rewrite_v();
  }
};
