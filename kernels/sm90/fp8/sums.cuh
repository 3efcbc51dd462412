/* sm90/fp8/sums.cuh - sums of fp8 products keep about 14 bits: a product that is added to a large sum loses what is
 * below that, always towards zero, and thousands of keys add up to a few percent. So every NEAR_TILES tiles a
 * consumer adds its sums in f32 to those that it keeps in shared memory, and the tensor cores begin from zero again.
 * Each thread has 16 bytes after 16 bytes of its own there, and nobody waits. The sums there count from the maximum of
 * that time. Read next: forward.cu. */
#pragma once
#include "../config.cuh"
#include "tile_softmax.cuh"

#ifndef NEAR_TILES
#define NEAR_TILES 8 /* 0: sums stay with the tensor cores */
#endif

struct far_sums {
  float max[2]; /* that sums in shared memory count from */
  int near;     /* tiles since then; 0: the next product begins from zero */
  bool any;

  __device__ __forceinline__ void begin() {
    near = 0;
    any = false;
  }

  /* o becomes the whole sum. */
  __device__ __forceinline__ void collect(const softmax_state &state, float (&o)[HEAD_DIM_V / 2], float4 *mine) const {
    if (!any) return;
    float factor[2];
    for (int r = 0; r < 2; r++) factor[r] = ptx::ex2(max[r] * state.scale - exponent_base(state.max[r]) * state.scale);
#pragma unroll
    for (int i = 0; i < HEAD_DIM_V / 8; i++) {
      const float4 x = mine[i * CONSUMER_THREADS];
      o[4 * i] += x.x * factor[0];
      o[4 * i + 1] += x.y * factor[0];
      o[4 * i + 2] += x.z * factor[1];
      o[4 * i + 3] += x.w * factor[1];
    }
  }

  /* After the values of a tile. */
  __device__ __forceinline__ void count_tile(const softmax_state &state, float (&o)[HEAD_DIM_V / 2], float4 *mine) {
    if (++near != NEAR_TILES) return;
    collect(state, o, mine);
#pragma unroll
    for (int i = 0; i < HEAD_DIM_V / 8; i++)
      mine[i * CONSUMER_THREADS] = make_float4(o[4 * i], o[4 * i + 1], o[4 * i + 2], o[4 * i + 3]);
    max[0] = state.max[0];
    max[1] = state.max[1];
    any = true;
    near = 0;
  }
};
