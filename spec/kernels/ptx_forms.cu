/* ptx_forms.cu - instructions of PTX in the forms that kernels/ptx/ has no functions for, for
 * ptx_forms_spec.lua: mma.sync of 8, 4 and 1 bits, fp8 with sums of f16, f64, m8n8k4; wgmma with sums of f16
 * and s32; arithmetic. Built by nvcc for sm_90a too. */
#include <cuda_fp16.h>
#include <cuda_fp8.h>

/* As many numbers as fit into a register, from k on. */
template <int bits> __device__ unsigned packed(const int *row, int k) {
  unsigned word = 0;
  for (int i = 0; i < 32 / bits; i++) word |= ((unsigned)row[k + i] & ((1u << bits) - 1)) << bits * i;
  return word;
}
template <class T> __device__ unsigned packed8(const int *row, int k) {
  unsigned word = 0;
  for (int i = 0; i < 4; i++) word |= (unsigned)T((float)row[k + i]).__x << 8 * i;
  return word;
}

#define ROW_SHAPE(shape, types, end)                                                                                   \
  asm volatile("mma.sync.aligned." shape ".row.col." types end                                                         \
               " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                                \
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                                                        \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#define SMALL_SHAPE(shape, types, end)                                                                                 \
  asm volatile("mma.sync.aligned." shape ".row.col." types end " {%0,%1}, {%2}, {%3}, {%0,%1};"                        \
               : "+r"(d[0]), "+r"(d[1])                                                                                \
               : "r"(a[0]), "r"(b[0]))

/* A: 16 rows of 256, B: 8 rows (its columns) of 256, sums: 16 rows of 8. which: see the switch. */
extern "C" __global__ void integers(const int *A, const int *B, const int *C, int *D, int which) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  const int *top = A + 256 * g, *bottom = top + 8 * 256, *column = B + 256 * g;
  unsigned a[4], b[2];
  int d[4];
  for (int i = 0; i < 4; i++) d[i] = C[8 * (g + 8 * (i / 2)) + 2 * t + i % 2];
#define TAKE(bits)                                                                                                     \
  for (int i = 0; i < 2; i++) {                                                                                        \
    const int each = 32 / bits, k = (4 * i + t) * each;                                                                \
    a[2 * i] = packed<bits>(top, k), a[2 * i + 1] = packed<bits>(bottom, k), b[i] = packed<bits>(column, k);           \
  }
  switch (which) {
  case 0: TAKE(8) ROW_SHAPE("m16n8k32", "satfinite.s32.u8.s8.s32", ""); break;
  case 1: TAKE(8) ROW_SHAPE("m16n8k32", "s32.u8.u8.s32", ""); break;
  case 2: TAKE(4) ROW_SHAPE("m16n8k64", "s32.s4.u4.s32", ""); break;
  case 3: TAKE(4) ROW_SHAPE("m16n8k64", "satfinite.s32.u4.s4.s32", ""); break;
  case 4: TAKE(1) ROW_SHAPE("m16n8k256", "s32.b1.b1.s32", ".xor.popc"); break;
  case 5: TAKE(1) ROW_SHAPE("m16n8k256", "s32.b1.b1.s32", ".and.popc"); break;
  case 6: TAKE(8) SMALL_SHAPE("m8n8k16", "s32.s8.u8.s32", ""); break;
  case 7: TAKE(4) SMALL_SHAPE("m8n8k32", "s32.s4.s4.s32", ""); break;
  case 8: TAKE(1) SMALL_SHAPE("m8n8k128", "s32.b1.b1.s32", ".and.popc"); break;
  }
  for (int i = 0; i < 4; i++) D[8 * (g + 8 * (i / 2)) + 2 * t + i % 2] = d[i];
}

/* fp8 with sums of f16: 32 and 16 deep; the same matrices. */
extern "C" __global__ void fp8_sums(const int *A, const int *B, const int *C, int *D, int *half_deep) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  const int *top = A + 256 * g, *bottom = top + 8 * 256, *column = B + 256 * g;
  unsigned a[4], b[2];
  __half2 d[2], e[2];
  for (int i = 0; i < 2; i++) {
    const int k = 16 * i + 4 * t, *c = C + 8 * (g + 8 * i) + 2 * t;
    a[2 * i] = packed8<__nv_fp8_e4m3>(top, k), a[2 * i + 1] = packed8<__nv_fp8_e4m3>(bottom, k);
    b[i] = packed8<__nv_fp8_e5m2>(column, k);
    d[i] = e[i] = __floats2half2_rn((float)c[0], (float)c[1]);
  }
  unsigned *x = (unsigned *)d, *y = (unsigned *)e;
  asm volatile("mma.sync.aligned.m16n8k32.row.col.f16.e4m3.e5m2.f16 {%0,%1}, {%2,%3,%4,%5}, {%6,%7}, {%0,%1};"
               : "+r"(x[0]), "+r"(x[1])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.e4m3.e5m2.f16 {%0,%1}, {%2,%3}, {%4}, {%0,%1};"
               : "+r"(y[0]), "+r"(y[1])
               : "r"(a[0]), "r"(a[1]), "r"(b[0]));
  for (int i = 0; i < 2; i++) {
    const int at = 8 * (g + 8 * i) + 2 * t;
    D[at] = (int)__low2float(d[i]), D[at + 1] = (int)__high2float(d[i]);
    half_deep[at] = (int)__low2float(e[i]), half_deep[at + 1] = (int)__high2float(e[i]);
  }
}

