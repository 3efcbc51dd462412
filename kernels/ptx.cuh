/* ptx.cuh - PTX instructions as functions of namespace ptx: the only file of the kernels with inline assembly.
 * Each has two bodies: the instruction itself under nvcc and NVRTC, and under sim (-DPAH_SIM) a call of the emulation
 * in src/sim/. A function that the architecture lacks is not declared there, so that the compiler names the line.
 * Shared memory is given by its 32-bit address: ptx::shared(pointer). Fragments are arrays of 32-bit registers whose
 * layouts are those of the PTX ISA; doc comments say "g" for lane / 4 and "t" for lane % 4.
 * Read next: ptx/base.h, then the part that you need. */
#ifndef PAH_PTX_CUH
#define PAH_PTX_CUH

#include "ptx/base.h"
#include "ptx/registers.h"
#include "ptx/mma.h"
#include "ptx/memory.h"
#include "ptx/convert.h"
#include "ptx/sync.h"
#include "ptx/mbarrier.h"
#if PAH_PTX_ARCH >= 900
#include "ptx/cluster.h"
#include "ptx/tma.h"
#endif
#if PAH_PTX_WGMMA
#include "ptx/wgmma.h"
#endif

#endif
