/* mbarrier.c - barriers in shared memory that count arrivals and bytes of asynchronous copies.
 * The state is kept here, by address, in a list of the thread block whose memory it is: others of the cluster arrive
 * and report copies, too. the 8 bytes themselves hold a mark, so that a write over them is seen. A phase is
 * complete when no arrival and no byte is missing. Copies in flight land when somebody asks for the phase and nothing
 * but they is missing: as late as the rules allow. Read next: mbarrier.h, tma.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/abi_ptx.h"
#include "mbarrier.h"
#include "sim/block/sched.h"
#include "sim/check/clock.h"

enum { LARGEST_COUNT = (1 << 20) - 1 };

/* ---- Phases ---- */

/* With all threads dropped there is a last phase, which never completes. */
static int deliverable(const struct sim_mbarrier *b) {
  return !b->is_over && b->missing == b->arriving && b->tx == b->flying;
}

static void complete(struct sim_mbarrier *b) {
  sim_known_share(&b->completed, &b->released);
  b->phase++;
  b->missing = b->count;
  b->is_over = b->count == 0;
}

static void settle(struct sim_mbarrier *b) {
  if (b->missing == 0 && b->tx == 0 && !b->is_over) complete(b);
}

/* All that is in flight lands and reports. */
static void deliver(struct sim_mbarrier *b) {
  while (b->copies != NULL) {
    struct async_copy *copy = b->copies;
    b->copies = copy->next;
    bulk_land(copy);
  }
  while (b->arrivals != NULL) {
    struct arrival *a = b->arrivals;
    b->arrivals = a->next;
    cp_async_land(a->thread, a->sequence);
    free(a);
  }
  b->landed = b->started;
  b->missing -= b->arriving;
  b->tx -= b->flying;
  b->arriving = b->flying = 0;
  settle(b);
}

struct question {
  struct sim_mbarrier *b;
  uint32_t parity;
  int relaxed; /* the answer orders nothing */
};

static int passed(const struct question *q) {
  return (q->b->phase & 1) != q->parity;
}

/* Says in waits_for what the current phase lacks. */
static void describe(struct sim_mbarrier *b) {
  const int64_t now[3] = {b->phase, b->missing - b->arriving, b->tx - b->flying};
  if (b->waits_for[0] && !memcmp(b->said, now, sizeof now)) return;
  memcpy(b->said, now, sizeof now);
  snprintf(b->waits_for, sizeof b->waits_for, "phase %lld of the %s (%lld arrivals, %lld bytes missing)",
           (long long)now[0], mbarrier_name(b->address), (long long)now[1], (long long)now[2]);
}

static int answerable(struct sim_thread *t, void *data) {
  const struct question *q = data;
  struct sim_mbarrier *b = q->b;
  (void)t;
  if (passed(q) || deliverable(b)) return 1;
  describe(b);
  return 0;
}

static void acquire(struct sim_mbarrier *b) {
  struct sim_thread *t = sim_self();
  sim_acquire_from(t, &b->completed);
  if (b->agent >= 0) sim_agent_join(t, b->agent, b->landed);
}

static int test(struct question *q) {
  if (!passed(q) && deliverable(q->b)) deliver(q->b);
  if (!passed(q)) return 0;
  sim_self()->asked_for = NULL;
  if (!q->relaxed) acquire(q->b);
  return 1;
}

/* ---- What kernels call ---- */

void pah_sim_mbarrier_init(unsigned barrier, unsigned count) {
  const void *pc = __builtin_return_address(0);
  if (count < 1 || count > LARGEST_COUNT)
    sim_fatal(pc, "bad-operand", "mbarrier.init: count: is %u, must be 1 to %d", count, LARGEST_COUNT);
  const struct mbarrier_spot spot = mbarrier_spot_of(barrier, 0, "mbarrier.init", pc);
  struct sim_mbarrier **at = mbarrier_find(&spot);
  if (*at != NULL)
    sim_fatal(pc, "mbarrier-initialised", "mbarrier.init: the %s is initialised already; mbarrier.inval first",
              mbarrier_name(spot.at));
  mbarrier_touch(&spot, PAH_SIM_WRITE, "mbarrier.init", pc);
  const uint64_t value = mbarrier_mark(spot.at);
  memcpy(spot.memory, &value, MBARRIER_BYTES);
  struct sim_mbarrier *b = async_allocate(sizeof *b);
  b->home = spot.home;
  b->address = spot.at;
  b->missing = b->count = count;
  b->agent = -1;
  b->initialiser = sim_self()->number;
  *at = b;
}

