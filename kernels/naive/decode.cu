/* decode.cu - one query per sequence against its paged cache. The keys of a sequence are split into num_splits parts;
 * a thread block takes one part for one head, its warps take tokens interleaved, the lanes of a warp share a token's
 * elements. With one split the result is final; with more, combine.cu joins the parts.
 * Defines: HEAD_DIM, Q_T, KV_T, OUT_T. Read next: combine.cu. */
#include "mask.cuh"
#include "softmax.cuh"

constexpr int WARPS = 4;
constexpr int PER_LANE = HEAD_DIM / 32;

__device__ float warp_sum(float x) {
  for (int step = 16; step; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}

/* The softmax of the tokens seen so far, and this lane's elements of V summed with its weights. */
struct running {
  running_softmax row;
  float sum[PER_LANE];
};

__device__ running no_token() {
  running r = {};
  r.row.begin();
  return r;
}

__device__ void add_token(running &r, float score, const KV_T *v, int lane) {
  float shrink = r.row.raise(score), weight = r.row.weight(score);
  r.row.total += weight;
  for (int i = 0; i < PER_LANE; i++) r.sum[i] = r.sum[i] * shrink + weight * to_float(v[lane + 32 * i]);
}

/* The warps' parts become one, in the order of the warps. */
__device__ running join_warps(const running &r, int warp, int lane) {
  __shared__ float max[WARPS], total[WARPS], sum[WARPS][HEAD_DIM];
  if (lane == 0) {
    max[warp] = r.row.max;
    total[warp] = r.row.total;
  }
  for (int i = 0; i < PER_LANE; i++) sum[warp][lane + 32 * i] = r.sum[i];
  __syncthreads();
  running all = no_token();
  for (int w = 0; w < WARPS; w++) all.row.max = fmaxf(all.row.max, max[w]);
  for (int w = 0; w < WARPS; w++) {
    float weight = all.row.weight(max[w]);
    all.row.total += weight * total[w];
    for (int i = 0; i < PER_LANE; i++) all.sum[i] += weight * sum[w][lane + 32 * i];
  }
  return all;
}

extern "C" __global__ void __launch_bounds__(WARPS * 32) decode(pah_attn_params p) {
  int split = blockIdx.x, head = blockIdx.y, b = blockIdx.z, kv_head = head / (p.heads / p.kv_heads);
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  sequence s = sequence_of(p, b);
  visible_keys keys = visible_to(p, s, 0);
  long long count = keys.last >= keys.first ? keys.last - keys.first + 1 : 0;
  int begin = keys.first + (int)(count * split / p.num_splits),
      end = keys.first + (int)(count * (split + 1) / p.num_splits);

  float q[PER_LANE], k_descale = descale_of(p.k_descale, b, kv_head);
  for (int i = 0; i < PER_LANE; i++) q[i] = to_float(row_at<Q_T>(p.q, b, head, s.first_row)[lane + 32 * i]);
  running mine = no_token();
  for (int t = begin + warp; t < end; t += WARPS) {
    const KV_T *k = token_at<KV_T>(p, p.k, b, t, kv_head);
    float product = 0;
    for (int i = 0; i < PER_LANE; i++) product += q[i] * to_float(k[lane + 32 * i]);
    add_token(mine, score_of(p, warp_sum(product) * k_descale), token_at<KV_T>(p, p.v, b, t, kv_head), lane);
  }

  running all = join_warps(mine, warp, lane);
  if (warp) return;
  float scale = all.row.normalize(descale_of(p.v_descale, b, kv_head)), lse = all.row.lse();
  if (p.num_splits == 1) {
    OUT_T *out = row_at<OUT_T>(p.out, b, head, s.first_row);
    for (int i = 0; i < PER_LANE; i++) from_float(out[lane + 32 * i], all.sum[i] * scale);
    if (lane == 0) *row_at<float>(p.lse, b, head, s.first_row) = lse;
  } else {
    long long at = ((long long)split * p.batch + b) * p.heads + head;
    for (int i = 0; i < PER_LANE; i++) p.partial_out[at * HEAD_DIM + lane + 32 * i] = all.sum[i] * scale;
    if (lane == 0) p.partial_lse[at] = lse;
  }
}
