/* work.cuh - who computes what. All work of a KV head is one list of pieces, ordered by sequence, group of ROWS query
 * rows, and keys: a piece is a tile of KEYS keys or, where the caller gives num_splits, one split. The list is cut into
 * equal runs, found on the device from the true lengths, so that a mixed batch has no tail; a thread block takes one
 * run for one KV head. Those of the other heads run beside it and read the same tokens at about the same time: memory
 * likes that (doc/design/gpu-decode.md). The part of a run that belongs to one row group is a segment; a thread block
 * lists its segments in shared memory, LIST at a time. The sizes (KEYS, ROWS, THREADS, WARPS, LIST, MIN_RUN, TURNS,
 * FIRST_UNIT, D, DV) are those of the kernel that includes this: tile.cuh, ../sm90/mla/tile.cuh. Row groups that are
 * cut into several segments are joined in join.cuh. Lengths are brought within their tensors here, whatever the memory
 * holds; the host sees to it that 32 bits count all pieces. Read next: pages.cuh. */
#pragma once
#include "../mask.cuh"
#include "options.cuh"

/* What one sequence has to do. */
struct span {
  sequence s;
  int groups;        /* of ROWS query rows */
  int first, keys;   /* the first key that some query sees, or a multiple of FIRST_UNIT before; keys from there on */
  int tiles, pieces; /* of a row group */
};

/* Tiles tile..end of a row group. */
struct alignas(16) segment {
  int b, head, tile, end;
  int first, keys, group, row_group; /* row_group: a number of its own */
  int len_q, len_k, first_row, pieces;
  unsigned start, from; /* in the list of pieces: the row group, the segment */
  int turn;             /* which team has the first tile: they take turns across segments */
};

/* LIST of them are kept at a time. */

/* What stays the same through a thread block. */
struct plan {
  int group_heads, row_groups; /* query heads of a KV head; row groups of the longest sequence */
  float inverse;               /* 1 / group_heads, nearly */
  int head, run, runs;         /* of this thread block; runs of a KV head */
  bool refused;                /* nothing may be written */
  unsigned all, each, at, end; /* pieces of a KV head, of a run; this run */
  float inverse_each;
};

__device__ inline plan begin_plan(const pah_attn_params &p) {
  plan l;
  l.group_heads = GROUP ? GROUP : (int)((float)p.heads * ptx::rcp((float)p.kv_heads) + 0.5f); /* no rest */
  l.inverse = GROUP ? 1.0f / GROUP : ptx::rcp((float)l.group_heads);
  int most = at_most(p.seqlen_q, p.most_queries); /* seqlen_q of ragged q: all rows */
  l.row_groups = (most * l.group_heads + ROWS - 1) / ROWS;
  l.runs = gridDim.y;
  l.run = blockIdx.y;
  l.head = blockIdx.x;
  return l;
}

/* The table is wanted soon, whatever the lengths turn out to be: into the L2 cache, a line of 128 bytes a thread of the
 * grid. */
__device__ inline void ask_for_table(const pah_attn_params &p) {
  int line = threadIdx.x * (gridDim.x * gridDim.y) + blockIdx.y * gridDim.x + blockIdx.x;
  long long entries = (p.batch - 1) * p.table_batch + p.max_blocks;
  if (p.table_block == 1 && line * 32ll < entries) ptx::prefetch_l2(p.block_table + line * 32);
}

__device__ inline int at_least(int x, int low) {
  return x > low ? x : low;
}

__device__ inline long long clamped(long long x, long long low, long long high) {
  return x < low ? low : x > high ? high : x;
}

__device__ inline span span_of(const pah_attn_params &p, const plan &l, sequence s) {
  span w;
  int reach = p.num_blocks ? (int)p.max_blocks * p.block_size : 0, most = p.seqlen_q; /* the host: it fits */
  if (p.cu_seqlens_q) {
    s.first_row = clamped(s.first_row, 0, p.total_q);
    most = at_most((int)(p.total_q - s.first_row), p.most_queries);
  }
  s.len_q = at_least(at_most(s.len_q, most), 0);
  s.len_k = at_least(at_most(s.len_k, reach), 0);
  w.s = s;
  w.groups = (s.len_q * l.group_heads + ROWS - 1) / ROWS;
  w.first = 0;
  w.keys = s.len_k;
  if (p.window_left >= 0 || p.window_right >= 0 || p.causal == 2) { /* else the last query sees all keys */
    w.first = visible_to(p, s, 0).first / FIRST_UNIT * FIRST_UNIT;
    w.keys = at_least(visible_to(p, s, s.len_q - 1).last + 1 - w.first, 0);
  }
  w.tiles = at_least((w.keys + KEYS - 1) / KEYS, 1); /* a row that sees nothing must be written too */
  w.pieces = p.num_splits > 0 ? at_most(p.num_splits, w.tiles) : w.tiles;
  return w;
}