/* Copies that nobody has waited for vanish with it. */
static void discard(struct sim_mbarrier **at) {
  struct sim_mbarrier *b = *at;
  *at = b->next;
  while (b->copies != NULL) {
    struct async_copy *copy = b->copies;
    b->copies = copy->next;
    bulk_free(copy);
  }
  while (b->arrivals != NULL) {
    struct arrival *a = b->arrivals;
    b->arrivals = a->next;
    free(a);
  }
  if (b->agent >= 0) sim_agent_free(b->agent);
  sim_known_drop(&b->released);
  sim_known_drop(&b->completed);
  free(b);
}

void pah_sim_mbarrier_inval(unsigned barrier) {
  const void *pc = __builtin_return_address(0);
  const struct mbarrier_spot spot = mbarrier_spot_of(barrier, 0, "mbarrier.inval", pc);
  mbarrier_known(&spot, "mbarrier.inval", pc);
  mbarrier_touch(&spot, PAH_SIM_WRITE, "mbarrier.inval", pc);
  struct sim_mbarrier **at = mbarrier_find(&spot);
  for (int i = 0; i < sim_all_threads(); i++) {
    struct sim_thread *t = sim_thread_at(i);
    if (t->waits_for == (*at)->waits_for) t->waits_for = NULL;
    if (t->asked_for == (*at)->waits_for) t->asked_for = NULL;
  }
  discard(at);
}

static void expect(struct sim_mbarrier *b, unsigned bytes, const void *pc) {
  b->tx += bytes;
  if (b->tx > LARGEST_COUNT)
    sim_fatal(pc, "mbarrier-tx-count", "expect_tx: %lld bytes are expected in one phase, %d at most can be",
              (long long)b->tx, LARGEST_COUNT);
}

static unsigned long long arrive(unsigned barrier, unsigned count, unsigned expected_bytes, int flags, const void *pc) {
  const char *instruction = flags & PAH_SIM_ARRIVE_DROP ? "mbarrier.arrive_drop" : "mbarrier.arrive";
  struct sim_mbarrier *b = mbarrier_in_cluster(barrier, instruction, pc);
  const unsigned long long state = (unsigned long long)(b->missing - b->arriving) << 32 | b->phase;
  expect(b, expected_bytes, pc);
  if (!(flags & PAH_SIM_ARRIVE_RELAXED)) sim_release_to(sim_self(), b->home, &b->released);
  if (b->missing - b->arriving < (int64_t)count) {
    sim_find(pc, "mbarrier-over-arrival",
             "%s of %u: phase %u of the %s lacks %lld of its %u arrivals and is not complete", instruction, count,
             b->phase, mbarrier_name(b->address), (long long)(b->missing - b->arriving), b->count);
    return state;
  }
  if (flags & PAH_SIM_ARRIVE_NO_COMPLETE && b->missing == (int64_t)count && b->tx == 0)
    sim_find(pc, "mbarrier-completed", "%s.noComplete of %u completes phase %u of the %s", instruction, count, b->phase,
             mbarrier_name(b->address));
  if (flags & PAH_SIM_ARRIVE_DROP) b->count -= count <= b->count ? count : b->count;
  b->missing -= count;
  settle(b);
  return state;
}

unsigned long long pah_sim_mbarrier_arrive(unsigned barrier, unsigned count, unsigned expected_bytes) {
  return arrive(barrier, count, expected_bytes, 0, __builtin_return_address(0));
}

unsigned long long pah_sim_mbarrier_arrive_as(unsigned barrier, unsigned count, unsigned expected_bytes, int flags) {
  return arrive(barrier, count, expected_bytes, flags, __builtin_return_address(0));
}

void pah_sim_mbarrier_complete(unsigned barrier, unsigned bytes) {
  const void *pc = __builtin_return_address(0);
  struct sim_mbarrier *b = mbarrier_in_cluster(barrier, "mbarrier.complete_tx", pc);
  b->tx -= bytes;
  if (b->tx < -LARGEST_COUNT)
    sim_fatal(pc, "mbarrier-tx-count", "complete_tx: %lld bytes more than expected in one phase, %d at most can be",
              -(long long)b->tx, LARGEST_COUNT);
  settle(b);
}

void pah_sim_mbarrier_expect(unsigned barrier, unsigned bytes) {
  const void *pc = __builtin_return_address(0);
  expect(mbarrier_in_cluster(barrier, "mbarrier.expect_tx", pc), bytes, pc);
}

/* A loop around it is told of by what the mbarrier lacks, as a wait is. */
static int test_once(struct question *q, const void *pc) {
  if (test(q)) return 1;
  describe(q->b);
  sim_self()->pc = pc;
  sim_yield_for(q->b->waits_for);
  return 0;
}

