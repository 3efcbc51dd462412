/* cuda_types.cu - the small number formats of cuda_fp16.h, cuda_bf16.h and cuda_fp8.h, for spec/sim/sim_types_spec.lua:
 * every code to float, and doubles to codes. Built by nvcc too. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

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
