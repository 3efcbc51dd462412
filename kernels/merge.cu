/* merge.cu - two partial results over disjoint keys into one, weighted by exp(lse - max). A thread block per row, a
 * thread per element. A part with lse -inf has seen no key: its out may hold anything and is not looked at. Defines:
 * A_T, B_T, OUT_T. */
#include "mask.cuh"
#include "softmax.cuh"

extern "C" __global__ void merge(pah_merge_params p) {
  int b = blockIdx.z, head = blockIdx.y, d = threadIdx.x;
  long long row = blockIdx.x;
  float lse_a = *row_at<float>(p.lse_a, b, head, row), lse_b = *row_at<float>(p.lse_b, b, head, row);
  __syncthreads(); /* out and lse may be those of a part: everybody has read lse before anybody writes it */
  bool has_a = lse_a != negative_infinity(), has_b = lse_b != negative_infinity();
  running_softmax both;
  both.max = fmaxf(lse_a, lse_b); /* a NaN is no maximum, but its weight is NaN and so is the row */
  float weight_a = both.weight(lse_a), weight_b = both.weight(lse_b), result = 0;
  both.total = weight_a + weight_b;
  if (has_a) result += weight_a * to_float(row_at<A_T>(p.out_a, b, head, row)[d]);
  if (has_b) result += weight_b * to_float(row_at<B_T>(p.out_b, b, head, row)[d]);
  from_float(row_at<OUT_T>(p.out, b, head, row)[d], both.normalize(result));
  if (d == 0) *row_at<float>(p.lse, b, head, row) = both.lse();
}
