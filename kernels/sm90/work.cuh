/* sm90/work.cuh - which tiles of rows a thread block computes, one after the other. The grid has one thread block per
 * multiprocessor. Thread block c takes items c, 2G-1-c, 2G+c, ...: forth and back, so that nobody always gets the
 * longer one. The order of items: row_tiles.cuh. Read next: pages.cuh, mask.cuh. */
#pragma once
#include "config.cuh"
#include "row_tiles.cuh"

__device__ inline int work_index(int round) {
  const int grid = (int)gridDim.x, mine = (int)blockIdx.x;
  return round * grid + (round % 2 ? grid - 1 - mine : mine);
}
