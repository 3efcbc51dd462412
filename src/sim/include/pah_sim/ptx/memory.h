/* memory.h - loads, stores, atomics and parameters of PTX. An access is one of the size that PTX says, put
 * before the checker by the compiler like those of C++. Read next: pah_sim/ptx/sync.h. */
#ifndef PAH_SIM_PTX_MEMORY_H
#define PAH_SIM_PTX_MEMORY_H

namespace pah_ptx {

constexpr int order_of(choice word, int flags) {
  return (word == w_acquire || word == w_acq_rel ? PAH_SIM_ACQUIRE : 0) |
         (word == w_release || word == w_acq_rel ? PAH_SIM_RELEASE : 0) | (flags & m_cta ? PAH_SIM_OF_BLOCK : 0);
}
PAH_PTX_I void i_fence(int flags) {
  pah_sim_fence(flags & m_cta ? PAH_SIM_FENCE_BLOCK : PAH_SIM_FENCE_DEVICE);
}

/* An address of local memory, of which 32 bits may be all that is left (Triton): the place on this stack that has them.
 */
PAH_PTX_I void *i_local(uint64_t address) {
  char *here = (char *)__builtin_frame_address(0);
  return here + (int32_t)((uint32_t)address - (uint32_t)(uintptr_t)here);
}

PAH_SIM_CALLED inline void i_read_only(const void *p, unsigned long bytes) {
  pah_sim_read_only(p, bytes, PAH_SIM_CALLER);
}
template <class T> PAH_PTX_I result_of<T> i_ld(choice order, int flags, const void *p) {
  typedef bits_of<T> B;
  if (flags & m_nc) i_read_only(p, sizeof(B));
  if (order == w_none) return (result_of<T>)*(const B *)p;
  if (order == w_volatile) return (result_of<T>)*(const volatile B *)p;
  return (result_of<T>)pah_sim_atomic_load((const B *)p, order_of(order, flags));
}
template <class T> PAH_PTX_I void i_st(choice order, int flags, void *p, bits_of<T> value) {
  typedef bits_of<T> B;
  if (order == w_none)
    *(B *)p = value;
  else if (order == w_volatile)
    *(volatile B *)p = value;
  else
    pah_sim_atomic_store((B *)p, value, order_of(order, flags));
}

/* .v2 and .v4: one access of up to 16 bytes. */
template <class T, int N> struct elements { result_of<T> r[N]; };
template <class B, int N> struct vector_of { typedef B type __attribute__((vector_size(N * sizeof(B)), may_alias)); };
template <class T, int N> PAH_PTX_I elements<T, N> i_ld_vector(choice order, int flags, const void *p) {
  typedef typename vector_of<bits_of<T>, N>::type V;
  if (flags & m_nc) i_read_only(p, sizeof(V));
  const V v = order == w_none       ? *(const V *)p
              : order == w_volatile ? *(const volatile V *)p
                                    : pah_sim_atomic_load((const V *)p, order_of(order, flags));
  elements<T, N> e;
  for (int i = 0; i < N; i++) e.r[i] = (result_of<T>)v[i];
  return e;
}
template <class T, class... B> PAH_PTX_I void i_st_vector(choice order, int flags, void *p, B... b) {
  typedef typename vector_of<bits_of<T>, sizeof...(B)>::type V;
  const V v = {(bits_of<T>)b...};
  if (order == w_none)
    *(V *)p = v;
  else if (order == w_volatile)
    *(volatile V *)p = v;
  else
    pah_sim_atomic_store((V *)p, v, order_of(order, flags));
}

/* Parameters of kernels and functions: so many bytes, by value. Kind: of enum pah_parameter_kind. */
template <int Bytes, int Align, int Kind = 0> struct __attribute__((aligned(Align))) t_param { uint8_t bytes[Bytes]; };
template <class T, class P> PAH_PTX_I result_of<T> i_param(const P &p, int at, int element) {
  bits_of<T> b;
  __builtin_memcpy(&b, p.bytes + at + element * (int)sizeof b, sizeof b);
  return (result_of<T>)b;
}
template <class T, class P> PAH_PTX_I void i_set_param(P &p, int at, int element, bits_of<T> b) {
  __builtin_memcpy(p.bytes + at + element * (int)sizeof b, &b, sizeof b);
}

/* ---- Atomics: one that has an order is fenced by it ---- */

template <class T> PAH_SIM_UNSEEN inline bits_of<T> combined(choice op, bits_of<T> old, bits_of<T> b) {
  switch (op) {
  case w_add: return (bits_of<T>)i_add<T, 0>(old, b);
  case w_min: return (bits_of<T>)i_min<T, 0>(old, b);
  case w_max: return (bits_of<T>)i_max<T, 0>(old, b);
  case w_inc: return old >= b ? 0 : (bits_of<T>)(old + 1);
  case w_dec: return old == 0 || old > b ? b : (bits_of<T>)(old - 1);
  case w_and: return old & b;
  case w_or: return old | b;
  case w_xor: return old ^ b;
  default: return b;
  }
}
template <class T> PAH_SIM_CALLED inline result_of<T> i_atom(choice op, choice word, int flags, void *p, bits_of<T> b) {
  const int order = order_of(word, flags);
  if (order & PAH_SIM_RELEASE) i_fence(flags);
  const int decides = op == w_min || op == w_max || op == w_and || op == w_or ? PAH_SIM_DECIDES : 0;
  pah_sim_atomic(p, sizeof b, PAH_SIM_READ | PAH_SIM_WRITE | decides, order & PAH_SIM_OF_BLOCK, PAH_SIM_CALLER);
  bits_of<T> old, now;
  __builtin_memcpy(&old, p, sizeof old);
  now = combined<T>(op, old, b);
  __builtin_memcpy(p, &now, sizeof now);
  if (order & PAH_SIM_ACQUIRE) i_fence(flags);
  return (result_of<T>)old;
}
template <class T> PAH_SIM_CALLED inline bits_of<T> i_exch(choice word, int flags, void *p, bits_of<T> b) {
  const int order = order_of(word, flags);
  if (order & PAH_SIM_RELEASE) i_fence(flags);
  pah_sim_atomic(p, sizeof b, PAH_SIM_READ | PAH_SIM_WRITE, order & PAH_SIM_OF_BLOCK, PAH_SIM_CALLER);
  bits_of<T> old;
  __builtin_memcpy(&old, p, sizeof old);
  __builtin_memcpy(p, &b, sizeof b);
  if (order & PAH_SIM_ACQUIRE) i_fence(flags);
  return old;
}
/* Each element is an atomic of its own; the address is a multiple of all of them. */
template <class T, class... B>
PAH_SIM_CALLED inline elements<T, sizeof...(B)> i_atom_vector(choice op, choice word, int flags, void *p, B... b) {
  constexpr int N = sizeof...(B);
  const int order = order_of(word, flags);
  const bits_of<T> values[N] = {(bits_of<T>)b...};
  elements<T, N> e;
  if (order & PAH_SIM_RELEASE) i_fence(flags);
  pah_sim_atomic(p, N * sizeof(bits_of<T>), PAH_SIM_READ | PAH_SIM_WRITE, order & PAH_SIM_OF_BLOCK, PAH_SIM_CALLER);
  for (int i = 0; i < N; i++) {
    bits_of<T> old, now;
    __builtin_memcpy(&old, (bits_of<T> *)p + i, sizeof old);
    now = combined<T>(op, old, values[i]);
    __builtin_memcpy((bits_of<T> *)p + i, &now, sizeof now);
    e.r[i] = (result_of<T>)old;
  }
  if (order & PAH_SIM_ACQUIRE) i_fence(flags);
  return e;
}
template <class T>
PAH_SIM_CALLED inline bits_of<T> i_cas(choice word, int flags, void *p, bits_of<T> expected, bits_of<T> value) {
  const int order = order_of(word, flags);
  if (order & PAH_SIM_RELEASE) i_fence(flags);
  pah_sim_atomic(p, sizeof value, PAH_SIM_READ | PAH_SIM_WRITE | PAH_SIM_DECIDES, order & PAH_SIM_OF_BLOCK,
                 PAH_SIM_CALLER);
  bits_of<T> old;
  __builtin_memcpy(&old, p, sizeof old);
  if (old == expected) __builtin_memcpy(p, &value, sizeof value);
  if (order & PAH_SIM_ACQUIRE) i_fence(flags);
  return old;
}

/* ---- Small things ---- */

PAH_PTX_I bool i_isspacep(choice space, uint64_t address) {
  return pah_sim_space((const void *)address) == (space == w_global ? 1 : space == w_shared ? 2 : 3);
}
PAH_PTX_I bool i_is_own_shared(uint64_t address) {
  return i_isspacep(w_shared, address) && pah_sim_shared_rank((const void *)address) == pah_sim_cluster_rank();
}
/* discard, applypriority: hints for a line of 128 bytes. */
PAH_PTX_I void i_line(uint64_t address, uint64_t bytes) {
  if (address % 128 != 0 || bytes != 128)
    pah_sim_bad_ptx("the line must have 128 bytes and begin at a multiple of 128");
}
PAH_PTX_I void i_bulk_prefetch(uint64_t, uint32_t) {}
template <class... A> PAH_PTX_I uint64_t i_policy(A...) {
  return 1; /* hints of caches mean nothing here */
}
/* The last operand of cp.async: how many bytes are read, or whether none is. */
template <class S> PAH_PTX_I uint32_t i_source(S source, uint32_t bytes) {
  if constexpr (std::is_same<S, bool>::value)
    return source ? 0 : bytes;
  else
    return (uint32_t)source;
}

} // namespace pah_ptx
#endif
