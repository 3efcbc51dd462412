/* lanes.c - lanes of a warp that are not there: a mask that names one that has ended (warp-exited), a shuffle that
 * takes the value of one that takes no part (warp-absent). What such a shuffle gives is undefined, which matters only
 * where it is used: at the ends of a tree of __shfl_down_sync or __shfl_up_sync it is not, so those are told only for
 * the lane that holds the result. Read next: warp.c. */
#include <string.h>

#include "sched.h"
#include "sim/check/check.h"

static struct sim_thread *first_lane(const struct sim_collective *c) {
  for (int i = 0; i < SIM_WARP; i++)
    if (c->threads[i]) return c->threads[i];
  return NULL;
}

void sim_lanes_missing(const struct sim_collective *c, unsigned missing) {
  const int left = sim_block.count - c->warp * SIM_WARP;
  struct sim_thread *now = sim_block.running, *first = first_lane(c);
  if (left < SIM_WARP) missing &= (1u << left) - 1; /* those behind the last thread never were */
  if (!missing || !first || strncmp(c->kind, "__", 2) != 0) return;
  sim_block.running = first;
  sim_find(c->pc, "warp-exited", "the mask 0x%08x of %s names lane %d of warp %d, which has ended", c->mask, c->kind,
           __builtin_ctz(missing), c->warp);
  sim_block.running = now;
}

/* Is it the lane that holds the result of a tree: the lowest of its segment that goes down, the highest that goes up?
 */
static int holds_result(const struct sim_collective *c, int lane, int first, int width, int op) {
  const int step = op == PAH_SIM_SHFL_DOWN ? -1 : 1;
  for (int i = lane + step; i >= first && i < first + width && i < SIM_WARP; i += step)
    if (c->lanes[i]) return 0;
  return 1;
}

void sim_lane_absent(const struct sim_collective *c, int lane, int from, int width, int op) {
  const int first = lane & ~(width - 1);
  struct sim_thread *now = sim_block.running;
  if ((op == PAH_SIM_SHFL_DOWN || op == PAH_SIM_SHFL_UP) && !holds_result(c, lane, first, width, op)) return;
  sim_block.running = c->threads[lane];
  sim_find(c->pc, "warp-absent", "lane %d takes a value by %s from lane %d, which takes no part (mask 0x%08x)", lane,
           c->kind, from, c->mask);
  sim_block.running = now;
}
