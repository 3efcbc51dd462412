/* cuda_types.cu - the small number formats of cuda_fp16.h, cuda_bf16.h, cuda_fp8.h and smaller ones, for
 * spec/sim/sim_types_spec.lua: every code to float, and doubles to codes; vector types. Built by nvcc too. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp6.h>
#include <cuda_fp8.h>
#include <type_traits>

__device__ int index() {
  return blockIdx.x * blockDim.x + threadIdx.x;
}

/* 65536 codes: of bytes the upper half is ignored. */
extern "C" __global__ void decode(float *f16, float *bf16, float *e4m3, float *e5m2) {
  int i = index();
  f16[i] = __half2float(__ushort_as_half((unsigned short)i));
  bf16[i] = __bfloat162float(__ushort_as_bfloat16((unsigned short)i));
  if (i >= 256) return;
  __nv_fp8_e4m3 a;
  __nv_fp8_e5m2 b;
  a.__x = (unsigned char)i;
  b.__x = (unsigned char)i;
  e4m3[i] = float(a);
  e5m2[i] = float(b);
}

extern "C" __global__ void encode(const double *x, __half *f16, __nv_bfloat16 *bf16, __nv_fp8_e4m3 *e4m3,
                                  __nv_fp8_e5m2 *e5m2, int n) {
  int i = index();
  if (i >= n) return;
  f16[i] = __double2half(x[i]);
  bf16[i] = __double2bfloat16(x[i]);
  e4m3[i] = __nv_fp8_e4m3(x[i]);
  e5m2[i] = __nv_fp8_e5m2(x[i]);
}

/* Numbers of 8, 6 and 4 bits: e8m0, e2m3, e3m2, e2m1 of every code (the higher bits ignored), then of the pairs. */
template <class One, class Two> __device__ void decode_as(int i, float *out, unsigned mask, int width) {
  One one;
  Two two;
  one.__x = (unsigned char)(i & mask);
  two.__x = (decltype(two.__x))((i & mask) | (~i & mask) << width);
  float2 both = float2(two);
  out[i] = float(one);
  if (both.x != float(one) && both.x == both.x) out[i] = -1000;
  one.__x = (unsigned char)(~i & mask);
  if (both.y != float(one) && both.y == both.y) out[i] = -2000;
}
extern "C" __global__ void decode_less(float *e8m0, float *e2m3, float *e3m2, float *e2m1) {
  int i = index();
  decode_as<__nv_fp8_e8m0, __nv_fp8x2_e8m0>(i, e8m0, 255, 8);
  decode_as<__nv_fp6_e2m3, __nv_fp6x2_e2m3>(i, e2m3, 63, 8);
  decode_as<__nv_fp6_e3m2, __nv_fp6x2_e3m2>(i, e3m2, 63, 8);
  decode_as<__nv_fp4_e2m1, __nv_fp4x2_e2m1>(i, e2m1, 15, 4);
}
extern "C" __global__ void encode_less(const double *x, unsigned char *e8m0, unsigned char *e2m3, unsigned char *e3m2,
                                       unsigned char *e2m1, unsigned char *toward_zero, int n) {
  int i = index();
  if (i >= n) return;
  e8m0[i] = __nv_fp8_e8m0(x[i]).__x;
  e2m3[i] = __nv_fp6_e2m3(x[i]).__x;
  e3m2[i] = __nv_fp6_e3m2(x[i]).__x;
  e2m1[i] = __nv_fp4_e2m1(x[i]).__x;
  toward_zero[i] = __nv_cvt_double_to_fp4(x[i], __NV_E2M1, cudaRoundZero);
}

/* Integers of every code of f16 saturate; NaN becomes 0. */
extern "C" __global__ void integers(int *wide, int *narrow, unsigned char *least) {
  int i = index();
  __half h = __ushort_as_half((unsigned short)i);
  wide[i] = (int)h;
  narrow[i] = (short)h;
  least[i] = __half2uchar_rz(h);
}

