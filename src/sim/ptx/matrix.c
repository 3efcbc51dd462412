/* matrix.c - the number formats of mma.sync and wgmma: operands widened to double, sums rounded once.
 * Real tensor cores round differently in the last bits: doc/ptx.md. Read next: product.c, mma.c. */
#include "matrix.h"

#include <math.h>
#include <string.h>

#include "tensor/dtype.h"
#include "sim/abi_ptx.h"

enum form { FORM_BF16, FORM_F16, FORM_TF32, FORM_E4M3, FORM_E5M2, FORM_S8 };

static const struct kind {
  const char *name;
  enum form form[2]; /* of A and of B */
  int depth;
} kinds[] = {
    [PAH_SIM_MMA_BF16] = {"mma.bf16", {FORM_BF16, FORM_BF16}, 16},
    [PAH_SIM_MMA_F16] = {"mma.f16", {FORM_F16, FORM_F16}, 16},
    [PAH_SIM_MMA_F16_F16] = {"mma.f16.f16", {FORM_F16, FORM_F16}, 16},
    [PAH_SIM_MMA_TF32] = {"mma.tf32", {FORM_TF32, FORM_TF32}, 8},
    [PAH_SIM_MMA_E4M3_E4M3] = {"mma.e4m3.e4m3", {FORM_E4M3, FORM_E4M3}, 32},
    [PAH_SIM_MMA_E5M2_E5M2] = {"mma.e5m2.e5m2", {FORM_E5M2, FORM_E5M2}, 32},
    [PAH_SIM_MMA_E4M3_E5M2] = {"mma.e4m3.e5m2", {FORM_E4M3, FORM_E5M2}, 32},
    [PAH_SIM_MMA_E5M2_E4M3] = {"mma.e5m2.e4m3", {FORM_E5M2, FORM_E4M3}, 32},
    [PAH_SIM_MMA_S8] = {"mma.s8", {FORM_S8, FORM_S8}, 32},
    [PAH_SIM_MMA_S8_SATFINITE] = {"mma.s8.satfinite", {FORM_S8, FORM_S8}, 32},
};

int matrix_depth(int kind) {
  return kind < 0 || kind > PAH_SIM_MMA_S8_SATFINITE ? -1 : kinds[kind].depth;
}

const char *matrix_name(int kind) {
  return kinds[kind].name;
}

static double from_f32(uint32_t code) {
  float x;
  memcpy(&x, &code, 4);
  return x;
}

/* A small IEEE-like float with its sign at bit `exponent_bits + mantissa_bits`; the top exponent is infinity or NaN. */
static double from_small(uint32_t code, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;
  const int exponent = (int)(code >> mantissa_bits) & top;
  const double mantissa = code & ((1u << mantissa_bits) - 1);
  double x;
  if (exponent == top)
    x = mantissa != 0 ? NAN : INFINITY;
  else if (exponent == 0)
    x = ldexp(mantissa, 1 - bias - mantissa_bits);
  else
    x = ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
  return code >> (exponent_bits + mantissa_bits) & 1 ? -x : x;
}

double matrix_f16(uint32_t code) {
  const uint32_t exponent = code >> 10 & 31;
  if (exponent == 31) return from_small(code & 0xffff, 5, 10);
  if (exponent == 0) return (code & 0x8000 ? -0x1p-24 : 0x1p-24) * (double)(code & 0x3ff);
  return from_f32((code & 0x8000) << 16 | (((code & 0x7fff) << 13) + (112u << 23)));
}

static double e4m3[256], e5m2[256];

static void fill_tables(void) {
  for (uint32_t code = 0; code < 256; code++) {
    e5m2[code] = from_small(code, 5, 2);
    /* e4m3 has no infinity: its top exponent goes on, and only mantissa 7 there is NaN. */
    const uint32_t exponent = code >> 3 & 15, mantissa = code & 7;
    double x = exponent < 15 ? from_small(code & 127, 4, 3) : mantissa == 7 ? NAN : ldexp(8 + mantissa, 15 - 7 - 3);
    e4m3[code] = code & 128 ? -x : x;
  }
}

