// ptx_layout.cu - each instruction of kernels/ptx/mma.h and convert.h by itself: registers in, registers out, as raw
// words, one warp. ptx_spec.lua gives the words and knows what must come out; the same runs on sim and on
// cuda.
#include "ptx.cuh"
using namespace ptx;

extern "C" __global__ void mma(const u32 *a, const u32 *b, const u32 *c, u32 *d) {
  const int lane = threadIdx.x;
  u32 ra[4], rb[2];
  for (int i = 0; i < 4; i++) ra[i] = a[4 * lane + i];
  for (int i = 0; i < 2; i++) rb[i] = b[2 * lane + i];
#if defined(F16_SUMS)
  u32 rc[2] = {c[4 * lane], c[4 * lane + 1]};
  mma_m16n8k16_f16_f16(rc, ra, rb[0], rb[1], rc);
  for (int i = 0; i < 4; i++) d[4 * lane + i] = i < 2 ? rc[i] : 0;
#elif defined(S8)
  int rc[4];
  for (int i = 0; i < 4; i++) rc[i] = (int)c[4 * lane + i];
  mma_m16n8k32_s8(rc, ra, rb[0], rb[1], rc);
  for (int i = 0; i < 4; i++) d[4 * lane + i] = (u32)rc[i];
#else
  float rc[4];
  for (int i = 0; i < 4; i++) rc[i] = __uint_as_float(c[4 * lane + i]);
  MMA(rc, ra, rb[0], rb[1], rc);
  for (int i = 0; i < 4; i++) d[4 * lane + i] = __float_as_uint(rc[i]);
#endif
}

// 4 matrices whose rows are at offsets[8 * matrix + row] bytes; out[kind][lane][register].
extern "C" __global__ void ldmatrix(const u32 *image, const u32 *offsets, u32 *out) {
  __shared__ __align__(128) u32 tile[1024];
  const int lane = threadIdx.x;
  for (int i = lane; i < 1024; i += 32) tile[i] = image[i];
  __syncwarp();
  const u32 row = shared(tile) + offsets[lane];
  u32 r[6][4] = {}, one[1], two[2];
  ldmatrix_x1(one, row);
  r[0][0] = one[0];
  ldmatrix_x2(two, row);
  r[1][0] = two[0], r[1][1] = two[1];
  ldmatrix_x4(r[2], row);
  ldmatrix_x1_trans(one, row);
  r[3][0] = one[0];
  ldmatrix_x2_trans(two, row);
  r[4][0] = two[0], r[4][1] = two[1];
  ldmatrix_x4_trans(r[5], row);
  for (int k = 0; k < 6; k++) {
    for (int i = 0; i < 4; i++) out[(k * 32 + lane) * 4 + i] = r[k][i];
  }
}

// movmatrix, and the fast functions: out[3 * lane].
extern "C" __global__ void turn(const u32 *matrix, const float *x, u32 *out) {
  const int lane = threadIdx.x;
  out[3 * lane] = movmatrix_trans(matrix[lane]);
  out[3 * lane + 1] = __float_as_uint(lg2(x[lane]));
  out[3 * lane + 2] = __float_as_uint(rcp(x[lane]));
}

#if PAH_PTX_ARCH >= 900
// The inverse: registers r[lane][i] of kind 0 to 5 into out[kind], 4096 bytes that are zero elsewhere.
extern "C" __global__ void stmatrix(const u32 *registers, const u32 *offsets, u32 *out) {
  __shared__ __align__(128) u32 tile[1024];
  const int lane = threadIdx.x;
  const u32 row = shared(tile) + offsets[lane];
  u32 r[4], one[1], two[2];
  for (int i = 0; i < 4; i++) r[i] = registers[4 * lane + i];
  one[0] = two[0] = r[0], two[1] = r[1];
  for (int kind = 0; kind < 6; kind++) {
    for (int i = lane; i < 1024; i += 32) tile[i] = 0;
    __syncwarp();
    if (kind == 0) stmatrix_x1(row, one);
    if (kind == 1) stmatrix_x2(row, two);
    if (kind == 2) stmatrix_x4(row, r);
    if (kind == 3) stmatrix_x1_trans(row, one);
    if (kind == 4) stmatrix_x2_trans(row, two);
    if (kind == 5) stmatrix_x4_trans(row, r);
    __syncwarp();
    for (int i = lane; i < 1024; i += 32) out[1024 * kind + i] = tile[i];
    __syncwarp();
  }
}
#endif

// Conversions of pairs, and fp8 pairs back to f16: out[8 * i].
extern "C" __global__ void convert(const float *x, const u32 *pairs, u32 *out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  out[8 * i] = cvt_bf16x2(x[2 * i], x[2 * i + 1]);
  out[8 * i + 1] = cvt_f16x2(x[2 * i], x[2 * i + 1]);
  out[8 * i + 2] = cvt_e4m3x2(x[2 * i], x[2 * i + 1]);
  out[8 * i + 3] = cvt_e5m2x2(x[2 * i], x[2 * i + 1]);
  out[8 * i + 4] = cvt_f16x2_e4m3((unsigned short)pairs[i]);
  out[8 * i + 5] = cvt_f16x2_e5m2((unsigned short)pairs[i]);
  out[8 * i + 6] = cvt_tf32(x[2 * i]);
  out[8 * i + 7] = redux_max(__activemask(), (int)pairs[i]);
}
