/* cooperative_groups/memcpy_async.h - a group copies from global to shared memory together: cp.async of each thread
 * where addresses allow it, which land no earlier than at the wait. */
#ifndef PAH_SIM_COOPERATIVE_GROUPS_MEMCPY_ASYNC_H
#define PAH_SIM_COOPERATIVE_GROUPS_MEMCPY_ASYNC_H

#include "../../abi_ptx.h"
#include "../cooperative_groups.h"

namespace cooperative_groups {

/* In pieces of the largest size of cp.async that both addresses and the length are multiples of. */
template <class Group> PAH_SIM_INLINE void memcpy_async(const Group &g, void *to, const void *from, size_t bytes) {
  size_t all = (size_t)to | (size_t)from | bytes;
  size_t piece = all % 16 == 0 ? 16 : all % 8 == 0 ? 8 : all % 4 == 0 ? 4 : 1;
  for (size_t at = g.thread_rank() * piece; at < bytes; at += g.size() * piece) {
    char *target = (char *)to + at;
    const char *source = (const char *)from + at;
    if (piece > 1 && pah_sim_space(to) == 2)
      pah_sim_cp_async(pah_sim_shared_address(target), source, (int)piece, (unsigned)piece);
    else
      pah_sim_memcpy(target, source, piece);
  }
  pah_sim_cp_async_commit();
}
template <class Group, class T>
PAH_SIM_INLINE void memcpy_async(const Group &g, T *to, size_t room, const T *from, size_t count) {
  memcpy_async(g, (void *)to, (const void *)from, (room < count ? room : count) * sizeof(T));
}
template <class Group> PAH_SIM_INLINE void wait(const Group &g, int line = __builtin_LINE()) {
  pah_sim_cp_async_wait(0);
  g.sync(line);
}
template <unsigned stages, class Group> PAH_SIM_INLINE void wait_prior(const Group &g, int line = __builtin_LINE()) {
  pah_sim_cp_async_wait((int)stages);
  g.sync(line);
}

} // namespace cooperative_groups
#endif
