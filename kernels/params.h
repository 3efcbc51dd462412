/* params.h - what the host hands to the kernels of this folder, by value: plain C, read by src/gpu/ and by every .cu.
 * Strides count elements. Rows of a query-shaped tensor: element (b, h, i) starts at b*batch + h*head + i*row, where
 * for ragged q `batch` is 0 and i counts from cu_seqlens_q[b]. Legend and semantics: src/pah.h. */
#ifndef PAH_KERNELS_PARAMS_H
#define PAH_KERNELS_PARAMS_H

/* Rules about the contents of integer tensors, in the order in which they are looked at; src/attention/attn_check.h has
 * the same list and the words. */
enum pah_check_rule {
  CHECK_NONE = 0,
  CHECK_CU_FIRST,   /* cu_seqlens_q[0] is 0 */
  CHECK_CU_ORDER,   /* cu_seqlens_q does not decrease */
  CHECK_CU_TOTAL,   /* its last is total_q */
  CHECK_SEQUSED,    /* 0 <= seqused_k <= the table's reach */
  CHECK_QUERIES,    /* at most 64 queries in decode (index 0); bits (1) and keys (2) for those of a tree */
  CHECK_TABLE,      /* 0 <= block id < num_blocks */
  CHECK_SLOT_RANGE, /* -1 <= slot < num_blocks * block_size */
  CHECK_SLOT_TWICE  /* slots differ */
};

struct pah_check_result {
  int rule;                                /* enum pah_check_rule */
  long long sequence, index, value, limit; /* where, what it is, what it must keep to */
};

/* Device memory that check.cu writes and every kernel reads before it writes anything: see verdict.cuh. */
struct pah_verdict {
  unsigned broken;               /* ticket of the last call that broke a rule; 0: none has */
  unsigned arrived;              /* thread blocks of the check under way that are done */
  unsigned long long key;        /* the first broken rule that they found; all ones: none */
  struct pah_check_result first; /* of the first call that broke a rule since the host looked */
};

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
  unsigned *arrivals;    /* decode of sm80/: [Hkv, B, row groups], zero between launches */
  struct pah_rows delta; /* backward: rowsum(dout * out), f32 */
  long long num_blocks, max_blocks, seqlen_k, total_q;
  int block_size, batch, heads, kv_heads, seqlen_q; /* seqlen_q of ragged q: all rows */
  int num_splits;
  int most_queries, tree_bits;   /* queries that a sequence may have: of decode, and by the width of tree_mask */
  int causal;                    /* 0 none, 1 bottom-right, 2 top-left */
  int window_left, window_right; /* -1: no limit */
  float softmax_scale, softcap, o_scale;
  struct pah_verdict *verdict; /* 0: the contents of the tables are known to be right */
  unsigned ticket;             /* of this call */
};

struct pah_merge_params { /* rows of [B, H, Sq]; lse in natural logarithm */
  struct pah_rows out_a, lse_a, out_b, lse_b, out, lse;
};

/* Up to so many tokens check.cu compares every slot with those before it; of more, the host reads the slots. */
enum { PAH_COMPARED_SLOTS = 4096 };

struct pah_append_params {
  const void *k, *v; /* [T, Hkv, D] and [T, Hkv, Dv], unit stride in D and Dv */
  long long k_token, k_head, v_token, v_head;
  struct pah_blocks k_blocks, v_blocks;
  const void *slot_mapping; /* 32 or 64 bits each */
  long long slot_stride, tokens, block_size, num_blocks;
  const float *k_descale, *v_descale; /* scalars; 0: 1 */
  int slot_bytes, D, Dv;
  struct pah_verdict *verdict; /* as in pah_attn_params */
  unsigned ticket;
};

#endif
