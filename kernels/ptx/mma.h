/* ptx/mma.h - the tensor cores of a warp: ldmatrix and stmatrix, and mma.sync in every shape that attention uses.
 * All 32 lanes call together. d may be the same array as c.
 * Fragments, in 32-bit registers holding consecutive k (2 of 16 bits, 4 of 8 bits, 1 of tf32), k32 = such a register:
 *   A (16 x k, row): a[i] is row g + 8 * (i % 2), k32 = t + 4 * (i / 2)
 *   B (k x 8, col):  b0, b1 are column g, k32 = t and t + 4
 *   C, D (16 x 8):   c[i] is row g + 8 * (i / 2), column 2 * t + i % 2; of f16, c[i] is both of row g + 8 * i
 * Read next: src/sim/ptx/mma.c. */
#ifndef PAH_PTX_MMA_H
#define PAH_PTX_MMA_H

#include "base.h"

namespace ptx {

// ldmatrix: 8x8 matrices of 16 bits. Lane 8 * m + i gives the address of row i (16 bytes, aligned) of matrix m, and
// r[m] of a lane becomes the columns 2 * t and 2 * t + 1 of row g; with _trans the rows 2 * t, 2 * t + 1 of column g.
#ifdef PAH_SIM
#define PAH_LDMATRIX(name, count, trans)                                                                               \
  PAH_PTX void name(u32(&r)[count], u32 row) {                                                                         \
    const pah_sim_v4 v = pah_sim_ldmatrix(count, trans, row);                                                          \
    for (int i = 0; i < count; i++) r[i] = v.r[i];                                                                     \
  }
PAH_LDMATRIX(ldmatrix_x1, 1, 0)
PAH_LDMATRIX(ldmatrix_x2, 2, 0)
PAH_LDMATRIX(ldmatrix_x4, 4, 0)
PAH_LDMATRIX(ldmatrix_x1_trans, 1, 1)
PAH_LDMATRIX(ldmatrix_x2_trans, 2, 1)
PAH_LDMATRIX(ldmatrix_x4_trans, 4, 1)
#else
#define PAH_LDMATRIX(trans, suffix)                                                                                    \
  PAH_PTX void ldmatrix_x1##suffix(u32(&r)[1], u32 row) {                                                              \
    asm volatile("ldmatrix.sync.aligned.m8n8.x1" trans ".shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(row) : "memory");  \
  }                                                                                                                    \
  PAH_PTX void ldmatrix_x2##suffix(u32(&r)[2], u32 row) {                                                              \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" trans ".shared.b16 {%0, %1}, [%2];"                                   \
                 : "=r"(r[0]), "=r"(r[1])                                                                              \
                 : "r"(row)                                                                                            \
                 : "memory");                                                                                          \
  }                                                                                                                    \
  PAH_PTX void ldmatrix_x4##suffix(u32(&r)[4], u32 row) {                                                              \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" trans ".shared.b16 {%0, %1, %2, %3}, [%4];"                           \
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                                                      \
                 : "r"(row)                                                                                            \
                 : "memory");                                                                                          \
  }
PAH_LDMATRIX("", )
PAH_LDMATRIX(".trans", _trans)
#endif
#undef PAH_LDMATRIX

// stmatrix: the inverse, same addresses and same registers.
#if PAH_PTX_ARCH >= 900
#ifdef PAH_SIM
PAH_PTX void stmatrix_x1(u32 row, const u32 (&r)[1]) {
  pah_sim_stmatrix(1, 0, row, pack(r[0], 0, 0, 0));
}
PAH_PTX void stmatrix_x2(u32 row, const u32 (&r)[2]) {
  pah_sim_stmatrix(2, 0, row, pack(r[0], r[1], 0, 0));
}
PAH_PTX void stmatrix_x4(u32 row, const u32 (&r)[4]) {
  pah_sim_stmatrix(4, 0, row, pack(r));
}
PAH_PTX void stmatrix_x1_trans(u32 row, const u32 (&r)[1]) {
  pah_sim_stmatrix(1, 1, row, pack(r[0], 0, 0, 0));
}
PAH_PTX void stmatrix_x2_trans(u32 row, const u32 (&r)[2]) {
  pah_sim_stmatrix(2, 1, row, pack(r[0], r[1], 0, 0));
}
PAH_PTX void stmatrix_x4_trans(u32 row, const u32 (&r)[4]) {
  pah_sim_stmatrix(4, 1, row, pack(r));
}
#else
#define PAH_STMATRIX(trans, suffix)                                                                                    \
  PAH_PTX void stmatrix_x1##suffix(u32 row, const u32(&r)[1]) {                                                        \
    asm volatile("stmatrix.sync.aligned.m8n8.x1" trans ".shared.b16 [%0], {%1};" ::"r"(row), "r"(r[0]) : "memory");    \
  }                                                                                                                    \
  PAH_PTX void stmatrix_x2##suffix(u32 row, const u32(&r)[2]) {                                                        \
    asm volatile("stmatrix.sync.aligned.m8n8.x2" trans ".shared.b16 [%0], {%1, %2};" ::"r"(row), "r"(r[0]), "r"(r[1])  \
                 : "memory");                                                                                          \
  }                                                                                                                    \
  PAH_PTX void stmatrix_x4##suffix(u32 row, const u32(&r)[4]) {                                                        \
    asm volatile("stmatrix.sync.aligned.m8n8.x4" trans ".shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(r[0]),    \
                 "r"(r[1]), "r"(r[2]), "r"(r[3])                                                                       \
                 : "memory");                                                                                          \
  }
PAH_STMATRIX("", )
PAH_STMATRIX(".trans", _trans)
#undef PAH_STMATRIX
#endif
#endif

// movmatrix: an 8x8 matrix of 16 bits, of which a lane has the columns 2 * t and 2 * t + 1 of row g, transposed.
PAH_PTX u32 movmatrix_trans(u32 x) {
#ifdef PAH_SIM
  const u32 lane = pah_sim_lane(), from = lane % 4 * 8 + lane / 8, half = lane / 4 % 2 * 16;
  const u32 lo = (u32)pah_sim_collective(PAH_SIM_SHFL_IDX, 0xffffffffu, x, from | 32ull << 32);
  const u32 hi = (u32)pah_sim_collective(PAH_SIM_SHFL_IDX, 0xffffffffu, x, (from + 4) | 32ull << 32);
  return (lo >> half & 0xffffu) | (hi >> half & 0xffffu) << 16;
#else
  u32 r;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(r) : "r"(x));
  return r;
#endif
}

