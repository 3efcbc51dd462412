/* mma.c - the instructions of a warp with its tensor cores: ldmatrix, stmatrix, mma.sync.
 * The last lane to arrive runs each for all 32 (sim_collective). Every row that a lane names is checked as an access of
 * that lane. The layouts of the registers are described in kernels/ptx/mma.h. Read next: matrix.c, sim/block/runtime.h.
 */
#include <string.h>

#include "sim/abi_ptx.h"
#include "matrix.h"
#include "sim/block/runtime.h"

enum { ALL_LANES = -1, ROW_BYTES = 16 };

void sim_whole_warp(const struct sim_collective *c) {
  for (int lane = 0; lane < SIM_WARP; lane++) {
    if (c->threads[lane] == NULL)
      sim_fatal(c->pc, "warp-mask", "%s is for all 32 lanes of a warp, but lane %d of warp %d has exited", c->kind,
                lane, c->warp);
  }
}

/* ---- ldmatrix, stmatrix ---- */
struct rows_operand {
  unsigned row;
  int count, trans;
  struct pah_sim_v4 r;
};

/* Row r of matrix m is at the address of lane 8 * m + r; NULL after a finding. */
static uint8_t *row_of(const struct sim_collective *c, int lane) {
  const struct rows_operand *o = c->lanes[lane];
  if (o->row % ROW_BYTES == 0) return sim_shared(o->row, ROW_BYTES, c->pc);
  sim_find(c->pc, "misaligned", "%s: the row address of lane %d is 0x%x, must be a multiple of 16", c->kind, lane,
           o->row);
  return NULL;
}

/* Where lane `lane` keeps its two elements of a matrix: row and column of the first, and the step to the second. */
static void element_place(int lane, int trans, int i, int *row, int *column) {
  const int g = lane / 4, t = lane % 4;
  *row = trans ? 2 * t + i : g;
  *column = trans ? g : 2 * t + i;
}

static void run_load(struct sim_collective *c) {
  sim_whole_warp(c);
  const struct rows_operand *first = c->lanes[0];
  uint8_t *rows[SIM_WARP];
  for (int lane = 0; lane < 8 * first->count; lane++) rows[lane] = row_of(c, lane);
  sim_check_rows(c->threads, rows, 8 * first->count, c->pc);
  for (int m = 0; m < first->count; m++) {
    uint16_t tile[8][8];
    for (int row = 0; row < 8; row++) {
      if (rows[8 * m + row] != NULL)
        memcpy(tile[row], rows[8 * m + row], ROW_BYTES);
      else
        memset(tile[row], 0xff, ROW_BYTES);
    }
    for (int lane = 0; lane < SIM_WARP; lane++) {
      struct rows_operand *o = c->lanes[lane];
      const int g = lane / 4, t = lane % 4;
      if (first->trans)
        o->r.r[m] = tile[2 * t][g] | (uint32_t)tile[2 * t + 1][g] << 16;
      else
        memcpy(&o->r.r[m], &tile[g][2 * t], sizeof o->r.r[m]);
    }
  }
}

static void run_store(struct sim_collective *c) {
  sim_whole_warp(c);
  const struct rows_operand *first = c->lanes[0];
  for (int m = 0; m < first->count; m++) {
    uint16_t tile[8][8];
    for (int lane = 0; lane < SIM_WARP; lane++) {
      const struct rows_operand *o = c->lanes[lane];
      for (int i = 0; i < 2; i++) {
        int row, column;
        element_place(lane, first->trans, i, &row, &column);
        tile[row][column] = (uint16_t)(o->r.r[m] >> (16 * i));
      }
    }
    for (int row = 0; row < 8; row++) {
      uint8_t *p = row_of(c, 8 * m + row);
      if (p != NULL && sim_check_chunk(c->threads[8 * m + row], p, 1, c->pc) == 0) memcpy(p, tile[row], ROW_BYTES);
    }
  }
}

/* Names that differ wherever lanes must agree. */
static const char *rows_name(int store, int count, int trans) {
  static const char *const names[2][2][3] = {
      {{"ldmatrix.x1", "ldmatrix.x2", "ldmatrix.x4"}, {"ldmatrix.x1.trans", "ldmatrix.x2.trans", "ldmatrix.x4.trans"}},
      {{"stmatrix.x1", "stmatrix.x2", "stmatrix.x4"}, {"stmatrix.x1.trans", "stmatrix.x2.trans", "stmatrix.x4.trans"}}};
  return names[store][trans][count / 2];
}

struct pah_sim_v4 pah_sim_ldmatrix(int count, int trans, unsigned row) {
  struct rows_operand o = {row, count, trans, {{0, 0, 0, 0}}};
  sim_collective(rows_name(0, count, trans), (unsigned)ALL_LANES, &o, run_load, __builtin_return_address(0));
  return o.r;
}

void pah_sim_stmatrix(int count, int trans, unsigned row, struct pah_sim_v4 r) {
  struct rows_operand o = {row, count, trans, r};
  sim_collective(rows_name(1, count, trans), (unsigned)ALL_LANES, &o, run_store, __builtin_return_address(0));
}

