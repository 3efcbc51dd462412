/* sync.h - barriers, warp functions, mbarriers and matrices of PTX, as far as a row of rows.h does not call
 * the simulator itself; clusters. See kernels/ptx/ for what each instruction does. */
#ifndef PAH_SIM_PTX_SYNC_H
#define PAH_SIM_PTX_SYNC_H

namespace pah_ptx {

PAH_PTX_I uint32_t i_warp() {
  const pah_sim_dim at = pah_sim_thread_idx(), size = pah_sim_block_dim();
  return ((at.z * size.y + at.y) * size.x + at.x) / 32;
}
PAH_PTX_I uint32_t threads() {
  const pah_sim_dim size = pah_sim_block_dim();
  return size.x * size.y * size.z;
}

/* Barrier 0 of all threads is __syncthreads. A last warp of fewer than 32 counts as a whole one. */
PAH_PTX_I void i_named_barrier(uint32_t id, uint32_t count, int arrives, int line = __builtin_LINE()) {
  const bool all = count == threads() || count == (threads() + 31) / 32 * 32;
  if (id == 0 && all && !arrives)
    pah_sim_syncthreads(PAH_SIM_PLAIN, 0, line);
  else
    pah_sim_named_barrier((int)id, all ? 0 : (int)count, arrives, line);
}
PAH_PTX_I void i_barrier(uint32_t id, int line = __builtin_LINE()) {
  i_named_barrier(id, threads(), 0, line);
}
PAH_PTX_I uint32_t reduce_at_barrier(choice how, uint32_t id, uint32_t count, bool p, int line) {
  if (id != 0 || count != threads()) pah_sim_unsupported("bar.red of another barrier than 0, or of fewer threads,");
  return (uint32_t)pah_sim_syncthreads(how == w_popc  ? PAH_SIM_COUNT
                                       : how == w_and ? PAH_SIM_AND
                                                      : PAH_SIM_OR,
                                       p, line);
}
PAH_PTX_I uint32_t i_barrier_reduce(choice how, uint32_t id, bool p, int line = __builtin_LINE()) {
  return reduce_at_barrier(how, id, threads(), p, line);
}
PAH_PTX_I uint32_t i_barrier_reduce_of(choice how, uint32_t id, uint32_t count, bool p, int line = __builtin_LINE()) {
  return reduce_at_barrier(how, id, count, p, line);
}
PAH_PTX_I void i_syncwarp(uint32_t mask, int line = __builtin_LINE()) {
  pah_sim_syncwarp(mask, line);
}

/* shfl.sync d|p, a, b, c, mask: c holds the segment mask in bits 8 to 12 and the clamp in the low ones. p: the source
 * lane is within the segment. */
struct shuffled {
  uint32_t r[2];
  PAH_PTX_I operator uint32_t() const {
    return r[0];
  }
};
PAH_PTX_I bool is_within(int op, uint32_t b, uint32_t c) {
  const uint32_t lane = pah_sim_lane(), segment = c >> 8 & 31, clamp = c & 31;
  const uint32_t last = (lane & segment) | (clamp & ~segment);
  switch (op) {
  case PAH_SIM_SHFL_UP: return (int)lane - (int)(b & 31) >= (int)last;
  case PAH_SIM_SHFL_DOWN: return lane + (b & 31) <= last;
  case PAH_SIM_SHFL_XOR: return (lane ^ (b & 31)) <= last;
  default: return ((lane & segment) | (b & 31 & ~segment)) <= last;
  }
}
PAH_PTX_I shuffled i_shuffle(int op, uint32_t a, uint32_t b, uint32_t c, uint32_t mask) {
  const uint32_t width = 32 - (c >> 8 & 31);
  const bool within = is_within(op, b, c);
  const uint32_t r = (uint32_t)pah_sim_collective(op, mask, a, (unsigned long long)width << 32 | (b & 31));
  return shuffled{{within ? r : a, within}};
}
PAH_PTX_I shuffled i_match_all(uint32_t mask, uint64_t value) {
  const uint32_t same = (uint32_t)pah_sim_collective(PAH_SIM_MATCH_ALL, mask, value, 0);
  return shuffled{{same, same != 0}};
}
PAH_PTX_I shuffled i_elect(uint32_t mask) {
  const uint32_t lanes = (uint32_t)pah_sim_collective(PAH_SIM_BALLOT, mask, 1, 0);
  const uint32_t leader = (uint32_t)__builtin_ctz(lanes | 1u << 31);
  return shuffled{{leader, pah_sim_lane() == leader}};
}

PAH_PTX_I void i_sleep(uint32_t) {
  pah_sim_yield();
}
constexpr int i_relaxed(choice order) {
  return order == w_relaxed ? PAH_SIM_ARRIVE_RELAXED : 0;
}
/* With what hint of time may follow. */
template <class... H> PAH_PTX_I bool i_test_state(choice order, uint32_t barrier, uint64_t state, H...) {
  return order == w_relaxed ? pah_sim_mbarrier_test_relaxed(barrier, state, 1)
                            : pah_sim_mbarrier_test_state(barrier, state);
}
template <class... H> PAH_PTX_I bool i_test_parity(choice order, uint32_t barrier, uint32_t parity, H...) {
  return order == w_relaxed ? pah_sim_mbarrier_test_relaxed(barrier, parity, 0)
                            : pah_sim_mbarrier_test(barrier, parity);
}

/* ---- Clusters ---- */

PAH_PTX_I pah_sim_dim i_cluster() {
  const pah_sim_dim at = pah_sim_block_idx(), size = pah_sim_cluster_dim();
  return pah_sim_dim{at.x / size.x, at.y / size.y, at.z / size.z};
}
PAH_PTX_I pah_sim_dim i_clusters() {
  const pah_sim_dim grid = pah_sim_grid_dim(), size = pah_sim_cluster_dim();
  return pah_sim_dim{grid.x / size.x, grid.y / size.y, grid.z / size.z};
}
PAH_PTX_I uint32_t i_cluster_size() {
  const pah_sim_dim size = pah_sim_cluster_dim();
  return size.x * size.y * size.z;
}
PAH_PTX_I void i_cluster_arrive(choice order, int line = __builtin_LINE()) {
  pah_sim_cluster_arrive(order != w_relaxed, line);
}
PAH_PTX_I void i_cluster_wait(int line = __builtin_LINE()) {
  pah_sim_cluster_wait(line);
}
/* Each element at its place in 16 bytes. */
template <class T, class... B> PAH_PTX_I void i_st_async(uint32_t to, uint32_t barrier, B... b) {
  typename T::bits all[sizeof...(B)] = {(typename T::bits)b...};
  pah_sim_v4 words = {};
  __builtin_memcpy(&words, all, sizeof all);
  pah_sim_st_async(to, words, sizeof all, barrier);
}
template <class T, choice Op>
PAH_SIM_UNSEEN inline unsigned long long reduced(unsigned long long old, unsigned long long b) {
  return (unsigned long long)combined<T>(Op, (typename T::bits)old, (typename T::bits)b);
}
template <class T> PAH_PTX_I void i_red_async(choice op, uint32_t to, typename T::bits b, uint32_t barrier) {
  pah_sim_reduction *const f = op == w_add   ? reduced<T, w_add>
                               : op == w_min ? reduced<T, w_min>
                               : op == w_max ? reduced<T, w_max>
                               : op == w_inc ? reduced<T, w_inc>
                               : op == w_dec ? reduced<T, w_dec>
                               : op == w_and ? reduced<T, w_and>
                               : op == w_or  ? reduced<T, w_or>
                                             : reduced<T, w_xor>;
  pah_sim_red_async(to, b, sizeof b, f, barrier);
}

/* ---- Reducing copies ---- */

constexpr int i_operation(choice op) {
  return op == w_add   ? PAH_SIM_ASYNC_ADD
         : op == w_min ? PAH_SIM_ASYNC_MIN
         : op == w_max ? PAH_SIM_ASYNC_MAX
         : op == w_inc ? PAH_SIM_ASYNC_INC
         : op == w_dec ? PAH_SIM_ASYNC_DEC
         : op == w_and ? PAH_SIM_ASYNC_AND
         : op == w_or  ? PAH_SIM_ASYNC_OR
                       : PAH_SIM_ASYNC_XOR;
}
/* As tensormap.replace numbers the types of elements. */
template <class T> constexpr int i_map_type() {
  constexpr bool is_signed = T::is == SIGNED, is_wide = sizeof(typename T::bits) == 8;
  if (T::is == SMALL) return T::exponent == 5 ? 6 : 10;
  if (T::is == FLOATING) return is_wide ? 9 : 7;
  return is_wide ? (is_signed ? 5 : 4) : sizeof(typename T::bits) == 2 ? 1 : is_signed ? 3 : 2;
}

/* ---- Matrices ---- */

PAH_PTX_I int matrices(choice count) {
  return count == w_x4 ? 4 : count == w_x2 ? 2 : 1;
}
template <unsigned F> PAH_PTX_I pah_sim_v4 i_ldmatrix(choice count, uint32_t row) {
  return pah_sim_ldmatrix(matrices(count), (F & m_trans) != 0, row);
}
template <unsigned F> PAH_PTX_I void i_stmatrix(choice count, uint32_t row, pah_sim_v4 r) {
  pah_sim_stmatrix(matrices(count), (F & m_trans) != 0, row, r);
}
/* A matrix of 8x8 that the lanes hold, transposed: lane l's column 2t + i of row g comes from row 2t + i, column g. */
PAH_PTX_I uint32_t i_movmatrix(uint32_t a) {
  const uint32_t lane = pah_sim_lane(), g = lane / 4, t = lane % 4;
  uint32_t r = 0;
  for (uint32_t i = 0; i < 2; i++) {
    const uint32_t from = (2 * t + i) * 4 + g / 2;
    const uint32_t pair = (uint32_t)pah_sim_collective(PAH_SIM_SHFL_IDX, ~0u, a, 32ull << 32 | from);
    r |= (pair >> 16 * (g % 2) & 0xffff) << 16 * i;
  }
  return r;
}
/* The sums lie one after the other in memory, or each somewhere. */
template <int N, int Words>
PAH_PTX_I void i_wgmma(int kind, int flags, float *const (&d)[Words], uint64_t a, uint64_t b, pah_sim_v4 registers) {
  pah_sim_wgmma_at(kind + 16 * N, flags, d, a, b, registers);
}

} // namespace pah_ptx

PAH_SIM_INLINE void __barrier_sync(unsigned id, int line = __builtin_LINE()) {
  pah_ptx::i_barrier(id, line);
}
PAH_SIM_INLINE void __barrier_sync_count(unsigned id, unsigned threads, int line = __builtin_LINE()) {
  pah_ptx::i_named_barrier(id, threads, 0, line);
}
#endif
