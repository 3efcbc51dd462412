/* big_tile.h - tiles of 64 to 512 threads: several whole warps of a thread block, which meet at a barrier of their own.
 * CUDA wants scratch memory for what they exchange (block_tile_memory); here it only takes its room. They have what
 * CUDA documents: sync, shfl of one rank, any, all; reduce and scan. Included by ../../cooperative_groups.h. */
#ifndef PAH_SIM_GROUPS_BIG_TILE_H
#define PAH_SIM_GROUPS_BIG_TILE_H

namespace cooperative_groups {

template <unsigned MaxBlockSize = 1024> struct alignas(16) block_tile_memory {
  unsigned long long scratch[MaxBlockSize / 16];
};
template <unsigned MaxBlockSize> PAH_SIM_INLINE thread_block this_thread_block(block_tile_memory<MaxBlockSize> &) {
  return thread_block();
}

template <unsigned Size> class pah_big_tile {
public:
  PAH_SIM_INLINE static void sync(int line = __builtin_LINE()) {
    pah_sim_tile_exchange(Size, nullptr, 0, 0, nullptr, line);
  }
  template <class T> PAH_SIM_INLINE T shfl(T value, unsigned rank, int line = __builtin_LINE()) const {
    T result;
    pah_sim_tile_exchange(Size, &value, sizeof value, rank, &result, line);
    return result;
  }
  PAH_SIM_INLINE int any(int predicate, int line = __builtin_LINE()) const {
    int all = __any_sync(~0u, predicate);
    for (unsigned bits = 32; bits < Size; bits *= 2) all |= shfl(all, thread_rank() ^ bits, line);
    return all;
  }
  PAH_SIM_INLINE int all(int predicate, int line = __builtin_LINE()) const {
    return !any(!predicate, line);
  }
  PAH_SIM_INLINE static unsigned thread_rank() {
    return pah_rank_in_block() % Size;
  }
  PAH_SIM_INLINE static constexpr unsigned num_threads() {
    return Size;
  }
  PAH_SIM_INLINE static constexpr unsigned size() {
    return Size;
  }
  PAH_SIM_INLINE static unsigned meta_group_rank() {
    return pah_rank_in_block() / Size;
  }
  PAH_SIM_INLINE static unsigned meta_group_size() {
    return (pah_block_threads() + Size - 1) / Size;
  }
};

} // namespace cooperative_groups
#endif
