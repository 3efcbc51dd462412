// ptx_attention.cu - the tile loop of a tensor-core forward on sm_80, head_dim 128, bf16: cp.async into two stages of
// swizzled shared memory, ldmatrix, mma.sync, softmax while it goes. Four warps, 16 queries each, 64 keys at a time.
// BUG plants one mistake, 0 none; ptx_attention_spec.lua checks results, findings and the time that it takes.
#include "ptx.cuh"
using namespace ptx;

#ifndef BUG
#define BUG 0
#endif

constexpr int D = 128, Queries = 64, Keys = 64, Chunks = D / 8, TileBytes = Keys * D * 2;
constexpr int Stages = BUG == 3 ? 1 : 2;

extern __shared__ __align__(128) unsigned char pool[];

// A row has 16 chunks of 16 bytes; the lowest bits of the row permute them, so that 8 rows use all banks.
__device__ u32 place(u32 tile, int row, int chunk) {
  return tile + row * D * 2 + ((chunk ^ (row & 7)) << 4);
}

__device__ void fetch(u32 tile, const unsigned short *rows) {
  for (int i = threadIdx.x; i < Keys * Chunks; i += 128)
    cp_async_cg(place(tile, i / Chunks, i % Chunks), rows + (i / Chunks) * D + i % Chunks * 8);
}

__device__ void scores(float (&s)[Keys / 8][4], const u32 (&q)[D / 16][4], u32 tile) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < Keys / 8; j += 2) {
    for (int i = 0; i < 4; i++) s[j][i] = s[j + 1][i] = 0;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
      u32 b[4];
      ldmatrix_x4(b, place(tile, 8 * j + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
      mma_m16n8k16_bf16(s[j], q[k], b[0], b[1], s[j]);
      mma_m16n8k16_bf16(s[j + 1], q[k], b[2], b[3], s[j + 1]);
    }
  }
}

// The largest and the sum of a row's scores lie in the four lanes of a group.
__device__ float across(float x, int add) {
  for (int step = 1; step < 4; step *= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, x, step);
    x = add ? x + other : fmaxf(x, other);
  }
  return x;
}

__device__ void soften(float (&s)[Keys / 8][4], float (&o)[D / 8][4], float (&largest)[2], float (&sum)[2],
                       float scale) {
  for (int half = 0; half < 2; half++) {
    float top = largest[half];
    for (int j = 0; j < Keys / 8; j++) top = fmaxf(top, fmaxf(s[j][2 * half], s[j][2 * half + 1]));
    top = across(top, 0);
    const float shrink = ex2((largest[half] - top) * scale);
    largest[half] = top;
    sum[half] *= shrink;
    for (int j = 0; j < D / 8; j++) o[j][2 * half] *= shrink, o[j][2 * half + 1] *= shrink;
    for (int j = 0; j < Keys / 8; j++) {
      for (int i = 2 * half; i < 2 * half + 2; i++) {
        s[j][i] = ex2((s[j][i] - top) * scale);
        sum[half] += s[j][i];
      }
    }
  }
}

__device__ void weigh(float (&o)[D / 8][4], const float (&p)[Keys / 8][4], u32 tile) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < Keys / 16; k++) {
    const u32 a[4] = {cvt_bf16x2(p[2 * k][0], p[2 * k][1]), cvt_bf16x2(p[2 * k][2], p[2 * k][3]),
                      cvt_bf16x2(p[2 * k + 1][0], p[2 * k + 1][1]), cvt_bf16x2(p[2 * k + 1][2], p[2 * k + 1][3])};
#pragma unroll
    for (int j = 0; j < D / 8; j += 2) {
      u32 b[4];
      ldmatrix_x4_trans(b, place(tile, 16 * k + lane / 8 % 2 * 8 + lane % 8, j + lane / 16));
      mma_m16n8k16_bf16(o[j], a, b[0], b[1], o[j]);
      mma_m16n8k16_bf16(o[j + 1], a, b[2], b[3], o[j + 1]);
    }
  }
}

// q [H, Sq, D], k and v [H, Sk, D]; Sq and Sk multiples of 64. Grid: Sq / 64 by H.
extern "C" __global__ void __launch_bounds__(128)
    attention(const unsigned short *q, const unsigned short *k, const unsigned short *v, float *out, int sq, int sk,
              float scale) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const u32 tiles = shared(pool);
  float o[D / 8][4] = {}, largest[2] = {-INFINITY, -INFINITY}, sum[2] = {};
  u32 queries[D / 16][4];
  k += (long long)blockIdx.y * sk * D, v += (long long)blockIdx.y * sk * D;
  fetch(tiles, q + ((long long)blockIdx.y * sq + blockIdx.x * Queries) * D);
  cp_async_wait_all();
  __syncthreads();
  for (int i = 0; i < D / 16; i++) ldmatrix_x4(queries[i], place(tiles, 16 * warp + lane % 16, 2 * i + lane / 16));
  __syncthreads();
  fetch(tiles, k), fetch(tiles + TileBytes, v);
  cp_async_commit_group();
  for (int step = 0; step < sk / Keys; step++) {
    const u32 now = tiles + step % Stages * 2 * TileBytes, next = tiles + (step + 1) % Stages * 2 * TileBytes;
    if (step + 1 < sk / Keys)
      fetch(next, k + (step + 1) * Keys * D), fetch(next + TileBytes, v + (step + 1) * Keys * D);
    cp_async_commit_group();
    if (BUG != 1) cp_async_wait_group<1>();
    if (BUG != 2) __syncthreads();
    float s[Keys / 8][4];
    scores(s, queries, now);
    soften(s, o, largest, sum, scale);
    weigh(o, s, now + TileBytes);
    if (BUG != 4) __syncthreads();
  }
  for (int half = 0; half < 2; half++) {
    const float total = across(sum[half], 1);
    const int row = blockIdx.x * Queries + 16 * warp + lane / 4 + 8 * half;
    for (int j = 0; j < D / 8; j++) {
      for (int i = 0; i < 2; i++)
        out[((long long)blockIdx.y * sq + row) * D + 8 * j + 2 * (lane % 4) + i] = o[j][2 * half + i] / total;
    }
  }
}