/* f64: 16 deep of 16 rows, and 4 deep of 8 rows rounded up. */
extern "C" __global__ void doubles(const double *A, const double *B, double *D, double *up) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  double a[8], b[4], d[4] = {}, e[2] = {0.1, 0.1};
  for (int i = 0; i < 4; i++) {
    a[2 * i] = A[16 * g + 4 * i + t], a[2 * i + 1] = A[16 * (g + 8) + 4 * i + t], b[i] = B[16 * g + 4 * i + t];
  }
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0,%1,%2,%3}, {%4,%5,%6,%7,%8,%9,%10,%11}, "
               "{%12,%13,%14,%15}, {%0,%1,%2,%3};"
               : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
               : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(a[4]), "d"(a[5]), "d"(a[6]), "d"(a[7]), "d"(b[0]),
                 "d"(b[1]), "d"(b[2]), "d"(b[3]));
  asm volatile("mma.sync.aligned.m8n8k4.row.col.rp.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
               : "+d"(e[0]), "+d"(e[1])
               : "d"(a[0]), "d"(b[0]));
  for (int i = 0; i < 4; i++) D[8 * (g + 8 * (i / 2)) + 2 * t + i % 2] = d[i];
  for (int i = 0; i < 2; i++) up[8 * g + 2 * t + i] = e[i];
}

/* m8n8k4: four products at once. A and B: of each an 8x4; with B as rows of columns, once stored row by row and once
 * column by column. */
extern "C" __global__ void four_products(const __half *A, const __half *B, float *rows, float *columns) {
  const int lane = threadIdx.x, q = lane / 4 % 4, upper = lane < 16 ? 0 : 4, own = lane % 4;
  __half a[4], b[4], c[4], d[4];
  for (int i = 0; i < 4; i++) {
    a[i] = A[32 * q + 4 * (upper + own) + i], b[i] = B[32 * q + 4 * (upper + own) + i];
    c[i] = A[32 * q + 4 * (upper + i) + own], d[i] = B[32 * q + 4 * (upper + i) + own];
  }
  unsigned *x = (unsigned *)a, *y = (unsigned *)b, *u = (unsigned *)c, *v = (unsigned *)d, h[4] = {};
  float f[8] = {};
  asm volatile("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9}, {%10,%11}, "
               "{%0,%1,%2,%3,%4,%5,%6,%7};"
               : "+f"(f[0]), "+f"(f[1]), "+f"(f[2]), "+f"(f[3]), "+f"(f[4]), "+f"(f[5]), "+f"(f[6]), "+f"(f[7])
               : "r"(x[0]), "r"(x[1]), "r"(y[0]), "r"(y[1]));
  asm volatile("mma.sync.aligned.m8n8k4.col.row.f16.f16.f16.f16 {%0,%1,%2,%3}, {%4,%5}, {%6,%7}, {%0,%1,%2,%3};"
               : "+r"(h[0]), "+r"(h[1]), "+r"(h[2]), "+r"(h[3])
               : "r"(u[0]), "r"(u[1]), "r"(v[0]), "r"(v[1]));
  for (int i = 0; i < 8; i++) {
    rows[64 * q + 8 * (upper + (lane & 1) + (i & 2)) + (i & 4) + (lane & 2) + (i & 1)] = f[i];
    columns[64 * q + 8 * (upper + own) + i] = __half2float(((__half *)h)[i]);
  }
}

