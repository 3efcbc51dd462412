/* options.cuh - what is known when a decode kernel is compiled. PLAIN: the call asks for none of ragged queries, a
 * tree, a window, top-left causality, softcap, sinks, num_splits, and of descales only with an fp8 cache: the compiler
 * then leaves out all that they need. A short sequence is bound by the instructions that stand one behind the other, so
 * sizes are constants too, where they are given: GROUP query heads of a KV head, BLOCK_SIZE, QUERIES of a sequence (0:
 * any). Read next: tile.cuh. */
#pragma once
#include "../params.h"
#include "../types.cuh"

#ifndef PLAIN
#define PLAIN 0
#endif
#ifndef GROUP
#define GROUP 0
#endif
#ifndef BLOCK_SIZE
#define BLOCK_SIZE 0
#endif
#ifndef QUERIES
#define QUERIES 0
#endif
/* The parameters, with what is known of them. */
__device__ __forceinline__ pah_attn_params with_options(const pah_attn_params &given) {
  pah_attn_params p = given;
  if (BLOCK_SIZE) p.block_size = BLOCK_SIZE;
  if (QUERIES) p.seqlen_q = QUERIES;
  if (!PLAIN) return p;
  p.cu_seqlens_q = 0;
  p.tree_mask = 0;
  p.sinks = 0;
  p.window_left = p.window_right = -1;
  p.causal = p.causal != 0;
  p.softcap = 0;
  p.num_splits = 0;
  if (sizeof(KV_T) > 1) p.k_descale.data = p.v_descale.data = 0;
  return p;
}
