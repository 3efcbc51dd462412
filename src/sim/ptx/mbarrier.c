/* mbarrier.c - barriers in shared memory that count arrivals and bytes of asynchronous copies.
 * The state is kept here, by address, in a list of the thread block whose memory it is: others of the cluster arrive
 * and report copies, too. the 8 bytes themselves hold a mark, so that a write over them is seen. A phase is
 * complete when no arrival and no byte is missing. Copies in flight land when somebody asks for the phase and nothing
 * but they is missing: as late as the rules allow. Read next: async.h, tma.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/abi_ptx.h"
#include "async.h"
#include "sim/block/sched.h"
#include "sim/check/clock.h"

enum { BYTES = 8, LARGEST_COUNT = (1 << 20) - 1 };

struct arrival { /* by cp.async.mbarrier.arrive: once the thread's copies up to `sequence` have landed */
  struct arrival *next;
  int thread;
  uint64_t sequence;
};

struct sim_mbarrier {
  struct sim_mbarrier *next;
  struct sim_home *home; /* whose memory it is in */
  uint32_t address;      /* byte of that */
  uint32_t count;        /* arrivals of a phase */
  uint32_t phase;        /* phases completed */
  int64_t missing;       /* arrivals, those in flight included */
  int64_t tx;            /* bytes expected and not reported */
  int64_t flying;        /* bytes that the copies in flight will report */
  int64_t arriving;      /* arrivals in flight */
  struct async_copy *copies;
  struct arrival *arrivals;
  int agent;                            /* of the copies; -1 before the first */
  uint32_t started, landed;             /* steps of the agent */
  int initialiser, visible;             /* the thread; whether the async proxy knows of the initialisation */
  struct sim_known released, completed; /* by all arrivals; by those of completed phases */
  char waits_for[128];                  /* for the report of a deadlock */
  int64_t said[3];                      /* phase, arrivals and bytes in it */
};

static struct sim_mbarrier **lists; /* of each thread block that is alive */

static uint64_t mark(uint32_t address) {
  return 0x6d62617272696572u ^ address; /* "mbarrier" */
}

/* Where it is: whose memory, which byte of it, and that. */
struct spot {
  struct sim_home *home;
  uint32_t at;
  uint8_t *memory;
};

static struct sim_mbarrier **find(const struct spot *s) {
  struct sim_mbarrier **b = &lists[s->home->slot];
  while (*b != NULL && (*b)->address != s->at) b = &(*b)->next;
  return b;
}

static struct spot spot_of(uint32_t address, int whole_cluster, const char *instruction, const void *pc) {
  if (address % BYTES != 0)
    sim_fatal(pc, "misaligned", "%s: mbarrier at shared address 0x%x, must be a multiple of 8", instruction, address);
  uint8_t *p = whole_cluster ? sim_shared_cluster(address, BYTES, pc) : sim_shared(address, BYTES, pc);
  struct sim_home *home = sim_home_at(p);
  return (struct spot){home, (uint32_t)(p - home->window), p};
}

static void touch(const struct spot *s, uint32_t flags, const char *instruction, const void *pc) {
  const struct sim_access access = {s->memory, BYTES, flags | SIM_QUIET, -1, pc};
  if (sim_check(sim_self(), &access) != 0) sim_fatal(pc, "bad-address", "%s: no mbarrier there", instruction);
}

static struct sim_mbarrier *checked(const struct spot *s, const char *instruction, const void *pc) {
  struct sim_mbarrier *b = *find(s);
  if (b == NULL)
    sim_fatal(pc, "mbarrier-uninitialised", "%s: the mbarrier at byte %u of shared memory was not initialised",
              instruction, s->at);
  const uint64_t expected = mark(s->at);
  if (memcmp(s->memory, &expected, BYTES) != 0)
    sim_fatal(pc, "mbarrier-overwritten", "%s: the memory of the mbarrier at byte %u was written to", instruction,
              s->at);
  return b;
}

static struct sim_mbarrier *known_at(const struct spot *s, const char *instruction, const void *pc) {
  const int is_ours = s->home == sim_block.here; /* else it may be gone */
  if (!is_ours) touch(s, PAH_SIM_READ | PAH_SIM_WRITE | PAH_SIM_ATOMIC, instruction, pc);
  struct sim_mbarrier *b = checked(s, instruction, pc);
  if (is_ours) touch(s, PAH_SIM_READ | PAH_SIM_WRITE | PAH_SIM_ATOMIC, instruction, pc);
  return b;
}

struct sim_mbarrier *mbarrier_at(uint32_t address, const char *instruction, const void *pc) {
  const struct spot s = spot_of(address, 0, instruction, pc);
  return known_at(&s, instruction, pc);
}

struct sim_mbarrier *mbarrier_in_cluster(uint32_t address, const char *instruction, const void *pc) {
  const struct spot s = spot_of(address, 1, instruction, pc);
  return known_at(&s, instruction, pc);
}

struct sim_mbarrier *mbarrier_of_copy(uint32_t address, const char *instruction, const void *pc) {
  const struct spot s = spot_of(address, 1, instruction, pc);
  if (s.home == sim_block.here) return known_at(&s, instruction, pc);
  const struct sim_access access = {s.memory, BYTES, PAH_SIM_WRITE, -1, pc};
  if (sim_may_visit(sim_self(), &access) != 0) sim_fatal(pc, "bad-address", "%s: no mbarrier there", instruction);
  return checked(&s, instruction, pc);
}

/* ---- Phases ---- */

static int deliverable(const struct sim_mbarrier *b) {
  return b->missing == b->arriving && b->tx == b->flying;
}

static void complete(struct sim_mbarrier *b) {
  sim_known_share(&b->completed, &b->released);
  b->phase++;
  b->missing = b->count;
}

