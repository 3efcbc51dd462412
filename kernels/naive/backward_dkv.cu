/* backward_dkv.cu - the second half of the backward pass: dK and dV. A thread block owns BLOCK_N slots of one physical
 * block and one K/V head, looks through the block table for every use of that block, and adds up the gradients of all
 * sequences and query heads in f32, in the order of the table: nothing is shared between thread blocks, so the result
 * does not depend on their order, and slots that nobody uses come out as exactly 0.
 * Defines: HEAD_DIM, HEAD_DIM_V, BLOCK_M, BLOCK_N, IO_T; backward_dq.cu has run before (delta). */
#include "backward.cuh"

constexpr int PER_SLOT = THREADS / BLOCK_N; /* threads that share a slot */
constexpr int COLUMNS = (HEAD_DIM + PER_SLOT - 1) / PER_SLOT, V_COLUMNS = (HEAD_DIM_V + PER_SLOT - 1) / PER_SLOT;

struct tiles {
  float *k, *v, *q, *d_out, *weights, *products; /* the last two: [BLOCK_N][BLOCK_M + 1] */
  float *lse, *delta;                            /* of BLOCK_M queries */
};

__device__ tiles divide(float *shared) {
  tiles t;
  t.k = shared;
  t.v = t.k + BLOCK_N * PITCH;
  t.q = t.v + BLOCK_N * V_PITCH;
  t.d_out = t.q + BLOCK_M * PITCH;
  t.weights = t.d_out + BLOCK_M * V_PITCH;
  t.products = t.weights + BLOCK_N * (BLOCK_M + 1);
  t.lse = t.products + BLOCK_N * (BLOCK_M + 1);
  t.delta = t.lse + BLOCK_M;
  return t;
}

constexpr float NOT_VISIBLE = -1; /* in place of a weight */

/* Adds what the queries of a head from first_q on, BLOCK_M at most, say to the sums of our tokens. */
__device__ void add_queries(const pah_attn_params &p, const tiles &t, int b, int head, const sequence &s, int first_q,
                            int first_token, int tokens, float *dk, float *dv) {
  int n = threadIdx.x / PER_SLOT, part = threadIdx.x % PER_SLOT, rows = at_most(s.len_q - first_q, BLOCK_M);
  load_rows<HEAD_DIM>(t.q, p.q, b, head, s, first_q, rows);
  load_rows<HEAD_DIM_V>(t.d_out, p.dout, b, head, s, first_q, rows);
  for (int m = threadIdx.x; m < rows; m += THREADS) {
    t.lse[m] = *row_at<float>(p.lse, b, head, s.first_row + first_q + m);
    t.delta[m] = *row_at<float>(p.delta, b, head, s.first_row + first_q + m);
  }
  __syncthreads();
  float *weights = t.weights + n * (BLOCK_M + 1), *products = t.products + n * (BLOCK_M + 1);
  for (int m = part; m < rows && n < tokens; m += PER_SLOT) {
    gradient g = {NOT_VISIBLE, 0};
    visible_keys keys = visible_to(p, s, first_q + m);
    int seen = first_token + n >= keys.first && first_token + n <= keys.last;
    if (seen && t.lse[m] != negative_infinity()) /* else all weights of the row are 0 */
      g = gradient_of(p, t.q + m * PITCH, t.k + n * PITCH, t.d_out + m * V_PITCH, t.v + n * V_PITCH, t.lse[m],
                      t.delta[m]);
    weights[m] = g.p;
    products[m] = g.product;
  }
  __syncthreads();
  for (int m = 0; m < rows && n < tokens; m++) {
    if (weights[m] == NOT_VISIBLE) continue;
    for (int c = 0; c < V_COLUMNS; c++)
      if (part + PER_SLOT * c < HEAD_DIM_V) dv[c] += weights[m] * t.d_out[m * V_PITCH + part + PER_SLOT * c];
    for (int c = 0; c < COLUMNS; c++)
      if (part + PER_SLOT * c < HEAD_DIM) dk[c] += products[m] * t.q[m * PITCH + part + PER_SLOT * c];
  }
  __syncthreads(); /* the tiles are free again */
}

/* One use of the physical block: our slots hold `tokens` tokens of sequence b, from first_token on. */
__device__ void add_use(const pah_attn_params &p, const tiles &t, int b, int kv_head, const sequence &s,
                        int first_token, int tokens, float *dk, float *dv) {
  load_tokens<HEAD_DIM>(t.k, p, p.k, b, kv_head, first_token, tokens);
  load_tokens<HEAD_DIM_V>(t.v, p, p.v, b, kv_head, first_token, tokens);
  int group = p.heads / p.kv_heads;
  for (int head = kv_head * group; head < (kv_head + 1) * group; head++)
    for (int first_q = 0; first_q < s.len_q; first_q += BLOCK_M) {
      int last_q = first_q + at_most(s.len_q - first_q, BLOCK_M) - 1;
      if (visible_to(p, s, last_q).last < first_token) continue; /* all of them come before our tokens */
      if (visible_to(p, s, first_q).first >= first_token + tokens) break;
      add_queries(p, t, b, head, s, first_q, first_token, tokens, dk, dv);
    }
  __syncthreads(); /* K and V are free again */
}

extern "C" __global__ void __launch_bounds__(THREADS) backward_dkv(pah_attn_params p) {
  extern __shared__ float shared[];
  if (refused(p.verdict, p.ticket)) return;
  tiles t = divide(shared);
  long long block = blockIdx.x;
  int kv_head = blockIdx.y, first_slot = blockIdx.z * BLOCK_N;
  int slots = at_most(p.block_size - first_slot, BLOCK_N);
  float dk[COLUMNS] = {}, dv[V_COLUMNS] = {};
  for (int b = 0; b < p.batch; b++) {
    sequence s = sequence_of(p, b);
    for (long long i = 0; i * p.block_size + first_slot < s.len_k; i++) {
      if (p.block_table[b * p.table_batch + i * p.table_block] != block) continue;
      int first_token = (int)(i * p.block_size) + first_slot;
      add_use(p, t, b, kv_head, s, first_token, at_most(s.len_k - first_token, slots), dk, dv);
    }
  }
  int n = threadIdx.x / PER_SLOT, slot = first_slot + n, part = threadIdx.x % PER_SLOT;
  if (n >= slots) return;
  IO_T *to_k = (IO_T *)p.dk.data + block * p.dk.block + slot * p.dk.slot + kv_head * p.dk.head;
  IO_T *to_v = (IO_T *)p.dv.data + block * p.dv.block + slot * p.dv.slot + kv_head * p.dv.head;
  for (int c = 0; c < COLUMNS; c++)
    if (part + PER_SLOT * c < HEAD_DIM) from_float(to_k[part + PER_SLOT * c], dk[c]);
  for (int c = 0; c < V_COLUMNS; c++)
    if (part + PER_SLOT * c < HEAD_DIM_V) from_float(to_v[part + PER_SLOT * c], dv[c]);
}
