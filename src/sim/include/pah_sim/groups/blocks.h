/* blocks.h - groups of whole thread blocks: the thread block, its cluster, the grid, whose barrier
 * needs a cooperative launch. The barrier of several grids is none of sim's. Included by ../../cooperative_groups.h. */
#ifndef PAH_SIM_GROUPS_BLOCKS_H
#define PAH_SIM_GROUPS_BLOCKS_H

#include "../../pah_sim.h"

namespace cooperative_groups {

PAH_SIM_INLINE unsigned pah_size_of(pah_sim_dim d) {
  return d.x * d.y * d.z;
}
PAH_SIM_INLINE unsigned pah_rank_of(pah_sim_dim at, pah_sim_dim size) {
  return (at.z * size.y + at.y) * size.x + at.x;
}
PAH_SIM_INLINE dim3 pah_dim3(pah_sim_dim d) {
  return dim3(pah_sim_uint3(d));
}
PAH_SIM_INLINE unsigned pah_rank_in_block() {
  return pah_rank_of(pah_sim_thread_idx(), pah_sim_block_dim());
}
PAH_SIM_INLINE unsigned pah_block_threads() {
  return pah_size_of(pah_sim_block_dim());
}

class thread_block {
public:
  struct arrival_token {};
  PAH_SIM_INLINE static void sync(int line = __builtin_LINE()) {
    pah_sim_syncthreads(PAH_SIM_PLAIN, 0, line);
  }
  PAH_SIM_INLINE static unsigned thread_rank() {
    return pah_rank_in_block();
  }
  PAH_SIM_INLINE static unsigned num_threads() {
    return pah_block_threads();
  }
  PAH_SIM_INLINE static unsigned size() {
    return pah_block_threads();
  }
  PAH_SIM_INLINE static dim3 group_index() {
    return pah_dim3(pah_sim_block_idx());
  }
  PAH_SIM_INLINE static dim3 thread_index() {
    return pah_dim3(pah_sim_thread_idx());
  }
  PAH_SIM_INLINE static dim3 group_dim() {
    return pah_dim3(pah_sim_block_dim());
  }
  PAH_SIM_INLINE static dim3 dim_threads() {
    return group_dim();
  }
};
PAH_SIM_INLINE thread_block this_thread_block() {
  return thread_block();
}

/* ---- The cluster: one thread block where the launch has none ---- */

class cluster_group {
public:
  struct arrival_token {};
  PAH_SIM_INLINE static arrival_token barrier_arrive(int line = __builtin_LINE()) {
    pah_sim_cluster_arrive(1, line);
    return arrival_token();
  }
  PAH_SIM_INLINE static void barrier_wait(int line = __builtin_LINE()) {
    pah_sim_cluster_wait(line);
  }
  PAH_SIM_INLINE static void barrier_wait(arrival_token &&, int line = __builtin_LINE()) {
    pah_sim_cluster_wait(line);
  }
  PAH_SIM_INLINE static void sync(int line = __builtin_LINE()) {
    pah_sim_cluster_arrive(1, line);
    pah_sim_cluster_wait(line);
  }
  PAH_SIM_INLINE static unsigned query_shared_rank(const void *p) {
    return pah_sim_shared_rank(p);
  }
  template <class T> PAH_SIM_INLINE static T *map_shared_rank(T *p, int rank) {
    return (T *)pah_sim_map_shared(p, (unsigned)rank);
  }
  PAH_SIM_INLINE static dim3 block_index() {
    return pah_dim3(pah_sim_cluster_block_idx());
  }
  PAH_SIM_INLINE static unsigned block_rank() {
    return pah_sim_cluster_rank();
  }
  PAH_SIM_INLINE static dim3 dim_blocks() {
    return pah_dim3(pah_sim_cluster_dim());
  }
  PAH_SIM_INLINE static unsigned num_blocks() {
    return pah_size_of(pah_sim_cluster_dim());
  }
  PAH_SIM_INLINE static dim3 thread_index() {
    const pah_sim_dim b = pah_sim_cluster_block_idx(), d = pah_sim_block_dim(), t = pah_sim_thread_idx();
    return dim3(b.x * d.x + t.x, b.y * d.y + t.y, b.z * d.z + t.z);
  }
  PAH_SIM_INLINE static unsigned thread_rank() {
    return block_rank() * pah_block_threads() + pah_rank_in_block();
  }
  PAH_SIM_INLINE static dim3 dim_threads() {
    const pah_sim_dim c = pah_sim_cluster_dim(), d = pah_sim_block_dim();
    return dim3(c.x * d.x, c.y * d.y, c.z * d.z);
  }
  PAH_SIM_INLINE static unsigned num_threads() {
    return num_blocks() * pah_block_threads();
  }
  PAH_SIM_INLINE static unsigned size() {
    return num_threads();
  }
};
PAH_SIM_INLINE cluster_group this_cluster() {
  return cluster_group();
}

/* ---- The grid ---- */

class grid_group {
public:
  struct arrival_token {};
  PAH_SIM_INLINE static bool is_valid() {
    return pah_sim_is_cooperative();
  }
  PAH_SIM_INLINE static void sync(int line = __builtin_LINE()) {
    pah_sim_grid_arrive(line);
    pah_sim_grid_wait(line);
  }
  PAH_SIM_INLINE static arrival_token barrier_arrive(int line = __builtin_LINE()) {
    pah_sim_grid_arrive(line);
    return arrival_token();
  }
  PAH_SIM_INLINE static void barrier_wait(arrival_token &&, int line = __builtin_LINE()) {
    pah_sim_grid_wait(line);
  }
  PAH_SIM_INLINE static unsigned long long num_blocks() {
    const pah_sim_dim g = pah_sim_grid_dim();
    return (unsigned long long)g.x * g.y * g.z;
  }
  PAH_SIM_INLINE static unsigned long long block_rank() {
    const pah_sim_dim b = pah_sim_block_idx(), g = pah_sim_grid_dim();
    return ((unsigned long long)b.z * g.y + b.y) * g.x + b.x;
  }
  PAH_SIM_INLINE static unsigned long long thread_rank() {
    return block_rank() * pah_block_threads() + pah_rank_in_block();
  }
  PAH_SIM_INLINE static unsigned long long num_threads() {
    return num_blocks() * pah_block_threads();
  }
  PAH_SIM_INLINE static unsigned long long size() {
    return num_threads();
  }
  PAH_SIM_INLINE static dim3 dim_blocks() {
    return pah_dim3(pah_sim_grid_dim());
  }
  PAH_SIM_INLINE static dim3 group_dim() {
    return dim_blocks();
  }
  PAH_SIM_INLINE static dim3 block_index() {
    return pah_dim3(pah_sim_block_idx());
  }
  PAH_SIM_INLINE static dim3 dim_clusters() {
    return pah_dim3(pah_ptx::i_clusters());
  }
  PAH_SIM_INLINE static unsigned long long num_clusters() {
    return num_blocks() / cluster_group::num_blocks();
  }
  PAH_SIM_INLINE static dim3 cluster_index() {
    return pah_dim3(pah_ptx::i_cluster());
  }
  PAH_SIM_INLINE static unsigned long long cluster_rank() {
    return pah_rank_of(pah_ptx::i_cluster(), pah_ptx::i_clusters());
  }
};
PAH_SIM_INLINE grid_group this_grid() {
  return grid_group();
}

/* Several devices: refused when it is used. */
class multi_grid_group {
public:
  PAH_SIM_INLINE static bool is_valid() {
    return false;
  }
  PAH_SIM_INLINE static void sync() {
    pah_sim_unsupported("multi_grid_group::sync, a barrier over several devices,");
  }
};
PAH_SIM_INLINE multi_grid_group this_multi_grid() {
  return multi_grid_group();
}

} // namespace cooperative_groups
#endif
