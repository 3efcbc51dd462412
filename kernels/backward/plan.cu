/* backward/plan.cu - finds the physical blocks that are used more than once and makes the items of dK and dV: one
 * thread block, two passes over the table. First every entry says to its block who and where it is, by minima and
 * maxima, whose result does not depend on any order. Then a thread takes a tile of KEYS tokens of a sequence and cuts
 * it into runs: an entry belongs to the first sequence that has it; neighbours stay together if the same sequences use
 * them alike. Items are ordered by their place in the sequence: under causal the first keys are seen by most queries,
 * so the long items come first. No defines but KEYS. Read next: uses.cuh. */
#include "plan.cuh"

constexpr int THREADS = 512, WARPS = THREADS / 32;

/* Returns the tiles that the longest sequence of those that a thread has seen takes, last blocks taken whole: another
 * sequence may use more of such a block. */
__device__ int count_uses(const pah_attn_params &p, const backward_plan &plan) {
  const unsigned width = (unsigned)p.max_blocks, entries = (unsigned)p.batch * width;
  int most = 0;
#pragma unroll 4
  for (unsigned entry = threadIdx.x; entry < entries; entry += THREADS) {
    const int b = (int)(entry / width), place = (int)(entry % width), at = place * p.block_size;
    const sequence s = safe_sequence(p, b);
    if (at >= s.len_k) continue;
    const int block = block_at(p, b, place), tiles = (int)(((long long)at + p.block_size + KEYS - 1) / KEYS);
    atomicMin(&plan.first[block], (int)entry);
    atomicMax(&plan.last[block], (int)entry);
    atomicMin(&plan.lowest[block], place);
    atomicMax(&plan.highest[block], place);
    atomicMax(&plan.used[block], at_most(s.len_k - at, p.block_size));
    most = tiles > most ? tiles : most;
  }
  return most;
}

constexpr int AT_ONCE = 8; /* entries whose loads are on their way together */

struct entry {
  int block, first, last, lowest, highest, used;
};

/* Cuts a tile of a sequence into runs and hands each to take(item). */
struct cutter {
  const pah_attn_params &p;
  const backward_plan &plan;
  int b, blocks;
  key_item run; /* rows 0: none is open */
  int before;   /* the block of the entry before */

  /* Whether the same sequences have the block before at the place before and this one at `place`. */
  __device__ bool same_users(int block, int place) const {
    for (int other = b + 1; other < p.batch; other++) {
      const int has = blocks_of(p, safe_sequence(p, other));
      const bool uses_before = place - 1 < has && block_at(p, other, place - 1) == before;
      const bool uses = place < has && block_at(p, other, place) == block;
      if (uses_before != uses) return false;
    }
    return true;
  }

  /* The next entry of the tile of tokens begin to end. */
  template <class F> __device__ void take_entry(const entry &e, int place, int begin, int end, F take) {
    const int at = place * p.block_size, from = at > begin ? at : begin, to = at_most(at + e.used, end);
    const int kind = e.first == e.last ? USED_ONCE : e.lowest == e.highest ? USED_ALIKE : USED_ANYHOW;
    const bool mine = e.first == (int)(b * p.max_blocks) + place && from < to;
    const bool joined = run.rows && mine && kind == run.kind && kind != USED_ANYHOW &&
                        (kind == USED_ONCE || same_users(e.block, place));
    if (!joined) {
      if (run.rows) take(run);
      run.b = b, run.token = from, run.rows = 0, run.kind = kind;
    }
    if (mine) run.rows = to - run.token;
    before = e.block;
  }

  template <class F> __device__ void cut(int tile, F take) {
    const int begin = tile * KEYS, end = begin + KEYS, first = begin / p.block_size;
    const int stop = at_most(blocks, (end - 1) / p.block_size + 1);
    run.rows = 0;
    for (int place = first; place < stop; place += AT_ONCE) {
      entry e[AT_ONCE];
#pragma unroll
      for (int i = 0; i < AT_ONCE; i++) e[i].block = place + i < stop ? block_at(p, b, place + i) : -1;
#pragma unroll
      for (int i = 0; i < AT_ONCE; i++) {
        const int block = e[i].block < 0 ? 0 : e[i].block; /* there is one */
        e[i].first = __ldcg(&plan.first[block]), e[i].last = __ldcg(&plan.last[block]);
        e[i].lowest = __ldcg(&plan.lowest[block]), e[i].highest = __ldcg(&plan.highest[block]);
        e[i].used = __ldcg(&plan.used[block]);
      }
#pragma unroll
      for (int i = 0; i < AT_ONCE; i++)
        if (e[i].block >= 0) take_entry(e[i], place + i, begin, end, take);
    }
    if (run.rows) take(run);
  }
};

/* Of the values of all threads, the sum of those before this one; *total: of all. */
__device__ int sum_before(int x, int *total) {
  __shared__ int sums[WARPS];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int sum = x;
  for (int step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, sum, step);
    if (lane >= step) sum += other;
  }
  __syncthreads(); /* the last call has been read */
  if (lane == 31) sums[warp] = sum;
  __syncthreads();
  int before = sum - x;
  *total = 0;
  for (int i = 0; i < WARPS; i++) {
    if (i < warp) before += sums[i];
    *total += sums[i];
  }
  return before;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    backward_items(const pah_attn_params p, const backward_plan plan) {
  __shared__ int most;
  if (refused(p.verdict, p.ticket)) return;
  if (threadIdx.x == 0) most = 0;
  __syncthreads();
  atomicMax(&most, count_uses(p, plan));
  __threadfence();
  __syncthreads();
  const long long slots = (long long)most * p.batch; /* tile by tile, all sequences */
  int count = 0;
  for (long long slot = threadIdx.x; slot - threadIdx.x < slots; slot += THREADS) {
    const int tile = (int)(slot / p.batch), b = (int)(slot % p.batch);
    cutter c = {p, plan, b, slot < slots ? blocks_of(p, safe_sequence(p, b)) : 0, {0, 0, 0, 0}, -1};
    key_item only;
    int runs = 0, all;
    c.cut(tile, [&](const key_item &item) { runs++, only = item; });
    int at = count + sum_before(runs, &all);
    if (runs == 1) plan.items[at] = only;
    if (runs > 1) c.cut(tile, [&](const key_item &item) { plan.items[at++] = item; });
    count += all;
  }
  if (threadIdx.x == 0) *plan.item_count = count;
}