/* wgmma of 64 x 8: A and B lie in tiles of 8 rows of 16 bytes, two beside each other. bytes: 64 and 8 rows of 32. */
__device__ unsigned long long tiles(const void *p) {
  unsigned address = (unsigned)__cvta_generic_to_shared(p);
  return (address >> 4) | (128ull >> 4) << 16 | (256ull >> 4) << 32;
}
extern "C" __global__ void __launch_bounds__(128)
    warpgroup(const unsigned char *A, const unsigned char *B, int *D, float *H) {
  __shared__ __align__(128) unsigned char a[64 * 32], b[8 * 32];
  for (int i = threadIdx.x; i < 64 * 32; i += 128) {
    int row = i / 32, k = i % 32, at = (row / 8 * 2 + k / 16) * 128 + row % 8 * 16 + k % 16;
    a[at] = A[i];
    if (row < 8) b[at] = B[i];
  }
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  int d[4] = {1, 2, 3, 0x7ffffff0};
  unsigned h[2] = {};
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  asm volatile("wgmma.mma_async.sync.aligned.m64n8k32.s32.u8.s8.satfinite {%0,%1,%2,%3}, %4, %5, 1;"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
               : "l"(tiles(a)), "l"(tiles(b)));
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %4, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n8k32.f16.e4m3.e4m3 {%0,%1}, %2, %3, p, 1, -1; }"
               : "+r"(h[0]), "+r"(h[1])
               : "l"(tiles(a)), "l"(tiles(b)), "r"(0));
  asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, row = threadIdx.x / 32 * 16 + g;
  for (int i = 0; i < 4; i++) {
    D[8 * (row + 8 * (i / 2)) + 2 * t + i % 2] = d[i];
    H[8 * (row + 8 * (i / 2)) + 2 * t + i % 2] = __half2float(((__half *)h)[i]);
  }
}

/* Arithmetic, a result each. */
extern "C" __global__ void numbers(unsigned *out, double *real) {
  unsigned *o = out;
  asm volatile("{ .reg .pred p, q; .reg .b32 t; setp.eq.u32 p, 1, 2; lop3.or.b32 t|q, %1, %2, %3, 0x80, p;\n"
               "selp.u32 %0, t, 0, q; }"
               : "=r"(o[0])
               : "r"(0xff00u), "r"(0xf0f0u), "r"(0xffffu));
  asm volatile("dp2a.hi.s32.u32 %0, %1, %2, %3;" : "=r"(o[1]) : "r"(0xffff0002u), "r"(0x03050000u), "r"(10));
  asm volatile("fns.b32 %0, %1, %2, %3;" : "=r"(o[2]) : "r"(0x16u), "r"(0), "r"(2));
  asm volatile("mad24.hi.u32 %0, %1, %2, %3;" : "=r"(o[3]) : "r"(0x10000u), "r"(0x20000u), "r"(5));
#if __CUDA_ARCH__ >= 900
  asm volatile("add.s16x2 %0, %1, %2;" : "=r"(o[4]) : "r"(0x7fff0001u), "r"(0x0001ffffu));
  asm volatile("min.relu.s16x2 %0, %1, %2;" : "=r"(o[5]) : "r"(0xfff00005u), "r"(0x00030007u));
#endif
  asm volatile("max.xorsign.abs.f32 %0, %1, %2;" : "=r"(o[6]) : "f"(-3.0f), "f"(2.0f));
  asm volatile("{ .reg .pred p; setp.eq.u32 p, 1, 1; set.lt.and.u32.f32 %0, %1, %2, !p; }"
               : "=r"(o[7])
               : "f"(1.f), "f"(2.f));
  asm volatile("{ .reg .pred p, q; setp.lt.f16x2 p|q, %1, %2; selp.u32 %0, 1, 0, p; @q add.u32 %0, %0, 2; }"
               : "=r"(o[8])
               : "r"(0x3c003c00u), "r"(0x4000b800u));
  asm volatile("cvt.pack.sat.u4.s32.b32 %0, %1, %2, %3;" : "=r"(o[9]) : "r"(20), "r"(-3), "r"(0xab));
  asm volatile("cvt.pack.sat.s16.s32 %0, %1, %2;" : "=r"(o[10]) : "r"(-70000), "r"(70000));
  asm volatile("nanosleep.u32 20;\n{ .reg .u64 a; .reg .b64 c; cvta.to.global.u64 a, %0; discard.global.L2 [a], 128;\n"
               "applypriority.global.L2::evict_normal [a], 128; createpolicy.cvt.L2.b64 c, %1; }" ::"l"(real + 16),
               "l"(1ll));
  asm volatile("{ .reg .pred p; setp.lt.u32 p, %1, 3; bar.red.popc.u32 %0, 0, %2, p; }"
               : "=r"(o[11])
               : "r"(threadIdx.x), "r"(blockDim.x));
  asm volatile("add.rp.f64 %0, %1, %2;" : "=d"(real[0]) : "d"(1.0), "d"(1e-30));
  asm volatile("fma.rm.f64 %0, %1, %2, %3;" : "=d"(real[1]) : "d"(1.0), "d"(1.0), "d"(-1e-30));
  asm volatile("cvt.rz.f64.s64 %0, %1;" : "=d"(real[2]) : "l"(-9007199254740995ll));
  asm volatile("{ .reg .pred p; isspacep.shared::cta p, %1; selp.u32 %0, 1, 0, p; }" : "=r"(o[12]) : "l"(out));
}