// mma.sync with f32 sums: mma_m16n8k16_bf16(d, a, b0, b1, c) and so on.
#ifdef PAH_SIM
#define PAH_MMA(name, kind, code)                                                                                      \
  PAH_PTX void name(float(&d)[4], const u32(&a)[4], u32 b0, u32 b1, const float(&c)[4]) {                              \
    const pah_sim_v4 v = pah_sim_mma(kind, pack(a), pah_sim_v2{{b0, b1}}, pack(c));                                    \
    for (int i = 0; i < 4; i++) d[i] = real(v.r[i]);                                                                   \
  }
#else
#define PAH_MMA(name, kind, code)                                                                                      \
  PAH_PTX void name(float(&d)[4], const u32(&a)[4], u32 b0, u32 b1, const float(&c)[4]) {                              \
    asm volatile("mma.sync.aligned." code " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"       \
                 : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(c[0]), "f"(c[1]), "f"(c[2]),      \
                   "f"(c[3]));                                                                                         \
  }
#endif
PAH_MMA(mma_m16n8k16_bf16, PAH_SIM_MMA_BF16, "m16n8k16.row.col.f32.bf16.bf16.f32")
PAH_MMA(mma_m16n8k16_f16, PAH_SIM_MMA_F16, "m16n8k16.row.col.f32.f16.f16.f32")
PAH_MMA(mma_m16n8k8_tf32, PAH_SIM_MMA_TF32, "m16n8k8.row.col.f32.tf32.tf32.f32")
#if PAH_PTX_ARCH >= 890
PAH_MMA(mma_m16n8k32_e4m3, PAH_SIM_MMA_E4M3_E4M3, "m16n8k32.row.col.f32.e4m3.e4m3.f32")
PAH_MMA(mma_m16n8k32_e5m2, PAH_SIM_MMA_E5M2_E5M2, "m16n8k32.row.col.f32.e5m2.e5m2.f32")
PAH_MMA(mma_m16n8k32_e4m3_e5m2, PAH_SIM_MMA_E4M3_E5M2, "m16n8k32.row.col.f32.e4m3.e5m2.f32")
PAH_MMA(mma_m16n8k32_e5m2_e4m3, PAH_SIM_MMA_E5M2_E4M3, "m16n8k32.row.col.f32.e5m2.e4m3.f32")
#endif
#undef PAH_MMA

// f16 with f16 sums: two registers of two.
PAH_PTX void mma_m16n8k16_f16_f16(u32 (&d)[2], const u32 (&a)[4], u32 b0, u32 b1, const u32 (&c)[2]) {
#ifdef PAH_SIM
  const pah_sim_v4 v = pah_sim_mma(PAH_SIM_MMA_F16_F16, pack(a), pah_sim_v2{{b0, b1}}, pack(c[0], c[1], 0, 0));
  d[0] = v.r[0];
  d[1] = v.r[1];
#else
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3, %4, %5}, {%6, %7}, {%8, %9};"
               : "=r"(d[0]), "=r"(d[1])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]));
#endif
}

// s8 with s32 sums that wrap around.
PAH_PTX void mma_m16n8k32_s8(int (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, const int (&c)[4]) {
#ifdef PAH_SIM
  const pah_sim_v4 v =
      pah_sim_mma(PAH_SIM_MMA_S8, pack(a), pah_sim_v2{{b0, b1}}, pack((u32)c[0], (u32)c[1], (u32)c[2], (u32)c[3]));
  for (int i = 0; i < 4; i++) d[i] = (int)v.r[i];
#else
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]), "r"(c[2]),
                 "r"(c[3]));
#endif
}

} // namespace ptx
#endif
