/* cooperative_groups.h - groups of threads for sim: whole thread blocks, tiles of a warp, the lanes that came together.
 * Read next: pah_sim/groups/blocks.h, cooperative_groups/reduce.h, cooperative_groups/scan.h. */
#ifndef PAH_SIM_COOPERATIVE_GROUPS_H
#define PAH_SIM_COOPERATIVE_GROUPS_H

#include "pah_sim/groups/blocks.h"
#include "pah_sim/groups/big_tile.h"

namespace cooperative_groups {

/* ---- Lanes of a warp ---- */

/* What tiles and coalesced groups do alike; Self gives mask(), thread_rank(), and lane(rank), the lane of a rank. */
template <class Self> class pah_lanes {
  PAH_SIM_INLINE const Self &self() const {
    return static_cast<const Self &>(*this);
  }

public:
  PAH_SIM_INLINE void sync(int line = __builtin_LINE()) const {
    pah_sim_syncwarp(self().mask(), line);
  }
  template <class T> PAH_SIM_INLINE T shfl(T value, int rank) const {
    const unsigned mask = self().mask(), from = self().lane((unsigned)rank);
    if constexpr (sizeof(T) <= 8) return pah_sim_shuffle(PAH_SIM_SHFL_IDX, mask, value, from, 32);
    unsigned words[(sizeof(T) + 3) / 4] = {};
    __builtin_memcpy(words, &value, sizeof value);
    for (unsigned &word : words) word = pah_sim_shuffle(PAH_SIM_SHFL_IDX, mask, word, from, 32);
    __builtin_memcpy(&value, words, sizeof value);
    return value;
  }
  template <class T> PAH_SIM_INLINE T shfl_up(T value, unsigned delta) const {
    unsigned rank = self().thread_rank();
    return shfl(value, (int)(delta > rank ? rank : rank - delta));
  }
  template <class T> PAH_SIM_INLINE T shfl_down(T value, unsigned delta) const {
    unsigned rank = self().thread_rank(), last = self().num_threads() - 1;
    return shfl(value, (int)(delta > last - rank ? rank : rank + delta));
  }
  PAH_SIM_INLINE int any(int predicate) const {
    return __any_sync(self().mask(), predicate);
  }
  PAH_SIM_INLINE int all(int predicate) const {
    return __all_sync(self().mask(), predicate);
  }
  PAH_SIM_INLINE unsigned ballot(int predicate) const {
    return self().packed(__ballot_sync(self().mask(), predicate));
  }
  template <class T> PAH_SIM_INLINE unsigned match_any(T value) const {
    return self().packed(__match_any_sync(self().mask(), value));
  }
  template <class T> PAH_SIM_INLINE unsigned match_all(T value, int &predicate) const {
    return self().packed(__match_all_sync(self().mask(), value, &predicate));
  }
  PAH_SIM_INLINE unsigned size() const {
    return self().num_threads();
  }
};

/* `size` lanes, a power of two. */
template <class Self> class pah_tile : public pah_lanes<Self> {
  PAH_SIM_INLINE unsigned threads() const {
    return static_cast<const Self &>(*this).num_threads();
  }

public:
  PAH_SIM_INLINE unsigned thread_rank() const {
    return pah_sim_lane() & (threads() - 1);
  }
  PAH_SIM_INLINE unsigned mask() const {
    return (threads() == 32 ? ~0u : (1u << threads()) - 1) << lane(0);
  }
  PAH_SIM_INLINE unsigned lane(unsigned rank) const {
    return (pah_sim_lane() & ~(threads() - 1)) | (rank & (threads() - 1));
  }
  PAH_SIM_INLINE unsigned packed(unsigned lanes) const {
    return lanes >> lane(0);
  }
  PAH_SIM_INLINE unsigned meta_group_rank() const {
    return pah_rank_in_block() / threads();
  }
  PAH_SIM_INLINE unsigned meta_group_size() const {
    return (pah_block_threads() + threads() - 1) / threads();
  }
  template <class T> PAH_SIM_INLINE T shfl_xor(T value, unsigned bits) const {
    return this->shfl(value, (int)(thread_rank() ^ bits));
  }
};

template <unsigned Size> class pah_small_tile : public pah_tile<pah_small_tile<Size>> {
public:
  PAH_SIM_INLINE static constexpr unsigned num_threads() {
    return Size;
  }
  PAH_SIM_INLINE static constexpr unsigned size() {
    return Size;
  }
};

template <unsigned Size, class Parent = void>
class thread_block_tile : public std::conditional_t<(Size > 32), pah_big_tile<Size>, pah_small_tile<Size>> {
  static_assert(Size >= 1 && Size <= 512 && (Size & (Size - 1)) == 0, "tiles of 1, 2, 4 ... 512 threads");

public:
  thread_block_tile() = default;
  template <class Other> PAH_SIM_INLINE thread_block_tile(const thread_block_tile<Size, Other> &) {}
};

class coalesced_group : public pah_lanes<coalesced_group> {
  unsigned lanes;

public:
  PAH_SIM_INLINE explicit coalesced_group(unsigned mask) : lanes(mask) {}
  PAH_SIM_INLINE unsigned mask() const {
    return lanes;
  }
  PAH_SIM_INLINE unsigned num_threads() const {
    return (unsigned)__popc(lanes);
  }
  PAH_SIM_INLINE unsigned thread_rank() const {
    return (unsigned)__popc(lanes & ((1u << pah_sim_lane()) - 1));
  }
  PAH_SIM_INLINE unsigned lane(unsigned rank) const {
    unsigned left = lanes;
    while (rank-- % num_threads() && left) left &= left - 1;
    return (unsigned)__ffs((int)left) - 1;
  }
  PAH_SIM_INLINE unsigned packed(unsigned of) const {
    unsigned result = 0;
    for (unsigned rank = 0, left = lanes; left; rank++, left &= left - 1)
      if (of & left & (0 - left)) result |= 1u << rank;
    return result;
  }
  PAH_SIM_INLINE unsigned meta_group_rank() const {
    return 0;
  }
  PAH_SIM_INLINE unsigned meta_group_size() const {
    return 1;
  }
};
PAH_SIM_INLINE coalesced_group coalesced_threads() {
  return coalesced_group(__activemask());
}

/* A group of any kind, its size known at run time only: the thread block, or a tile or other lanes of a warp. */
class thread_group : public pah_lanes<thread_group> {
  unsigned lanes; /* 0: the thread block */

public:
  PAH_SIM_INLINE thread_group(const thread_block &) : lanes(0) {}
  PAH_SIM_INLINE thread_group(const coalesced_group &g) : lanes(g.mask()) {}
  template <unsigned Size, class Parent>
  PAH_SIM_INLINE thread_group(const thread_block_tile<Size, Parent> &g) : lanes(g.mask()) {}
  PAH_SIM_INLINE explicit thread_group(unsigned mask) : lanes(mask) {}
  PAH_SIM_INLINE void sync(int line = __builtin_LINE()) const {
    lanes ? pah_sim_syncwarp(lanes, line) : (void)pah_sim_syncthreads(PAH_SIM_PLAIN, 0, line);
  }
  PAH_SIM_INLINE unsigned mask() const {
    return lanes;
  }
  PAH_SIM_INLINE unsigned num_threads() const {
    return lanes ? (unsigned)__popc(lanes) : pah_block_threads();
  }
  PAH_SIM_INLINE unsigned thread_rank() const {
    return lanes ? coalesced_group(lanes).thread_rank() : pah_rank_in_block();
  }
  PAH_SIM_INLINE unsigned lane(unsigned rank) const {
    return coalesced_group(lanes).lane(rank);
  }
  PAH_SIM_INLINE unsigned packed(unsigned of) const {
    return coalesced_group(lanes).packed(of);
  }
};

/* ---- Making groups, and functions of any group ---- */

template <unsigned Size, class Group> PAH_SIM_INLINE thread_block_tile<Size, Group> tiled_partition(const Group &) {
  return thread_block_tile<Size, Group>();
}
template <class Group> PAH_SIM_INLINE thread_group tiled_partition(const Group &, unsigned size) {
  unsigned first = pah_sim_lane() & ~(size - 1);
  return thread_group((size >= 32 ? ~0u : (1u << size) - 1) << first);
}
/* The lanes of the group for which the label, or the predicate, is the same. */
template <class Group, class Label> PAH_SIM_INLINE coalesced_group labeled_partition(const Group &g, Label label) {
  return coalesced_group(__match_any_sync(g.mask(), label));
}
template <class Group> PAH_SIM_INLINE coalesced_group binary_partition(const Group &g, bool predicate) {
  unsigned yes = __ballot_sync(g.mask(), predicate);
  return coalesced_group(predicate ? yes : g.mask() & ~yes);
}

template <class Group> PAH_SIM_INLINE void sync(const Group &g, int line = __builtin_LINE()) {
  g.sync(line);
}
template <class Group> PAH_SIM_INLINE unsigned thread_rank(const Group &g) {
  return (unsigned)g.thread_rank();
}
template <class Group> PAH_SIM_INLINE unsigned group_size(const Group &g) {
  return (unsigned)g.size();
}
template <class Group, class F> PAH_SIM_INLINE void invoke_one(const Group &g, F f) {
  if (g.thread_rank() == 0) f();
}

} // namespace cooperative_groups
#endif
