/* cooperative_groups/reduce.h - one value of all threads of a tile or coalesced group, in every thread. Tiles combine
 * by halves, as a butterfly of shuffles does, which fixes the order of floating-point sums. */
#ifndef PAH_SIM_COOPERATIVE_GROUPS_REDUCE_H
#define PAH_SIM_COOPERATIVE_GROUPS_REDUCE_H

#include "../cooperative_groups.h"

namespace cooperative_groups {

#define PAH_CG_OPERATOR(name, expression)                                                                              \
  template <class T = void> struct name {                                                                              \
    PAH_SIM_INLINE T operator()(T a, T b) const {                                                                      \
      return expression;                                                                                               \
    }                                                                                                                  \
  };                                                                                                                   \
  template <> struct name<void> {                                                                                      \
    template <class T> PAH_SIM_INLINE T operator()(T a, T b) const {                                                   \
      return expression;                                                                                               \
    }                                                                                                                  \
  };
PAH_CG_OPERATOR(plus, a + b)
PAH_CG_OPERATOR(less, b < a ? b : a)
PAH_CG_OPERATOR(greater, a < b ? b : a)
PAH_CG_OPERATOR(bit_and, a &b)
PAH_CG_OPERATOR(bit_or, a | b)
PAH_CG_OPERATOR(bit_xor, a ^ b)
#undef PAH_CG_OPERATOR

template <unsigned Size, class Parent, class T, class Op>
PAH_SIM_INLINE T reduce(const thread_block_tile<Size, Parent> &g, T value, Op op) {
  const thread_block_tile<(Size > 32 ? 32 : Size), Parent> warp;
  for (unsigned bits = warp.size() / 2; bits > 0; bits /= 2) value = op(value, warp.shfl_xor(value, bits));
  for (unsigned bits = 32; bits < Size; bits *= 2) value = op(value, g.shfl(value, (int)(g.thread_rank() ^ bits)));
  return value;
}
template <class T, class Op> PAH_SIM_INLINE T reduce(const coalesced_group &g, T value, Op op) {
  T result = g.shfl(value, 0);
  for (unsigned rank = 1; rank < g.num_threads(); rank++) result = op(result, g.shfl(value, (int)rank));
  return result;
}
template <class Group, class T> PAH_SIM_INLINE void reduce_update_async(const Group &g, T &to, T value) {
  T all = reduce(g, value, plus<T>());
  if (g.thread_rank() == 0) atomicAdd(&to, all);
}

} // namespace cooperative_groups
#endif
