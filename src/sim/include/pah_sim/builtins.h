/* builtins.h - built-in variables, barriers, fences, warp functions, loads with hints, output: thin covers of
 * the calls of ../abi.h. Read next: pah_sim/atomics.h. */
#ifndef PAH_SIM_BUILTINS_H
#define PAH_SIM_BUILTINS_H

/* ---- Where a thread is ---- */

PAH_SIM_INLINE uint3 pah_sim_uint3(pah_sim_dim d) {
  return uint3{d.x, d.y, d.z};
}
static constexpr int warpSize = 32;

/* ---- Barriers and fences ---- */

PAH_SIM_INLINE void __syncthreads(int line = __builtin_LINE()) {
  pah_sim_syncthreads(PAH_SIM_PLAIN, 0, line);
}
PAH_SIM_INLINE int __syncthreads_count(int predicate, int line = __builtin_LINE()) {
  return pah_sim_syncthreads(PAH_SIM_COUNT, predicate, line);
}
PAH_SIM_INLINE int __syncthreads_and(int predicate, int line = __builtin_LINE()) {
  return pah_sim_syncthreads(PAH_SIM_AND, predicate, line);
}
PAH_SIM_INLINE int __syncthreads_or(int predicate, int line = __builtin_LINE()) {
  return pah_sim_syncthreads(PAH_SIM_OR, predicate, line);
}
PAH_SIM_INLINE int syncthreads_count(bool predicate, int line = __builtin_LINE()) {
  return __syncthreads_count(predicate, line);
}
PAH_SIM_INLINE bool syncthreads_and(bool predicate, int line = __builtin_LINE()) {
  return __syncthreads_and(predicate, line) != 0;
}
PAH_SIM_INLINE bool syncthreads_or(bool predicate, int line = __builtin_LINE()) {
  return __syncthreads_or(predicate, line) != 0;
}
PAH_SIM_INLINE void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
  pah_sim_syncwarp(mask, line);
}
PAH_SIM_INLINE void __threadfence_block() {
  pah_sim_fence(PAH_SIM_FENCE_BLOCK);
}
PAH_SIM_INLINE void __threadfence() {
  pah_sim_fence(PAH_SIM_FENCE_DEVICE);
}
PAH_SIM_INLINE void __threadfence_cluster() {
  pah_sim_fence(PAH_SIM_FENCE_DEVICE);
}
PAH_SIM_INLINE void __threadfence_system() {
  pah_sim_fence(PAH_SIM_FENCE_SYSTEM);
}

/* ---- Clusters ---- */

PAH_SIM_INLINE void __cluster_barrier_arrive(int line = __builtin_LINE()) {
  pah_sim_cluster_arrive(1, line);
}
PAH_SIM_INLINE void __cluster_barrier_arrive_relaxed(int line = __builtin_LINE()) {
  pah_sim_cluster_arrive(0, line);
}
PAH_SIM_INLINE void __cluster_barrier_wait(int line = __builtin_LINE()) {
  pah_sim_cluster_wait(line);
}
PAH_SIM_INLINE unsigned __clusterRelativeBlockRank() {
  return pah_sim_cluster_rank();
}
PAH_SIM_INLINE unsigned __clusterSizeInBlocks() {
  return pah_sim_cluster_dim().x * pah_sim_cluster_dim().y * pah_sim_cluster_dim().z;
}
PAH_SIM_INLINE unsigned __clusterDimIsSpecified() {
  return (unsigned)pah_sim_is_cluster();
}
PAH_SIM_INLINE void *__cluster_map_shared_rank(const void *p, unsigned rank) {
  return pah_sim_map_shared(p, rank);
}
PAH_SIM_INLINE unsigned __cluster_query_shared_rank(const void *p) {
  return pah_sim_shared_rank(p);
}

/* ---- Shuffles: any type of up to 8 bytes ---- */

template <class T> PAH_SIM_CALLED inline T pah_sim_shuffle(int op, unsigned mask, T value, unsigned lane, int width) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &value, sizeof value);
  bits = pah_sim_collective_at(op, mask, bits, (unsigned long long)width << 32 | lane, PAH_SIM_CALLER);
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T> PAH_SIM_INLINE T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return pah_sim_shuffle(PAH_SIM_SHFL_IDX, mask, value, (unsigned)lane, width);
}
template <class T> PAH_SIM_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return pah_sim_shuffle(PAH_SIM_SHFL_UP, mask, value, delta, width);
}
template <class T> PAH_SIM_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return pah_sim_shuffle(PAH_SIM_SHFL_DOWN, mask, value, delta, width);
}
template <class T> PAH_SIM_INLINE T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  return pah_sim_shuffle(PAH_SIM_SHFL_XOR, mask, value, (unsigned)lane_mask, width);
}

