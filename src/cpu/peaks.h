/* cpu/peaks.h - what one core can do at most: multiply-adds of f32, products of bf16 and a linear read. The device
 * measures them (measure.c), a script sets a kernel's time against them. Read next: bf16_way.h, which chooses by them.
 */
#ifndef PAH_CPU_PEAKS_H
#define PAH_CPU_PEAKS_H

#include <stdint.h>

#include "error.h"
#include "cpu/gemm/amx.h"

#if defined(__AVX512F__)
enum { PEAKS_BYTES = 64 };
#elif defined(__AVX__)
enum { PEAKS_BYTES = 32 };
#else
enum { PEAKS_BYTES = 16 };
#endif
typedef float peaks_floats __attribute__((vector_size(PEAKS_BYTES)));
typedef uint64_t peaks_words __attribute__((vector_size(PEAKS_BYTES), may_alias));

/* Two units of four cycles latency want 8 chains in flight; 12 leave room and still fit 16 registers. A round takes
 * some ten microseconds, so that reading the clock after it does not count. */
enum { FMA_CHAINS = 12, FMA_STEPS = 20000 };

/* f32 multiply-adds of one thread, 2 flops each, per second, over at least `seconds`. */
static double peaks_fma_flops(double seconds) {
  peaks_floats chain[FMA_CHAINS], ratio, step;
  volatile float seed = 0.5f; /* the compiler must not see the constants, or it would fold the loop */
  for (int i = 0; i < PEAKS_BYTES / 4; i++) ratio[i] = seed, step[i] = seed + 0.25f;
  for (int c = 0; c < FMA_CHAINS; c++) chain[c] = ratio * (float)c;
  double flops = 0, start = pah_clock(), now;
  do {
    for (int n = 0; n < FMA_STEPS; n++)
#pragma GCC unroll 12
      for (int c = 0; c < FMA_CHAINS; c++) chain[c] = chain[c] * ratio + step;
    flops += 2.0 * FMA_STEPS * FMA_CHAINS * (PEAKS_BYTES / 4);
    now = pah_clock();
  } while (now - start < seconds);
  volatile float keep = 0;
  for (int c = 0; c < FMA_CHAINS; c++) keep = keep + chain[c][0];
  return flops / (now - start);
}

/* The same of vdpbf16ps, 4 flops for each f32 of the sum; 0 where there is no such instruction. */
static double peaks_dots_flops(double seconds) {
#if defined(__AVX512BF16__)
  volatile uint32_t seed = 0x3f003f00; /* a pair of 0.5 */
  __m512bh pair = (__m512bh)_mm512_set1_epi32((int)seed);
  __m512 chain[FMA_CHAINS];
  for (int c = 0; c < FMA_CHAINS; c++) chain[c] = _mm512_set1_ps((float)c);
  double flops = 0, start = pah_clock(), now;
  do {
    for (int n = 0; n < FMA_STEPS; n++)
#pragma GCC unroll 12
      for (int c = 0; c < FMA_CHAINS; c++) chain[c] = _mm512_dpbf16_ps(chain[c], pair, pair);
    flops += 4.0 * FMA_STEPS * FMA_CHAINS * (PEAKS_BYTES / 4);
    now = pah_clock();
  } while (now - start < seconds);
  volatile float keep = 0;
  for (int c = 0; c < FMA_CHAINS; c++) keep = keep + _mm512_cvtss_f32(chain[c]);
  return flops / (now - start);
#else
  (void)seconds;
  return 0;
#endif
}

#if defined(PAH_AMX)
/* The same of the tile unit, by products of registers alone. */
static double peaks_amx_flops(double seconds) {
  _Alignas(64) uint32_t a[AMX_ROWS * AMX_SIDE];
  _Alignas(64) float c[AMX_ROWS * AMX_ROWS];
  for (int i = 0; i < AMX_ROWS * AMX_SIDE; i++) a[i] = 0x3f003f00; /* pairs of 0.5 */
  amx_begin();
  double flops = 0, start = pah_clock(), now;
  do {
    struct amx_block block = {a, a, c, AMX_SIDE, AMX_SIDE, AMX_ROWS, 1, 1, 0};
    amx_run(block); /* leaves a in the registers */
    amx_again(&block, FMA_STEPS / 100);
    flops += 4.0 * AMX_ROWS * AMX_ROWS * AMX_SIDE * (FMA_STEPS / 100 + 1);
    now = pah_clock();
  } while (now - start < seconds);
  amx_end();
  volatile float keep = c[0];
  (void)keep;
  return flops / (now - start);
}
#endif

/* Reads `bytes` from `data` (aligned to 64) once; the exclusive or of its words keeps the loads alive. In order, or, if
 * `apart`, an eighth of it beside the other seven: the prefetcher of the second level then works on eight pages at a
 * time. On a Xeon with 16 cores two threads read 32 GB/s in order and 40 so, on one with two cores there is little
 * between. */
static uint64_t peaks_read_sum(const void *data, int64_t bytes, int apart) {
  enum { SUMS = 8 }; /* independent sums: the loads of a step never wait for each other */
  const peaks_words *p = data;
  peaks_words sum[SUMS] = {0};
  const int64_t steps = bytes / (SUMS * PEAKS_BYTES), gap = apart ? steps : 1, step = apart ? 1 : SUMS;
  for (int64_t n = 0; n < steps; n++, p += step)
#pragma GCC unroll 8
    for (int s = 0; s < SUMS; s++) sum[s] ^= p[s * gap];
  uint64_t total = 0;
  for (int s = 0; s < SUMS; s++)
    for (int i = 0; i < PEAKS_BYTES / 8; i++) total ^= sum[s][i];
  const unsigned char *rest = (const unsigned char *)data + steps * SUMS * PEAKS_BYTES;
  for (; rest < (const unsigned char *)data + bytes; rest++) total ^= *rest;
  return total;
}

#endif
