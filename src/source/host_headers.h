/* host_headers.h - headers of libraries of the host's side that kernels' sources include: sim and cuda give empty ones,
 * in the place of those that may lie in the system's or the toolkit's folders. */
#ifndef PAH_HOST_HEADERS_H
#define PAH_HOST_HEADERS_H

#define PAH_HOST_HEADERS(X)                                                                                            \
  X("cublas.h")                                                                                                        \
  X("cublas_api.h")                                                                                                    \
  X("cublas_v2.h")                                                                                                     \
  X("cublasLt.h")                                                                                                      \
  X("cublasXt.h")                                                                                                      \
  X("cudnn.h")                                                                                                         \
  X("nccl.h")                                                                                                          \
  X("cufft.h")                                                                                                         \
  X("cufftXt.h")                                                                                                       \
  X("cusparse.h")                                                                                                      \
  X("cusolverDn.h")                                                                                                    \
  X("cusolverMg.h")                                                                                                    \
  X("cusolverSp.h")                                                                                                    \
  X("cusolver_common.h")                                                                                               \
  X("nvml.h")                                                                                                          \
  X("nvrtc.h")                                                                                                         \
  X("mpi.h")                                                                                                           \
  X("nvToolsExt.h")                                                                                                    \
  X("nvToolsExtCudaRt.h")                                                                                              \
  X("nvtx3/nvToolsExt.h")                                                                                              \
  X("nvtx3/nvToolsExtCudaRt.h")                                                                                        \
  X("nvtx3/nvtx3.hpp")                                                                                                 \
  X("cudaTypedefs.h")                                                                                                  \
  X("cudaProfiler.h")                                                                                                  \
  X("cuda_profiler_api.h")                                                                                             \
  X("cuda_gl_interop.h")

#endif
