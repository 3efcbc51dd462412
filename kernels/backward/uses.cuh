/* backward/uses.cuh - the order of work of dK and dV: item after item of the plan for every K/V head, heads next to
 * each other, so that thread blocks that run together read the same queries out of L2; and within an item one use after
 * the other, as sequences stand in the table. All lanes of one warp walk together. Read next: gradient.cuh. */
#pragma once
#include "plan.cuh"

#ifndef ASK_AHEAD
#define ASK_AHEAD 1 /* 0: the number of an item is asked for when it is needed */
#endif

struct used_keys {
  int b, kv_head;  /* b -1: there is no more */
  int token, rows; /* the first key in this sequence, and how many the item has */
};

/* What the warps that compute must know of a use; one of them, or a producer, writes it to shared memory. */
struct key_use : used_keys {
  sequence s;
  int begin, end;   /* tiles of queries of which one sees a key */
  bool first, last; /* of its item */
};

__device__ inline void find_queries(const pah_attn_params &p, key_use &use) {
  use.s = safe_sequence(p, use.b);
  use.begin = use.end = 0;
  const int last_key = at_most(use.token + use.rows, use.s.len_k) - 1;
  if (last_key < use.token) return;
  const int first_q = seeing(p, use.s, use.token).first, last_q = seeing(p, use.s, last_key).last;
  if (first_q <= last_q) use.begin = first_q / QUERIES, use.end = last_q / QUERIES + 1;
}

/* Numbers of items for a warp: who is done first takes more. The next one is asked for ahead, so that nobody waits for
 * the answer, where there is a register for it. */
struct tickets {
  int *const &taken;
  int ahead; /* of the first thread */

  __device__ __forceinline__ int ask() const {
    return threadIdx.x % 32 == 0 ? atomicAdd(taken, 1) : 0;
  }
  __device__ __forceinline__ void begin() {
    if (ASK_AHEAD && threadIdx.x % 128 < 32) ahead = ask();
  }
  __device__ __forceinline__ int next() {
    const int index = __shfl_sync(0xffffffffu, ASK_AHEAD ? ahead : ask(), 0);
    if (ASK_AHEAD) ahead = ask();
    return index;
  }
};

/* How far a walk has come: item and head; the next use of it, if there is one. */
struct walk_place {
  int index, b, token;
  bool more;
};

struct walk : walk_place {
  const pah_attn_params &p;
  const backward_plan &plan;
  tickets ticket;
  int kind; /* of the item: enum use_kind */

  __device__ __forceinline__ walk(const pah_attn_params &problem, const backward_plan &items)
      : p(problem), plan(items), ticket{items.dkdv_taken, 0} {}

  __device__ inline void begin() {
    ticket.begin();
    more = false;
  }
  __device__ inline void go_to(const walk_place &place) {
    index = place.index, b = place.b, token = place.token, more = place.more;
  }

  /* Sequences behind b that have the block at the same place; returns whether there is one. */
  __device__ inline bool find_alike(int block) {
    const int place = token / p.block_size, lane = threadIdx.x % 32;
#pragma unroll 1
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
#pragma unroll 1
    for (int at = b; at < p.batch; at++, place = 0) {
      const int blocks = blocks_of(p, safe_sequence(p, at));
#pragma unroll 1
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

  /* False when nothing is left for this thread block. A use is the first of its item where `more` is false. */
  __device__ inline bool next(used_keys &use) {
    if (!more) index = ticket.next();
    if (index / p.kv_heads >= *plan.item_count) return false;
    const key_item item = plan.items[index / p.kv_heads];
    if (!more) b = item.b, token = item.token;
    use.b = b, use.kv_head = index % p.kv_heads, use.token = token, use.rows = item.rows;
    kind = item.kind;
    return true;
  }

  /* Behind next(): goes to the use after it. That was the last of its item where `more` is false. */
  __device__ inline void look_ahead(int kind) {
    more = false;
    if (kind == USED_ONCE) return;
    const int block = block_at(p, b, token / p.block_size);
    more = kind == USED_ALIKE ? find_alike(block) : find_anyhow(block);
  }
};
