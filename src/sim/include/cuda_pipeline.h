/* cuda_pipeline.h - copies from global to shared memory that a thread waits for in batches, by name of the primitives:
 * cp.async underneath, with its checks. Sizes: 4, 8 and 16 bytes. */
#ifndef PAH_SIM_CUDA_PIPELINE_H
#define PAH_SIM_CUDA_PIPELINE_H

#include "../abi_ptx.h"

PAH_SIM_INLINE void __pipeline_memcpy_async(void *to, const void *from, size_t bytes, size_t zeroed = 0) {
  pah_sim_cp_async(pah_sim_shared_address(to), from, (int)bytes, (unsigned)(bytes - zeroed));
}
PAH_SIM_INLINE void __pipeline_commit() {
  pah_sim_cp_async_commit();
}
PAH_SIM_INLINE void __pipeline_wait_prior(size_t batches) {
  pah_sim_cp_async_wait((int)batches);
}

#endif