/* ---- Votes, matches, reductions ---- */

PAH_SIM_INLINE unsigned __ballot_sync(unsigned mask, int predicate) {
  return (unsigned)pah_sim_collective(PAH_SIM_BALLOT, mask, predicate != 0, 0);
}
PAH_SIM_INLINE int __any_sync(unsigned mask, int predicate) {
  return (int)pah_sim_collective(PAH_SIM_ANY, mask, predicate != 0, 0);
}
PAH_SIM_INLINE int __all_sync(unsigned mask, int predicate) {
  return (int)pah_sim_collective(PAH_SIM_ALL, mask, predicate != 0, 0);
}
PAH_SIM_INLINE int __uni_sync(unsigned mask, int predicate) {
  return (int)pah_sim_collective(PAH_SIM_UNI, mask, predicate != 0, 0);
}
PAH_SIM_INLINE unsigned __activemask() {
  return pah_sim_activemask();
}
template <class T> PAH_SIM_UNSEEN inline unsigned long long pah_sim_bits(T value) {
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class T> PAH_SIM_INLINE unsigned __match_any_sync(unsigned mask, T value) {
  return (unsigned)pah_sim_collective(PAH_SIM_MATCH_ANY, mask, pah_sim_bits(value), 0);
}
template <class T> PAH_SIM_INLINE unsigned __match_all_sync(unsigned mask, T value, int *predicate) {
  unsigned same = (unsigned)pah_sim_collective(PAH_SIM_MATCH_ALL, mask, pah_sim_bits(value), 0);
  *predicate = same != 0;
  return same;
}
PAH_SIM_INLINE unsigned __reduce_add_sync(unsigned mask, unsigned v) {
  return (unsigned)pah_sim_collective(PAH_SIM_REDUCE_ADD, mask, v, 0);
}
PAH_SIM_INLINE int __reduce_add_sync(unsigned mask, int v) {
  return (int)pah_sim_collective(PAH_SIM_REDUCE_ADD, mask, (unsigned)v, 0);
}
PAH_SIM_INLINE unsigned __reduce_min_sync(unsigned mask, unsigned v) {
  return (unsigned)pah_sim_collective(PAH_SIM_REDUCE_MIN, mask, v, 0);
}
PAH_SIM_INLINE int __reduce_min_sync(unsigned mask, int v) {
  return (int)pah_sim_collective(PAH_SIM_REDUCE_SMIN, mask, (unsigned)v, 0);
}
PAH_SIM_INLINE unsigned __reduce_max_sync(unsigned mask, unsigned v) {
  return (unsigned)pah_sim_collective(PAH_SIM_REDUCE_MAX, mask, v, 0);
}
PAH_SIM_INLINE int __reduce_max_sync(unsigned mask, int v) {
  return (int)pah_sim_collective(PAH_SIM_REDUCE_SMAX, mask, (unsigned)v, 0);
}
PAH_SIM_INLINE unsigned __reduce_and_sync(unsigned mask, unsigned v) {
  return (unsigned)pah_sim_collective(PAH_SIM_REDUCE_AND, mask, v, 0);
}
PAH_SIM_INLINE unsigned __reduce_or_sync(unsigned mask, unsigned v) {
  return (unsigned)pah_sim_collective(PAH_SIM_REDUCE_OR, mask, v, 0);
}
PAH_SIM_INLINE unsigned __reduce_xor_sync(unsigned mask, unsigned v) {
  return (unsigned)pah_sim_collective(PAH_SIM_REDUCE_XOR, mask, v, 0);
}

/* ---- Loads and stores with hints: the hints mean nothing here ---- */

#define PAH_SIM_LOAD(name)                                                                                             \
  template <class T> PAH_SIM_INLINE T name(const T *p) {                                                               \
    return *p;                                                                                                         \
  }
#define PAH_SIM_STORE(name)                                                                                            \
  template <class T> PAH_SIM_INLINE void name(T *p, T value) {                                                         \
    *p = value;                                                                                                        \
  }
PAH_SIM_CALLED inline void pah_sim_ldg(const void *p, unsigned long bytes) {
  pah_sim_read_only(p, bytes, PAH_SIM_CALLER);
}
template <class T> PAH_SIM_INLINE T __ldg(const T *p) {
  pah_sim_ldg(p, sizeof(T));
  return *p;
}
PAH_SIM_LOAD(__ldca)
PAH_SIM_LOAD(__ldcg)
PAH_SIM_LOAD(__ldcs)
PAH_SIM_LOAD(__ldlu)
PAH_SIM_LOAD(__ldcv)
PAH_SIM_STORE(__stwb)
PAH_SIM_STORE(__stcg)
PAH_SIM_STORE(__stcs)
PAH_SIM_STORE(__stwt)

/* ---- Address spaces ---- */

PAH_SIM_INLINE size_t __cvta_generic_to_shared(const void *p) {
  return pah_sim_shared_address(p);
}
PAH_SIM_INLINE void *__cvta_shared_to_generic(size_t address) {
  return pah_sim_shared_pointer((unsigned)address);
}
PAH_SIM_INLINE size_t __cvta_generic_to_global(const void *p) {
  return (size_t)p;
}
PAH_SIM_INLINE void *__cvta_global_to_generic(size_t address) {
  return (void *)address;
}
PAH_SIM_INLINE size_t __cvta_generic_to_local(const void *p) {
  return (size_t)p;
}
PAH_SIM_INLINE void *__cvta_local_to_generic(size_t address) {
  return (void *)address;
}
PAH_SIM_INLINE size_t __cvta_generic_to_constant(const void *p) {
  return (size_t)p;
}
PAH_SIM_INLINE void *__cvta_constant_to_generic(size_t address) {
  return (void *)address;
}
PAH_SIM_INLINE size_t __cvta_generic_to_grid_constant(const void *p) {
  return (size_t)p;
}
PAH_SIM_INLINE void *__cvta_grid_constant_to_generic(size_t address) {
  return (void *)address;
}
PAH_SIM_INLINE unsigned __isGlobal(const void *p) {
  return pah_sim_space(p) == 1;
}
PAH_SIM_INLINE unsigned __isShared(const void *p) {
  return pah_sim_space(p) == 2 && pah_sim_shared_rank(p) == pah_sim_cluster_rank();
}
PAH_SIM_INLINE unsigned __isClusterShared(const void *p) {
  return pah_sim_space(p) == 2;
}
PAH_SIM_INLINE unsigned __isCtaShared(const void *p) {
  return pah_sim_space(p) == 2;
}
PAH_SIM_INLINE unsigned __isGridConstant(const void *) {
  pah_sim_unsupported("__isGridConstant, the place of a parameter,");
}
PAH_SIM_INLINE unsigned __isLocal(const void *p) {
  return pah_sim_space(p) == 3;
}
PAH_SIM_INLINE unsigned __isConstant(const void *p) {
  return pah_sim_space(p) == 4;
}

/* ---- Time, the end, output, memory ---- */

/* Programmatic dependent launch: here a launch begins when the one before it has ended. */
PAH_SIM_INLINE void cudaGridDependencySynchronize() {}
PAH_SIM_INLINE void cudaTriggerProgrammaticLaunchCompletion() {}
PAH_SIM_INLINE void __nanosleep(unsigned) {
  pah_sim_yield();
}
PAH_SIM_INLINE long long clock64() {
  return (long long)pah_sim_clock();
}
PAH_SIM_INLINE clock_t pah_sim_clock32() {
  return (clock_t)pah_sim_clock();
}
PAH_SIM_INLINE unsigned long long globaltimer() {
  return pah_sim_clock();
}
PAH_SIM_INLINE void __trap() {
  pah_sim_trap();
}
PAH_SIM_INLINE void __brkpt() {
  pah_sim_trap();
}
PAH_SIM_INLINE void __prof_trigger(int) {}
#define __builtin_assume(condition) ((void)0)
#define __nv_builtin_unreachable __builtin_unreachable
template <class T> PAH_SIM_INLINE T *__builtin_assume_aligned_cuda(T *p, size_t) {
  return p;
}

/* The C library's functions by CUDA's meaning. Copies of one access stay one; others are checked as ranges. */
PAH_SIM_INLINE void *pah_sim_copy(void *to, const void *from, size_t bytes) {
  if (__builtin_constant_p(bytes) && (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8))
    return __builtin_memcpy(to, from, bytes);
  return pah_sim_memcpy(to, from, bytes);
}
namespace std {
using ::pah_sim_copy;
using ::pah_sim_free;
using ::pah_sim_malloc;
using ::pah_sim_memcpy;
using ::pah_sim_memset;
using ::pah_sim_printf;
} // namespace std
#include "../assert.h"

#endif
