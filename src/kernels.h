/* kernels.h - the one list of implementations: PAH_KERNELS(X) with X(device, op, name, dtypes, limits, about).
 * attn.c looks kernel= up here, `pah kernels` and pah.kernels() print it. */
#ifndef PAH_KERNELS_H
#define PAH_KERNELS_H

#define PAH_CPU_DIMS "head_dim: multiples of 8 up to 256"

#define PAH_KERNELS(X)                                                                                                 \
  X("cpu", "fwd", "flash", "f32 f16 bf16", PAH_CPU_DIMS, "tiled online softmax over packed K/V panels")                \
  X("cpu", "fwd_fp8", "flash", "f32 f16 bf16 fp8_e4m3 fp8_e5m2 / same or fp8", PAH_CPU_DIMS,                           \
    "as fwd; fp8 is converted while K and V are packed")                                                               \
  X("cpu", "bwd", "flash", "f32 f16 bf16", PAH_CPU_DIMS, "recomputes P from lse; deterministic for any threads")       \
  X("cpu", "decode", "split-kv", "f32 f16 bf16 / same or fp8", PAH_CPU_DIMS,                                           \
    "KV ranges split over threads; heads of a KV head share each read")

#endif
