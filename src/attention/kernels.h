/* kernels.h - the one list of implementations: PAH_KERNELS(X) with X(device, op, name, dtypes, limits, about).
 * attn.c looks kernel= up here, `pah kernels` and pah.kernels() print it. */
#ifndef PAH_KERNELS_H
#define PAH_KERNELS_H

/* PAH_MAX_D, which a text cannot name. */
#define PAH_CPU_DIMS "head_dim: multiples of 8 up to 576"
#define PAH_GPU_DIMS PAH_CPU_DIMS

/* The same .cu files on both devices. Where an operation has several, the first that takes the call is used. */
#define PAH_GPU_KERNELS(X, device)                                                                                     \
  X(device, "fwd", "split-kv", "f16 bf16", "at most 64 queries a sequence; head_dim: 64, 128, 256; sm_80 and up",      \
    "kernels/sm80/decode.cu, where tiles of rows would not fill the GPU")                                              \
  X(device, "fwd", "sm90", "f16 bf16", "sm_90a; head_dim: multiples of 8 up to 256",                                   \
    "kernels/sm90/forward.cu: wgmma, bulk copies of pages, warp specialised")                                          \
  X(device, "fwd", "sm80", "f16 bf16", "sm_80 and up; head_dim: multiples of 8 up to 256",                             \
    "kernels/sm80/forward/forward.cu: mma.sync, cp.async through the block table")                                     \
  X(device, "fwd", "simt", "f32", "sm_80 and up; head_dim: multiples of 8 up to 256",                                  \
    "kernels/simt/forward.cu: multiply-adds on tiles in registers")                                                    \
  X(device, "fwd", "tf32", "f32", "only by this name; sm_80 and up; head_dim: multiples of 8 up to 256",               \
    "kernels/sm80/forward/forward.cu: mma.sync of factors rounded to 10 bits")                                         \
  X(device, "fwd", "naive", "f32 f16 bf16", PAH_GPU_DIMS,                                                              \
    "kernels/naive/forward.cu: tiled online softmax, no tensor cores")                                                 \
  X(device, "fwd_fp8", "sm90", "f16 bf16 fp8_e4m3 fp8_e5m2 / same or fp8",                                             \
    "sm_90a; head_dim: multiples of 8 up to 256",                                                                      \
    "kernels/sm90/forward.cu: wgmma of fp8, V transposed on its way; or fp8 widened")                                  \
  X(device, "fwd_fp8", "sm80", "f16 bf16 fp8_e4m3 fp8_e5m2 / same or fp8",                                             \
    "sm_80 and up; head_dim: multiples of 8 up to 256, of fp8 of 16",                                                  \
    "kernels/sm80/forward/forward.cu: mma.sync, fp8 widened on its way")                                               \
  X(device, "fwd_fp8", "naive", "f32 f16 bf16 fp8_e4m3 fp8_e5m2 / same or fp8", PAH_GPU_DIMS,                          \
    "kernels/naive/forward.cu with fp8 types; computes in f32")                                                        \
  X(device, "bwd", "sm90", "f16 bf16", "sm_90a; head_dim: multiples of 8 up to 128",                                   \
    "kernels/sm90/backward/backward.cu: wgmma, keys outer for dK and dV, queries outer for dQ")                        \
  X(device, "bwd", "sm80", "f16 bf16", "sm_80 and up; head_dim: multiples of 8 up to 128, with 227 KiB shared to 256", \
    "kernels/sm80/backward/dkdv.cu, kernels/sm80/backward/dq.cu: mma.sync, cp.async")                                  \
  X(device, "bwd", "naive", "f32 f16 bf16", PAH_GPU_DIMS,                                                              \
    "kernels/naive/backward_dq.cu, backward_dkv.cu, backward_dsinks.cu")                                               \
  X(device, "decode", "mla", "f16 bf16", "sm_90a; head_dim 576, V its first 512 as a view; no tree, no softcap",       \
    "kernels/sm90/mla/decode.cu: wgmma, every token read once")                                                        \
  X(device, "decode", "sm80", "f16 bf16 / same or fp8", "head_dim: 64, 128, 256; sm_80 and up; strides of 16 bytes",   \
    "kernels/sm80/decode.cu: tensor cores, work shared by true lengths, one launch")                                   \
  X(device, "decode", "naive", "f32 f16 bf16 / same or fp8", PAH_GPU_DIMS,                                             \
    "kernels/naive/decode.cu, kernels/naive/combine.cu: split-KV")

#define PAH_KERNELS(X)                                                                                                 \
  X("cpu", "fwd", "flash", "f32 f16 bf16", PAH_CPU_DIMS, "tiled online softmax over packed K/V panels")                \
  X("cpu", "fwd_fp8", "flash", "f32 f16 bf16 fp8_e4m3 fp8_e5m2 / same or fp8", PAH_CPU_DIMS,                           \
    "as fwd; fp8 is converted while K and V are packed")                                                               \
  X("cpu", "bwd", "flash", "f32 f16 bf16", PAH_CPU_DIMS, "recomputes P from lse; deterministic for any threads")       \
  X("cpu", "decode", "split-kv", "f32 f16 bf16 / same or fp8", PAH_CPU_DIMS,                                           \
    "KV ranges split over threads; heads of a KV head share each read")                                                \
  PAH_GPU_KERNELS(X, "sim")                                                                                            \
  PAH_GPU_KERNELS(X, "cuda")

#endif
