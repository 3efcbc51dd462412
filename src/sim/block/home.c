/* home.c - the thread blocks that are alive together, and their shared memory: for each a window of addresses, one
 * behind the other, so that an address of the cluster is one of the memory that all of them have. A gang is a cluster,
 * which is one thread block where the launch has none, or all clusters of a cooperative grid. It begins and ends as a
 * whole; memory for as many is made once. Read next: sched.c, cluster.c, wide.c. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sched.h"
#include "sim/check/check.h"
#include "sim/check/clock.h"
#include "sim/check/shadow.h"

/* An address in the window of a cluster is rank * 2^24 + byte, as on the hardware. Logarithms. */
enum { CLUSTER_WINDOW = 24, ALONE_WINDOW = 19 };

static uint8_t nobody[SIM_SHARED_LIMIT]; /* for constructors of static objects */
uint8_t *pah_sim_window = nobody;
uint64_t sim_shared_size;

int sim_window_shift;
static uint8_t *windows;

static struct pah_sim_dim dim(const int64_t *n) {
  return (struct pah_sim_dim){(unsigned)n[0], (unsigned)n[1], (unsigned)n[2]};
}

static void *room(size_t count, size_t each) {
  void *p = calloc(count, each);
  if (!p) sim_give_up("no memory left for the thread blocks that are alive");
  return p;
}

static int64_t blocks_of(struct pah_sim_dim d) {
  return (int64_t)d.x * d.y * d.z;
}

int64_t sim_gang_count(void) {
  return blocks_of(sim_block.grid_dim) / sim_block.alive;
}

static void open_threads(void) {
  struct sim_block *b = &sim_block;
  struct sim_fiber *fibers = room((size_t)b->all, sizeof *fibers);
  b->threads = sim_reserve((uint64_t)b->all * sizeof *b->threads); /* in lines of the cache, from one on */
  b->queue = room((size_t)b->all, sizeof *b->queue);
  if (sim_fibers_new(fibers, b->all)) sim_give_up("no memory for the stacks of the threads: too many are alive");
  for (int i = 0; i < b->all; i++) b->threads[i].fiber = fibers[i];
  free(fibers);
}

