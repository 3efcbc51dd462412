/* nv_atomic.h - the atomic functions of nvcc since CUDA 12.8 that take an order and a scope: __nv_atomic_load_n,
 * __nv_atomic_fetch_add and their like. A thread block is the only scope that is told from the others.
 * Included by pah_sim.h behind atomics.h. */
#ifndef PAH_SIM_NV_ATOMIC_H
#define PAH_SIM_NV_ATOMIC_H

#define __NV_ATOMIC_RELAXED 0
#define __NV_ATOMIC_CONSUME 1
#define __NV_ATOMIC_ACQUIRE 2
#define __NV_ATOMIC_RELEASE 3
#define __NV_ATOMIC_ACQ_REL 4
#define __NV_ATOMIC_SEQ_CST 5
#define __NV_THREAD_SCOPE_THREAD 0
#define __NV_THREAD_SCOPE_BLOCK 1
#define __NV_THREAD_SCOPE_CLUSTER 2
#define __NV_THREAD_SCOPE_DEVICE 3
#define __NV_THREAD_SCOPE_SYSTEM 4

PAH_SIM_INLINE constexpr int pah_sim_nv_order(int order, int scope) {
  return (scope <= __NV_THREAD_SCOPE_BLOCK ? (int)PAH_SIM_OF_BLOCK : 0) |
         (order == __NV_ATOMIC_RELAXED || order == __NV_ATOMIC_RELEASE ? 0 : (int)PAH_SIM_ACQUIRE) |
         (order >= __NV_ATOMIC_RELEASE ? (int)PAH_SIM_RELEASE : 0);
}
#define PAH_SIM_NV_ORDER int order, int scope = __NV_THREAD_SCOPE_SYSTEM

template <class T> PAH_SIM_INLINE std::remove_cv_t<T> __nv_atomic_load_n(T *p, PAH_SIM_NV_ORDER) {
  return pah_sim_atomic_load(const_cast<const std::remove_cv_t<T> *>(p), pah_sim_nv_order(order, scope));
}
template <class T> PAH_SIM_INLINE void __nv_atomic_load(const T *p, T *to, PAH_SIM_NV_ORDER) {
  *to = pah_sim_atomic_load(p, pah_sim_nv_order(order, scope));
}
template <class T, class V> PAH_SIM_INLINE void __nv_atomic_store_n(T *p, V v, PAH_SIM_NV_ORDER) {
  pah_sim_atomic_store(p, static_cast<T>(v), pah_sim_nv_order(order, scope));
}
template <class T> PAH_SIM_INLINE void __nv_atomic_store(T *p, T *from, PAH_SIM_NV_ORDER) {
  pah_sim_atomic_store(p, *from, pah_sim_nv_order(order, scope));
}

#define PAH_SIM_NV_ATOMIC(name, expression)                                                                            \
  template <class T, class V> PAH_SIM_CALLED inline T name(T *p, V with, PAH_SIM_NV_ORDER) {                           \
    const T v = static_cast<T>(with);                                                                                  \
    return pah_sim_update(                                                                                             \
        p, PAH_SIM_CALLER, [v](T old) PAH_SIM_UNSEEN -> T { return expression; }, pah_sim_nv_order(order, scope));     \
  }
#define PAH_SIM_NV_ATOMIC_BOTH(name, expression)                                                                       \
  PAH_SIM_NV_ATOMIC(__nv_atomic_fetch_##name, expression)                                                              \
  PAH_SIM_NV_ATOMIC(__nv_atomic_##name, expression)
PAH_SIM_NV_ATOMIC_BOTH(add, old + v)
PAH_SIM_NV_ATOMIC_BOTH(sub, old - v)
PAH_SIM_NV_ATOMIC_BOTH(and, old &v)
PAH_SIM_NV_ATOMIC_BOTH(or, old | v)
PAH_SIM_NV_ATOMIC_BOTH(xor, old ^ v)
PAH_SIM_NV_ATOMIC_BOTH(min, v < old ? v : old)
PAH_SIM_NV_ATOMIC_BOTH(max, old < v ? v : old)
PAH_SIM_NV_ATOMIC(__nv_atomic_exchange_n, ((void)old, v))
#undef PAH_SIM_NV_ATOMIC
#undef PAH_SIM_NV_ATOMIC_BOTH

template <class T> PAH_SIM_INLINE void __nv_atomic_exchange(T *p, T *from, T *to, PAH_SIM_NV_ORDER) {
  *to = __nv_atomic_exchange_n(p, *from, order, scope);
}
template <class T, class V>
PAH_SIM_CALLED inline bool __nv_atomic_compare_exchange_n(T *p, T *expected, V desired, bool, int order, int,
                                                          int scope = __NV_THREAD_SCOPE_SYSTEM) {
  const T want = *expected, v = static_cast<T>(desired);
  *expected = pah_sim_update(
      p, PAH_SIM_CALLER, [want, v](T old) PAH_SIM_UNSEEN -> T { return old == want ? v : old; },
      pah_sim_nv_order(order, scope), PAH_SIM_DECIDES);
  return *expected == want;
}
template <class T>
PAH_SIM_INLINE bool __nv_atomic_compare_exchange(T *p, T *expected, T *desired, bool weak, int order, int other,
                                                 int scope = __NV_THREAD_SCOPE_SYSTEM) {
  return __nv_atomic_compare_exchange_n(p, expected, *desired, weak, order, other, scope);
}
PAH_SIM_INLINE void __nv_atomic_thread_fence(int, int scope = __NV_THREAD_SCOPE_SYSTEM) {
  pah_sim_fence(scope <= __NV_THREAD_SCOPE_BLOCK ? PAH_SIM_FENCE_BLOCK : PAH_SIM_FENCE_DEVICE);
}
#undef PAH_SIM_NV_ORDER

#endif