static int test_parity(unsigned barrier, unsigned parity, int relaxed, const void *pc) {
  struct question q = {mbarrier_at(barrier, "mbarrier.test_wait", pc), parity & 1, relaxed};
  return test_once(&q, pc);
}

static int test_state(unsigned barrier, unsigned long long state, int relaxed, const void *pc) {
  struct sim_mbarrier *b = mbarrier_at(barrier, "mbarrier.test_wait", pc);
  const uint32_t phase = (uint32_t)state;
  if (phase > b->phase) sim_fatal(pc, "bad-operand", "mbarrier.test_wait: the state is of no arrival at this mbarrier");
  struct question q = {b, phase & 1, relaxed};
  if (phase < b->phase) {
    if (!relaxed) acquire(b);
    return 1;
  }
  return test_once(&q, pc);
}

int pah_sim_mbarrier_test(unsigned barrier, unsigned parity) {
  return test_parity(barrier, parity, 0, __builtin_return_address(0));
}

int pah_sim_mbarrier_test_state(unsigned barrier, unsigned long long state) {
  return test_state(barrier, state, 0, __builtin_return_address(0));
}

int pah_sim_mbarrier_test_relaxed(unsigned barrier, unsigned long long value, int is_state) {
  const void *pc = __builtin_return_address(0);
  return is_state ? test_state(barrier, value, 1, pc) : test_parity(barrier, (unsigned)value, 1, pc);
}

void pah_sim_mbarrier_wait(unsigned barrier, unsigned parity) {
  const void *pc = __builtin_return_address(0);
  struct question q = {mbarrier_at(barrier, "mbarrier wait", pc), parity & 1, 0};
  sim_self()->pc = pc;
  while (!test(&q)) sim_wait(q.b->waits_for, answerable, &q);
}

/* ---- What copies call ---- */

int mbarrier_agent(struct sim_mbarrier *b, const void *pc) {
  if (b->agent < 0) b->agent = sim_agent_new(b->home, "copies of an mbarrier");
  b->started = sim_agent_start(b->agent, sim_self());
  if (!b->visible) {
    sim_find(pc, "missing-proxy-fence",
             "the %s was initialised with no fence.mbarrier_init or fence.proxy.async after it",
             mbarrier_name(b->address));
    b->visible = 1;
  }
  return b->agent;
}

void mbarrier_add_copy(struct sim_mbarrier *b, struct async_copy *copy) {
  struct async_copy **last = &b->copies;
  while (*last != NULL) last = &(*last)->next;
  *last = copy;
  b->flying += copy->reported;
}

void mbarrier_add_arrival(struct sim_mbarrier *b, int increment, uint64_t sequence, const void *pc) {
  struct arrival *a = async_allocate(sizeof *a);
  if (increment) b->missing++;
  if (b->missing - b->arriving < 1)
    sim_find(pc, "mbarrier-over-arrival", "cp.async.mbarrier.arrive: phase %u of the %s lacks no arrival", b->phase,
             mbarrier_name(b->address));
  else
    b->arriving++;
  *a = (struct arrival){b->arrivals, sim_self()->number, sequence};
  b->arrivals = a;
  sim_release_to(sim_self(), b->home, &b->released);
}

struct sim_home *mbarrier_home(const struct sim_mbarrier *b) {
  return b->home;
}

void mbarrier_visible(const struct sim_thread *t) {
  for (struct sim_mbarrier *b = mbarrier_lists[t->home->slot]; b != NULL; b = b->next) {
    if (b->initialiser == t->number) b->visible = 1;
  }
}

void pah_sim_fence_mbarrier_init(void) {
  mbarrier_visible(sim_self());
}

void mbarrier_begin(void) {
  if (!mbarrier_lists) mbarrier_lists = async_allocate((size_t)sim_block.alive * sizeof(struct sim_mbarrier *));
  for (int i = 0; i < sim_block.alive; i++)
    while (mbarrier_lists[i] != NULL) discard(&mbarrier_lists[i]);
}

/* A copy that another thread block of the cluster has sent needs its memory until it lands. */
void mbarrier_block_end(void) {
  struct sim_home *home = sim_block.here;
  struct sim_mbarrier **list = &mbarrier_lists[home->slot];
  while (*list != NULL) {
    for (const struct async_copy *c = (*list)->copies; c != NULL; c = c->next)
      if (c->from != home)
        sim_find(
            c->pc, "cluster-exited",
            "a copy to the shared memory of thread block %lld, rank %d of the cluster, which ended without waiting "
            "for it",
            (long long)home->index, home->rank);
    discard(list);
  }
}
