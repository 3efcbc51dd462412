/* mma_forms.c - mma.sync of the shapes and types that mma.c does not have: 8, 4 and 1 bits of any sign, fp8 with sums
 * of f16, f64, and the four products at once of m8n8k4. A register of A holds neighbours along k of row g of the lane
 * (g = lane / 4, t = lane % 4), as many as fit into 32 bits. Not fast: few kernels use them. Read next: mma.c. */
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sim/abi_ptx.h"
#include "matrix.h"
#include "sim/block/runtime.h"

enum { MOST_K = 256, N = 8 };

struct form {
  int shape, types, flags;
  struct pah_sim_registers r; /* c becomes the result */
};

static int type_of(const struct form *f, int i) {
  return f->types >> (4 * i) & 15;
}

/* Names that differ wherever lanes must agree. */
static const char *name_of(int shape, int types, int flags) {
  static struct {
    int key[3];
    char name[40];
  } names[64];
  static int count;
  const int key[3] = {shape, types, flags};
  for (int i = 0; i < count; i++)
    if (!memcmp(names[i].key, key, sizeof key)) return names[i].name;
  if (count == 64) return "mma.sync";
  memcpy(names[count].key, key, sizeof key);
  snprintf(names[count].name, sizeof names[count].name, "mma.m%dn8k%d (%x)", shape % 32, shape / 32,
           (unsigned)(types << 8 | flags));
  return names[count++].name;
}

/* ---- Elements ---- */

static int bits_of(int type) {
  static const int bits[] = {16, 8, 8, 8, 8, 4, 4, 1};
  return bits[type];
}

static double element(int type, uint32_t word, int i) {
  const uint32_t code = word >> (i * bits_of(type)) & ((1u << bits_of(type)) - 1);
  switch (type) {
  case PAH_SIM_TYPE_F16: return matrix_f16(code);
  case PAH_SIM_TYPE_E4M3: return matrix_fp8(0, code);
  case PAH_SIM_TYPE_E5M2: return matrix_fp8(1, code);
  case PAH_SIM_TYPE_S8: return (int8_t)code;
  case PAH_SIM_TYPE_S4: return (int)(code ^ 8) - 8;
  default: return code;
  }
}

static double sum_in(int type, uint32_t code) {
  float x;
  if (type == PAH_SIM_TYPE_S32) return (int32_t)code;
  if (type == PAH_SIM_TYPE_F16) return matrix_f16(code);
  memcpy(&x, &code, sizeof x);
  return x;
}

static uint32_t sum_out(int type, int flags, double x) {
  if (type == PAH_SIM_TYPE_F32) return matrix_round_f32(x);
  if (type == PAH_SIM_TYPE_F16) return matrix_round_f16(x);
  if (!(flags & PAH_SIM_MMA_SATFINITE)) return (uint32_t)(int64_t)x;
  return (uint32_t)(x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x);
}

/* Sum i of a lane: of f16 two share a register. */
static double get_sum(const struct form *f, int i) {
  const int type = type_of(f, 3);
  return sum_in(type, type == PAH_SIM_TYPE_F16 ? f->r.c[i / 2] >> (16 * (i % 2)) & 0xffff : f->r.c[i]);
}

static void put_sums(struct form *f, int count, const double *sums) {
  const int type = type_of(f, 2);
  struct pah_sim_registers r = f->r;
  memset(r.c, 0, sizeof r.c);
  for (int i = 0; i < count; i++) {
    const uint32_t code = sum_out(type, f->flags, sums[i]);
    if (type == PAH_SIM_TYPE_F16)
      r.c[i / 2] |= code << (16 * (i % 2));
    else
      r.c[i] = code;
  }
  f->r = r;
}

/* ---- One product of a warp ---- */

static double row_by_column(int k, int flags, const double *a, const double *b) {
  double sum = 0;
  for (int i = 0; i < k; i++) sum += flags & PAH_SIM_MMA_XOR ? a[i] != b[i] : a[i] * b[i];
  return sum;
}

static void run_one(struct sim_collective *c) {
  static double a[16][MOST_K], b[N][MOST_K];
  sim_whole_warp(c);
  const struct form *first = c->lanes[0];
  const int m = first->shape % 32, k = first->shape / 32, types[2] = {type_of(first, 0), type_of(first, 1)};
  const int each = 32 / bits_of(types[0]), rows = m / 8, registers = k / (4 * each);
  for (int lane = 0; lane < SIM_WARP; lane++) {
    const struct form *f = c->lanes[lane];
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < registers; i++) {
      for (int j = 0; j < each; j++) {
        const int at = (4 * i + t) * each + j;
        for (int row = 0; row < rows; row++) a[g + 8 * row][at] = element(types[0], f->r.a[rows * i + row], j);
        b[g][at] = element(types[1], f->r.b[i], j);
      }
    }
  }
  for (int lane = 0; lane < SIM_WARP; lane++) {
    struct form *f = c->lanes[lane];
    double sums[4];
    for (int i = 0; i < 2 * rows; i++) {
      const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
      sums[i] = get_sum(f, i) + row_by_column(k, f->flags, a[row], b[column]);
    }
    put_sums(f, 2 * rows, sums);
  }
  sim_counters()->mma_flops += 2 * m * N * k;
}

