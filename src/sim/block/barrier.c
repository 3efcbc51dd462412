/* barrier.c - __syncthreads and named barriers: who has come, who is missing, what differs.
 * Findings: barrier-divergence (threads meet at different lines or kinds of __syncthreads), barrier-exited (threads
 * ended without coming), barrier-count. Read next: warp.c. */
#include <stdlib.h>
#include <string.h>

#include "sim/check/counters.h"
#include "sched.h"
#include "sim/check/clock.h"

enum { BARRIERS = 16 };

struct barrier {
  int kind, line; /* of the first to come */
  int expected;   /* threads */
  int arrived;    /* those that wait and those that only arrived; 0: nobody has come yet */
  int waiting;
  int result;                                  /* of count, and, or */
  struct sim_known known;                      /* released by those that only arrived */
  int found;                                   /* its divergence has been reported */
  struct sim_thread *threads[SIM_MAX_THREADS]; /* those that wait */
};
enum { TILES = 16 + 8 + 4 + 2 }; /* of 64, 128, 256 and 512 threads */
static struct barrier *tiles;    /* of each thread block that is alive; NULL: none has any */
static struct barrier *all;      /* 16 of each thread block that is alive */

static struct barrier *barriers_of(const struct sim_home *home) {
  return all + (size_t)home->slot * BARRIERS;
}

void sim_barriers_open(void) {
  all = calloc((size_t)sim_block.alive * BARRIERS, sizeof *all);
  if (!all) sim_give_up("no memory left for the barriers");
}

void sim_barriers_reset(void) {
  for (int i = 0; i < sim_block.alive * BARRIERS; i++) {
    sim_known_drop(&all[i].known);
    memset(&all[i], 0, offsetof(struct barrier, threads));
  }
  for (int i = 0; tiles && i < sim_block.alive * TILES; i++) memset(&tiles[i], 0, offsetof(struct barrier, threads));
}

/* What fences of several threads have ordered. *last: the clock that came before; many have the same. */
static void join_fences(struct sim_clock **all, const struct sim_clock *fence, const struct sim_clock **last) {
  if (!fence || fence == *last) return;
  if (*all)
    sim_clock_max(*all, fence);
  else
    *all = sim_clock_copy(fence);
  *last = fence;
}

void sim_clocks_meet(struct sim_thread **threads, int n) {
  struct sim_clock *all = sim_clock_copy(threads[0]->clock), *fences = NULL, *block_fences = NULL;
  struct sim_foreign *foreign = NULL;
  const struct sim_clock *last = threads[0]->clock, *last_fence = NULL, *last_block_fence = NULL;
  for (int i = 0; i < n; i++) {
    struct sim_thread *t = threads[i];
    if (t->clock != last) sim_clock_max(all, last = t->clock);
    join_fences(&fences, t->fence_clock, &last_fence);
    join_fences(&block_fences, t->block_fence_clock, &last_block_fence);
    if (t->foreign) {
      struct sim_foreign *both = sim_foreign_join(foreign, t->foreign);
      sim_foreign_drop(foreign);
      foreign = both;
    }
  }
  for (int i = 0; i < n; i++) sim_clock_raise(all, (uint32_t)threads[i]->id, threads[i]->step);
  if (n == sim_block.count) sim_clock_floor(all, n);
  for (int i = 0; i < n; i++) {
    struct sim_thread *t = threads[i];
    sim_clock_drop(t->clock);
    sim_clock_drop(t->fence_clock);
    sim_clock_drop(t->block_fence_clock);
    sim_foreign_drop(t->foreign);
    t->clock = sim_clock_share(all);
    t->fence_clock = sim_clock_share(fences);
    t->block_fence_clock = sim_clock_share(block_fences);
    t->foreign = sim_foreign_share(foreign);
    t->floor = all->floor;
    sim_suspect_look(t);
    sim_thread_step(t);
  }
  sim_clock_drop(all);
  sim_clock_drop(fences);
  sim_clock_drop(block_fences);
  sim_foreign_drop(foreign);
}

static void open_barrier(struct barrier *b) {
  for (int i = 0, last = -1; i < b->waiting && sim_counting; i++)
    if (b->threads[i]->team != last) sim_count_flush(last = b->threads[i]->team);
  if (b->waiting) sim_acquire_from(b->threads[0], &b->known);
  if (b->waiting) sim_clocks_meet(b->threads, b->waiting);
  for (int i = 0; i < b->waiting; i++) {
    b->threads[i]->result = (uint64_t)b->result;
    b->threads[i]->spin_count = 0;
    if (b->threads[i] != sim_block.running) sim_ready(b->threads[i]);
  }
  sim_known_drop(&b->known);
  sim_block.idle = 0;
  b->arrived = b->waiting = 0;
  sim_result->counters.barriers++;
}

static int join_result(const struct barrier *b, int kind, int predicate) {
  if (b->arrived == 0) return predicate != 0;
  if (kind == PAH_SIM_COUNT) return b->result + (predicate != 0);
  return kind == PAH_SIM_AND ? b->result && predicate : b->result || predicate;
}

static const char *const kind_names[] = {"__syncthreads", "__syncthreads_count", "__syncthreads_and",
                                         "__syncthreads_or"};

