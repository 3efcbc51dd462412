/* refused.h - functions of CUDA that sim does not have, declared so that a source with them compiles: a call is the
 * finding "unsupported" with the function's name, when it runs. Included by pah_sim.h. */
#ifndef PAH_SIM_REFUSED_H
#define PAH_SIM_REFUSED_H

#define PAH_SIM_REFUSED(name, what)                                                                                    \
  template <class T = void, class... A> PAH_SIM_INLINE T name(A...) {                                                  \
    pah_sim_unsupported(#name ", " what ",");                                                                          \
  }
#define PAH_SIM_TEXTURE(name) PAH_SIM_REFUSED(name, "a read of a texture")
#define PAH_SIM_SURFACE(name) PAH_SIM_REFUSED(name, "an access to a surface")
#define PAH_SIM_RUNTIME(name)                                                                                          \
  template <class... A> PAH_SIM_INLINE cudaError name(A...) {                                                          \
    pah_sim_unsupported(#name ", CUDA's runtime in a kernel,");                                                        \
  }
enum cudaSurfaceBoundaryMode { cudaBoundaryModeZero, cudaBoundaryModeClamp, cudaBoundaryModeTrap };

/* clang-format off */
PAH_SIM_TEXTURE(tex1D) PAH_SIM_TEXTURE(tex1DGrad) PAH_SIM_TEXTURE(tex1DLayered) PAH_SIM_TEXTURE(tex1DLayeredGrad)
PAH_SIM_TEXTURE(tex1DLayeredLod) PAH_SIM_TEXTURE(tex1DLod) PAH_SIM_TEXTURE(tex1Dfetch) PAH_SIM_TEXTURE(tex2D)
PAH_SIM_TEXTURE(tex2DGrad) PAH_SIM_TEXTURE(tex2DLayered) PAH_SIM_TEXTURE(tex2DLayeredGrad)
PAH_SIM_TEXTURE(tex2DLayeredLod) PAH_SIM_TEXTURE(tex2DLod) PAH_SIM_TEXTURE(tex2Dgather) PAH_SIM_TEXTURE(tex3D)
PAH_SIM_TEXTURE(tex3DGrad) PAH_SIM_TEXTURE(tex3DLod) PAH_SIM_TEXTURE(texCubemap) PAH_SIM_TEXTURE(texCubemapGrad)
PAH_SIM_TEXTURE(texCubemapLayered) PAH_SIM_TEXTURE(texCubemapLayeredGrad) PAH_SIM_TEXTURE(texCubemapLayeredLod)
PAH_SIM_TEXTURE(texCubemapLod)
PAH_SIM_SURFACE(surf1DLayeredread) PAH_SIM_SURFACE(surf1DLayeredwrite) PAH_SIM_SURFACE(surf1Dread)
PAH_SIM_SURFACE(surf1Dwrite) PAH_SIM_SURFACE(surf2DLayeredread) PAH_SIM_SURFACE(surf2DLayeredwrite)
PAH_SIM_SURFACE(surf2Dread) PAH_SIM_SURFACE(surf2Dwrite) PAH_SIM_SURFACE(surf3Dread) PAH_SIM_SURFACE(surf3Dwrite)
PAH_SIM_SURFACE(surfCubemapLayeredread) PAH_SIM_SURFACE(surfCubemapLayeredwrite) PAH_SIM_SURFACE(surfCubemapread)
PAH_SIM_SURFACE(surfCubemapwrite)
PAH_SIM_RUNTIME(cudaDeviceSynchronize) PAH_SIM_RUNTIME(cudaGetLastError) PAH_SIM_RUNTIME(cudaPeekAtLastError)
PAH_SIM_RUNTIME(cudaGraphSetConditional)
PAH_SIM_RUNTIME(cudaStreamCreateWithFlags) PAH_SIM_RUNTIME(cudaStreamDestroy) PAH_SIM_RUNTIME(cudaStreamSynchronize)
/* clang-format on */
#undef PAH_SIM_RUNTIME
#undef PAH_SIM_TEXTURE
#undef PAH_SIM_SURFACE
#undef PAH_SIM_REFUSED

#endif
