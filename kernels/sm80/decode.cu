/* decode.cu - paged decode for sm_80 and up: a few queries per sequence against its cache, at the speed of memory.
 * As many thread blocks as fit run once, each along its run of the list of work.cuh. Each team of warps fetches its
 * tiles of K and V by cp.async ahead of time, so that memory never waits: scores = K Q^T, softmax, totals += V^T P^T,
 * all in registers; then join.cuh. Grid: KV heads x runs. Defines: those of tile.cuh, Q_T, KV_T, OUT_T, BLOCKS_PER_SM.
 * Read in this order: tile.cuh, work.cuh, pages.cuh, fetch.cuh, rows.cuh, operands.cuh, softmax.cuh, join.cuh. */
#include "tile.cuh" /* the sizes: first */

#include "fetch.cuh"
#include "join.cuh"

#ifndef BLOCKS_PER_SM
#define BLOCKS_PER_SM 1
#endif

/* All warps of the team have come here. */
__device__ __forceinline__ void meet_team() {
  if (TEAM == 1)
    __syncwarp();
  else
    ptx::bar_sync(1 + team_of(), 32 * TEAM);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    decode(const __grid_constant__ pah_attn_params given) {
  __shared__ segment list[LIST];
  __shared__ join_room room;
  __shared__ parts of_group[2]; /* of this segment, while that of the one before is looked at */
  const pah_attn_params p = with_options(given);
  int done = 0;

  const counting who = begin_counting(p);
  const sequence mine = first_of(p, who); /* on its way while the rest is prepared */
  ask_for_table(p);
  plan l = begin_plan(p);
  l.refused = refused(p.verdict, p.ticket);
  fetcher f = begin_fetcher(p, l);
  open_join(room);
  entries e;
  const u32 ring = ptx::shared(pool) + team_of() * STAGES * SLOT;
  do {
    e = list_segments(p, l, who, mine, list, done);
    f.entry = e.first + done - 1;
    f.behind = e.first + at_most(e.count, done + LIST);
    f.slot = 0;
    open_segment(p, l, list, f);
    int ahead = STAGES - 1, slot = 0; /* tiles to fetch before the first is computed; the slot that is computed next */
#pragma unroll 1
    for (int entry = e.first + done; entry < f.behind; entry++) {
      const segment &g = list[entry % LIST];
      const unsigned ended = entry - e.first;
      warp_rows rows;
      bool fresh = true;
      totals o = {};
      softmax_state state;
      begin_softmax(state);
      int end = g.end;
#pragma unroll 1
      for (int tile = first_tile(g); tile < end;) {
        if (fresh && ahead == 0) { /* while memory is on its way */
          load_queries(p, l, g, rows.q);
          place_rows(p, l, g, rows);
          if (FP8 && IS_BF16<Q_T>) narrow_queries(rows);
          if (threadIdx.x == 0) of_group[ended % 2] = parts_of(p, l, g);
          fresh = false;
        }
        ptx::cp_async_wait_group<STAGES - 2>(); /* the tile is there, */
        meet_team(); /* for all of the team; and all of it is done with the slot that is filled next */
        fetch_tile(p, l, list, f, ring);
        if (ahead > 0) {
          ahead--;
          continue;
        }
        scores x = {};
        multiply_keys(x, rows.q, ring + slot * SLOT);
        score(p, g, rows, x, tile);
        soften(x, o, state);
        multiply_values(o, x, ring + slot * SLOT + K_TILE);
        slot = slot + 1 == STAGES ? 0 : slot + 1;
        tile += TEAMS;
      }
      meet_team();
      if (fresh && threadIdx.x == 0) of_group[ended % 2] = parts_of(p, l, g);
      end_segment(p, l, g, room, ended, team_of() * STAGES + f.slot, o, state, [&] { return of_group[ended % 2]; });
    }
    done += LIST;
    if (done < e.count) __syncthreads(); /* the list is free again */
  } while (done < e.count);
  ptx::cp_async_wait_all();
}
