/* clock.cu - what the clocks of a GPU say at a moment, for lua/pah/measure/gpu_clock.lua: two stamps around a sample
 * give the rate that its multiprocessors ran at; and a GPU held up, so that a host can queue a sample behind that. */
#include "../ptx.cuh"

/* at[0]: nanoseconds of the GPU's timer, at[1]: cycles of multiprocessor 0, whose counter is its own; as many thread
 * blocks as there are multiprocessors are launched, so that one of them is there. */
extern "C" __global__ void stamp(unsigned long long *at) {
  if (ptx::smid() != 0) return;
  at[0] = ptx::globaltimer();
  at[1] = (unsigned long long)clock64();
}

/* Takes that long, so that what is launched behind it begins without waiting for the host. */
extern "C" __global__ void hold(long long nanoseconds) {
  unsigned long long from = ptx::globaltimer();
  while ((long long)(ptx::globaltimer() - from) < nanoseconds) {
  }
}
