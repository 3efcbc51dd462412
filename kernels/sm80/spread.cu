/* spread.cu - decode of one sequence, or of few short ones: memory is idle while instructions stand one behind the
 * other, so there are as few as possible. A thread block belongs to a sequence and a KV head; the tiles of the sequence
 * go to the teams of all its thread blocks in turn. That is even whatever the length is, and where a team's first keys
 * lie does not depend on it: length, table and Q are asked for at once, K and V when the table is there. Nothing is
 * counted and listed (work.cuh). A team is a warp. Grid: KV heads x thread blocks of a sequence x sequences. Defines:
 * those of decode.cu with TEAM_WARPS 1 and PLAIN 1. Read decode.cu first. */
#include "tile.cuh" /* the sizes: first */

#include "join.cuh"
#include "pages.cuh"

static_assert(TEAM == 1 && PLAIN, "no options, rows of one warp");

/* The tiles of a team: every step-th, STAGES - 1 are on their way while one is computed. The table is read STAGES tiles
 * ahead: its latency is that of memory too. */
struct spread_fetcher {
  int tile, step, tiles, slot; /* the next tile, the ring's slot for it */
  int ids[STAGES], in_block;   /* blocks of the next tiles as the table has them; the place in the block of the next */
  page_row ahead;              /* where the table is read next */
  units k, v;
  u32 inverse; /* 2^32 / block_size */
  int blocks_a_step, slots_a_step;
};

/* To the place of a later tile, blocks_a_step and slots_a_step on. */
__device__ __forceinline__ void step_on(const pah_attn_params &p, const spread_fetcher &f, int &block, int &slot) {
  block += f.blocks_a_step;
  slot += f.slots_a_step;
  if (slot >= p.block_size) {
    slot -= p.block_size;
    block++;
  }
}

__device__ __forceinline__ void read_ahead(const pah_attn_params &p, int b, int keys, spread_fetcher &f, int n) {
  read_table(p, b, keys, f.ahead);
  f.ids[n] = f.ahead.id;
  f.ahead.token += f.step * KEYS;
  step_on(p, f, f.ahead.block, f.ahead.slot);
}

__device__ __forceinline__ void find_first(const pah_attn_params &p, int b, spread_fetcher &f) {
  f.slot = 0;
  f.inverse = 0xffffffffu / (u32)p.block_size;
  f.ahead.token = f.tile * KEYS + threadIdx.x % 32;
  divide(f.ahead.token, p.block_size, f.inverse, f.ahead.block, f.ahead.slot);
  divide(f.step * KEYS, p.block_size, f.inverse, f.blocks_a_step, f.slots_a_step);
  f.in_block = f.ahead.slot;
#pragma unroll
  for (int i = 0; i < STAGES; i++)
    read_ahead(p, b, (int)p.max_blocks * p.block_size, f, i); /* whatever the length is */
}

/* Starts the copies of the next tile, if there is one; they are a group of their own in any case. */
__device__ __forceinline__ void fetch_next(const pah_attn_params &p, const segment &g, spread_fetcher &f, u32 ring) {
  if (f.tile < f.tiles) {
    const u32 to = ring + f.slot * SLOT, slot = f.in_block;
    const u32 block = (u32)f.ids[0] < (u32)p.num_blocks ? f.ids[0] : 0;
    const int used = g.keys - f.tile * KEYS;
    copy_rows<K_ROW>(to, p.k.data, block * f.k.block + slot * f.k.slot + g.head * f.k.head, used);
    copy_rows<V_ROW>(to + K_TILE, p.v.data, block * f.v.block + slot * f.v.slot + g.head * f.v.head, used);
    f.tile += f.step;
    int unused = 0;
    step_on(p, f, unused, f.in_block);
#pragma unroll
    for (int i = 1; i < STAGES; i++) f.ids[i - 1] = f.ids[i];
    read_ahead(p, g.b, g.keys, f, STAGES - 1);
  }
  ptx::cp_async_commit_group();
  f.slot = f.slot + 1 == STAGES ? 0 : f.slot + 1;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) decode(const __grid_constant__ pah_attn_params given) {
  const pah_attn_params p = with_options(given);
  __shared__ join_room room;
  const int b = blockIdx.z, first = blockIdx.y * TEAMS + team_of();
  const sequence s = sequence_of(p, b); /* on its way while the rest is prepared */
  spread_fetcher f;
  f.tile = first;
  f.step = gridDim.y * TEAMS;
  find_first(p, b, f);
  plan l;
  l.group_heads = GROUP ? GROUP : p.heads / p.kv_heads;
  l.inverse = 1.0f / (float)l.group_heads;
  l.refused = refused(p.verdict, p.ticket);
  l.head = blockIdx.x;
  segment g = {};
  g.b = b;
  g.head = l.head;
  g.row_group = b * p.kv_heads + l.head;
  g.len_q = p.seqlen_q;
  warp_rows rows;
  load_queries(p, l, g, rows.q);
  f.k = units_of(p.k);
  f.v = units_of(p.v);
  const span w = span_of(p, l, s);
  if (w.tiles <= (int)blockIdx.y * TEAMS) return; /* nothing for this thread block */
  open_join(room);
  __syncthreads();
  g.keys = g.len_k = w.keys;
  f.tiles = w.tiles;
  const u32 ring = ptx::shared(pool) + team_of() * STAGES * SLOT;
#pragma unroll
  for (int i = 0; i < STAGES - 1; i++) fetch_next(p, g, f, ring);
  place_rows(p, l, g, rows);
  if (FP8 && IS_BF16<Q_T>) narrow_queries(rows);
  totals o = {};
  softmax_state state;
  begin_softmax(state);
  int slot = 0;
#pragma unroll 1
  for (int tile = first; tile < w.tiles; tile += f.step) {
    __syncwarp(); /* all lanes are done with the slot that is filled next */
    fetch_next(p, g, f, ring);
    ptx::cp_async_wait_group<STAGES - 1>();
    __syncwarp();
    scores x = {};
    multiply_keys(x, rows.q, ring + slot * SLOT);
    score(p, g, rows, x, tile);
    soften(x, o, state);
    multiply_values(o, x, ring + slot * SLOT + K_TILE);
    slot = slot + 1 == STAGES ? 0 : slot + 1;
  }
  __syncwarp();
  end_segment(p, l, g, room, 0, team_of() * STAGES, o, state, [&] {
    const int base = g.row_group * gridDim.y; /* every thread block has a part, in the order of their numbers */
    return parts{at_most((w.tiles + TEAMS - 1) / TEAMS, gridDim.y), base + (int)blockIdx.y, base, base + 1};
  });
}
