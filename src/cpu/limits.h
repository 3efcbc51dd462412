/* cpu/limits.h - what one core can do at most: the f32 multiply-add rate and a linear read. The device measures them
 * (src/cpu/device.c), a script sets a kernel's time against them. */
#ifndef PAH_CPU_LIMITS_H
#define PAH_CPU_LIMITS_H

#include <stdint.h>
#include <string.h>

#include "../pah.h"

#if defined(__AVX512F__)
enum { LIMIT_BYTES = 64 };
#elif defined(__AVX__)
enum { LIMIT_BYTES = 32 };
#else
enum { LIMIT_BYTES = 16 };
#endif
typedef float limit_floats __attribute__((vector_size(LIMIT_BYTES)));
typedef uint64_t limit_words __attribute__((vector_size(LIMIT_BYTES), may_alias));

/* Two units of four cycles latency want 8 chains in flight; 12 leave room and still fit 16 registers. */
enum { FMA_CHAINS = 12, FMA_STEPS = 20000 };

/* f32 multiply-adds of one thread, 2 flops each, per second, over at least `seconds`. */
static double limits_fma_flops(double seconds) {
  limit_floats chain[FMA_CHAINS], ratio, step;
  volatile float seed = 0.5f; /* the compiler must not see the constants, or it would fold the loop */
  for (int i = 0; i < LIMIT_BYTES / 4; i++) ratio[i] = seed, step[i] = seed + 0.25f;
  for (int c = 0; c < FMA_CHAINS; c++) chain[c] = ratio * (float)c;
  double flops = 0, start = pah_clock(), now;
  do {
    for (int n = 0; n < FMA_STEPS; n++)
#pragma GCC unroll 12
      for (int c = 0; c < FMA_CHAINS; c++) chain[c] = chain[c] * ratio + step;
    flops += 2.0 * FMA_STEPS * FMA_CHAINS * (LIMIT_BYTES / 4);
    now = pah_clock();
  } while (now - start < seconds);
  volatile float keep = 0;
  for (int c = 0; c < FMA_CHAINS; c++) keep = keep + chain[c][0];
  return flops / (now - start);
}

/* Reads `bytes` from `data` (aligned to 64) once, in order; the exclusive or of its words keeps the loads alive. */
static uint64_t limits_read_sum(const void *data, int64_t bytes) {
  enum { STREAMS = 8 }; /* independent sums: the loads of a step never wait for each other */
  const limit_words *p = data;
  limit_words sum[STREAMS] = {0};
  int64_t steps = bytes / (STREAMS * LIMIT_BYTES);
  for (int64_t n = 0; n < steps; n++, p += STREAMS)
#pragma GCC unroll 8
    for (int s = 0; s < STREAMS; s++) sum[s] ^= p[s];
  uint64_t total = 0;
  for (int s = 0; s < STREAMS; s++)
    for (int i = 0; i < LIMIT_BYTES / 8; i++) total ^= sum[s][i];
  for (const unsigned char *rest = (const unsigned char *)p; rest < (const unsigned char *)data + bytes; rest++)
    total ^= *rest;
  return total;
}

#endif
