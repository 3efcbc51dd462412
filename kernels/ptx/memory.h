/* ptx/memory.h - loads and stores with cache hints, cp.async, reductions of a warp, prefetches.
 * cp.async moves 4, 8 or 16 bytes from global to shared memory, in groups of a thread; the bytes are there, for that
 * thread, after cp_async_wait_group, and for others after a barrier too. Read next: mbarrier.h, src/sim/ptx/async.c. */
#ifndef PAH_PTX_MEMORY_H
#define PAH_PTX_MEMORY_H

#include "base.h"

namespace ptx {

// 16 bytes through the read-only path, not kept in L1: for what one thread block reads once.
PAH_PTX void load_streaming(u32 (&r)[4], const void *p) {
#ifdef PAH_SIM
  typedef u32 vector __attribute__((vector_size(16)));
  const vector v = *static_cast<const vector *>(p);
  for (int i = 0; i < 4; i++) r[i] = v[i];
#else
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "l"(p));
#endif
}

PAH_PTX u32 load_streaming(const u32 *p) {
#ifdef PAH_SIM
  return *p;
#else
  u32 r;
  asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(r) : "l"(p));
  return r;
#endif
}

// 16 bytes that nobody on the GPU reads soon.
PAH_PTX void store_streaming(void *p, const u32 (&r)[4]) {
#ifdef PAH_SIM
  typedef u32 vector __attribute__((vector_size(16)));
  *static_cast<vector *>(p) = vector{r[0], r[1], r[2], r[3]};
#else
  asm volatile("st.global.cs.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
#endif
}

// 16 bytes of shared memory at an address as ptx::shared() gives it.
PAH_PTX uint4 load_shared(u32 address) {
#ifdef PAH_SIM
  return *static_cast<const uint4 *>(pah_sim_shared_pointer(address));
#else
  uint4 r;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(r.x), "=r"(r.y), "=r"(r.z), "=r"(r.w)
               : "r"(address)
               : "memory");
  return r;
#endif
}
PAH_PTX void store_shared(u32 address, uint4 x) {
#ifdef PAH_SIM
  *static_cast<uint4 *>(pah_sim_shared_pointer(address)) = x;
#else
  asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w)
               : "memory");
#endif
}

PAH_PTX void prefetch_l2(const void *p) {
#ifdef PAH_SIM
  (void)p;
#else
  asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
#endif
}

// cp.async: source_bytes of the BYTES are read, the rest of the destination becomes zero. _ca keeps the line in L1.
#ifdef PAH_SIM
template <int Bytes> PAH_PTX void cp_async_ca(u32 dst, const void *src, u32 source_bytes = Bytes) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "cp.async copies 4, 8 or 16 bytes");
  pah_sim_cp_async(dst, src, Bytes, source_bytes);
}
PAH_PTX void cp_async_cg(u32 dst, const void *src, u32 source_bytes = 16) {
  pah_sim_cp_async(dst, src, 16, source_bytes);
}
PAH_PTX void cp_async_commit_group() {
  pah_sim_cp_async_commit();
}
template <int Groups> PAH_PTX void cp_async_wait_group() {
  pah_sim_cp_async_wait(Groups);
}
PAH_PTX void cp_async_wait_all() {
  pah_sim_cp_async_wait(-1);
}
PAH_PTX void cp_async_mbarrier_arrive(u32 barrier) {
  pah_sim_cp_async_arrive(barrier, 0);
}
PAH_PTX void cp_async_mbarrier_arrive_noinc(u32 barrier) {
  pah_sim_cp_async_arrive(barrier, 1);
}
#else
template <int Bytes> PAH_PTX void cp_async_ca(u32 dst, const void *src, u32 source_bytes = Bytes) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "cp.async copies 4, 8 or 16 bytes");
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(dst), "l"(src), "n"(Bytes), "r"(source_bytes)
               : "memory");
}
PAH_PTX void cp_async_cg(u32 dst, const void *src, u32 source_bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(src), "r"(source_bytes) : "memory");
}
PAH_PTX void cp_async_commit_group() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most so many of the newest groups of this thread are still on their way.
template <int Groups> PAH_PTX void cp_async_wait_group() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Groups) : "memory");
}
PAH_PTX void cp_async_wait_all() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}
// The mbarrier counts one arrival once this thread's copies so far have landed; _noinc: an arrival that was counted in
// at the initialisation.
PAH_PTX void cp_async_mbarrier_arrive(u32 barrier) {
  asm volatile("cp.async.mbarrier.arrive.shared.b64 [%0];" ::"r"(barrier) : "memory");
}
PAH_PTX void cp_async_mbarrier_arrive_noinc(u32 barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
}
#endif

// redux.sync: every lane of mask gets the result over mask.
#ifdef PAH_SIM
#define PAH_REDUX(name, code, type, op)                                                                                \
  PAH_PTX type name(u32 mask, type x) {                                                                                \
    return (type)pah_sim_collective(op, mask, (u32)x, 0);                                                              \
  }
#else
#define PAH_REDUX(name, code, type, op)                                                                                \
  PAH_PTX type name(u32 mask, type x) {                                                                                \
    type r;                                                                                                            \
    asm volatile("redux.sync." code " %0, %1, %2;" : "=r"(r) : "r"(x), "r"(mask));                                     \
    return r;                                                                                                          \
  }
#endif
PAH_REDUX(redux_add, "add.u32", u32, PAH_SIM_REDUCE_ADD)
PAH_REDUX(redux_min, "min.u32", u32, PAH_SIM_REDUCE_MIN)
PAH_REDUX(redux_max, "max.u32", u32, PAH_SIM_REDUCE_MAX)
PAH_REDUX(redux_min, "min.s32", int, PAH_SIM_REDUCE_SMIN)
PAH_REDUX(redux_max, "max.s32", int, PAH_SIM_REDUCE_SMAX)
PAH_REDUX(redux_and, "and.b32", u32, PAH_SIM_REDUCE_AND)
PAH_REDUX(redux_or, "or.b32", u32, PAH_SIM_REDUCE_OR)
PAH_REDUX(redux_xor, "xor.b32", u32, PAH_SIM_REDUCE_XOR)
#undef PAH_REDUX

} // namespace ptx
#endif
