/* async.c - cp.async: copies of 4, 8 or 16 bytes from global to shared memory, in groups per thread.
 * Promises: the destination holds poison until the thread waits (or an mbarrier that the copies report to completes);
 * reading it meanwhile is the finding async-pending, writing it async-overwrite, a changed source async-source-changed.
 * Also the begin and end of a thread block for all asynchronous instructions. Read next: async.h, mbarrier.c. */
#include "async.h"

#include <stdlib.h>
#include <string.h>

#include "sim/abi_ptx.h"
#include "sim/check/check.h"

enum { LARGEST = 16 };

struct entry {
  uint8_t *dst;
  const uint8_t *src;
  const void *pc;
  int64_t group;
  uint32_t bytes, source_bytes;
  uint8_t data[LARGEST];
};

/* Entries [first, count) fly. Numbers of copies ("sequence") count from the start of the thread block. */
struct queue {
  struct entry *at;
  int64_t first, count, room;
  uint64_t landed;
  int64_t group; /* groups committed so far */
};
static struct queue *queues; /* by the number of the thread */
static int queues_used;      /* by a thread of this gang */

void *async_allocate(size_t bytes) {
  void *p = calloc(1, bytes);
  if (p == NULL) sim_give_up("no memory left for asynchronous copies");
  return p;
}

static struct entry *queue_add(struct queue *q) {
  queues_used = 1;
  if (q->first == q->count) q->first = q->count = 0;
  if (q->count == q->room) {
    q->room = q->room != 0 ? 2 * q->room : 64;
    q->at = realloc(q->at, (size_t)q->room * sizeof *q->at);
    if (q->at == NULL) sim_give_up("no memory left for asynchronous copies");
  }
  return &q->at[q->count++];
}

void async_check_landing(const uint8_t *dst, uint32_t bytes, const uint8_t *src, const uint8_t *data,
                         uint32_t source_bytes, const void *pc) {
  static const uint64_t poison[2] = {UINT64_MAX, UINT64_MAX};
  uint32_t i = bytes == LARGEST && !memcmp(dst, poison, LARGEST) ? bytes : 0;
  while (i < bytes && dst[i] == 0xff) i++;
  if (i < bytes)
    sim_find(pc, "async-overwrite",
             "byte %u of the %u that this copy writes was written by someone else before the copy had landed", i,
             bytes);
  if (source_bytes != 0 && memcmp(src, data, source_bytes) != 0)
    sim_find(pc, "async-source-changed", "the source of this copy of %u bytes was changed before the copy had landed",
             source_bytes);
}

static int check(struct sim_thread *t, const void *p, uint32_t bytes, uint32_t flags, const void *pc) {
  const struct sim_access access = {p, bytes, flags, -1, pc};
  return bytes == LARGEST ? sim_check_chunk(t, p, flags == PAH_SIM_WRITE, pc) : sim_check(t, &access);
}

/* A copy lands. waited: by a wait of the thread itself, which from then on counts as the writer. */
static void land(int thread, const struct entry *e, int waited) {
  sim_pending_clear(e->dst, e->bytes);
  async_check_landing(e->dst, e->bytes, e->src, e->data, e->source_bytes, e->pc);
  if (waited && check(sim_thread_at(thread), e->dst, e->bytes, PAH_SIM_WRITE, e->pc) != 0) return;
  memcpy(e->dst, e->data, e->bytes);
}

static int operands_fit(unsigned dst, const void *src, int bytes, unsigned source_bytes, const void *pc) {
  if (dst % (unsigned)bytes != 0 || (uintptr_t)src % (uintptr_t)bytes != 0) {
    sim_find(pc, "misaligned", "cp.async of %d bytes from %p to shared address 0x%x: both must be multiples of %d",
             bytes, src, dst, bytes);
    return 0;
  }
  if (source_bytes > (unsigned)bytes) {
    sim_find(pc, "bad-operand", "cp.async: src-size: is %u, must be at most %d", source_bytes, bytes);
    return 0;
  }
  return 1;
}

void pah_sim_cp_async(unsigned dst, const void *src, int bytes, unsigned source_bytes) {
  const void *pc = __builtin_return_address(0);
  struct sim_thread *t = sim_self();
  struct queue *q = &queues[t->number];
  if (!operands_fit(dst, src, bytes, source_bytes, pc)) return;
  uint8_t *p = sim_shared(dst, (uint32_t)bytes, pc);
  if (check(t, p, (uint32_t)bytes, PAH_SIM_WRITE, pc) != 0) return;
  if (source_bytes > 0 && check(t, src, source_bytes, PAH_SIM_READ, pc) != 0) return;
  struct entry *e = queue_add(q);
  *e = (struct entry){p, src, pc, q->group, (uint32_t)bytes, source_bytes, {0}};
  if (source_bytes > 0) memcpy(e->data, src, source_bytes);
  sim_pending_set(p, (uint32_t)bytes, pc);
  sim_counters()->async_bytes += source_bytes;
}

void pah_sim_cp_async_commit(void) {
  queues_used = 1;
  queues[sim_self()->number].group++;
}

void pah_sim_cp_async_wait(int groups) {
  const int thread = sim_self()->number;
  struct queue *q = &queues[thread];
  queues_used = 1;
  if (groups < 0) q->group++;
  const int64_t last = q->group - (groups < 0 ? 0 : groups);
  while (q->first < q->count && q->at[q->first].group < last) {
    land(thread, &q->at[q->first++], 1);
    q->landed++;
  }
}

void pah_sim_cp_async_arrive(unsigned barrier, int noinc) {
  const void *pc = __builtin_return_address(0);
  const struct queue *q = &queues[sim_self()->number];
  struct sim_mbarrier *b = mbarrier_at(barrier, "cp.async.mbarrier.arrive", pc);
  mbarrier_add_arrival(b, !noinc, q->landed + (uint64_t)(q->count - q->first), pc);
}

void cp_async_land(int thread, uint64_t sequence) {
  struct queue *q = &queues[thread];
  while (q->landed < sequence) {
    land(thread, &q->at[q->first++], 0);
    q->landed++;
  }
}

/* Nobody could read what would land now: copies that were never waited for are no error of their own. */
static void cp_async_begin(void) {
  if (!queues) queues = async_allocate((size_t)sim_all_threads() * sizeof *queues);
  for (int i = 0; queues_used && i < sim_all_threads(); i++) {
    queues[i].first = queues[i].count = queues[i].group = 0;
    queues[i].landed = 0;
  }
  queues_used = 0;
}

void sim_async_begin(void) {
  cp_async_begin();
  proxy_begin();
  map_begin();
  bulk_begin();
  wgmma_begin();
  mbarrier_begin();
}

void sim_async_block_end(void) {
  bulk_block_end();
  wgmma_block_end();
  mbarrier_block_end();
}