/* a / b; inverse is about 1 / b. The usual division takes longer than all else that is done here. */
__device__ inline unsigned ratio(unsigned a, unsigned b, float inverse) {
  unsigned q = (unsigned)((float)a * inverse);
  int rest = (int)(a - q * b);
#pragma unroll 1
  for (; rest < 0; rest += b) q--;
#pragma unroll 1
  for (; rest >= (int)b; rest -= b) q++;
  return q;
}

/* Pieces from..to of a row group that starts at `start`; with num_splits it is one. */
__device__ inline segment segment_of(const pah_attn_params &p, const plan &l, const span &w, int b, int group,
                                     unsigned start, unsigned from, unsigned to) {
  int first = (int)(from - start), end = (int)(to - start);
  if (p.num_splits > 0) {
    int tiles = w.tiles / w.pieces, more = w.tiles % w.pieces;
    first = first * tiles + at_most(first, more);
    end = end * tiles + at_most(end, more);
  }
  int number = (l.head * p.batch + b) * l.row_groups + group;
  segment g = {b,
               l.head,
               first,
               end,
               w.first,
               w.keys,
               group,
               number,
               w.s.len_q,
               w.s.len_k,
               (int)w.s.first_row,
               w.pieces,
               start,
               from,
               p.num_splits > 0 ? 0 : (int)((from - l.at) % TURNS)};
  return g;
}

struct row_place {
  int query, head; /* query -1: there is no such row */
};

__device__ inline row_place row_of(const plan &l, const segment &g, int row) {
  row_place r = {-1, 0};
  int n = g.group * ROWS + row;
  if (n < g.len_q * l.group_heads) {
    r.query = (int)(((float)n + 0.5f) * l.inverse); /* exact: n is small */
    r.head = g.head * l.group_heads + n - r.query * l.group_heads;
  }
  return r;
}

/* Rows of the segment's row group that exist. */
__device__ inline int live_rows(const plan &l, const segment &g) {
  return at_most(g.len_q * l.group_heads - g.group * ROWS, ROWS);
}

/* The segment is all of its row group. */
__device__ inline bool is_whole(const pah_attn_params &p, const segment &g) {
  return p.num_splits > 0 ? g.pieces == 1 : g.end - g.tile == g.pieces;
}

/* The segments of a row group: how many, which place in global memory this one has, and those of the first and second;
 * later ones follow the second. */
struct parts {
  int count, mine, first, next;
};

__device__ inline parts parts_of(const pah_attn_params &p, const plan &l, const segment &g) {
  parts s;
  if (p.num_splits > 0) {
    s.count = g.pieces;
    s.first = g.row_group * p.num_splits;
    s.mine = s.first + (int)(g.from - g.start);
    s.next = s.first + 1;
  } else { /* a run leaves two at most: one that goes on with a row group, one that begins a row group */
    unsigned one = ratio(g.start, l.each, l.inverse_each);
    s.count = (int)(ratio(g.start + g.pieces - 1, l.each, l.inverse_each) - one) + 1;
    int base = l.head * 2 * l.runs;
    s.first = base + l.runs + (int)one;
    s.mine = base + l.run + (g.from == g.start ? l.runs : 0);
    s.next = base + (int)one + 1;
  }
  return s;
}

/* Who counts the work: the lanes of every warp, each warp for itself, or for more sequences all threads together. */
struct counting {
  int me, share; /* this thread, and how many sequences it looks after */
  bool alone;    /* each warp for itself */
};

__device__ inline counting begin_counting(const pah_attn_params &p) {
  counting c;
  c.alone = p.batch <= 32;
  c.me = c.alone ? threadIdx.x % 32 : threadIdx.x;
  c.share = p.batch <= THREADS ? 1 : (p.batch + THREADS - 1) / THREADS;
  return c;
}

/* The first of the sequences that a thread looks after. */
__device__ inline sequence first_of(const pah_attn_params &p, const counting &who) {
  int b = who.me * who.share;
  return sequence_of(p, b < p.batch ? b : 0);
}

/* Every sequence has one row group. */
constexpr bool ONE_GROUP = QUERIES == 1 && GROUP > 0 && GROUP <= ROWS;

/* Sums of x and y over those who count before this thread, and over all. */
struct sums {
  unsigned x, y, all_x, all_y;
};

