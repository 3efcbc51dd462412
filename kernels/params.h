/* params.h - what the host hands to the kernels of this folder, by value: plain C, read by src/gpu/ and by every .cu.
 * Strides count elements. Rows of a query-shaped tensor: element (b, h, i) starts at b*batch + h*head + i*row, where
 * for ragged q `batch` is 0 and i counts from cu_seqlens_q[b]. Legend and semantics: src/pah.h. */
#ifndef PAH_KERNELS_PARAMS_H
#define PAH_KERNELS_PARAMS_H

struct pah_rows { /* q, out, dout, dq, lse */
  void *data;
  long long batch, head, row;
};

struct pah_blocks { /* k_blocks, v_blocks, dk_blocks, dv_blocks: [num_blocks, block_size, Hkv, D], unit stride in D */
  void *data;
  long long block, slot, head;
};

struct pah_scale { /* a descale: [B, Hkv] or, with both strides 0, a scalar; data 0: 1 */
  const float *data;
  long long batch, head;
};

struct pah_attn_params {
  struct pah_rows q, out, lse, dout, dq;
  struct pah_blocks k, v, dk, dv;
  const int *block_table;
  long long table_batch, table_block;
  const int *cu_seqlens_q; /* 0: every sequence has seqlen_q queries */
  long long cu_stride;
  const int *seqused_k; /* 0: every sequence has seqlen_k keys */
  long long seqused_stride;
  const int *tree_mask; /* words of 32 bits, unit stride; 0: none. Rows are counted as those of q */
  long long tree_batch, tree_row;
  const float *sinks; /* [H]; 0: none */
  long long sinks_stride;
  float *dsinks; /* [H] */
  long long dsinks_stride;
  struct pah_scale q_descale, k_descale, v_descale;
  float *partial_out;    /* decode with splits: [num_splits, total_q, H, Dv] */
  float *partial_lse;    /* [num_splits, total_q, H] */
  struct pah_rows delta; /* backward: rowsum(dout * out), f32 */
  long long num_blocks, max_blocks, seqlen_k, total_q;
  int block_size, batch, heads, kv_heads, seqlen_q; /* seqlen_q of ragged q: all rows */
  int num_splits;
  int most_queries;              /* that a sequence may have */
  int causal;                    /* 0 none, 1 bottom-right, 2 top-left */
  int window_left, window_right; /* -1: no limit */
  float softmax_scale, softcap, o_scale;
};

struct pah_merge_params { /* rows of [B, H, Sq]; lse in natural logarithm */
  struct pah_rows out_a, lse_a, out_b, lse_b, out, lse;
};

struct pah_append_params {
  const void *k, *v; /* [T, Hkv, D] and [T, Hkv, Dv], unit stride in D and Dv */
  long long k_token, k_head, v_token, v_head;
  struct pah_blocks k_blocks, v_blocks;
  const void *slot_mapping; /* 32 or 64 bits each */
  long long slot_stride, tokens, block_size, num_blocks;
  const float *k_descale, *v_descale; /* scalars; 0: 1 */
  int slot_bytes, D, Dv;
};

/* What check.cu finds first: which rule is broken (0: none), by which sequence or token, where in it, and the value. */
struct pah_check_result {
  int rule;
  int sequence;
  long long index, value;
};

#endif
