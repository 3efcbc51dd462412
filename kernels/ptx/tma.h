/* ptx/tma.h - bulk copies between global and shared memory, by one thread for all.
 * Loads report their bytes to an mbarrier (mbarrier_arrive_expect_tx counts them in); stores are waited for in groups
 * of the thread. What threads have written to shared memory must be fenced (fence_proxy_async_shared) before a store
 * reads it. A tensor map is made on the host (pah_tensor_map) and passed as `const __grid_constant__ ptx::tensor_map`;
 * the coordinates are in elements, innermost first. Read next: src/sim/ptx/tma.c. */
#ifndef PAH_PTX_TMA_H
#define PAH_PTX_TMA_H

#include "base.h"

namespace ptx {

struct alignas(64) tensor_map {
  u64 words[16];
};

// Which 16-byte chunk of a row of `Bytes` (32, 64, 128) holds what: address in shared memory, unswizzled to swizzled.
template <int Bytes> PAH_PTX u32 swizzled(u32 address) {
  return address ^ ((address >> 7 & (Bytes / 16 - 1)) << 4);
}

// Multiples of 16 bytes at multiples of 16.
PAH_PTX void bulk_load(u32 dst, const void *src, u32 bytes, u32 barrier) {
#ifdef PAH_SIM
  pah_sim_bulk_load(dst, src, bytes, barrier);
#else
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(dst),
               "l"(src), "r"(bytes), "r"(barrier)
               : "memory");
#endif
}

PAH_PTX void bulk_store(void *dst, u32 src, u32 bytes) {
#ifdef PAH_SIM
  pah_sim_bulk_store(dst, src, bytes);
#else
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(dst), "r"(src), "r"(bytes)
               : "memory");
#endif
}

PAH_PTX void bulk_commit_group() {
#ifdef PAH_SIM
  pah_sim_bulk_commit();
#else
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#endif
}

// Until at most so many of the newest groups are on their way; _read: until those have at least read their sources.
template <int Groups> PAH_PTX void bulk_wait_group() {
#ifdef PAH_SIM
  pah_sim_bulk_wait(Groups, 0);
#else
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(Groups) : "memory");
#endif
}
template <int Groups> PAH_PTX void bulk_wait_group_read() {
#ifdef PAH_SIM
  pah_sim_bulk_wait(Groups, 1);
#else
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(Groups) : "memory");
#endif
}

PAH_PTX void prefetch_tensor_map(const tensor_map &map) {
#ifdef PAH_SIM
  (void)map;
#else
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
#endif
}

#ifdef PAH_SIM
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, u32 barrier) {
  pah_sim_tensor_load(dst, &map, 1, pah_sim_coordinates{{x, 0, 0, 0, 0}}, barrier);
}
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, int y, u32 barrier) {
  pah_sim_tensor_load(dst, &map, 2, pah_sim_coordinates{{x, y, 0, 0, 0}}, barrier);
}
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, int y, int z, u32 barrier) {
  pah_sim_tensor_load(dst, &map, 3, pah_sim_coordinates{{x, y, z, 0, 0}}, barrier);
}
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, int y, int z, int u, u32 barrier) {
  pah_sim_tensor_load(dst, &map, 4, pah_sim_coordinates{{x, y, z, u, 0}}, barrier);
}
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, int y, int z, int u, int v, u32 barrier) {
  pah_sim_tensor_load(dst, &map, 5, pah_sim_coordinates{{x, y, z, u, v}}, barrier);
}
PAH_PTX void tensor_store(const tensor_map &map, int x, u32 src) {
  pah_sim_tensor_store(&map, 1, pah_sim_coordinates{{x, 0, 0, 0, 0}}, src);
}
PAH_PTX void tensor_store(const tensor_map &map, int x, int y, u32 src) {
  pah_sim_tensor_store(&map, 2, pah_sim_coordinates{{x, y, 0, 0, 0}}, src);
}
PAH_PTX void tensor_store(const tensor_map &map, int x, int y, int z, u32 src) {
  pah_sim_tensor_store(&map, 3, pah_sim_coordinates{{x, y, z, 0, 0}}, src);
}
PAH_PTX void tensor_store(const tensor_map &map, int x, int y, int z, int u, u32 src) {
  pah_sim_tensor_store(&map, 4, pah_sim_coordinates{{x, y, z, u, 0}}, src);
}
PAH_PTX void tensor_store(const tensor_map &map, int x, int y, int z, int u, int v, u32 src) {
  pah_sim_tensor_store(&map, 5, pah_sim_coordinates{{x, y, z, u, v}}, src);
}
#else
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, u32 barrier) {
  asm volatile("cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3}], [%2];" ::"r"(dst),
               "l"(&map), "r"(barrier), "r"(x)
               : "memory");
}
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, int y, u32 barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3, %4}], [%2];" ::"r"(dst),
               "l"(&map), "r"(barrier), "r"(x), "r"(y)
               : "memory");
}
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, int y, int z, u32 barrier) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(dst),
               "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z)
               : "memory");
}
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, int y, int z, int u, u32 barrier) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(dst),
               "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z), "r"(u)
               : "memory");
}
PAH_PTX void tensor_load(u32 dst, const tensor_map &map, int x, int y, int z, int u, int v, u32 barrier) {
  asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3, %4, %5, %6, %7}], [%2];" ::"r"(dst),
               "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z), "r"(u), "r"(v)
               : "memory");
}
PAH_PTX void tensor_store(const tensor_map &map, int x, u32 src) {
  asm volatile("cp.async.bulk.tensor.1d.global.shared::cta.bulk_group [%0, {%2}], [%1];" ::"l"(&map), "r"(src), "r"(x)
               : "memory");
}
PAH_PTX void tensor_store(const tensor_map &map, int x, int y, u32 src) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];" ::"l"(&map), "r"(src),
               "r"(x), "r"(y)
               : "memory");
}
PAH_PTX void tensor_store(const tensor_map &map, int x, int y, int z, u32 src) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(&map), "r"(src),
               "r"(x), "r"(y), "r"(z)
               : "memory");
}
PAH_PTX void tensor_store(const tensor_map &map, int x, int y, int z, int u, u32 src) {
  asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(&map),
               "r"(src), "r"(x), "r"(y), "r"(z), "r"(u)
               : "memory");
}
PAH_PTX void tensor_store(const tensor_map &map, int x, int y, int z, int u, int v, u32 src) {
  asm volatile("cp.async.bulk.tensor.5d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5, %6}], [%1];" ::"l"(&map),
               "r"(src), "r"(x), "r"(y), "r"(z), "r"(u), "r"(v)
               : "memory");
}
#endif

} // namespace ptx
#endif
