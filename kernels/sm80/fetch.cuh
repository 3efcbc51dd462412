/* fetch.cuh - what a team fetches, STAGES - 1 tiles ahead of what it computes and across the ends of segments. It walks
 * through the listed segments by itself: every TEAMS-th tile of each. Read next: join.cuh. */
#pragma once
#include "pages.cuh"
#include "rows.cuh"

struct fetcher {
  int entry, behind;               /* of the list: the segment, and where the listed ones end */
  int tile, end, keys, b, slot;    /* the next tile and the ring's slot for it; of its segment */
  page_row row;                    /* of the next tile */
  units k, v;                      /* strides; */
  u32 k_head, v_head;              /* the KV head */
  u32 inverse;                     /* 2^32 / block_size */
  int blocks_a_step, slots_a_step; /* from a team's tile to its next one */
};

__device__ inline fetcher begin_fetcher(const pah_attn_params &p, const plan &l) {
  fetcher f;
  f.k = units_of(p.k);
  f.v = units_of(p.v);
  f.k_head = l.head * f.k.head;
  f.v_head = l.head * f.v.head;
  f.inverse = 0xffffffffu / (u32)p.block_size;
  divide(TEAMS * KEYS, p.block_size, f.inverse, f.blocks_a_step, f.slots_a_step);
  return f;
}

/* Of a segment, that is this team's: the teams take its tiles in turn. */
__device__ __forceinline__ int first_tile(const segment &g) {
  int place = team_of() - g.turn;
  return g.tile + (place < 0 ? place + TEAMS : place);
}

/* To the team's first tile in the next segment that has one for it. */
__device__ inline void open_segment(const pah_attn_params &p, const plan &l, const segment *list, fetcher &f) {
  do {
    if (++f.entry >= f.behind) return;
    f.tile = first_tile(list[f.entry % LIST]);
  } while (f.tile >= list[f.entry % LIST].end);
  const segment &g = list[f.entry % LIST];
  f.end = g.end;
  f.keys = g.keys;
  f.b = g.b;
  f.row.token = f.tile * KEYS + member_of() * OWN + threadIdx.x % 32;
  divide(g.first + f.row.token, p.block_size, f.inverse, f.row.block, f.row.slot);
  read_table(p, f.b, f.keys, f.row);
  if (team_of() == TEAMS - 1) ask_for_queries(p, l, g);
}

/* Starts the copies of the next tile, if there is one; they are a group of their own in any case. */
__device__ __forceinline__ void fetch_tile(const pah_attn_params &p, const plan &l, const segment *list, fetcher &f,
                                           u32 ring) {
  if (f.entry < f.behind) {
    u32 to = ring + f.slot * SLOT, block = f.row.id, slot = f.row.slot;
    if (block >= (u32)p.num_blocks) block = 0; /* a corrupt table reads a wrong block, but a block */
    int used = f.keys - f.tile * KEYS - member_of() * OWN;
    copy_rows<K_ROW>(to, p.k.data, block * f.k.block + slot * f.k.slot + f.k_head, used);
    copy_rows<V_ROW>(to + K_TILE, p.v.data, block * f.v.block + slot * f.v.slot + f.v_head, used);
    f.tile += TEAMS;
    if (f.tile < f.end) {
      f.row.token += TEAMS * KEYS;
      f.row.block += f.blocks_a_step;
      f.row.slot += f.slots_a_step;
      if (f.row.slot >= p.block_size) {
        f.row.slot -= p.block_size;
        f.row.block++;
      }
      read_table(p, f.b, f.keys, f.row);
    } else {
      open_segment(p, l, list, f);
    }
  }
  ptx::cp_async_commit_group();
  f.slot = f.slot + 1 == STAGES ? 0 : f.slot + 1;
}
