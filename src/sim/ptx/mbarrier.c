/* mbarrier.c - barriers in shared memory that count arrivals and bytes of asynchronous copies.
 * The state is kept here, by address; the 8 bytes themselves hold a mark, so that a write over them is seen. A phase is
 * complete when no arrival and no byte is missing. Copies in flight land when somebody asks for the phase and nothing
 * but they is missing: as late as the rules allow. Read next: async.h, tma.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/abi_ptx.h"
#include "async.h"
#include "sim/check/clock.h"

enum { BYTES = 8, LARGEST_COUNT = (1 << 20) - 1 };

struct arrival { /* by cp.async.mbarrier.arrive: once the thread's copies up to `sequence` have landed */
  struct arrival *next;
  int thread;
  uint64_t sequence;
};

struct sim_mbarrier {
  struct sim_mbarrier *next;
  uint32_t address;
  uint32_t count;   /* arrivals of a phase */
  uint32_t phase;   /* phases completed */
  int64_t missing;  /* arrivals, those in flight included */
  int64_t tx;       /* bytes expected and not reported */
  int64_t flying;   /* bytes that the copies in flight will report */
  int64_t arriving; /* arrivals in flight */
  struct async_copy *copies;
  struct arrival *arrivals;
  int agent;                              /* of the copies; -1 before the first */
  uint32_t started, landed;               /* steps of the agent */
  int initialiser, visible;               /* the thread; whether the async proxy knows of the initialisation */
  struct sim_clock *released, *completed; /* by all arrivals; by those of completed phases */
  char waits_for[128];                    /* for the report of a deadlock */
  int64_t said[3];                        /* phase, arrivals and bytes in it */
};

static struct sim_mbarrier *barriers;

static uint64_t mark(uint32_t address) {
  return 0x6d62617272696572u ^ address; /* "mbarrier" */
}

static struct sim_mbarrier **find(uint32_t address) {
  struct sim_mbarrier **b = &barriers;
  while (*b != NULL && (*b)->address != address) b = &(*b)->next;
  return b;
}

static uint8_t *memory_of(uint32_t address, uint32_t flags, const char *instruction, const void *pc) {
  if (address % BYTES != 0)
    sim_fatal(pc, "misaligned", "%s: mbarrier at shared address 0x%x, must be a multiple of 8", instruction, address);
  uint8_t *p = sim_shared(address, BYTES, pc);
  const struct sim_access access = {p, BYTES, flags | SIM_QUIET, -1, pc};
  if (sim_check(sim_self(), &access) != 0) sim_fatal(pc, "bad-address", "%s: no mbarrier there", instruction);
  return p;
}

struct sim_mbarrier *mbarrier_at(uint32_t address, const char *instruction, const void *pc) {
  struct sim_mbarrier *b = *find(address);
  if (b == NULL)
    sim_fatal(pc, "mbarrier-uninitialised", "%s: the mbarrier at byte %u of shared memory was not initialised",
              instruction, address);
  const uint8_t *p = memory_of(address, PAH_SIM_READ | PAH_SIM_WRITE | PAH_SIM_ATOMIC, instruction, pc);
  const uint64_t expected = mark(address);
  if (memcmp(p, &expected, BYTES) != 0)
    sim_fatal(pc, "mbarrier-overwritten", "%s: the memory of the mbarrier at byte %u was written to", instruction,
              address);
  return b;
}

/* ---- Phases ---- */

static int deliverable(const struct sim_mbarrier *b) {
  return b->missing == b->arriving && b->tx == b->flying;
}

static void complete(struct sim_mbarrier *b) {
  sim_clock_drop(b->completed);
  b->completed = sim_clock_share(b->released);
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
  sim_acquire(t, b->completed);
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
  struct sim_mbarrier **at = find(barrier);
  if (*at != NULL)
    sim_fatal(pc, "mbarrier-initialised",
              "mbarrier.init: there is an mbarrier at byte %u already; mbarrier.inval first", barrier);
  uint8_t *p = memory_of(barrier, PAH_SIM_WRITE, "mbarrier.init", pc);
  const uint64_t value = mark(barrier);
  memcpy(p, &value, BYTES);
  struct sim_mbarrier *b = async_allocate(sizeof *b);
  b->address = barrier;
  b->missing = b->count = count;
  b->agent = -1;
  b->initialiser = sim_self()->id;
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
  sim_clock_drop(b->released);
  sim_clock_drop(b->completed);
  free(b);
}

void pah_sim_mbarrier_inval(unsigned barrier) {
  const void *pc = __builtin_return_address(0);
  mbarrier_at(barrier, "mbarrier.inval", pc);
  memory_of(barrier, PAH_SIM_WRITE, "mbarrier.inval", pc);
  discard(find(barrier));
}

static void expect(struct sim_mbarrier *b, unsigned bytes, const void *pc) {
  b->tx += bytes;
  if (b->tx > LARGEST_COUNT)
    sim_fatal(pc, "mbarrier-tx-count", "expect_tx: %lld bytes are expected in one phase, %d at most can be",
              (long long)b->tx, LARGEST_COUNT);
}

unsigned long long pah_sim_mbarrier_arrive(unsigned barrier, unsigned count, unsigned expected_bytes) {
  const void *pc = __builtin_return_address(0);
  struct sim_mbarrier *b = mbarrier_at(barrier, "mbarrier.arrive", pc);
  const uint32_t phase = b->phase;
  expect(b, expected_bytes, pc);
  sim_release(sim_self(), &b->released);
  if (b->missing - b->arriving < (int64_t)count) {
    sim_find(
        pc, "mbarrier-over-arrival",
        "mbarrier.arrive of %u: phase %u of the mbarrier at byte %u lacks %lld of its %u arrivals and is not complete",
        count, phase, barrier, (long long)(b->missing - b->arriving), b->count);
    return phase;
  }
  b->missing -= count;
  settle(b);
  return phase;
}

void pah_sim_mbarrier_expect(unsigned barrier, unsigned bytes) {
  const void *pc = __builtin_return_address(0);
  expect(mbarrier_at(barrier, "mbarrier.expect_tx", pc), bytes, pc);
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
  if (b->agent < 0) b->agent = sim_agent_new("copies of an mbarrier");
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
  *a = (struct arrival){b->arrivals, sim_self()->id, sequence};
  b->arrivals = a;
  sim_release(sim_self(), &b->released);
}

void mbarrier_visible(int thread) {
  for (struct sim_mbarrier *b = barriers; b != NULL; b = b->next) {
    if (b->initialiser == thread) b->visible = 1;
  }
}

void pah_sim_fence_mbarrier_init(void) {
  mbarrier_visible(sim_self()->id);
}

void mbarrier_block_end(void) {
  while (barriers != NULL) discard(&barriers);
}
