/* cpu/isa.c - one object per instruction set: compiled with -DPAH_ISA=generic, avx2, avx512, avx512bf16 or avx512fp16
 * and the flags to match. The last has the set amx too: the same kernels, but for products of bf16. Read next:
 * cpu/forward/run.h, cpu/decode/run.h, cpu/backward/run.h. */
#include "isa.h"

#include "append.h"
#include "cpu/backward/run.h"
#include "cpu/decode/run.h"
#include "cpu/forward/run.h"
#include "peaks.h"
#include "merge.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME_(x) #x
#define NAME(x) NAME_(x)

/* A set of this object: its name, whether it has the tile unit, and how fast bf16 is multiplied. */
#define TABLE(name_, amx_, dots)                                                                                       \
  const struct pah_cpu_isa PASTE(pah_cpu_, name_) = {                                                                  \
      .name = NAME(name_),                                                                                             \
      .amx = amx_,                                                                                                     \
      .fwd = forward_run,                                                                                              \
      .decode = decode_run,                                                                                            \
      .merge = merge_run,                                                                                              \
      .bwd = backward_run,                                                                                             \
      .kv_append = append_run,                                                                                         \
      .fma_flops = peaks_fma_flops,                                                                                    \
      .dots_flops = dots,                                                                                              \
      .read_sum = peaks_read_sum,                                                                                      \
  }

TABLE(PAH_ISA, 0, peaks_dots_flops);
#if defined(PAH_AMX)
TABLE(amx, 1, peaks_amx_flops);
#endif
