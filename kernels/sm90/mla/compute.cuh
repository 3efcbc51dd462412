/* sm90/mla/compute.cuh - the two warpgroups that compute. Of each tile both multiply Q with half of the keys, agree on
 * the rows' maxima through shared memory, and write their weights there; then both multiply all weights with half of
 * the columns of V, which is the tile itself, tokens outermost. The products of the next scores are issued before those
 * of this tile's values are waited for. Layouts of sums: ptx/wgmma.h. Read next: join.cuh. */
#pragma once
#include "join.cuh"

struct computer {
  const pah_attn_params &p;
  const plan &l;
  channels &c;
  float (&told)[HALVES][ROWS]; /* what the halves tell each other of a row */
  int half;
  ring_place k_at;
  unsigned q_parity = 0;
  float max[2], sum[2]; /* of rows g and g + 8 of the warp: in powers of two; sum of this lane's keys */
  float scale;
  float s[HALF_KEYS / 2], o[HALF_DV / 2];

  static __device__ __forceinline__ void meet() { /* all who compute */
    ptx::bar_sync(1, CONSUMERS);
  }
  /* The row that a thread's rows r = 0 and 1 are. */
  static __device__ __forceinline__ int row_of_thread(int r) {
    return threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4 + 8 * r;
  }
  static __device__ __forceinline__ unsigned long long moved(unsigned long long descriptor, unsigned bytes) {
    return descriptor + (bytes >> 4);
  }

  /* In a way that the compiler knows: descriptors are then made by the uniform datapath, beside the products. */
  static __device__ __forceinline__ int same_in_warp(int x) {
    return __shfl_sync(0xffffffffu, x, 0);
  }

  __device__ __forceinline__ void issue_scores() {
    const unsigned start = same_in_warp(ptx::shared(pool));
    const unsigned k = start + K_START + same_in_warp(k_at.slot) * K_BYTES + half * (HALF_KEYS * ROW_BYTES);
    const unsigned long long a = ptx::wgmma_descriptor(start, ptx::SWIZZLE_128, 16, 8 * ROW_BYTES),
                             b = ptx::wgmma_descriptor(k, ptx::SWIZZLE_128, 16, 8 * ROW_BYTES);
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
      const unsigned inside = i / 4 * BLOCK_BYTES + i % 4 * 32;
      ptx::wgmma_ss<KIND, HALF_KEYS>(s, moved(a, inside), moved(b, inside), i > 0);
    }
    ptx::wgmma_commit_group();
  }

  __device__ __forceinline__ void issue_values(int slot) {
    const unsigned start = same_in_warp(ptx::shared(pool));
    const unsigned v = start + K_START + same_in_warp(slot) * K_BYTES + half * (HALF_DV / COLUMNS * BLOCK_BYTES);
    const unsigned long long a = ptx::wgmma_descriptor(start + WEIGHT_START, ptx::SWIZZLE_128, 16, 8 * ROW_BYTES),
                             b = ptx::wgmma_descriptor(v, ptx::SWIZZLE_128, BLOCK_BYTES, 8 * ROW_BYTES);
#pragma unroll
    for (int i = 0; i < KEYS / 16; i++)
      ptx::wgmma_ss<KIND, HALF_DV, 0, 1>(o, moved(a, i * 32), moved(b, i * 16 * ROW_BYTES), 1);
    ptx::wgmma_commit_group();
  }

  __device__ __forceinline__ void wait_tile() {
    ptx::mbarrier_wait(at(c.k_full[k_at.slot]), k_at.parity);
    if (GATHER) ptx::fence_proxy_async_shared();
  }

  __device__ __forceinline__ bool is_there() {
    return __all_sync(0xffffffffu, ptx::mbarrier_test_parity(at(c.k_full[k_at.slot]), k_at.parity));
  }

  /* Products become scores in powers of two, -inf where a row does not see the key. */
  __device__ __forceinline__ void scale_scores(const segment &g, int tile) {
    const int key = tile * KEYS + half * HALF_KEYS + threadIdx.x % 4 * 2;
#pragma unroll
    for (int i = 0; i < HALF_KEYS / 2; i++) s[i] *= scale;
    const bool alike = g.len_q == 1 && p.window_left < 0; /* the only query sees all that are listed */
    if (alike && tile * KEYS + KEYS <= g.keys) return;
    sequence q = {g.len_q, g.len_k, g.first_row};
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const row_place place = row_of(l, g, row_of_thread(r));
      visible_keys v = {0, g.keys - 1};
      if (!alike && place.query >= 0) {
        v = visible_to(p, q, place.query);
        v.first -= g.first;
        v.last -= g.first;
      }
#pragma unroll
      for (int i = 0; i < HALF_KEYS / 2; i++) {
        const int k = key + i / 4 * 8 + i % 2;
        if (i / 2 % 2 == r && (k < v.first || k > v.last)) s[i] = negative_infinity();
      }
    }
  }

  /* Scores become weights, in shared memory; totals are brought to the new maximum. */
  __device__ __forceinline__ void weigh() {
    float top[2], shrink[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      top[r] = s[2 * r];
#pragma unroll
      for (int i = 0; i < HALF_KEYS / 2; i++)
        if (i / 2 % 2 == r) top[r] = fmaxf(top[r], s[i]);
      top[r] = fmaxf(top[r], __shfl_xor_sync(0xffffffffu, top[r], 1));
      top[r] = fmaxf(top[r], __shfl_xor_sync(0xffffffffu, top[r], 2));
      if (threadIdx.x % 4 == 0) told[half][row_of_thread(r)] = top[r];
    }
    meet(); /* and both are done with the weights of the tile before */
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const float now = fmaxf(max[r], fmaxf(top[r], told[1 - half][row_of_thread(r)])), base = exponent_base(now);
      shrink[r] = ptx::ex2(max[r] - base);
      max[r] = now;
      sum[r] *= shrink[r];
#pragma unroll
      for (int i = 2 * r; i < HALF_KEYS / 2; i += 4) {
        const float x = ptx::ex2(s[i] - base), y = ptx::ex2(s[i + 1] - base);
        sum[r] += x + y;
        const int column = half * HALF_KEYS + i / 4 * 8 + threadIdx.x % 4 * 2;
        unsigned char *to = pool + WEIGHT_START;
        *(unsigned *)(to + ptx::swizzled<128>(row_of_thread(r) * ROW_BYTES + column * 2)) =
            KIND == ptx::WGMMA_BF16 ? ptx::cvt_bf16x2(x, y) : ptx::cvt_f16x2(x, y);
      }
    }
    if (__any_sync(0xffffffffu, shrink[0] != 1 || shrink[1] != 1)) {
#pragma unroll
      for (int i = 0; i < HALF_DV / 2; i++) o[i] *= shrink[i / 2 % 2];
    }
    ptx::fence_proxy_async_shared();
    meet();
  }

  __device__ __forceinline__ void release(unsigned long long &barrier) {
    if (threadIdx.x % 128 == 0) ptx::mbarrier_arrive(at(barrier));
  }

  __device__ __forceinline__ void run(const segment &g) {
    scale = p.softmax_scale * descale_of(p.k_descale, g.b, g.head) * LOG2E;
#pragma unroll
    for (int r = 0; r < 2; r++) max[r] = negative_infinity(), sum[r] = 0;
#pragma unroll
    for (int i = 0; i < HALF_DV / 2; i++) o[i] = 0;
    ptx::mbarrier_wait(at(c.q_full), q_parity);
    q_parity ^= 1;
    ptx::fence_proxy_async_shared();
    wait_tile();
    ptx::wgmma_fence();
    issue_scores();
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_results(s);
#pragma unroll 1
    for (int tile = g.tile; tile < g.end; tile++) {
      scale_scores(g, tile);
      weigh();
      const int slot = k_at.slot;
      k_at.advance();
      ptx::wgmma_fence();
      issue_values(slot);
      bool freed = false;
      if (tile + 1 < g.end) {
        if (!is_there()) { /* loads are late: they must not wait for the slot until the next tile is there */
          ptx::wgmma_wait_group<0>();
          release(c.k_empty[slot]);
          freed = true;
        }
        wait_tile();
        issue_scores();
        ptx::wgmma_wait_group<1>();
      } else {
        ptx::wgmma_wait_group<0>();
      }
      ptx::wgmma_results(o);
      if (!freed) release(c.k_empty[slot]);
      ptx::wgmma_wait_group<0>();
      ptx::wgmma_results(s);
    }
    release(c.q_empty);
    end(g);
  }

  /* A result, or a part that whoever comes last joins with the others. */
  __device__ __forceinline__ void end(const segment &g) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
      if (threadIdx.x % 4 == 0) told[half][row_of_thread(r)] = sum[r];
    }
    meet();
