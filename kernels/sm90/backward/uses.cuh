/* sm90/backward/uses.cuh - the order of work of dkdv.cuh: item after item of the plan for every K/V head, heads next to
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

/* Numbers of items for the first warp of a warpgroup: who is done first takes more. The next one is asked for ahead, so
 * that nobody waits for the answer, where there is a register for it. */
struct tickets {
  int *const &taken;
  int ahead; /* of the first thread */

  __device__ __forceinline__ int ask() const {
    return threadIdx.x % 32 == 0 ? atomicAdd(taken, 1) : 0;
  }
  __device__ __forceinline__ void begin() {
    if (!GATHER && threadIdx.x % 128 < 32) ahead = ask();
  }
  __device__ __forceinline__ int next() {
    const int index = __shfl_sync(0xffffffffu, GATHER ? ask() : ahead, 0);
    if (!GATHER) ahead = ask();
    return index;
  }
};

struct walk {
  const pah_attn_params &p;
  const backward_plan &plan;
  tickets ticket;
  int index, b, token; /* item and head; the next use of it, if there is one */
  bool more;

  __device__ inline void begin() {
    ticket.begin();
    more = false;
  }

  /* Sequences behind b that have the block at the same place; returns whether there is one. */
  __device__ inline bool find_alike(int block) {
    const int place = token / p.block_size, lane = threadIdx.x % 32;
    for (int b0 = b + 1; b0 < p.batch; b0 += 32) {
      const bool there = b0 + lane < p.batch && place < blocks_of(p, safe_sequence(p, b0 + lane)) &&
                         block_at(p, b0 + lane, place) == block;
      const unsigned found = __ballot_sync(0xffffffffu, there);
      if (!found) continue;
      b = b0 + __ffs((int)found) - 1;
      return true;
    }
    return false;
  }

  /* Entries behind that of the use, at any place. */
  __device__ inline bool find_anyhow(int block) {
    const int lane = threadIdx.x % 32, offset = token % p.block_size;
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
    if (!more) index = ticket.next();
    if (index / p.kv_heads >= *plan.item_count) return false;
    const key_item item = plan.items[index / p.kv_heads];
    if (!more) b = item.b, token = item.token;
    use.b = b, use.kv_head = index % p.kv_heads, use.token = token, use.rows = item.rows;
    use.s = safe_sequence(p, b);
    use.begin = use.end = 0;
    const int last_key = at_most(token + item.rows, use.s.len_k) - 1;
    if (last_key >= token) {
      const int first_q = seeing(p, use.s, token).first, last_q = seeing(p, use.s, last_key).last;
      if (first_q <= last_q) use.begin = first_q / QUERIES, use.end = last_q / QUERIES + 1;
    }
    more = false;
    if (item.kind != USED_ONCE) {
      const int block = block_at(p, b, token / p.block_size);
      more = item.kind == USED_ALIKE ? find_alike(block) : find_anyhow(block);
    }
    use.last = !more;
    return true;
  }
};
