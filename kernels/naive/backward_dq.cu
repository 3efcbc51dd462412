/* backward_dq.cu - the first half of the backward pass: delta = sum(dout * out) per query, and dQ. As in forward.cu a
 * thread block takes BLOCK_M queries of a head and walks over the keys; THREADS / BLOCK_M threads share a row.
 * Defines: HEAD_DIM, HEAD_DIM_V, BLOCK_M, BLOCK_N, IO_T. Read next: backward_dkv.cu. */
#include "backward.cuh"

constexpr int PER_ROW = THREADS / BLOCK_M;
constexpr int COLUMNS = (HEAD_DIM + PER_ROW - 1) / PER_ROW;

extern "C" __global__ void __launch_bounds__(THREADS) backward_dq(pah_attn_params p) {
  extern __shared__ float shared[];
  if (refused(p.verdict, p.ticket)) return;
  float *q_tile = shared, *dout_tile = q_tile + BLOCK_M * PITCH, *k_tile = dout_tile + BLOCK_M * V_PITCH;
  float *v_tile = k_tile + BLOCK_N * PITCH, *products = v_tile + BLOCK_N * V_PITCH;

  int b = blockIdx.z, head = blockIdx.y, kv_head = head / (p.heads / p.kv_heads), first_q = blockIdx.x * BLOCK_M;
  sequence s = sequence_of(p, b);
  if (first_q >= s.len_q) return; /* the whole thread block */
  int rows = at_most(s.len_q - first_q, BLOCK_M);
  load_rows<HEAD_DIM>(q_tile, p.q, b, head, s, first_q, rows);
  load_rows<HEAD_DIM_V>(dout_tile, p.dout, b, head, s, first_q, rows);
  __syncthreads();

  int m = threadIdx.x / PER_ROW, part = threadIdx.x % PER_ROW;
  long long row = s.first_row + first_q + m;
  visible_keys mine = {0, -1}; /* a row past the end sees nothing, but helps to load */
  float lse = 0, delta = 0;
  if (m < rows) {
    mine = visible_to(p, s, first_q + m);
    lse = *row_at<float>(p.lse, b, head, row);
    const IO_T *out = row_at<IO_T>(p.out, b, head, row);
    for (int d = 0; d < HEAD_DIM_V; d++) delta += dout_tile[m * V_PITCH + d] * to_float(out[d]);
    if (part == 0) *row_at<float>(p.delta, b, head, row) = delta;
    if (lse == negative_infinity()) mine.last = -1; /* all its weights are 0 */
  }

  int begin = visible_to(p, s, first_q).first / BLOCK_N * BLOCK_N, end = visible_to(p, s, first_q + rows - 1).last + 1;
  float sum[COLUMNS] = {};
  for (int first = begin; first < end; first += BLOCK_N) {
    int count = at_most(s.len_k - first, BLOCK_N);
    load_tokens<HEAD_DIM>(k_tile, p, p.k, b, kv_head, first, count);
    load_tokens<HEAD_DIM_V>(v_tile, p, p.v, b, kv_head, first, count);
    __syncthreads();
    visible_keys now = within(mine, first, BLOCK_N);
    for (int n = now.first + part; n <= now.last; n += PER_ROW) {
      gradient g = gradient_of(p, q_tile + m * PITCH, k_tile + n * PITCH, dout_tile + m * V_PITCH, v_tile + n * V_PITCH,
                               lse, delta);
      products[m * (BLOCK_N + 1) + n] = g.product;
    }
    __syncthreads();
    for (int n = now.first; n <= now.last; n++)
      for (int c = 0; c < COLUMNS; c++)
        if (part + PER_ROW * c < HEAD_DIM)
          sum[c] += products[m * (BLOCK_N + 1) + n] * k_tile[n * PITCH + part + PER_ROW * c];
    __syncthreads(); /* the tiles are free again */
  }
  if (m >= rows) return;
  IO_T *dq = row_at<IO_T>(p.dq, b, head, row);
  for (int c = 0; c < COLUMNS; c++)
    if (part + PER_ROW * c < HEAD_DIM) from_float(dq[part + PER_ROW * c], sum[c]);
}
