/* atomics.h - atomic functions of CUDA, and the __nv_atomic and fence basics. One thread runs at a time and is
 * never interrupted within one of these, so plain arithmetic is atomic; the checker is told before.
 * Read next: pah_sim/math.h. */
#ifndef PAH_SIM_ATOMICS_H
#define PAH_SIM_ATOMICS_H

/* Reads *p, lets `next` make the new value, writes it, returns the old one. */
template <class T, class F>
PAH_SIM_UNSEEN inline T pah_sim_update(T *p, const void *pc, F next, int scope = 0, int decides = 0) {
  pah_sim_atomic(p, sizeof(T), PAH_SIM_READ | PAH_SIM_WRITE | decides, scope, pc);
  T old;
  __builtin_memcpy(&old, p, sizeof old);
  T now = next(old);
  __builtin_memcpy(p, &now, sizeof now);
  __asm__ volatile("" ::: "memory"); /* a read that follows is one of its own, for the checker too */
  return old;
}

/* Every function also with the scopes of a thread block and of the system. */
#define PAH_SIM_ATOMIC_OF(T, name, expression, scope, decides)                                                         \
  PAH_SIM_CALLED inline T name(T *p, T v) {                                                                            \
    return pah_sim_update(                                                                                             \
        p, PAH_SIM_CALLER, [v](T old) PAH_SIM_UNSEEN -> T { return expression; }, scope, decides);                     \
  }
/* `decides`: PAH_SIM_DECIDES where one that comes too late, after a plain read, changes nothing that is wrong. */
#define PAH_SIM_ATOMIC(T, name, expression, decides...)                                                                \
  PAH_SIM_ATOMIC_OF(T, name, expression, PAH_SIM_RELAXED, 0 decides)                                                   \
  PAH_SIM_ATOMIC_OF(T, name##_block, expression, PAH_SIM_OF_BLOCK, 0 decides)                                          \
  PAH_SIM_INLINE T name##_system(T *p, T v) {                                                                          \
    return name(p, v);                                                                                                 \
  }
#define PAH_SIM_ATOMIC_INTEGERS(T)                                                                                     \
  PAH_SIM_ATOMIC(T, atomicAdd, (T)(old + v))                                                                           \
  PAH_SIM_ATOMIC(T, atomicMin, v < old ? v : old, | PAH_SIM_DECIDES)                                                   \
  PAH_SIM_ATOMIC(T, atomicMax, v > old ? v : old, | PAH_SIM_DECIDES)                                                   \
  PAH_SIM_ATOMIC(T, atomicAnd, (T)(old & v), | PAH_SIM_DECIDES)                                                        \
  PAH_SIM_ATOMIC(T, atomicOr, (T)(old | v), | PAH_SIM_DECIDES)                                                         \
  PAH_SIM_ATOMIC(T, atomicXor, (T)(old ^ v))                                                                           \
  PAH_SIM_ATOMIC(T, atomicExch, (T)((void)old, v))
PAH_SIM_ATOMIC_INTEGERS(int)
PAH_SIM_ATOMIC_INTEGERS(unsigned int)
PAH_SIM_ATOMIC_INTEGERS(long long)
PAH_SIM_ATOMIC_INTEGERS(unsigned long long)
PAH_SIM_ATOMIC(int, atomicSub, (int)((unsigned)old - (unsigned)v))
PAH_SIM_ATOMIC(unsigned int, atomicSub, old - v)
PAH_SIM_ATOMIC(unsigned int, atomicInc, old >= v ? 0u : old + 1)
PAH_SIM_ATOMIC(unsigned int, atomicDec, old == 0 || old > v ? v : old - 1)
PAH_SIM_ATOMIC(float, atomicAdd, old + v)
PAH_SIM_ATOMIC(double, atomicAdd, old + v)
PAH_SIM_ATOMIC(float, atomicExch, ((void)old, v))
PAH_SIM_ATOMIC(double, atomicExch, ((void)old, v))

#if __CUDA_ARCH__ >= 900 /* each element is added by itself */
PAH_SIM_ATOMIC(float2, atomicAdd, (float2{old.x + v.x, old.y + v.y}))
PAH_SIM_ATOMIC(float4, atomicAdd, (float4{old.x + v.x, old.y + v.y, old.z + v.z, old.w + v.w}))
#endif

#define PAH_SIM_CAS_OF(T, name, scope)                                                                                 \
  PAH_SIM_CALLED inline T name(T *p, T compare, T v) {                                                                 \
    return pah_sim_update(                                                                                             \
        p, PAH_SIM_CALLER, [compare, v](T old) PAH_SIM_UNSEEN -> T { return old == compare ? v : old; }, scope,        \
        PAH_SIM_DECIDES);                                                                                              \
  }
#define PAH_SIM_CAS_ALL(T)                                                                                             \
  PAH_SIM_CAS_OF(T, atomicCAS, PAH_SIM_RELAXED)                                                                        \
  PAH_SIM_CAS_OF(T, atomicCAS_block, PAH_SIM_OF_BLOCK)                                                                 \
  PAH_SIM_INLINE T atomicCAS_system(T *p, T compare, T v) {                                                            \
    return atomicCAS(p, compare, v);                                                                                   \
  }
PAH_SIM_CAS_ALL(int)
PAH_SIM_CAS_ALL(unsigned int)
PAH_SIM_CAS_ALL(unsigned short)
PAH_SIM_CAS_ALL(long long)
PAH_SIM_CAS_ALL(unsigned long long)

/* Loads and stores with an order, for the wrappers of ptx.cuh (ld.acquire, st.release) and cuda::atomic alikes. */
template <class T> PAH_SIM_CALLED inline T pah_sim_atomic_load(const T *p, int order) {
  pah_sim_atomic((void *)p, sizeof(T), PAH_SIM_READ, order, PAH_SIM_CALLER);
  T value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}
template <class T> PAH_SIM_CALLED inline void pah_sim_atomic_store(T *p, T value, int order) {
  pah_sim_atomic(p, sizeof(T), PAH_SIM_WRITE, order, PAH_SIM_CALLER);
  __builtin_memcpy(p, &value, sizeof value);
}

#endif
