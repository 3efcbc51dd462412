/* remote.c - asynchronous writes to the shared memory of other thread blocks of a cluster: loads for several of them at
 * once, copies from the own shared memory, st.async and red.async. Each reports to an mbarrier of the thread block that
 * it writes to, and is a copy as those of tma.c are. Read next: tma.c, mbarrier.c, sim/block/cluster.c. */
#include <string.h>

#include "async.h"
#include "sim/block/sched.h"

/* The same byte in the thread block of this rank. */
static uint32_t in_rank(uint32_t address, int rank) {
  return (uint32_t)((address & (sim_window_bytes() - 1)) + ((uint64_t)rank << sim_window_shift));
}

static void check_mask(unsigned mask, const void *pc) {
  if ((mask & 0xffff) == 0 || (mask & 0xffff) >> sim_block.cluster)
    sim_fatal(pc, "bad-operand", "multicast: the mask is 0x%x, must name some of the %d thread blocks of the cluster",
              mask & 0xffff, sim_block.cluster);
}

void pah_sim_bulk_multicast(unsigned dst, const void *src, unsigned bytes, unsigned barrier, unsigned mask) {
  const void *pc = __builtin_return_address(0);
  bulk_check((uintptr_t)src, dst, bytes, pc);
  check_mask(mask, pc);
  for (int rank = 0; rank < sim_block.cluster; rank++) {
    if (!(mask >> rank & 1)) continue;
    uint8_t *shared = sim_shared_cluster(in_rank(dst, rank), bytes, pc);
    struct async_copy *c = bulk_new(shared, bytes, 1, pc);
    bulk_add(c, 1, shared, (uint8_t *)(uintptr_t)src, bytes, 0);
    bulk_load(c, in_rank(barrier, rank));
  }
}

void pah_sim_tensor_multicast(unsigned dst, const void *map, int rank, struct pah_sim_coordinates at, unsigned barrier,
                              unsigned mask) {
  const void *pc = __builtin_return_address(0);
  check_mask(mask, pc);
  for (int i = 0; i < sim_block.cluster; i++)
    if (mask >> i & 1) bulk_load(bulk_box(map, rank, at, in_rank(dst, i), pc), in_rank(barrier, i));
}

void pah_sim_bulk_copy(unsigned dst, unsigned src, unsigned bytes, unsigned barrier) {
  const void *pc = __builtin_return_address(0);
  uint8_t *from = sim_shared(src, bytes, pc);
  bulk_check((uintptr_t)from, dst, bytes, pc);
  uint8_t *to = sim_shared_cluster(dst, bytes, pc);
  struct async_copy *c = bulk_new(to, bytes, 1, pc);
  bulk_add(c, 1, to, from, bytes, 0);
  bulk_load(c, barrier);
}

/* A value from registers: it has no source in memory. */
static struct async_copy *value_of(uint32_t dst, const void *value, uint32_t bytes, const void *pc) {
  if (dst % bytes != 0)
    sim_fatal(pc, "misaligned", "an asynchronous store of %u bytes to shared address 0x%x, must be a multiple of %u",
              bytes, dst, bytes);
  uint8_t *to = sim_shared_cluster(dst, bytes, pc);
  struct async_copy *c = bulk_new(to, bytes, 1, pc);
  bulk_add(c, 1, to, NULL, bytes, 0);
  memcpy(c->data, value, bytes);
  return c;
}

void pah_sim_st_async(unsigned dst, struct pah_sim_v4 words, unsigned bytes, unsigned barrier) {
  bulk_load(value_of(dst, words.r, bytes, __builtin_return_address(0)), barrier);
}

void pah_sim_red_async(unsigned dst, unsigned long long value, unsigned bytes, pah_sim_reduction *reduction,
                       unsigned barrier) {
  struct async_copy *c = value_of(dst, &value, bytes, __builtin_return_address(0));
  c->reduction = reduction;
  bulk_load(c, barrier);
}
