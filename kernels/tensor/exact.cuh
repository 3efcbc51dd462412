/* exact.cuh - double arithmetic in which each operation rounds, to nearest even: nvcc would make one rounding of a*b+c,
 * and the bits of random numbers must be those of the host. A long chain of operators then reads as on the host. */
#pragma once

struct exact {
  double value;
  __device__ exact(double v) : value(v) {}
};

__device__ inline exact operator+(exact a, exact b) {
  return __dadd_rn(a.value, b.value);
}
__device__ inline exact operator-(exact a, exact b) {
  return __dsub_rn(a.value, b.value);
}
__device__ inline exact operator*(exact a, exact b) {
  return __dmul_rn(a.value, b.value);
}
__device__ inline exact operator/(exact a, exact b) {
  return __ddiv_rn(a.value, b.value);
}
__device__ inline exact operator-(exact a) {
  return -a.value;
}