__device__ inline sums sums_before(const pah_attn_params &p, const counting &who, unsigned x, unsigned y) {
  __shared__ unsigned of_warp[2][WARPS];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  sums s = {x, y, 0, 0};
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    unsigned other_x = __shfl_up_sync(0xffffffffu, s.x, step);
    unsigned other_y = ONE_GROUP ? 0 : __shfl_up_sync(0xffffffffu, s.y, step);
    if (lane >= step) s.x += other_x, s.y += other_y;
  }
  if (who.alone) {
    s.all_x = __shfl_sync(0xffffffffu, s.x, 31);
    s.all_y = ONE_GROUP ? p.batch : __shfl_sync(0xffffffffu, s.y, 31);
    s.x -= x;
    s.y = ONE_GROUP ? who.me : s.y - y;
    return s;
  }
  if (lane == 31) of_warp[0][warp] = s.x, of_warp[1][warp] = s.y;
  __syncthreads();
  s.x -= x;
  s.y -= y;
  int used = (p.batch + 32 * who.share - 1) / (32 * who.share); /* warps that have sequences */
#pragma unroll 1
  for (int i = 0; i < used; i++) {
    if (i < warp) s.x += of_warp[0][i], s.y += of_warp[1][i];
    s.all_x += of_warp[0][i];
    s.all_y += of_warp[1][i];
  }
  if (ONE_GROUP) {
    s.y = who.me * who.share;
    s.all_y = p.batch;
  }
  return s;
}

/* Calls do(b, span, group, start, number) for the row groups of a thread's sequences: `start` counts pieces and
 * `number` row groups, from those of its first sequence on. */
template <class Do>
__device__ __forceinline__ void each_group(const pah_attn_params &p, const plan &l, const counting &who,
                                           const span &w_first, unsigned start, unsigned number, Do &&act) {
  int first = who.me * who.share, last = at_most(first + who.share, p.batch);
  span w = w_first;
#pragma unroll 1
  for (int b = first; b < last;) {
#pragma unroll 1
    for (int group = 0; group < w.groups; group++, start += w.pieces, number++) act(b, w, group, start, number);
    if (++b < last) w = span_of(p, l, sequence_of(p, b));
  }
}

/* Which entries of the list are this thread block's. */
struct entries {
  int first, count;
};

/* Lists the segments of this thread block's run, but for the first `skip`, as far as there is room: entry n is at
 * list[n % LIST]. A thread looks after its share of the sequences; `s` is the first. Entries are numbered as row groups
 * are in the list of all, or with num_splits as pieces. */
__device__ inline entries list_segments(const pah_attn_params &p, plan &l, const counting &who, sequence s,
                                        segment *list, int skip) {
  __shared__ int ends[2];
  unsigned pieces = 0, groups = 0;
  span mine = span_of(p, l, s);
  each_group(p, l, who, mine, 0, 0, [&](int, const span &w, int, unsigned start, unsigned number) {
    pieces = start + w.pieces;
    groups = number + 1;
  });
  sums before = sums_before(p, who, pieces, groups);
  l.all = before.all_x;
  l.each = ratio(l.all + l.runs - 1, l.runs, ptx::rcp((float)l.runs));
  if (p.num_splits <= 0 && l.each < MIN_RUN) l.each = MIN_RUN; /* or joining would take longer than computing */
  l.inverse_each = ptx::rcp((float)l.each);
  l.at = l.each * l.run;
  entries e = {0, 0};
  if (l.at >= l.all) return e;
  l.end = l.all - l.at < l.each ? l.all : l.at + l.each;
  bool here = before.x < l.end && before.x + pieces > l.at && (!who.alone || threadIdx.x < 32);
  if (before.all_y > LIST && p.num_splits <= 0) { /* there may be more than fit: where does the run begin? */
    if (here)
      each_group(p, l, who, mine, before.x, before.y, [&](int, const span &w, int, unsigned start, unsigned number) {
        if (l.at - start < (unsigned)w.pieces) ends[0] = (int)number;
      });
    __syncthreads();
    skip += ends[0];
    __syncthreads();
  } else if (p.num_splits > 0) {
    skip += (int)l.at;
  }
  if (here)
    each_group(p, l, who, mine, before.x, before.y,
               [&](int b, const span &w, int group, unsigned start, unsigned number) {
                 unsigned from = start > l.at ? start : l.at, to = start + w.pieces < l.end ? start + w.pieces : l.end;
                 if (from >= to) return;
                 if (from == l.at) ends[0] = (int)(p.num_splits > 0 ? from : number);
                 if (to == l.end) ends[1] = (int)(p.num_splits > 0 ? to - 1 : number);
                 int entry = (int)(p.num_splits > 0 ? from : number);
                 unsigned step = p.num_splits > 0 ? from + 1 : to;
#pragma unroll 1
                 for (; from < to; from = step++, entry++)
                   if (before.all_y <= LIST && p.num_splits <= 0 ? true : entry >= skip && entry - skip < LIST)
                     list[entry % LIST] = segment_of(p, l, w, b, group, start, from, step);
               });
  __syncthreads();
  e.first = ends[0];
  e.count = ends[1] - ends[0] + 1;
  return e;
}
