/* walk.cuh - from the number of an item to its place in strided tensors. Each thread takes PAH_WALK_ITEMS items, a
 * thread block apart, so that neighbours touch neighbouring memory and several loads are under way at a time.
 * Read next: copy.cu. */
#pragma once
#include "params.h"

struct place { /* in items from w.a and w.b */
  long long a, b;
};

__device__ inline place place_of(const pah_walk &w, unsigned long long item) {
  place p = {0, 0};
  for (int d = w.ndim - 1; d > 0; d--) {
    unsigned long long rest = item / (unsigned long long)w.shape[d];
    long long at = (long long)(item - rest * w.shape[d]);
    p.a += at * w.a_stride[d];
    p.b += at * w.b_stride[d];
    item = rest;
  }
  p.a += (long long)item * w.a_stride[0];
  p.b += (long long)item * w.b_stride[0];
  return p;
}

/* The u-th item of this thread. */
__device__ inline long long item_of(int u) {
  return ((long long)blockIdx.x * PAH_WALK_ITEMS + u) * PAH_WALK_THREADS + threadIdx.x;
}
