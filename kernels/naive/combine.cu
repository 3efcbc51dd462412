/* combine.cu - joins the parts that decode.cu has left: lse = log(sum exp(lse_i)), out = sum exp(lse_i - lse) out_i.
 * A thread block per head and sequence, a thread per element. A part without a visible key has lse -inf and weighs
 * nothing. Defines: HEAD_DIM, OUT_T. */
#include "mask.cuh"
#include "softmax.cuh"

extern "C" __global__ void combine(pah_attn_params p) {
  int head = blockIdx.x, b = blockIdx.y, d = threadIdx.x;
  long long first = (long long)b * p.heads + head, step = (long long)p.batch * p.heads;
  running_softmax row;
  row.begin();
  for (int i = 0; i < p.num_splits; i++) row.max = fmaxf(row.max, p.partial_lse[first + i * step]);
  float sum = 0;
  for (int i = 0; i < p.num_splits; i++) {
    float weight = row.weight(p.partial_lse[first + i * step]);
    row.total += weight;
    sum += weight * p.partial_out[(first + i * step) * HEAD_DIM + d];
  }
  long long at = sequence_of(p, b).first_row;
  from_float(row_at<OUT_T>(p.out, b, head, at)[d], row.normalize(sum));
  if (d == 0) *row_at<float>(p.lse, b, head, at) = row.lse();
}
