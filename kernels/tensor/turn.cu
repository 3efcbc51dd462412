/* turn.cu - a copy whose source runs along the last dimension but one and whose destination along the last: a
 * transposition. A thread block turns a tile of 32 x 32 elements in shared memory, so that loads and stores both touch
 * neighbouring elements. Rows of the tile are one element longer than 32: a column is then in 32 different banks.
 * Source and destination do not overlap. Read next: walk.cuh. */
#include "walk.cuh"

template <class WORD> __device__ inline void turn_tile(const pah_walk &w, WORD (*tile)[PAH_TILE + 1]) {
  int last = w.ndim - 1;
  long long rows = w.shape[last - 1], columns = w.shape[last];
  long long tiles_down = (rows + PAH_TILE - 1) / PAH_TILE, tiles_across = (columns + PAH_TILE - 1) / PAH_TILE;
  long long number = blockIdx.x, matrix = number / (tiles_down * tiles_across);
  long long row = number / tiles_across % tiles_down * PAH_TILE, column = number % tiles_across * PAH_TILE;
  place p = place_of(w, matrix * rows * columns);
  const WORD *from = (const WORD *)w.b + p.b;
  WORD *to = (WORD *)w.a + p.a;

  int x = threadIdx.x % PAH_TILE, first = threadIdx.x / PAH_TILE, step = PAH_WALK_THREADS / PAH_TILE;
#pragma unroll
  for (int y = 0; y < PAH_TILE; y += step) {
    long long r = row + x, c = column + first + y; /* neighbours are in a column */
    if (r < rows && c < columns) tile[first + y][x] = from[r + c * w.b_stride[last]];
  }
  __syncthreads();
#pragma unroll
  for (int y = 0; y < PAH_TILE; y += step) {
    long long r = row + first + y, c = column + x; /* neighbours are in a row */
    if (r < rows && c < columns) to[r * w.a_stride[last - 1] + c] = tile[x][first + y];
  }
}

/* `bytes` of an element: 1, 2, 4 or 8. */
extern "C" __global__ void __launch_bounds__(PAH_WALK_THREADS) turn(pah_walk w, int bytes) {
  __shared__ unsigned long long memory[PAH_TILE][PAH_TILE + 1];
  switch (bytes) {
  case 8: return turn_tile(w, memory);
  case 4: return turn_tile(w, (unsigned(*)[PAH_TILE + 1]) memory);
  case 2: return turn_tile(w, (unsigned short(*)[PAH_TILE + 1]) memory);
  default: return turn_tile(w, (unsigned char(*)[PAH_TILE + 1]) memory);
  }
}
