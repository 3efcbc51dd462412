/* sm90/backward/uses.cuh - the order of work of dkdv.cu: item after item of the plan for every K/V head, heads next to
 * each other, so that thread blocks that run together read the same queries out of L2; and within an item one use after
 * the other, as sequences stand in the table. All lanes of one warp walk together. Read next: dkdv_producer.cuh. */
#pragma once
#include "plan.cuh"

/* What the warpgroups must know of a use; the producer writes it to shared memory. */
struct key_use {
  int b, kv_head; /* b -1: there is no more */
  sequence s;
  int token, rows;  /* the first key in this sequence, and how many the item has */
  bool first, last; /* of its item */
  int begin, end;   /* tiles of queries of which one sees a key */
};

struct walk {
  const pah_attn_params &p;
  const backward_plan &plan;
  key_item item;
  int round, kv_head;
  int b, token;      /* of the next use */
  bool more;         /* the item has another use */

  __device__ inline void begin() {
    round = 0;
    more = false;
  }

  __device__ inline bool next_item() {
    const int index = work_index(round++);
    if (index / p.kv_heads >= *plan.item_count) return false;
    item = plan.items[index / p.kv_heads];
    kv_head = index % p.kv_heads;
    b = item.b, token = item.token;
    return true;
  }

  /* The item's first block. */
  __device__ inline int first_block() const {
    return block_at(p, item.b, item.token / p.block_size);
  }

  /* Sequences from `from` on that have the block at the same place; returns whether there is one. */
  __device__ inline bool find_alike(int from) {
    const int place = token / p.block_size, block = first_block(), lane = threadIdx.x % 32;
    for (int b0 = from; b0 < p.batch; b0 += 32) {
      const bool there = b0 + lane < p.batch && place < blocks_of(p, safe_sequence(p, b0 + lane)) &&
                         block_at(p, b0 + lane, place) == block;
      const unsigned found = __ballot_sync(0xffffffffu, there);
      if (!found) continue;
      b = b0 + __ffs((int)found) - 1;
      return true;
    }
    return false;
  }

  /* Entries behind the last use. */
  __device__ inline bool find_anyhow() {
    const int block = first_block(), offset = item.token % p.block_size, lane = threadIdx.x % 32;
    int place = token / p.block_size + 1;
    for (int at = b; at < p.batch; at++, place = 0) {
      const int blocks = blocks_of(p, safe_sequence(p, at));
      for (; place < blocks; place += 32) {
        const bool there = place + lane < blocks && block_at(p, at, place + lane) == block;
        const unsigned found = __ballot_sync(0xffffffffu, there);
        if (!found) continue;
        b = at, token = (place + __ffs((int)found) - 1) * p.block_size + offset;
        return true;
      }
    }
    return false;
  }

  /* False when nothing is left for this thread block. */
  __device__ inline bool next(key_use &use) {
    use.first = !more;
    if (!more && !next_item()) return false;
    use.b = b, use.kv_head = kv_head, use.token = token, use.rows = item.rows;
    use.s = safe_sequence(p, b);
    use.begin = use.end = 0;
    const int last_key = at_most(token + item.rows, use.s.len_k) - 1;
    if (last_key >= token) {
      const int first_q = seeing(p, use.s, token).first, last_q = seeing(p, use.s, last_key).last;
      if (first_q <= last_q) use.begin = first_q / QUERIES, use.end = last_q / QUERIES + 1;
    }
    more = item.kind == USED_ALIKE ? find_alike(b + 1) : item.kind == USED_ANYHOW && find_anyhow();
    use.last = !more;
    return true;
  }
};
