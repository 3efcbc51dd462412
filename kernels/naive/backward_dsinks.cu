/* backward_dsinks.cu - the gradient of the sinks: dsinks[h] = -sum over rows of exp(sink - lse) delta, where delta =
 * sum(dout * out). A thread block per head; threads take rows in turn and their sums are added pairwise, so the result
 * does not depend on any order. No defines; backward_dq.cu has run before (delta). */
#include "mask.cuh"

constexpr int THREADS = 128;

extern "C" __global__ void __launch_bounds__(THREADS) backward_dsinks(pah_attn_params p) {
  __shared__ float sums[THREADS];
  if (refused(p.verdict, p.ticket)) return;
  int head = blockIdx.x;
  float sink = sink_of(p, head), sum = 0;
  for (int b = 0; b < p.batch && !is_infinite(sink); b++) { /* of -inf nothing changes, +inf takes all whatever it is */
    sequence s = sequence_of(p, b);
    for (int i = threadIdx.x; i < s.len_q; i += THREADS)
      sum -= expf(sink - *row_at<float>(p.lse, b, head, s.first_row + i)) *
             *row_at<float>(p.delta, b, head, s.first_row + i);
  }
  sums[threadIdx.x] = sum;
  for (int half = THREADS / 2; half; half /= 2) {
    __syncthreads();
    if ((int)threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) p.dsinks[head * p.dsinks_stride] = sums[0];
}
