/* combine.cu - joins the parts that decode.cu has left: lse = log(sum exp(lse_i)), out = sum exp(lse_i - lse) out_i.
 * A thread block per head, query and sequence, a thread per element. A part without a visible key has lse -inf and
 * weighs nothing. Defines: HEAD_DIM_V, OUT_T. */
#include "mask.cuh"
#include "softmax.cuh"

extern "C" __global__ void combine(pah_attn_params p) {
  if (refused(p.verdict, p.ticket)) return;
  int head = blockIdx.x, i = blockIdx.y, b = blockIdx.z, d = threadIdx.x;
  sequence s = sequence_of(p, b);
  if (i >= s.len_q) return;
  running_softmax row;
  row.begin();
  for (int n = 0; n < p.num_splits; n++) row.max = fmaxf(row.max, p.partial_lse[part_of(p, s, n, b, head, i)]);
  float sum = 0;
  for (int n = 0; n < p.num_splits; n++) {
    long long part = part_of(p, s, n, b, head, i);
    float weight = row.weight(p.partial_lse[part]);
    row.total += weight;
    sum += weight * p.partial_out[part * HEAD_DIM_V + d];
  }
  sum *= row.take_sink(sink_of(p, head));
  from_float(row_at<OUT_T>(p.out, b, head, s.first_row + i)[d], row.normalize(sum));
  if (d == 0) *row_at<float>(p.lse, b, head, s.first_row + i) = row.lse();
}
