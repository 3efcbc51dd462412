/* sm80/columns.cuh - how rows lie in shared memory for ldmatrix: cut into columns of 128 bytes, a column of all rows of
 * a tile before the next. Chunk c of 16 bytes of row r lies at chunk c ^ r % 8: neither copies nor ldmatrix meet in a
 * bank. The kernel's config.cuh comes first: K_T, COLUMNS (elements of 128 bytes). Read next: page_fetch.cuh,
 * sm80/products.cuh. */
#pragma once

constexpr int ROW_BYTES = 128, CHUNK = 16 / (int)sizeof(K_T); /* elements of a chunk */
template <int dim> constexpr int COLUMNS_OF = (dim + COLUMNS - 1) / COLUMNS;

__device__ __forceinline__ unsigned chunk_at(int row, int chunk) {
  return row * ROW_BYTES + ((chunk ^ row % 8) << 4);
}