/* ---- m8n8k4 of f16: lanes 4q to 4q + 3 and 16 + 4q to 16 + 4q + 3 have product q ---- */

/* Where sum i of a lane stands in its product. */
static void place_of_sum(int type, int lane, int i, int *row, int *column) {
  const int upper = lane < 16 ? 0 : 4;
  *row = upper + (type == PAH_SIM_TYPE_F16 ? lane % 4 : (lane & 1) + (i & 2));
  *column = type == PAH_SIM_TYPE_F16 ? i : (i & 4) + (lane & 2) + (i & 1);
}

static void run_four(struct sim_collective *c) {
  double a[4][8][4], b[4][8][4], sums[4][8][8];
  sim_whole_warp(c);
  const struct form *first = c->lanes[0];
  for (int lane = 0; lane < SIM_WARP; lane++) {
    const struct form *f = c->lanes[lane];
    const int q = lane / 4 % 4, own = lane % 4, upper = lane < 16 ? 0 : 4;
    for (int i = 0; i < 4; i++) {
      const double x = element(PAH_SIM_TYPE_F16, f->r.a[i / 2], i % 2);
      const double y = element(PAH_SIM_TYPE_F16, f->r.b[i / 2], i % 2);
      *(f->flags & PAH_SIM_MMA_A_COL ? &a[q][upper + i][own] : &a[q][upper + own][i]) = x;
      *(f->flags & PAH_SIM_MMA_B_ROW ? &b[q][upper + i][own] : &b[q][upper + own][i]) = y;
    }
    for (int i = 0; i < 8; i++) {
      int row, column;
      place_of_sum(type_of(f, 3), lane, i, &row, &column);
      sums[q][row][column] = get_sum(f, i);
    }
  }
  for (int q = 0; q < 4; q++)
    for (int row = 0; row < 8; row++)
      for (int column = 0; column < 8; column++) sums[q][row][column] += row_by_column(4, 0, a[q][row], b[q][column]);
  for (int lane = 0; lane < SIM_WARP; lane++) {
    double own[8];
    for (int i = 0; i < 8; i++) {
      int row, column;
      place_of_sum(type_of(first, 2), lane, i, &row, &column);
      own[i] = sums[lane / 4 % 4][row][column];
    }
    put_sums(c->lanes[lane], 8, own);
  }
  sim_counters()->mma_flops += 4 * 2 * 8 * 8 * 4;
}

struct pah_sim_v8 pah_sim_mma_form(int shape, int types, int flags, struct pah_sim_registers registers) {
  struct form f = {shape, types, flags, registers};
  struct pah_sim_v8 result;
  sim_collective(name_of(shape, types, flags), 0xffffffff, &f, type_of(&f, 0) == PAH_SIM_TYPE_F16 ? run_four : run_one,
                 __builtin_return_address(0));
  memcpy(result.r, f.r.c, sizeof result.r);
  return result;
}

/* ---- f64: a chain of fused multiply-adds along k, each rounded ---- */

struct form64 {
  int shape, mode;
  struct pah_sim_doubles r;
};

static double from_bits(unsigned long long code) {
  double x;
  memcpy(&x, &code, sizeof x);
  return x;
}

static void run_f64(struct sim_collective *c) {
  static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD};
  double a[16][16], b[N][16];
  sim_whole_warp(c);
  const struct form64 *first = c->lanes[0];
  const int m = first->shape % 32, k = first->shape / 32, rows = m / 8;
  for (int lane = 0; lane < SIM_WARP; lane++) {
    const struct form64 *f = c->lanes[lane];
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < k / 4; i++) {
      for (int row = 0; row < rows; row++) a[g + 8 * row][4 * i + t] = from_bits(f->r.a[rows * i + row]);
      b[g][4 * i + t] = from_bits(f->r.b[i]);
    }
  }
  fesetround(modes[first->mode]);
  for (int lane = 0; lane < SIM_WARP; lane++) {
    struct form64 *f = c->lanes[lane];
    for (int i = 0; i < 2 * rows; i++) {
      const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
      volatile double sum = from_bits(f->r.c[i]);
      for (int at = 0; at < k; at++) sum = fma(a[row][at], b[column][at], sum);
      const double result = sum;
      memcpy(&f->r.c[i], &result, sizeof result);
    }
  }
  fesetround(FE_TONEAREST);
  sim_counters()->mma_flops += 2 * m * N * k;
}

struct pah_sim_d4 pah_sim_mma_f64(int shape, int mode, struct pah_sim_doubles registers) {
  struct form64 f = {shape, mode, registers};
  struct pah_sim_d4 result;
  sim_collective(name_of(shape, mode, -1), 0xffffffff, &f, run_f64, __builtin_return_address(0));
  memcpy(result.r, f.r.c, sizeof result.r);
  return result;
}
