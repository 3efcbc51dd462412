/* ptx/registers.h - where a kernel has no register to spare: numbers that are made again where they are needed, because
 * kept from the start of the kernel they would cost what the products lack, and ptxas would spill. Read next:
 * sm90/backward/dkdv.cuh, sm80/backward/dkdv.cu. */
#ifndef PAH_PTX_REGISTERS_H
#define PAH_PTX_REGISTERS_H

#include "base.h"

namespace ptx {

// The same number, but the compiler cannot know: what is made of it takes no register before.
PAH_PTX u32 made_here(u32 x) {
#ifndef PAH_SIM
  asm volatile("" : "+r"(x));
#endif
  return x;
}

// threadIdx.x, from the special register once more.
PAH_PTX int thread_again() {
#ifdef PAH_SIM
  return (int)threadIdx.x;
#else
  int id;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(id));
  return id;
#endif
}

} // namespace ptx

#endif
