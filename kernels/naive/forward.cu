/* forward.cu - attention over a paged K/V cache, forward: out and lse, tile by tile with the online softmax.
 * One thread block of THREADS threads computes BLOCK_M queries of one head of one sequence. It walks over the keys in
 * tiles of BLOCK_N; K and then V of a tile pass through the same shared memory. THREADS / BLOCK_M neighbouring threads
 * share a query row: each computes some of its scores and some columns of its output.
 * Defines: HEAD_DIM, HEAD_DIM_V, BLOCK_M, BLOCK_N, Q_T, KV_T, OUT_T (types.cuh). The fp8 operation is this kernel with
 * descales and o_scale. Read next: decode.cu, backward.cuh. */
#include "mask.cuh"
#include "softmax.cuh"

constexpr int THREADS = 128;
constexpr int PER_ROW = THREADS / BLOCK_M;                    /* threads that share a row */
constexpr int COLUMNS = (HEAD_DIM_V + PER_ROW - 1) / PER_ROW; /* of the output, per thread */
constexpr int PITCH = HEAD_DIM + 1, V_PITCH = HEAD_DIM_V + 1; /* of rows in shared memory: at different banks */
constexpr int WIDER = PITCH > V_PITCH ? PITCH : V_PITCH;
constexpr int SCORES = BLOCK_N + 1;

/* K or V, `width` elements each, of tokens [first, first + count) as floats, a warp per token. */
template <int width>
__device__ void load_tile(float *tile, const pah_attn_params &p, const pah_blocks &blocks, int b, int kv_head,
                          int first, int count) {
  for (int n = threadIdx.x / 32; n < count; n += THREADS / 32) {
    const KV_T *token = token_at<KV_T>(p, blocks, b, first + n, kv_head);
    for (int d = threadIdx.x % 32; d < width; d += 32) tile[n * (width + 1) + d] = to_float(token[d]);
  }
}

/* What a thread knows of its row. */
struct query {
  int m, part, i; /* in the tile, which of the threads that share the row, in the sequence */
  visible_keys keys;
  const unsigned *tree;
};

/* Scores of the visible keys of a tile of K; the threads of a row take keys in turn. */
__device__ void score_tile(const pah_attn_params &p, const query &q, const float *q_tile, const float *k_tile,
                           float *scores, int first, float qk_descale) {
  visible_keys now = within(q.keys, first, BLOCK_N);
  for (int n = now.first + q.part; n <= now.last; n += PER_ROW) {
    float product = 0;
    for (int d = 0; d < HEAD_DIM; d++) product += q_tile[q.m * PITCH + d] * k_tile[n * PITCH + d];
    scores[q.m * SCORES + n] = score_of(p, product * qk_descale);
  }
}

__device__ void store_row(const pah_attn_params &p, int b, int head, long long at, int part, const float *sum,
                          const running_softmax &row, float v_descale) {
  OUT_T *out = row_at<OUT_T>(p.out, b, head, at);
  float scale = row.normalize(v_descale * p.o_scale); /* no visible key: 0 */
  for (int c = 0; c < COLUMNS; c++)
    if (part + PER_ROW * c < HEAD_DIM_V) from_float(out[part + PER_ROW * c], sum[c] * scale);
  if (part == 0) *row_at<float>(p.lse, b, head, at) = row.lse();
}

extern "C" __global__ void __launch_bounds__(THREADS) forward(pah_attn_params p) {
  extern __shared__ float shared[];
  if (refused(p.verdict, p.ticket)) return;
  float *q_tile = shared, *kv_tile = q_tile + BLOCK_M * PITCH, *scores = kv_tile + BLOCK_N * WIDER;

  int b = blockIdx.z, head = blockIdx.y, kv_head = head / (p.heads / p.kv_heads);
  int first_q = blockIdx.x * BLOCK_M;
  sequence s = sequence_of(p, b);
  if (first_q >= s.len_q) return; /* the whole thread block */
  int rows = at_most(s.len_q - first_q, BLOCK_M);

  float qk_descale = descale_of(p.q_descale, b, kv_head) * descale_of(p.k_descale, b, kv_head);
  for (int m = threadIdx.x / 32; m < rows; m += THREADS / 32) {
    const Q_T *row = row_at<Q_T>(p.q, b, head, s.first_row + first_q + m);
    for (int d = threadIdx.x % 32; d < HEAD_DIM; d += 32) q_tile[m * PITCH + d] = to_float(row[d]);
  }

  query q = {(int)threadIdx.x / PER_ROW, (int)threadIdx.x % PER_ROW, 0, {0, -1}, 0};
  q.i = first_q + q.m;
  if (q.m < rows) { /* a row past the end sees nothing, but helps to load */
    q.keys = visible_to(p, s, q.i);
    q.tree = tree_row(p, s, b, q.i);
  }
  /* Tiles that any row of this thread block sees: both ends of what is visible move forward with the row. */
  int begin = visible_to(p, s, first_q).first / BLOCK_N * BLOCK_N, end = visible_to(p, s, first_q + rows - 1).last + 1;

  running_softmax row;
  row.begin();
  float sum[COLUMNS] = {};
  for (int first = begin; first < end; first += BLOCK_N) {
    int count = at_most(s.len_k - first, BLOCK_N);
    load_tile<HEAD_DIM>(kv_tile, p, p.k, b, kv_head, first, count);
    __syncthreads();
    score_tile(p, q, q_tile, kv_tile, scores, first, qk_descale);
    __syncthreads(); /* the scores are there, and nobody needs K any more */

    load_tile<HEAD_DIM_V>(kv_tile, p, p.v, b, kv_head, first, count);
    visible_keys now = within(q.keys, first, BLOCK_N);
    float largest = negative_infinity();
    for (int n = now.first; n <= now.last; n++)
      if (tree_sees(q.tree, s, first + n)) largest = fmaxf(largest, scores[q.m * SCORES + n]);
    float shrink = row.raise(largest);
    for (int c = 0; c < COLUMNS; c++) sum[c] *= shrink;
    __syncthreads(); /* V is there */

    for (int n = now.first; n <= now.last; n++) {
      if (!tree_sees(q.tree, s, first + n)) continue;
      float weight = row.weight(scores[q.m * SCORES + n]);
      row.total += weight;
      for (int c = 0; c < COLUMNS; c++)
        if (q.part + PER_ROW * c < HEAD_DIM_V) sum[c] += weight * kv_tile[n * V_PITCH + q.part + PER_ROW * c];
    }
    __syncthreads(); /* tile and scores are free again */
  }
  float shrink = row.take_sink(sink_of(p, head));
  for (int c = 0; c < COLUMNS; c++) sum[c] *= shrink;
  if (q.m < rows) store_row(p, b, head, s.first_row + q.i, q.part, sum, row, descale_of(p.v_descale, b, kv_head));
}
