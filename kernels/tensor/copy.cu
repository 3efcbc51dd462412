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

/* 16 of the 32 bytes in `low` and `high`, from word number `word` and `bits` of it on. */
template <int word> __device__ inline uint4 cut_out(uint4 low, uint4 high, int bits) {
  const unsigned x[9] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w, 0};
  return make_uint4(__funnelshift_r(x[word], x[word + 1], bits), __funnelshift_r(x[word + 1], x[word + 2], bits),
                    __funnelshift_r(x[word + 2], x[word + 3], bits), __funnelshift_r(x[word + 3], x[word + 4], bits));
}

template <int word> __device__ inline void copy_from(const pah_walk &w, int bits) {
  uint4 low[PAH_WALK_ITEMS] = {}, high[PAH_WALK_ITEMS] = {};
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++) {
    if (item_of(u) >= w.count) break;
    low[u] = ((const uint4 *)w.b)[item_of(u)];
    if (threadIdx.x % 32 == 31 || item_of(u) + 1 == w.count) high[u] = ((const uint4 *)w.b)[item_of(u) + 1];
  }
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++) { /* the word behind is the one that the next lane has read */
    uint4 next = make_uint4(__shfl_down_sync(0xffffffffu, low[u].x, 1), __shfl_down_sync(0xffffffffu, low[u].y, 1),
                            __shfl_down_sync(0xffffffffu, low[u].z, 1), __shfl_down_sync(0xffffffffu, low[u].w, 1));
    if (threadIdx.x % 32 != 31 && item_of(u) + 1 != w.count) high[u] = next;
  }
#pragma unroll
  for (int u = 0; u < PAH_WALK_ITEMS; u++)
    if (item_of(u) < w.count) ((uint4 *)w.a)[item_of(u)] = cut_out<word>(low[u], high[u], bits);
}

/* w.count words of 16 bytes, `by` bytes behind w.b, which lies at a multiple of 16 as w.a does: each is cut out of two
 * words of the source, since no wider word than an element fits both. Which words is known when compiled: an array
 * with an index that is not lies in memory. */
extern "C" __global__ void copy_shifted(pah_walk w, int by) {
  switch (by / 4) {
  case 0: return copy_from<0>(w, by % 4 * 8);
  case 1: return copy_from<1>(w, by % 4 * 8);
  case 2: return copy_from<2>(w, by % 4 * 8);
  default: return copy_from<3>(w, by % 4 * 8);
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
