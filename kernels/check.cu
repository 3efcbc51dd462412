/* check.cu - looks over the contents of the integer tensors before a kernel uses them: prefix sums, lengths, block ids,
 * slots. The first broken rule, in the order of the host's own check (src/attention/attn_contents.c), is left in the
 * verdict. A thread block per sequence, or per 256 tokens; the last one to arrive draws the conclusion. */
#include "verdict.cuh"

constexpr unsigned long long NO_KEY = ~0ull;

/* Smaller keys come first. Up to 2^20 sequences and 2^40 table entries or tokens. */
__device__ inline void report(pah_verdict *v, int rule, long long sequence, long long index) {
  atomicMin(&v->key, (unsigned long long)rule << 60 | (unsigned long long)sequence << 40 | (unsigned long long)index);
}

/* True for one thread of the grid, when all others have reported, if a rule is broken; the result then has it. */
__device__ inline bool conclude(pah_verdict *v, unsigned ticket, pah_check_result &result) {
  __syncthreads();
  if (threadIdx.x) return false;
  __threadfence();
  if (atomicAdd(&v->arrived, 1u) != gridDim.x - 1) return false;
  atomicExch(&v->arrived, 0u);
  unsigned long long key = atomicExch(&v->key, NO_KEY);
  if (key == NO_KEY) {
    if (v->broken == ticket) v->broken = 0; /* of a graph, which keeps its ticket: this time all is well */
    return false;
  }
  v->broken = ticket;
  result.rule = (int)(key >> 60);
  result.sequence = (long long)(key >> 40 & 0xfffff);
  result.index = (long long)(key & 0xffffffffffull);
  return true;
}

/* The first since the host looked stays. */
__device__ inline void keep(pah_verdict *v, const pah_check_result &result) {
  if (v->first.rule == CHECK_NONE) v->first = result;
}

__device__ inline long long length_of(const pah_attn_params &p, long long b) {
  return p.seqused_k ? p.seqused_k[b * p.seqused_stride] : p.seqlen_k;
}

__device__ inline long long queries_of(const pah_attn_params &p, long long b) {
  if (!p.cu_seqlens_q) return p.seqlen_q;
  return (long long)p.cu_seqlens_q[(b + 1) * p.cu_stride] - p.cu_seqlens_q[b * p.cu_stride];
}

__device__ inline long long block_at(const pah_attn_params &p, long long b, long long i) {
  return p.block_table[b * p.table_batch + i * p.table_block];
}

extern "C" __global__ void check_attention(pah_attn_params p) {
  long long b = blockIdx.x, length = length_of(p, b), reach = p.max_blocks * p.block_size;
  if (p.cu_seqlens_q && threadIdx.x == 0) {
    int start = p.cu_seqlens_q[b * p.cu_stride], end = p.cu_seqlens_q[(b + 1) * p.cu_stride];
    if (b == 0 && start != 0) report(p.verdict, CHECK_CU_FIRST, 0, 0);
    if (end < start) report(p.verdict, CHECK_CU_ORDER, b + 1, 0);
    if (b == p.batch - 1 && end != p.total_q) report(p.verdict, CHECK_CU_TOTAL, b + 1, 0);
  }
  if (length < 0 || length > reach) {
    if (threadIdx.x == 0) report(p.verdict, CHECK_SEQUSED, b, 0);
    length = 0;
  }
  if (threadIdx.x == 0) {
    long long queries = queries_of(p, b);
    if (queries > p.most_queries) report(p.verdict, CHECK_QUERIES, b, 0);
    if (queries > p.tree_bits) report(p.verdict, CHECK_QUERIES, b, 1);
    if (p.tree_mask && length < queries) report(p.verdict, CHECK_QUERIES, b, 2);
  }
  for (long long i = threadIdx.x; i * p.block_size < length; i += blockDim.x) {
    long long block = block_at(p, b, i);
    if (block < 0 || block >= p.num_blocks) report(p.verdict, CHECK_TABLE, b, i);
  }

  pah_check_result r;
  if (!conclude(p.verdict, p.ticket, r)) return;
  switch (r.rule) {
  case CHECK_SEQUSED:
    r.value = length_of(p, r.sequence);
    r.limit = reach;
    break;
  case CHECK_QUERIES:
    r.value = queries_of(p, r.sequence);
    r.limit = r.index == 0 ? p.most_queries : r.index == 1 ? p.tree_bits : length_of(p, r.sequence);
    break;
  case CHECK_TABLE:
    r.value = block_at(p, r.sequence, r.index);
    r.limit = p.num_blocks;
    break;
  default:
    r.value = p.cu_seqlens_q[r.sequence * p.cu_stride];
    r.limit = r.rule == CHECK_CU_ORDER ? p.cu_seqlens_q[(r.sequence - 1) * p.cu_stride] : p.total_q;
  }
  keep(p.verdict, r);
}

__device__ inline long long slot_at(const pah_append_params &p, long long t) {
  return p.slot_bytes == 8 ? ((const long long *)p.slot_mapping)[t * p.slot_stride]
                           : ((const int *)p.slot_mapping)[t * p.slot_stride];
}

/* The token before t with the same slot; t: there is none. */
__device__ inline long long same_slot(const pah_append_params &p, long long t) {
  long long other = 0, slot = slot_at(p, t);
  while (other < t && slot_at(p, other) != slot) other++;
  return other;
}

/* Each slot against all before it: for PAH_COMPARED_SLOTS tokens at most. */
extern "C" __global__ void check_slots(pah_append_params p) {
  long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x, slots = p.num_blocks * p.block_size;
  if (t < p.tokens) {
    long long slot = slot_at(p, t);
    if (slot < -1 || slot >= slots)
      report(p.verdict, CHECK_SLOT_RANGE, 0, t);
    else if (slot >= 0 && same_slot(p, t) < t)
      report(p.verdict, CHECK_SLOT_TWICE, 0, t);
  }

  pah_check_result r;
  if (!conclude(p.verdict, p.ticket, r)) return;
  r.value = slot_at(p, r.index);
  r.limit = r.rule == CHECK_SLOT_TWICE ? same_slot(p, r.index) : slots;
  keep(p.verdict, r);
}