static void settle(struct sim_mbarrier *b) {
  if (b->missing == 0 && b->tx == 0) complete(b);
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
};

static int passed(const struct question *q) {
  return (q->b->phase & 1) != q->parity;
}

/* Says in waits_for what the current phase lacks. */
static void describe(struct sim_mbarrier *b) {
  const int64_t now[3] = {b->phase, b->missing - b->arriving, b->tx - b->flying};
  if (b->waits_for[0] && !memcmp(b->said, now, sizeof now)) return;
  memcpy(b->said, now, sizeof now);
  snprintf(b->waits_for, sizeof b->waits_for,
           "phase %lld of the mbarrier at byte %u (%lld arrivals, %lld bytes missing)", (long long)now[0], b->address,
           (long long)now[1], (long long)now[2]);
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
  acquire(q->b);
  return 1;
}

/* ---- What kernels call ---- */

void pah_sim_mbarrier_init(unsigned barrier, unsigned count) {
  const void *pc = __builtin_return_address(0);
  if (count < 1 || count > LARGEST_COUNT)
    sim_fatal(pc, "bad-operand", "mbarrier.init: count: is %u, must be 1 to %d", count, LARGEST_COUNT);
  const struct spot spot = spot_of(barrier, 0, "mbarrier.init", pc);
  struct sim_mbarrier **at = find(&spot);
  if (*at != NULL)
    sim_fatal(pc, "mbarrier-initialised",
              "mbarrier.init: there is an mbarrier at byte %u already; mbarrier.inval first", spot.at);
  touch(&spot, PAH_SIM_WRITE, "mbarrier.init", pc);
  const uint64_t value = mark(spot.at);
  memcpy(spot.memory, &value, BYTES);
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
  const struct spot spot = spot_of(barrier, 0, "mbarrier.inval", pc);
  known_at(&spot, "mbarrier.inval", pc);
  touch(&spot, PAH_SIM_WRITE, "mbarrier.inval", pc);
  discard(find(&spot));
}

static void expect(struct sim_mbarrier *b, unsigned bytes, const void *pc) {
  b->tx += bytes;
  if (b->tx > LARGEST_COUNT)
    sim_fatal(pc, "mbarrier-tx-count", "expect_tx: %lld bytes are expected in one phase, %d at most can be",
              (long long)b->tx, LARGEST_COUNT);
}

unsigned long long pah_sim_mbarrier_arrive(unsigned barrier, unsigned count, unsigned expected_bytes) {
  const void *pc = __builtin_return_address(0);
  struct sim_mbarrier *b = mbarrier_in_cluster(barrier, "mbarrier.arrive", pc);
  const uint32_t phase = b->phase;
  expect(b, expected_bytes, pc);
  sim_release_to(sim_self(), b->home, &b->released);
  if (b->missing - b->arriving < (int64_t)count) {
    sim_find(
        pc, "mbarrier-over-arrival",
        "mbarrier.arrive of %u: phase %u of the mbarrier at byte %u lacks %lld of its %u arrivals and is not complete",
        count, phase, b->address, (long long)(b->missing - b->arriving), b->count);
    return phase;
  }
  b->missing -= count;
  settle(b);
  return phase;
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

int pah_sim_mbarrier_test(unsigned barrier, unsigned parity) {
  const void *pc = __builtin_return_address(0);
  struct question q = {mbarrier_at(barrier, "mbarrier.test_wait", pc), parity & 1};
  return test_once(&q, pc);
}

int pah_sim_mbarrier_test_state(unsigned barrier, unsigned long long state) {
  const void *pc = __builtin_return_address(0);
  struct sim_mbarrier *b = mbarrier_at(barrier, "mbarrier.test_wait", pc);
  if (state > b->phase) sim_fatal(pc, "bad-operand", "mbarrier.test_wait: the state is of no arrival at this mbarrier");
  struct question q = {b, (unsigned)state & 1};
  if (state < b->phase) {
    acquire(b);
    return 1;
  }
  return test_once(&q, pc);
}

void pah_sim_mbarrier_wait(unsigned barrier, unsigned parity) {
  const void *pc = __builtin_return_address(0);
  struct question q = {mbarrier_at(barrier, "mbarrier wait", pc), parity & 1};
  sim_self()->pc = pc;
  while (!test(&q)) sim_wait(q.b->waits_for, answerable, &q);
}

/* ---- What copies call ---- */

int mbarrier_agent(struct sim_mbarrier *b, const void *pc) {
  if (b->agent < 0) b->agent = sim_agent_new(b->home, "copies of an mbarrier");
  b->started = sim_agent_start(b->agent, sim_self());
  if (!b->visible) {
    sim_find(pc, "missing-proxy-fence",
             "the mbarrier at byte %u was initialised with no fence.mbarrier_init or fence.proxy.async after it",
             b->address);
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
    sim_find(pc, "mbarrier-over-arrival",
             "cp.async.mbarrier.arrive: phase %u of the mbarrier at byte %u lacks no arrival", b->phase, b->address);
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
  for (struct sim_mbarrier *b = lists[t->home->slot]; b != NULL; b = b->next) {
    if (b->initialiser == t->number) b->visible = 1;
  }
}

void pah_sim_fence_mbarrier_init(void) {
  mbarrier_visible(sim_self());
}

void mbarrier_begin(void) {
  if (!lists) lists = async_allocate((size_t)sim_block.alive * sizeof(struct sim_mbarrier *));
  for (int i = 0; i < sim_block.alive; i++)
    while (lists[i] != NULL) discard(&lists[i]);
}

/* A copy that another thread block of the cluster has sent needs its memory until it lands. */
void mbarrier_block_end(void) {
  struct sim_home *home = sim_block.here;
  struct sim_mbarrier **list = &lists[home->slot];
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
