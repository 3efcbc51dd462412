/* cooperative_groups/scan.h - prefixes of the values of a tile's or coalesced group's threads, in order of rank. */
#ifndef PAH_SIM_COOPERATIVE_GROUPS_SCAN_H
#define PAH_SIM_COOPERATIVE_GROUPS_SCAN_H

#include "reduce.h"

namespace cooperative_groups {

/* The value of the rank that is `distance` lower, of the first ones their own. */
template <class Group, class T> PAH_SIM_INLINE T pah_shfl_up(const Group &g, T value, unsigned distance) {
  return g.shfl_up(value, distance);
}
template <unsigned Size, class Parent, class T>
PAH_SIM_INLINE T pah_shfl_up(const thread_block_tile<Size, Parent> &g, T value, unsigned distance) {
  const unsigned rank = g.thread_rank();
  return g.shfl(value, (int)(rank < distance ? rank : rank - distance));
}

template <class Group, class T, class Op> PAH_SIM_INLINE T inclusive_scan(const Group &g, T value, Op op) {
  for (unsigned distance = 1; distance < g.num_threads(); distance *= 2) {
    T before = pah_shfl_up(g, value, distance);
    if (g.thread_rank() >= distance) value = op(before, value);
  }
  return value;
}
template <class Group, class T> PAH_SIM_INLINE T inclusive_scan(const Group &g, T value) {
  return inclusive_scan(g, value, plus<T>());
}
template <class Group, class T, class Op> PAH_SIM_INLINE T exclusive_scan(const Group &g, T value, Op op) {
  T before = pah_shfl_up(g, inclusive_scan(g, value, op), 1);
  return g.thread_rank() == 0 ? T() : before;
}
template <class Group, class T> PAH_SIM_INLINE T exclusive_scan(const Group &g, T value) {
  return exclusive_scan(g, value, plus<T>());
}

} // namespace cooperative_groups
#endif
