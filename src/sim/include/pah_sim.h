#include <stddef.h>
#include <stdint.h>
#include "../abi.h"
#include <type_traits>
#include <utility>
#define __shared__ thread_local
#define __global__ __attribute__((used, noinline))
#define __device__
#define __host__
struct uint3 { unsigned x, y, z; };
#define threadIdx (pah_sim_thread_idx())
#define blockIdx (pah_sim_block_idx())
#define blockDim (pah_sim_block_dim())
#define gridDim (pah_sim_grid_dim())
inline __attribute__((always_inline)) void __syncthreads(int line = __builtin_LINE()) { pah_sim_syncthreads(0, 0, line); }
inline __attribute__((always_inline)) void __syncwarp(unsigned m = ~0u, int line = __builtin_LINE()) { pah_sim_syncwarp(m, line); }
template <class T> constexpr int pah_desc() {
  return ((std::is_pointer<T>::value ? 1 : std::is_floating_point<T>::value ? 4 : std::is_integral<T>::value ? (std::is_signed<T>::value ? 2 : 3) : 5) << 24) | (int)sizeof(T);
}
template <class... A> struct pah_sig { int v[1 + sizeof...(A)]; };
template <class... A> constexpr pah_sig<A...> pah_sig_of(void (*)(A...)) { return {{(int)sizeof...(A), pah_desc<A>()...}}; }
template <class... A, std::size_t... I> __attribute__((no_sanitize("thread"))) inline void pah_call(void (*f)(A...), void **args, std::index_sequence<I...>) { f(*(std::remove_reference_t<A> *)args[I]...); }
template <class... A> inline void pah_call2(void (*f)(A...), void **args) { pah_call(f, args, std::index_sequence_for<A...>()); }
#define PAH_SIM_ENTRY(n, ...) extern "C" __attribute__((no_sanitize("thread"))) void pah_entry_##n(void **args) { pah_call2(&__VA_ARGS__, args); } \
  extern "C" { extern const decltype(pah_sig_of(&__VA_ARGS__)) pah_signature_##n; const decltype(pah_sig_of(&__VA_ARGS__)) pah_signature_##n = pah_sig_of(&__VA_ARGS__); }