#pragma unroll
    for (int r = 0; r < 2; r++) sum[r] += told[1 - half][row_of_thread(r)];
    meet();
    if (is_whole(p, g))
      write(g);
    else
      join(g);
  }

  __device__ __forceinline__ void write(const segment &g) {
    const int live = live_rows(l, g);
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int row = row_of_thread(r);
      if (row >= live || l.refused) continue;
      const row_end e = end_row(p, l, g, row, max[r], sum[r]);
      OUT_T *out = row_at<OUT_T>(p.out, g.b, e.at.head, e.query) + half * HALF_DV + threadIdx.x % 4 * 2;
#pragma unroll
      for (int i = 2 * r; i < HALF_DV / 2; i += 4) {
        from_float(out[i / 4 * 8], e.scale == 0 ? 0.0f : o[i] * e.scale);
        from_float(out[i / 4 * 8 + 1], e.scale == 0 ? 0.0f : o[i + 1] * e.scale);
      }
      if (half == 0 && threadIdx.x % 4 == 0) *row_at<float>(p.lse, g.b, e.at.head, e.query) = e.lse;
    }
  }

  __device__ __forceinline__ void join(const segment &g) {
    const parts s = parts_of(p, l, g);
    const int live = live_rows(l, g);
    float *part = p.partial_out + (long long)s.mine * PART;
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int row = row_of_thread(r);
      if (row >= live) continue;
      float *to = part + row * DV + half * HALF_DV + threadIdx.x % 4 * 2;
#pragma unroll
      for (int i = 2 * r; i < HALF_DV / 2; i += 4) *(float2 *)(to + i / 4 * 8) = make_float2(o[i], o[i + 1]);
      if (half == 0 && threadIdx.x % 4 == 0) *((float2 *)(part + ROWS * DV) + row) = make_float2(max[r], sum[r]);
    }
    if (comes_last(p, g, s.count, threadIdx.x == 0, meet)) join_parts(p, l, g, s, meet);
  }
};