double matrix_fp8(int is_e5m2, uint32_t code) {
  if (e4m3[1] == 0) fill_tables();
  return is_e5m2 ? e5m2[code] : e4m3[code];
}

static void widen_bytes(const double *table, int words, const uint32_t *in, double *out) {
  for (int i = 0; i < words; i++) {
    for (int j = 0; j < 4; j++) *out++ = table[in[i] >> (8 * j) & 255];
  }
}

void matrix_widen(int kind, int b, int rows, const uint32_t (*words)[MATRIX_WORDS], double *out) {
  const int count = rows * MATRIX_WORDS;
  const uint32_t *in = words[0];
  if (e4m3[1] == 0) fill_tables();
  switch (kinds[kind].form[b]) {
  case FORM_BF16: matrix_widen_bf16(2 * count, (const uint16_t *)(const void *)in, out); break;
  case FORM_F16: matrix_widen_f16(2 * count, (const uint16_t *)(const void *)in, out); break;
  case FORM_TF32: /* the low 13 bits are not looked at */
    for (int i = 0; i < count; i++) out[i] = from_f32(in[i] & 0xffffe000);
    break;
  case FORM_E4M3: widen_bytes(e4m3, count, in, out); break;
  case FORM_E5M2: widen_bytes(e5m2, count, in, out); break;
  case FORM_S8:
    for (int i = 0; i < 4 * count; i++) out[i] = (int8_t)(in[i / 4] >> (8 * (i % 4)));
    break;
  }
}

void matrix_make_unsigned(int count, double *x) {
  for (int i = 0; i < count; i++) x[i] += x[i] < 0 ? 256 : 0;
}

uint32_t matrix_round_f16(double x) {
  return isnan(x) ? 0x7fff : pah_encode(&pah_format_f16, x);
}

/* ---- Sums that are not f32: a row from its words and back ---- */

enum { LARGEST_N = 256, MOST_ROWS = 64 };

static void widen_sums(const struct matrix_sums *s, const float *row, double *out) {
  uint32_t words[LARGEST_N];
  memcpy(words, row, (size_t)(s->form == SUM_F16 ? s->n / 2 : s->n) * sizeof *words);
  for (int i = 0; i < s->n && s->form == SUM_S32; i++) out[i] = (int32_t)words[i];
  for (int i = 0; i < s->n && s->form == SUM_F16; i++) out[i] = matrix_f16(words[i / 2] >> (16 * (i % 2)) & 0xffff);
}

static void round_sums(const struct matrix_sums *s, const double *in, float *row) {
  uint32_t words[LARGEST_N] = {0};
  for (int i = 0; i < s->n && s->form == SUM_F16; i++) words[i / 2] |= matrix_round_f16(in[i]) << (16 * (i % 2));
  for (int i = 0; i < s->n && s->form == SUM_S32; i++) {
    const double most = s->saturates && in[i] > INT32_MAX ? INT32_MAX : in[i];
    words[i] = (uint32_t)(int64_t)(s->saturates && most < INT32_MIN ? INT32_MIN : most);
  }
  memcpy(row, words, (size_t)(s->form == SUM_F16 ? s->n / 2 : s->n) * sizeof *words);
}

void matrix_multiply_words(const struct matrix_sums *s, int depth, const double *a, const double *b) {
  static double sums[MOST_ROWS * LARGEST_N];
  if (s->form == SUM_F32) {
    matrix_multiply_f32(s->rows, s->n, s->stride, depth, a, b, s->words);
    return;
  }
  for (int m = 0; m < s->rows; m++) widen_sums(s, s->words + m * s->stride, sums + m * s->n);
  matrix_multiply(s->rows, s->n, depth, a, b, sums);
  for (int m = 0; m < s->rows; m++) round_sums(s, sums + m * s->n, s->words + m * s->stride);
}