/* Toward zero, up, down. */
extern "C" __global__ void directed(const float *x, __half *rz, __half *ru, __half *rd, int n) {
  int i = index();
  if (i >= n) return;
  rz[i] = __float2half_rz(x[i]);
  ru[i] = __float2half_ru(x[i]);
  rd[i] = __float2half_rd(x[i]);
}

/* Pairs against their elements, operators against functions: 0 where they agree. */
extern "C" __global__ void agree(const __half2 *a, const __half2 *b, int *wrong, int n) {
  int i = index();
  if (i >= n) return;
  __half2 s = __hadd2(a[i], b[i]), p = a[i] * b[i], f = __hfma2(a[i], b[i], s);
  __half x = __low2half(a[i]), y = __low2half(b[i]);
  int bad = !__heq(__low2half(s), x + y) || !__heq(__low2half(p), __hmul(x, y));
  bad |= !__heq(__low2half(f), __hfma(x, y, x + y)) || __hgt(x, y) != (x > y);
  bad |= __half2float(__hmax(x, y)) != fmaxf(__half2float(x), __half2float(y));
  bad |= __half_as_ushort(__hneg(x)) != (__half_as_ushort(x) ^ 0x8000) || __float2half((float)x) != x;
  float2 both = __half22float2(a[i]);
  bad |= both.x != __low2float(a[i]) || both.y != __high2float(a[i]);
  bad |= !__hbeq2(__lowhigh2highlow(a[i]), __halves2half2(__high2half(a[i]), x));
  wrong[i] = bad;
}

/* Sums, products, quotients, fma of doubles: toward zero, up, down, to nearest; then roots. */
extern "C" __global__ void directed64(const double *x, const double *y, double *out) {
  int i = index();
  double a = x[i], b = y[i], r = fabs(a), *o = out + 20 * i;
  double all[] = {__dadd_rz(a, b),   __dadd_ru(a, b),   __dadd_rd(a, b),   a + b,
                  __dmul_rz(a, b),   __dmul_ru(a, b),   __dmul_rd(a, b),   a * b,
                  __ddiv_rz(a, b),   __ddiv_ru(a, b),   __ddiv_rd(a, b),   a / b,
                  __fma_rz(a, b, a), __fma_ru(a, b, a), __fma_rd(a, b, a), __fma_rn(a, b, a),
                  __dsqrt_rz(r),     __dsqrt_ru(r),     __dsqrt_rd(r),     sqrt(r)};
  for (int k = 0; k < 20; k++) o[k] = all[k];
}

/* Functions and their inverses; the difference is small. */
extern "C" __global__ void inverses(double *out) {
  int i = index();
  double x = (i - 128) / 40.0, y = x / 4;
  out[8 * i] = erfcinv(erfc(x)) - x;
  out[8 * i + 1] = erfinv(erf(y)) - y;
  out[8 * i + 2] = normcdfinv(normcdf(x)) - x;
  out[8 * i + 3] = erfcx(x) * exp(-x * x) / erfc(x) - 1;
  out[8 * i + 4] = erfcinvf(erfcf(x > 2 ? 2 : x < -2 ? -2 : x)) - fmin(fmax(x, -2.0), 2.0);
  double s, c;
  sincospi(x, &s, &c);
  out[8 * i + 5] = s * s + c * c - 1 + (sinpi(1e9 + 1) + cospi(1e15) - 1);
  double v[3] = {x, 1e200, -1e200};
  out[8 * i + 6] = norm(3, v) / (1e200 * M_SQRT2) - 1 + (norm3d(2, 3, 6) - 7) + (norm4d(1, 2, 4, 10) - 11);
  out[8 * i + 7] = (cyl_bessel_i0(1.0) - 1.2660658777520084) + (cyl_bessel_i1(-1.0) + 0.5651591039924851) +
                   (erfcx(30.0) - 0.018795888861416751);
}