void sim_homes_open(void) {
  struct sim_block *b = &sim_block;
  const struct pah_launch *l = sim_job->launch;
  const int64_t one[3] = {1, 1, 1};
  b->block_dim = dim(l->block);
  b->grid_dim = dim(l->grid);
  b->cluster_dim = dim(l->cluster[0] ? l->cluster : one);
  b->count = (int)blocks_of(b->block_dim);
  b->cluster = (int)blocks_of(b->cluster_dim);
  b->alive = l->cooperative ? (int)blocks_of(b->grid_dim) : b->cluster;
  b->all = b->alive * b->count;
  b->warps = (b->count + 4 * SIM_WARP - 1) / (4 * SIM_WARP) * 4;
  b->first_agent = (b->count + SIM_WARP - 1) / SIM_WARP * SIM_WARP;
  b->homes = room((size_t)b->alive, sizeof *b->homes);
  /* The object holds the shared variables of all its kernels. */
  sim_window_shift = b->cluster > 1 ? CLUSTER_WINDOW : ALONE_WINDOW;
  while (sim_window_bytes() < 2 * (uint64_t)sim_shared_bytes()) sim_window_shift++;
  if (b->cluster > 1 && sim_window_shift > CLUSTER_WINDOW)
    sim_give_up("the kernels of the source have too much shared memory");
  windows = mmap(NULL, sim_window_bytes() * (size_t)b->alive, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  sim_shared_size = sim_shared_bytes();
  if (windows == MAP_FAILED) sim_give_up("no addresses left for the shared memory");
  for (int i = 0; i < b->alive; i++) b->homes[i].window = windows + sim_window_bytes() * (uint64_t)i;
  open_threads();
  sim_barriers_open();
  sim_warps_open();
}

struct sim_home *sim_home_at(const void *p) {
  return &sim_block.homes[(uint64_t)((const uint8_t *)p - windows) >> sim_window_shift];
}

struct sim_home *sim_home_of(int64_t block) {
  for (int i = 0; i < sim_block.alive; i++)
    if ((sim_block.homes[i].index & SIM_BLOCK_MASK) == block) return &sim_block.homes[i];
  return NULL;
}

/* ---- A gang ---- */

static struct pah_sim_dim place(int64_t i, struct pah_sim_dim d) {
  return (struct pah_sim_dim){(unsigned)(i % d.x), (unsigned)(i / d.x % d.y), (unsigned)(i / d.x / d.y)};
}

/* Thread block `rank` of this cluster of the grid. */
static void begin_home(struct sim_home *h, int slot, int64_t cluster, int rank) {
  const struct sim_block *b = &sim_block;
  const struct pah_sim_dim c = b->cluster_dim, g = b->grid_dim;
  const struct pah_sim_dim at = place(cluster, (struct pah_sim_dim){g.x / c.x, g.y / c.y, g.z / c.z});
  const struct pah_sim_dim inside = place(rank, c);
  h->inside = inside;
  h->at = (struct pah_sim_dim){at.x * c.x + inside.x, at.y * c.y + inside.y, at.z * c.z + inside.z};
  h->index = h->at.x + (int64_t)g.x * (h->at.y + (int64_t)g.y * h->at.z);
  h->slot = slot;
  h->rank = rank;
  h->first = h - rank;
  h->exited = h->published = 0;
  if (b->alive > 1) sim_mark_released(h->index & SIM_BLOCK_MASK, 1);
}

static void begin_thread(struct sim_home *h, int i, struct sim_clock *clock) {
  struct sim_thread *t = &sim_block.threads[h->slot * sim_block.count + i];
  struct sim_fiber fiber = t->fiber;
  *t = (struct sim_thread){.fiber = fiber, .id = i, .lane = i % SIM_WARP, .warp = i / SIM_WARP, .home = h};
  t->number = h->slot * sim_block.count + i;
  t->team = h->slot * sim_block.warps + t->warp;
  t->write_epoch = EPOCH(h->index & SIM_BLOCK_MASK, i, 0);
  t->use_key = EPOCH(h->index & SIM_BLOCK_MASK, t->warp * SIM_WARP, 0);
  sim_thread_step(t);
  t->index = place(i, sim_block.block_dim);
  t->clock = sim_clock_share(clock);
  t->state = SIM_BLOCKED;
  sim_fiber_start(&t->fiber, sim_thread_main);
  sim_ready(t);
}

void sim_gang_begin(int64_t gang) {
  struct sim_block *b = &sim_block;
  b->random = sim_job->launch->seed + (uint64_t)gang * 0xd1342543de82ef95u; /* whatever ran before */
  b->queue_count = b->queue_first = 0;
  b->idle = 0;
  b->left = b->all;
  b->here = NULL;
  for (int i = 0; i < b->alive; i++) begin_home(&b->homes[i], i, (gang * b->alive + i) / b->cluster, i % b->cluster);
  struct sim_clock *clock = sim_clock_new((uint32_t)sim_agent_id(SIM_AGENTS - 1) + 1);
  for (int i = 0; i < b->alive; i++)
    for (int j = 0; j < b->count; j++) begin_thread(&b->homes[i], j, clock);
  sim_clock_drop(clock);
  sim_enter(&b->threads[0]);
  sim_shadow_block();
  sim_barriers_reset();
  sim_warps_reset();
  sim_wide_reset();
  sim_sync_reset();
  sim_async_begin();
}

void sim_home_exit(void) {
  struct sim_home *h = sim_block.here;
  sim_async_block_end();
  sim_visits_end(h);
}

void sim_gang_end(void) {
  for (int i = 0; i < sim_block.all; i++) {
    struct sim_thread *t = &sim_block.threads[i];
    sim_enter(t);
    sim_suspect_look(t);
    sim_locals_end(t);
    sim_clock_drop(t->clock);
    sim_clock_drop(t->fence_clock);
    sim_clock_drop(t->block_fence_clock);
    sim_foreign_drop(t->foreign);
  }
  for (int i = 0; i < sim_block.alive; i++) {
    struct sim_home *h = &sim_block.homes[i];
    sim_visits_forget(h);
    if (sim_block.alive > 1 && !h->published) sim_mark_released(h->index & SIM_BLOCK_MASK, 0);
  }
  sim_result->counters.thread_blocks += sim_block.alive;
  sim_result->counters.threads += sim_block.all;
}