/* ---- mma.sync ---- */
struct mma_operand {
  int kind, is_half;
  struct pah_sim_v4 a, c; /* c becomes the result */
  struct pah_sim_v2 b;
};

static void gather(struct sim_collective *c, uint32_t a[16][MATRIX_WORDS], uint32_t b[8][MATRIX_WORDS]) {
  for (int lane = 0; lane < SIM_WARP; lane++) {
    const struct mma_operand *o = c->lanes[lane];
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) a[g + 8 * (i % 2)][t + 4 * (i / 2)] = o->a.r[i];
    for (int i = 0; i < 2; i++) b[g][t + 4 * i] = o->b.r[i];
  }
}

static int is_s8(int kind) {
  return kind == PAH_SIM_MMA_S8 || kind == PAH_SIM_MMA_S8_SATFINITE;
}

/* Of s8 and f16: sum i of 4 of a lane is row g + 8 * (i / 2), column 2 * t + i % 2. */
static double sum_of(int kind, const struct mma_operand *o, int i) {
  if (is_s8(kind)) return (int32_t)o->c.r[i];
  return matrix_f16(o->c.r[i / 2] >> (16 * (i % 2)) & 0xffff);
}

static struct pah_sim_v4 rounded(int kind, const double sums[4]) {
  struct pah_sim_v4 r = {{0, 0, 0, 0}};
  for (int i = 0; i < 4; i++) {
    if (kind == PAH_SIM_MMA_S8_SATFINITE)
      r.r[i] = (uint32_t)(sums[i] > INT32_MAX ? INT32_MAX : sums[i] < INT32_MIN ? INT32_MIN : (int32_t)sums[i]);
    else if (kind == PAH_SIM_MMA_S8)
      r.r[i] = (uint32_t)(int64_t)sums[i];
    else
      r.r[i / 2] |= matrix_round_f16(sums[i]) << (16 * (i % 2));
  }
  return r;
}

/* Sums of f32: rows of 8, of which a lane has two neighbours in row g and two in row g + 8. */
static void multiply_f32(struct sim_collective *c, int depth, const double *a, const double *b) {
  float sums[16][8];
  for (int lane = 0; lane < SIM_WARP; lane++) {
    const struct mma_operand *o = c->lanes[lane];
    memcpy(&sums[lane / 4][2 * (lane % 4)], &o->c.r[0], 8);
    memcpy(&sums[lane / 4 + 8][2 * (lane % 4)], &o->c.r[2], 8);
  }
  matrix_multiply_f32(16, 8, 8, depth, a, b, sums[0]);
  for (int lane = 0; lane < SIM_WARP; lane++) {
    struct mma_operand *o = c->lanes[lane];
    memcpy(&o->c.r[0], &sums[lane / 4][2 * (lane % 4)], 8);
    memcpy(&o->c.r[2], &sums[lane / 4 + 8][2 * (lane % 4)], 8);
  }
}

static void multiply_other(struct sim_collective *c, int kind, int depth, const double *a, const double *b) {
  double sums[16][8];
  for (int lane = 0; lane < SIM_WARP; lane++) {
    double *top = &sums[lane / 4][2 * (lane % 4)], *bottom = top + 8 * 8;
    const struct mma_operand *o = c->lanes[lane];
    top[0] = sum_of(kind, o, 0), top[1] = sum_of(kind, o, 1);
    bottom[0] = sum_of(kind, o, 2), bottom[1] = sum_of(kind, o, 3);
  }
  matrix_multiply(16, 8, depth, a, b, sums[0]);
  for (int lane = 0; lane < SIM_WARP; lane++) {
    const double *top = &sums[lane / 4][2 * (lane % 4)], *bottom = top + 8 * 8;
    const double own[4] = {top[0], top[1], bottom[0], bottom[1]};
    ((struct mma_operand *)c->lanes[lane])->c = rounded(kind, own);
  }
}

static void run_mma(struct sim_collective *c) {
  sim_whole_warp(c);
  const int kind = ((const struct mma_operand *)c->lanes[0])->kind, depth = matrix_depth(kind);
  uint32_t a_words[16][MATRIX_WORDS], b_words[8][MATRIX_WORDS];
  double a[16 * 32], b[8 * 32];
  gather(c, a_words, b_words);
  matrix_widen(kind, 0, 16, (const uint32_t(*)[MATRIX_WORDS])a_words, a);
  matrix_widen(kind, 1, 8, (const uint32_t(*)[MATRIX_WORDS])b_words, b);
  if (is_s8(kind) || kind == PAH_SIM_MMA_F16_F16)
    multiply_other(c, kind, depth, a, b);
  else
    multiply_f32(c, depth, a, b);
  sim_counters()->mma_flops += 2 * 16 * 8 * (depth >> ((const struct mma_operand *)c->lanes[0])->is_half);
}

struct pah_sim_v4 pah_sim_mma(int kind, struct pah_sim_v4 a, struct pah_sim_v2 b, struct pah_sim_v4 c) {
  struct mma_operand o = {kind % PAH_SIM_MMA_HALF, kind >= PAH_SIM_MMA_HALF, a, c, b};
  sim_collective(matrix_name(o.kind), (unsigned)ALL_LANES, &o, run_mma, __builtin_return_address(0));
  return o.c;
}
