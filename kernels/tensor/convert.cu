/* convert.cu - a copy into another element type, with the bits of src/tensor/tensor.c. The types are known only when
 * the kernel runs: one compiled kernel for all pairs, and a switch costs little beside memory, as all threads go the
 * same way. A thread loads its items, several elements each, before it converts and stores them.
 * Source and destination do not overlap. Read next: number.cuh, walk.cuh. */
#include "number.cuh"
#include "walk.cuh"

/* N elements that are moved by one access, or by several of 16 bytes. */
template <class T, int N> struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) pack { T element[N]; };

template <int N> struct thread_places {
  long long from[PAH_WALK_ITEMS], to[PAH_WALK_ITEMS]; /* in items */
  int count;
};

template <class T, class X, int N>
__device__ inline void load_as(const pah_walk &w, const thread_places<N> &at, X (&x)[PAH_WALK_ITEMS][N]) {
  pack<T, N> held[PAH_WALK_ITEMS];
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++)
    if (u < at.count) held[u] = ((const pack<T, N> *)w.b)[at.from[u]];
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++)
    for (int i = 0; i < N && u < at.count; i++) widen(x[u][i], held[u].element[i]);
}

template <class T, class X, int N>
__device__ inline void store_as(const pah_walk &w, const thread_places<N> &at, const X (&x)[PAH_WALK_ITEMS][N]) {
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++) {
    if (u >= at.count) break;
    pack<T, N> out;
#pragma unroll
    for (int i = 0; i < N; i++) narrow(out.element[i], x[u][i]);
    ((pack<T, N> *)w.a)[at.to[u]] = out;
  }
}

/* From and to the types that float holds. */
template <int N>
__device__ inline void through_float(const pah_walk &w, const pah_conversion &c, const thread_places<N> &at) {
  float x[PAH_WALK_ITEMS][N];
  switch (c.from) {
  case TYPE_F32: load_as<f32>(w, at, x); break;
  case TYPE_F16: load_as<f16>(w, at, x); break;
  case TYPE_BF16: load_as<bf16>(w, at, x); break;
  case TYPE_E4M3: load_as<fp8_e4m3>(w, at, x); break;
  case TYPE_E5M2: load_as<fp8_e5m2>(w, at, x); break;
  default: load_as<unsigned char>(w, at, x); break;
  }
  switch (c.to) {
  case TYPE_F32: return store_as<f32>(w, at, x);
  case TYPE_F16: return store_as<f16>(w, at, x);
  case TYPE_BF16: return store_as<bf16>(w, at, x);
  case TYPE_E4M3: return store_as<fp8_e4m3>(w, at, x);
  default: return store_as<fp8_e5m2>(w, at, x);
  }
}

template <int N>
__device__ inline void through_double(const pah_walk &w, const pah_conversion &c, const thread_places<N> &at) {
  double x[PAH_WALK_ITEMS][N];
  switch (c.from) {
  case TYPE_F32: load_as<f32>(w, at, x); break;
  case TYPE_F64: load_as<double>(w, at, x); break;
  case TYPE_F16: load_as<f16>(w, at, x); break;
  case TYPE_BF16: load_as<bf16>(w, at, x); break;
  case TYPE_E4M3: load_as<fp8_e4m3>(w, at, x); break;
  case TYPE_E5M2: load_as<fp8_e5m2>(w, at, x); break;
  case TYPE_I32: load_as<int>(w, at, x); break;
  case TYPE_I64: load_as<long long>(w, at, x); break;
  default: load_as<unsigned char>(w, at, x); break;
  }
  switch (c.to) {
  case TYPE_F32: return store_as<f32>(w, at, x);
  case TYPE_F64: return store_as<double>(w, at, x);
  case TYPE_F16: return store_as<f16>(w, at, x);
  case TYPE_BF16: return store_as<bf16>(w, at, x);
  case TYPE_E4M3: return store_as<fp8_e4m3>(w, at, x);
  case TYPE_E5M2: return store_as<fp8_e5m2>(w, at, x);
  case TYPE_I32: return store_as<int>(w, at, x);
  case TYPE_I64: return store_as<long long>(w, at, x);
  default: return store_as<unsigned char>(w, at, x);
  }
}

/* Where the items of this thread are. */
template <int N> __device__ inline thread_places<N> places_of(const pah_walk &w) {
  thread_places<N> at;
  at.count = 0;
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++) {
    if (item_of(u) >= w.count) break;
    place p = place_of(w, item_of(u));
    at.to[u] = p.a;
    at.from[u] = p.b;
    at.count = u + 1;
  }
  return at;
}

/* Two kernels, as the one with doubles takes more registers: fewer threads then have fewer bytes under way. */
extern "C" __global__ void __launch_bounds__(PAH_WALK_THREADS, 4) convert_small(pah_walk w, pah_conversion c) {
  if (c.width == PAH_WIDE_SMALL)
    through_float(w, c, places_of<PAH_WIDE_SMALL>(w));
  else
    through_float(w, c, places_of<1>(w));
}

extern "C" __global__ void convert(pah_walk w, pah_conversion c) {
  if (c.width == PAH_WIDE)
    through_double(w, c, places_of<PAH_WIDE>(w));
  else
    through_double(w, c, places_of<1>(w));
}
