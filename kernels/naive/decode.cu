/* decode.cu - the last queries of each sequence against its paged cache. The keys that a query sees are split into
 * num_splits parts; a thread block takes one part of every query of a sequence for one head, its warps take tokens in
 * turn, the lanes of a warp share a token's elements. With one split the result is final; with more, combine.cu joins
 * the parts. Defines: HEAD_DIM, HEAD_DIM_V, Q_T, KV_T, OUT_T. Read next: combine.cu. */
#include "mask.cuh"
#include "softmax.cuh"

constexpr int WARPS = 4;
constexpr int PER_LANE = (HEAD_DIM + 31) / 32, V_PER_LANE = (HEAD_DIM_V + 31) / 32;

__device__ float warp_sum(float x) {
  for (int step = 16; step; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}

/* The softmax of the tokens seen so far, and this lane's elements of V summed with its weights. */
struct running {
  running_softmax row;
  float sum[V_PER_LANE];
};

__device__ running no_token() {
  running r = {};
  r.row.begin();
  return r;
}

__device__ float dot(const float *q, const KV_T *k, int lane) {
  float product = 0;
  for (int i = 0; i < PER_LANE; i++)
    if (lane + 32 * i < HEAD_DIM) product += q[i] * to_float(k[lane + 32 * i]);
  return warp_sum(product);
}

__device__ void add_token(running &r, float score, const KV_T *v, int lane) {
  float shrink = r.row.raise(score), weight = r.row.weight(score);
  r.row.total += weight;
  for (int i = 0; i < V_PER_LANE; i++)
    if (lane + 32 * i < HEAD_DIM_V) r.sum[i] = r.sum[i] * shrink + weight * to_float(v[lane + 32 * i]);
}

/* The warps' parts become one, in the order of the warps. */
__device__ running join_warps(const running &r, int warp, int lane) {
  __shared__ float max[WARPS], total[WARPS], sum[WARPS][32 * V_PER_LANE];
  if (lane == 0) {
    max[warp] = r.row.max;
    total[warp] = r.row.total;
  }
  for (int i = 0; i < V_PER_LANE; i++) sum[warp][lane + 32 * i] = r.sum[i];
  __syncthreads();
  running all = no_token();
  for (int w = 0; w < WARPS; w++) all.row.max = fmaxf(all.row.max, max[w]);
  for (int w = 0; w < WARPS; w++) {
    float weight = all.row.weight(max[w]);
    all.row.total += weight * total[w];
    for (int i = 0; i < V_PER_LANE; i++) all.sum[i] += weight * sum[w][lane + 32 * i];
  }
  __syncthreads(); /* free for the next query */
  return all;
}

/* Query i, or this part of it: the result itself, or what combine.cu joins. */
__device__ void store(const pah_attn_params &p, const sequence &s, int b, int head, int i, running &all, int lane) {
  if (p.num_splits == 1) { /* the sink counts once */
    float shrink = all.row.take_sink(sink_of(p, head));
    for (int n = 0; n < V_PER_LANE; n++) all.sum[n] *= shrink;
  }
  float scale = all.row.normalize(descale_of(p.v_descale, b, head / (p.heads / p.kv_heads))), lse = all.row.lse();
  OUT_T *out = row_at<OUT_T>(p.out, b, head, s.first_row + i);
  long long at = part_of(p, s, blockIdx.x, b, head, i);
  for (int n = 0; n < V_PER_LANE; n++) {
    int d = lane + 32 * n;
    if (d >= HEAD_DIM_V) continue;
    if (p.num_splits == 1)
      from_float(out[d], all.sum[n] * scale);
    else
      p.partial_out[at * HEAD_DIM_V + d] = all.sum[n] * scale;
  }
  if (lane) return;
  if (p.num_splits == 1)
    *row_at<float>(p.lse, b, head, s.first_row + i) = lse;
  else
    p.partial_lse[at] = lse;
}

extern "C" __global__ void __launch_bounds__(WARPS * 32) decode(pah_attn_params p) {
  if (refused(p.verdict, p.ticket)) return;
  int split = blockIdx.x, head = blockIdx.y, b = blockIdx.z, kv_head = head / (p.heads / p.kv_heads);
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  sequence s = sequence_of(p, b);
  float k_descale = descale_of(p.k_descale, b, kv_head);
  for (int i = 0; i < s.len_q; i++) {
    visible_keys keys = visible_to(p, s, i);
    const unsigned *tree = tree_row(p, s, b, i);
    long long count = keys.last >= keys.first ? keys.last - keys.first + 1 : 0;
    int begin = keys.first + (int)(count * split / p.num_splits),
        end = keys.first + (int)(count * (split + 1) / p.num_splits);

    float q[PER_LANE];
    const Q_T *row = row_at<Q_T>(p.q, b, head, s.first_row + i);
    for (int n = 0; n < PER_LANE; n++) q[n] = lane + 32 * n < HEAD_DIM ? to_float(row[lane + 32 * n]) : 0.0f;
    running mine = no_token();
    for (int t = begin + warp; t < end; t += WARPS) {
      if (!tree_sees(tree, s, t)) continue; /* the whole warp */
      float score = score_of(p, dot(q, token_at<KV_T>(p, p.k, b, t, kv_head), lane) * k_descale);
      add_token(mine, score, token_at<KV_T>(p, p.v, b, t, kv_head), lane);
    }
    running all = join_warps(mine, warp, lane);
    if (warp == 0) store(p, s, b, head, i, all, lane);
  }
}
