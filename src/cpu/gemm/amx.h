/* cpu/gemm/amx.h - the register tile of bf16.h by the tile unit (AMX): 32 x 32 sums of pairs of bf16 in four of
 * its eight registers, two for A and two for B. One instruction multiplies 16 rows of 16 pairs with 16 columns in 16
 * cycles, 16 times what two units of f32 multiply-adds do. Panels of B are those of pack.h as they are; A lies in rows.
 * Where the processor has no such unit it can be emulated (PAH_AMX=emulate, cpu/device.c), bit for bit, so that all
 * that is built on it can be tested anywhere. Read next: cpu/forward/amx.h. */
#ifndef PAH_CPU_GEMM_AMX_H
#define PAH_CPU_GEMM_AMX_H

#include "bf16.h"
#include "cpu/isa.h"

/* Rows and columns of a tile register's sums, words (pairs of bf16) of a row of it, and the rows of a block. */
enum { AMX_SIDE = 16, AMX_ROWS = 2 * AMX_SIDE };

/* c[m][n] = (add ? c[m][n] : 0) + sum over k < 16 * steps of a[m * lda + k] . b[k * ldb + n], words of pairs, for 32
 * columns and 32 rows, or 16 if not `both`. */
struct amx_block {
  const uint32_t *a, *b;
  float *c;
  int64_t lda, ldb, ldc, steps;
  int both, add;
};

#if defined(PAH_AMX)
/* What a thread does before its first block and after its last. The unit's state costs time at every switch of
 * threads while it is in use. */
static void amx_begin(void) {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shape = {.palette = 1};
  if (pah_cpu_amx_emulated) return;
  for (int i = 0; i < 8; i++) shape.row_bytes[i] = AMX_SIDE * 4, shape.rows[i] = AMX_SIDE;
  _tile_loadconfig(&shape);
}

static void amx_end(void) {
  if (!pah_cpu_amx_emulated) _tile_release();
}

/* A lower half that is not wanted costs nothing. */
static inline __attribute__((always_inline)) void amx_step(const struct amx_block *x, const uint32_t *a,
                                                           const uint32_t *b) {
  _tile_loadd(4, a, x->lda * 4);
  _tile_loadd(6, b, x->ldb * 4);
  _tile_loadd(7, b + AMX_SIDE, x->ldb * 4);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if (!x->both) return;
  _tile_loadd(5, a + AMX_SIDE * x->lda, x->lda * 4);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

static inline __attribute__((always_inline)) void amx_real(const struct amx_block *x) {
  float *upper = x->c, *lower = x->c + AMX_SIDE * x->ldc;
  __asm__ volatile("" ::: "memory"); /* gcc does not know that loads of tiles read memory */
  if (!x->add) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, upper, x->ldc * 4);
    _tile_loadd(1, upper + AMX_SIDE, x->ldc * 4);
    if (x->both) {
      _tile_loadd(2, lower, x->ldc * 4);
      _tile_loadd(3, lower + AMX_SIDE, x->ldc * 4);
    }
  }
  for (int64_t k = 0; k < x->steps * AMX_SIDE; k += AMX_SIDE) amx_step(x, x->a + k, x->b + k * x->ldb);
  _tile_stored(0, upper, x->ldc * 4);
  _tile_stored(1, upper + AMX_SIDE, x->ldc * 4);
  if (!x->both) return;
  _tile_stored(2, lower, x->ldc * 4);
  _tile_stored(3, lower + AMX_SIDE, x->ldc * 4);
}

/* What the unit does, by Intel's description of TDPBF16PS: sums of even and odd elements apart, by multiply-adds from 0
 * on, both and then C added up; subnormal numbers are 0 before and after everything. */
static __attribute__((noinline)) void amx_emulate(const struct amx_block *x) {
  const unsigned control = _mm_getcsr();
  const __m512i odd_half = _mm512_set1_epi32((int)0xffff0000);
  _mm_setcsr(control | 0x8040);
  for (int64_t m = 0; m < (x->both ? AMX_ROWS : AMX_SIDE); m++)
    for (int64_t n = 0; n < AMX_ROWS; n += AMX_SIDE) {
      float *c = x->c + m * x->ldc + n;
      __m512 sum = x->add ? _mm512_loadu_ps(c) : _mm512_setzero_ps();
      for (int64_t k = 0; k < x->steps; k++) {
        __m512 even = _mm512_setzero_ps(), odd = even;
        for (int64_t i = k * AMX_SIDE; i < (k + 1) * AMX_SIDE; i++) {
          __m512i p = _mm512_set1_epi32((int)x->a[m * x->lda + i]), q = _mm512_loadu_si512(x->b + i * x->ldb + n);
          even = _mm512_fmadd_ps((__m512)_mm512_slli_epi32(p, 16), (__m512)_mm512_slli_epi32(q, 16), even);
          odd = _mm512_fmadd_ps((__m512)_mm512_and_si512(p, odd_half), (__m512)_mm512_and_si512(q, odd_half), odd);
        }
        sum = _mm512_add_ps(sum, _mm512_add_ps(even, odd));
      }
      _mm512_storeu_ps(c, sum);
    }
  _mm_setcsr(control);
}

/* One block, between amx_begin and amx_end. */
static inline __attribute__((always_inline)) void amx_run(struct amx_block x) {
  if (pah_cpu_amx_emulated)
    amx_emulate(&x);
  else
    amx_real(&x);
}

/* The products of the last step of the last block once more, `times` over, for cpu/peaks.h; x is that block. */
static inline void amx_again(const struct amx_block *x, int64_t times) {
  for (; times > 0; times--) {
    if (pah_cpu_amx_emulated) {
      amx_emulate(x);
      continue;
    }
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}
#else
static inline void amx_begin(void) {}
static inline void amx_end(void) {}
static inline void amx_run(struct amx_block x) {
  (void)x;
}
#endif

#endif
