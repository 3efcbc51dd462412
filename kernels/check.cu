/* check.cu - looks over the contents of the integer tensors before a kernel uses them: prefix sums, lengths, block ids,
 * slots. It only says whether a rule is broken; the host then reads the tensors and names the first one, in the words
 * of src/attention/attn_contents.c. One thread block. */
#include "mask.cuh"

extern "C" __global__ void check_attention(pah_attn_params p, int *broken) {
  for (int b = threadIdx.x; b < p.batch; b += blockDim.x) {
    sequence s = sequence_of(p, b);
    bool bad = s.len_q < 0 || s.len_k < 0 || s.len_k > p.max_blocks * p.block_size || s.len_q > p.most_queries;
    bad |= p.tree_mask && s.len_k < s.len_q;
    if (p.cu_seqlens_q) { /* 0 <= start <= end <= total_q: then no difference overflows */
      long long start = s.first_row, end = p.cu_seqlens_q[(b + 1) * p.cu_stride];
      bad |= (b == 0 && start != 0) || start > end || (b == p.batch - 1 && end != p.total_q);
    }
    for (long long i = 0; i * p.block_size < s.len_k && !bad; i++) {
      int block = p.block_table[b * p.table_batch + i * p.table_block];
      bad = block < 0 || block >= p.num_blocks;
    }
    if (bad) atomicOr(broken, 1);
  }
}

__device__ inline long long slot_at(const pah_append_params &p, long long t) {
  return p.slot_bytes == 8 ? ((const long long *)p.slot_mapping)[t * p.slot_stride]
                           : ((const int *)p.slot_mapping)[t * p.slot_stride];
}

/* Each slot against all before it: for PAH_COMPARED_SLOTS tokens at most. */
extern "C" __global__ void check_slots(pah_append_params p, int *broken) {
  for (long long t = threadIdx.x; t < p.tokens; t += blockDim.x) {
    long long slot = slot_at(p, t);
    bool bad = slot < -1 || slot >= p.num_blocks * p.block_size;
    for (long long other = 0; other < t && slot >= 0 && !bad; other++) bad = slot_at(p, other) == slot;
    if (bad) atomicOr(broken, 1);
  }
}
