/* cpu/bf16_way.h - by which instruction a call's products of bf16 are made: the choice, once for each call, by what the
 * set has, what the problem allows and what the environment's PAH_BF16 wishes. The products themselves are in
 * cpu/gemm. Read next: cpu/gemm/bf16.h, cpu/gemm/amx.h. */
#ifndef PAH_CPU_BF16_WAY_H
#define PAH_CPU_BF16_WAY_H

#include <stdlib.h>
#include <string.h>

#include "attention/attn.h"
#include "error.h"
#include "cpu/gemm/bf16.h"
#include "cpu/gemm/amx.h"

/* Widened to f32, in pairs by vdpbf16ps, or by the tile unit. Other dtypes: BF16_FMA. */
enum { BF16_FMA, BF16_DOTS, BF16_AMX };

/* Whether vdpbf16ps is taken where nothing is asked for: on AMD's processors, by rule and not by trial, so that the
 * rounding is the same in every run. It has twice the rate of f32 multiply-adds on a Zen 4 and half of it on an Emerald
 * Rapids; on the few of Intel's where it may be faster, PAH_BF16=dots says so. */
static int bf16_dots_pay(void) {
#if defined(__x86_64__)
  return __builtin_cpu_is("amd") != 0;
#else
  return 0;
#endif
}

/* How bf16 is multiplied, as the environment's PAH_BF16 says ("fma", "dots", "amx"), else the fastest. `amx`: the
 * instruction set in use has the tile unit; `fits`: it can take this problem. One that it cannot take goes the way that
 * is fastest without. */
static int bf16_choose(int amx, int fits, int *way) {
  static const char *const names[] = {"fma", "dots", "amx"};
  const char *wanted = getenv("PAH_BF16");
  int most = amx ? BF16_AMX : BF16_HAS_DOTS ? BF16_DOTS : BF16_FMA, given = 0;
  *way = most;
  if (wanted && *wanted) {
    while (given <= most && strcmp(wanted, names[given]) != 0) given++;
    if (given > most)
      return pah_fail(PAH_EINVAL, "PAH_BF16: is \"%.32s\", must be fma%s", wanted,
                      amx             ? ", dots or amx"
                      : BF16_HAS_DOTS ? " or dots"
                                      : ": this instruction set has no products of bf16");
    *way = given;
    if (given < BF16_AMX) return PAH_OK;
  }
  if (*way == BF16_AMX && fits) return PAH_OK;
  *way = BF16_HAS_DOTS && bf16_dots_pay() ? BF16_DOTS : BF16_FMA;
  return PAH_OK;
}

/* Whether all of q, K and V are exact in bf16; f16 has more bits and would lose them. */
static inline int bf16_exact(const struct pah_attn *a) {
  const int dtypes[] = {a->q.dtype, a->k_blocks.dtype, a->v_blocks.dtype};
  for (int i = 0; i < 3; i++)
    if (dtypes[i] == PAH_F32 || dtypes[i] == PAH_F16) return 0;
  return 1;
}

/* How the products of fwd are made, and of bwd. */
static int bf16_of_forward(const struct pah_attn *a, const struct pah_attn_sizes *s, int amx, int *way) {
  *way = BF16_FMA;
  return bf16_exact(a) ? bf16_choose(amx, s->D % AMX_ROWS == 0, way) : PAH_OK;
}

static int bf16_of_backward(const struct pah_attn *a, const struct pah_attn_sizes *s, int amx, int *way) {
  *way = BF16_FMA;
  return a->q.dtype == PAH_BF16 ? bf16_choose(amx, s->D % AMX_ROWS == 0 && s->Dv % AMX_ROWS == 0, way) : PAH_OK;
}

/* Of decode where `many` rows share a KV head, and all is exact in bf16; the rest does not ask PAH_BF16. */
static int bf16_of_decode(const struct pah_attn *a, const struct pah_attn_sizes *s, int amx, int many, int *way) {
  *way = BF16_FMA;
  if (!BF16_HAS_DOTS || !many || a->q.dtype != PAH_BF16 || !bf16_exact(a)) return PAH_OK;
  return bf16_choose(amx, s->D % AMX_ROWS == 0 && s->Dv % AMX_ROWS == 0, way);
}

#endif