int pah_sim_syncthreads(int kind, int predicate, int line) {
  struct barrier *b = barriers_of(sim_block.here);
  struct sim_thread *t = sim_self();
  t->pc = __builtin_return_address(0);
  t->line = line;
  if (b->waiting && !b->found && (b->line != line || b->kind != kind)) {
    b->found = 1;
    sim_find(t->pc, "barrier-divergence", "%s at line %d meets %s at line %d, where thread %d waits", kind_names[kind],
             line, kind_names[b->kind], b->line, b->threads[0]->id);
  }
  if (!b->arrived) b->found = 0, b->line = line, b->kind = kind, b->expected = sim_block.count;
  b->result = join_result(b, kind, predicate);
  b->threads[b->waiting++] = t;
  b->arrived++;
  /* The last to come goes through at once: it is as good as any other that may run now. */
  if (b->arrived == b->expected)
    open_barrier(b);
  else
    sim_block_here(kind_names[kind]);
  t->line = 0;
  return (int)t->result;
}

void pah_sim_named_barrier(int id, int threads, int arrive_only, int line) {
  struct sim_thread *t = sim_self();
  t->pc = __builtin_return_address(0);
  t->line = line;
  if (id < 0 || id >= BARRIERS) sim_fatal(t->pc, "barrier-count", "barrier %d does not exist: there are 16", id);
  struct barrier *b = barriers_of(t->home) + id;
  const int all = (sim_block.count + SIM_WARP - 1) / SIM_WARP * SIM_WARP, expected = threads ? threads : all;
  if (expected % SIM_WARP || expected > all)
    sim_fatal(t->pc, "barrier-count",
              "barrier %d is for %d threads: must be a multiple of 32 and at most the %d of the "
              "thread block",
              id, expected, sim_block.count);
  if (b->arrived && b->expected != expected)
    sim_fatal(t->pc, "barrier-count", "barrier %d is for %d threads here and for %d at line %d", id, expected,
              b->expected, b->line);
  if (!b->arrived) b->line = line, b->kind = PAH_SIM_PLAIN, b->expected = expected, b->found = 0;
  b->arrived += t->id == sim_block.count - 1 ? 1 + all - sim_block.count : 1; /* a warp counts as a whole one */
  if (arrive_only)
    sim_release_to(t, t->home, &b->known);
  else
    b->threads[b->waiting++] = t;
  if (b->arrived == b->expected)
    open_barrier(b);
  else if (!arrive_only)
    sim_block_here("a named barrier");
  t->line = 0;
}

/* ---- Tiles of several warps ---- */

struct exchange { /* what a thread gives and takes */
  const void *value;
  void *result;
  unsigned bytes, from;
};

static struct barrier *tile_of(const struct sim_thread *t, int threads) {
  static const int first[] = {0, 16, 24, 28};
  const int size = __builtin_ctz((unsigned)threads) - 6;
  if (!tiles) tiles = calloc((size_t)sim_block.alive * TILES, sizeof *tiles);
  if (!tiles) sim_give_up("no memory left for the barriers");
  return tiles + (size_t)t->home->slot * TILES + first[size] + t->id / threads;
}

static void exchange(const struct barrier *b) {
  for (int i = 0; i < b->waiting; i++) {
    const struct exchange *to = b->threads[i]->operand;
    for (int j = 0; j < b->waiting && to->result; j++)
      if ((unsigned)(b->threads[j]->id % b->kind) == to->from)
        memcpy(to->result, ((const struct exchange *)b->threads[j]->operand)->value, to->bytes);
  }
}

void pah_sim_tile_exchange(unsigned threads, const void *value, unsigned bytes, unsigned from, void *result, int line) {
  struct sim_thread *t = sim_self();
  struct barrier *b = tile_of(t, (int)threads);
  struct exchange own = {value, result, bytes, from % threads};
  const int left = sim_block.count - t->id / (int)threads * (int)threads;
  t->pc = __builtin_return_address(0);
  t->line = line;
  t->operand = &own;
  if (!b->arrived) b->line = line, b->kind = (int)threads, b->expected = left < (int)threads ? left : (int)threads;
  b->threads[b->waiting++] = t;
  if (++b->arrived == b->expected) {
    exchange(b);
    open_barrier(b);
  } else {
    sim_block_here("a tile of several warps");
  }
  t->line = 0;
}

/* A tile whose other threads have ended without coming: they would be waited for for ever. */
static void end_tile(const struct sim_thread *t) {
  for (int threads = 64; threads <= 512; threads *= 2) {
    const struct barrier *b = tile_of(t, threads);
    if (b->waiting)
      sim_find(b->threads[0]->pc, "barrier-exited", "thread %d ended without coming to its tile of %d threads", t->id,
               threads);
  }
}

/* Threads that ended never come. The hardware lets the others pass; the source is wrong all the same. */
static int open_without_exited(const struct sim_home *home) {
  struct barrier *b = barriers_of(home);
  if (!b->waiting || b->expected != sim_block.count || b->arrived + home->exited < sim_block.count) return 0;
  struct sim_thread *before = sim_block.running;
  sim_enter(b->threads[0]);
  sim_find(b->threads[0]->pc, "barrier-exited", "%d of %d threads ended without coming to this %s",
           sim_block.count - b->arrived, sim_block.count, kind_names[b->kind]);
  sim_block.running = NULL; /* all that wait are readied */
  open_barrier(b);
  sim_enter(before);
  return 1;
}

void sim_barriers_exit(void) {
  if (tiles) end_tile(sim_self());
  open_without_exited(sim_block.here);
}

int sim_barriers_standstill(void) {
  int opened = 0;
  for (int i = 0; i < sim_block.alive; i++) opened |= open_without_exited(&sim_block.homes[i]);
  return opened;
}