/* Words of two halves, against the same of each half; dot products, the n-th bit. 0 where they agree. */
extern "C" __global__ void words_of_halves(const unsigned *x, int *wrong) {
  int i = index(), bad = 0;
  unsigned a = x[3 * i], b = x[3 * i + 1], c = x[3 * i + 2];
  bool high, low;
  for (int k = 0; k < 32; k += 16) {
    short p = (short)(a >> k), q = (short)(b >> k), r = (short)(c >> k), sum = (short)(p + q);
    unsigned short u = (unsigned short)p, v = (unsigned short)q, w = (unsigned short)r;
    bad |= (short)(__vimax3_s16x2(a, b, c) >> k) != max(max(p, q), r);
    bad |= (short)(__vimin3_s16x2_relu(a, b, c) >> k) != max(min(min(p, q), r), 0);
    bad |= (unsigned short)(__vimin3_u16x2(a, b, c) >> k) != min(min(u, v), w);
    bad |= (short)(__viaddmax_s16x2(a, b, c) >> k) != max(sum, r);
    bad |= (short)(__viaddmin_s16x2_relu(a, b, c) >> k) != max(min(sum, r), 0);
    bad |= (unsigned short)(__viaddmin_u16x2(a, b, c) >> k) != min((unsigned short)(u + v), w);
    bad |= (short)(__vimax_s16x2_relu(a, b) >> k) != max(max(p, q), 0);
    bad |= (short)(__vibmin_s16x2(a, b, &high, &low) >> k) != min(p, q) || (k ? high : low) != (p <= q);
  }
  int p = (int)a, q = (int)b, r = (int)c;
  bad |= __vimax3_s32(p, q, r) != max(max(p, q), r) || __vimin3_u32(a, b, c) != min(min(a, b), c);
  bad |= __viaddmax_u32(a, b, c) != max(a + b, c) || __vimin_s32_relu(p, q) != max(min(p, q), 0);
  bad |= __vibmax_u32(a, b, &low) != max(a, b) || low != (a >= b);
  int d = (short)a * (signed char)(b >> 16) + (short)(a >> 16) * (signed char)(b >> 24);
  bad |= __dp2a_hi(p, q, r) != (int)(c + (unsigned)d);
  bad |= __dp2a_lo(a, b, c) != c + (a & 0xffff) * (b & 0xff) + (a >> 16) * (b >> 8 & 0xff);
  bad |= __urhadd(a, b) != (unsigned)(((unsigned long long)a + b + 1) / 2);
  bad |= __fns(0x16, 0, 1) != 1 || __fns(0x16, 0, 2) != 2 || __fns(0x16, 3, 1) != 4 || __fns(0x16, 4, -2) != 2;
  bad |= __fns(0x16, 1, 0) != 1 || __fns(0x16, 0, 0) != 0xffffffffu || __fns(0x16, 0, 4) != 0xffffffffu;
  wrong[i] = bad;
}

/* Vector types are plain structs, as CUDA's: what may be done with those. Not with clang as the compiler of sim. */
#if !defined(PAH_SIM) || !defined(__clang__)
union words {
  float4 f;
  uint4 u;
  unsigned short h[8];
};
struct record {
  float4 a;
  int2 b;
};
static_assert(std::is_trivially_copyable<record>::value, "records are bytes");
static_assert(sizeof(words) == 16 && alignof(float4) == 16 && alignof(double4) == 16 && sizeof(float3) == 12, "sizes");
constexpr int4 START = {1, 2, 3, 4};
static_assert(START.x + START.w == 5, "constant expression");

extern "C" __global__ void vectors(const float4 *in, float4 *out, const record *records, int *sums) {
  float4 v = in[threadIdx.x];
  auto [a, b, c, d] = v;
  words w;
  w.f = v;
  words copy = w;
  copy.h[1] ^= 0x8000; /* the sign of x */
  float2 pair{b};
  double2 empty = {};
  out[5 * threadIdx.x] = copy.f;
  out[5 * threadIdx.x + 1] = float4{d, c, b, a};
  out[5 * threadIdx.x + 2] = {pair.x, pair.y, (float)empty.x};
  out[5 * threadIdx.x + 3] = {};
  out[5 * threadIdx.x + 4] = threadIdx.x == 0 ? v : make_float4(a, a, a, a);
  record r = records[threadIdx.x];
  sums[threadIdx.x] = (int)r.a.w + r.b.x - r.b.y + START.y;
}
#endif
