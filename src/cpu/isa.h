/* cpu/isa.h - what one instruction-set object offers. isa.c is compiled once per set (Makefile.am) and exports
 * exactly one table; device.c picks one at start. Everything else in these files is static, so that the linker
 * can never keep an AVX-512 copy of a shared function for an older processor. */
#ifndef PAH_CPU_ISA_H
#define PAH_CPU_ISA_H

#include "attention/attn.h"
#include "pah_measure.h"

/* Arguments are checked. Functions return 0, PAH_ENOMEM or PAH_EINTERRUPTED (error line set). */
struct pah_cpu_isa {
  const char *name;
  int amx;                                                    /* products of bf16 may go to the tile unit */
  int (*fwd)(const struct pah_attn *a, int threads, int amx); /* fwd and fwd_fp8 */
  int (*decode)(const struct pah_attn *a, int threads, int amx);
  int (*bwd)(const struct pah_attn *a, int threads, int amx);
  int (*merge)(const struct pah_merge *m, int threads);
  int (*kv_append)(const struct pah_kv_append *c, int threads);
  double (*fma_flops)(double seconds);  /* one thread */
  double (*dots_flops)(double seconds); /* of bf16, by vdpbf16ps or AMX; 0 without them */
  uint64_t (*read_sum)(const void *data, int64_t bytes,
                       int apart); /* reads it all, in order or eight parts interleaved */
};

/* The set of an open cpu device (device.c); an error for any other. */
int pah_cpu_isa_of(struct pah_device *device, const struct pah_cpu_isa **isa);

extern const struct pah_cpu_isa pah_cpu_generic;
extern const struct pah_cpu_isa pah_cpu_avx2;
extern const struct pah_cpu_isa pah_cpu_avx512;
extern const struct pah_cpu_isa pah_cpu_avx512bf16; /* and VBMI and BF16: Zen 4, Sapphire Rapids */
extern const struct pah_cpu_isa pah_cpu_avx512fp16; /* and FP16 and GFNI: Sapphire Rapids */
extern const struct pah_cpu_isa pah_cpu_amx;        /* and AMX, in the same object */

/* 1 if the tile unit is to be emulated: set by device.c, once, before `amx` is used. */
extern int pah_cpu_amx_emulated;

#endif
