/* backward.cuh - what the two kernels of the backward pass share: tiles of rows and of tokens in shared memory, and the
 * gradient of one score. With p = exp(score - lse) and delta = sum(dout * out) of a query:
 *   dV += p dout,  dscore = p (dout . v - delta),  dQ += dscore k,  dK += dscore q  (FlashAttention-2, section 2.3).
 * Defines: HEAD_DIM, HEAD_DIM_V, BLOCK_M, BLOCK_N, IO_T. Read next: backward_dq.cu, backward_dkv.cu. */
#pragma once
#include "mask.cuh"
#include "types.cuh"

constexpr int THREADS = 128;
constexpr int PITCH = HEAD_DIM + 1, V_PITCH = HEAD_DIM_V + 1; /* of rows in shared memory: at different banks */

/* Queries [first, first + count) of a tensor like q, `width` elements each, as floats, a warp per row. */
template <int width>
__device__ inline void load_rows(float *tile, const pah_rows &from, int b, int head, const sequence &s, int first,
                                 int count) {
  for (int m = threadIdx.x / 32; m < count; m += THREADS / 32) {
    const IO_T *row = row_at<IO_T>(from, b, head, s.first_row + first + m);
    for (int d = threadIdx.x % 32; d < width; d += 32) tile[m * (width + 1) + d] = to_float(row[d]);
  }
}

/* Tokens [first, first + count) of k or v likewise. */
template <int width>
__device__ inline void load_tokens(float *tile, const pah_attn_params &p, const pah_blocks &from, int b, int kv_head,
                                   int first, int count) {
  for (int n = threadIdx.x / 32; n < count; n += THREADS / 32) {
    const IO_T *token = token_at<IO_T>(p, from, b, first + n, kv_head);
    for (int d = threadIdx.x % 32; d < width; d += 32) tile[n * (width + 1) + d] = to_float(token[d]);
  }
}

struct gradient {
  float p, product; /* the weight, and the gradient of the raw product q . k */
};

/* Of the pair of rows q and k, which is visible; d_out and v are the rows that go with them. */
__device__ inline gradient gradient_of(const pah_attn_params &p, const float *q, const float *k, const float *d_out,
                                       const float *v, float lse, float delta) {
  float product = 0, d_weight = 0;
  for (int d = 0; d < HEAD_DIM; d++) product += q[d] * k[d];
  for (int d = 0; d < HEAD_DIM_V; d++) d_weight += d_out[d] * v[d];
  float score = score_of(p, product);
  gradient g;
  g.p = expf(score - lse);
  float d_score = g.p * (d_weight - delta);
  if (p.softcap > 0) d_score *= 1.0f - (score / p.softcap) * (score / p.softcap); /* tanh' */
  g.product = d_score * p.softmax_scale;
  return g;
}
