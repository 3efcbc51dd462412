/* copy.cu - copies and fills of bits, in words as wide as strides and addresses allow (src/gpu/tensor.c chooses).
 * All loads of a thread come before its stores: a GPU hides the latency of memory by what is under way at a time.
 * Source and destination do not overlap. Read next: convert.cu. */
#include "walk.cuh"

template <class WORD> __device__ inline void copy(const pah_walk &w) {
  WORD held[PAH_WALK_ITEMS];
  long long to[PAH_WALK_ITEMS];
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++) {
    if (item_of(u) >= w.count) break;
    place p = place_of(w, item_of(u));
    held[u] = ((const WORD *)w.b)[p.b];
    to[u] = p.a;
  }
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++)
    if (item_of(u) < w.count) ((WORD *)w.a)[to[u]] = held[u];
}

extern "C" __global__ void copy_words(pah_walk w, int bytes) {
  switch (bytes) {
  case 16: return copy<uint4>(w);
  case 8: return copy<unsigned long long>(w);
  case 4: return copy<unsigned>(w);
  case 2: return copy<unsigned short>(w);
  default: return copy<unsigned char>(w);
  }
}

template <class WORD> __device__ inline void fill(const pah_walk &w, WORD value) {
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++)
    if (item_of(u) < w.count) ((WORD *)w.a)[place_of(w, item_of(u)).a] = value;
}

extern "C" __global__ void fill_words(pah_walk w, pah_word value) {
  unsigned long long low = value.low, high = value.high;
  switch (value.bytes) {
  case 16: return fill(w, make_uint4((unsigned)low, (unsigned)(low >> 32), (unsigned)high, (unsigned)(high >> 32)));
  case 8: return fill(w, low);
  case 4: return fill(w, (unsigned)low);
  case 2: return fill(w, (unsigned short)low);
  default: return fill(w, (unsigned char)low);
  }
}
