/* cpu/vec/cell.h - the vector of f32 that all kernels are made of: as wide as the set's registers, loaded from and
 * stored to any address. Read next: lanes.h (the same from other dtypes), cpu/gemm/f32.h (the tile made of it). */
#ifndef PAH_CPU_VEC_CELL_H
#define PAH_CPU_VEC_CELL_H

#if defined(__AVX512F__)
enum { CELL_VECTOR = 16 };
#elif defined(__AVX__)
enum { CELL_VECTOR = 8 };
#else
enum { CELL_VECTOR = 4 };
#endif
typedef float cell_vector __attribute__((vector_size(CELL_VECTOR * 4), aligned(4), may_alias));

static inline cell_vector cell_load(const float *p) {
  return *(const cell_vector *)p;
}

static inline void cell_store(float *p, cell_vector v) {
  *(cell_vector *)p = v;
}

#endif
