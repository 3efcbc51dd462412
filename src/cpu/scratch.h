/* cpu/scratch.h - working memory of a call, on huge pages where the system has them, and kept for the next call. In a
 * virtual machine pages that a program gave back may have gone to the machine below, and cost up to 5 ms for each 2 MiB
 * when they are touched again: a forward pass of 240 ms then took 290. malloc keeps little that is aligned.
 * Huge pages spare more than the TLB: a second-level cache is indexed by physical address, so tiles that should just
 * fit there collide when their small pages happen to lie badly. */
#ifndef PAH_CPU_SCRATCH_H
#define PAH_CPU_SCRATCH_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The address sanitizer is to see where every block ends, so nothing is kept there. */
#if defined(__SANITIZE_ADDRESS__)
enum { SCRATCH_KEPT = 0 };
#else
enum { SCRATCH_KEPT = 4 }; /* blocks, of at most SCRATCH_LARGEST bytes each */
#endif
enum { SCRATCH_PAGE = 2 << 20, SCRATCH_LARGEST = 64 << 20 };

/* In front of what is handed out, a line of its own. `bytes`: of all of the block; 0: nothing to be kept. */
struct scratch_block {
  _Alignas(64) size_t bytes;
};

static struct scratch_block *scratch_kept[SCRATCH_KEPT + 1];

static struct scratch_block *scratch_exchange(int slot, struct scratch_block *block) {
  return __atomic_exchange_n(&scratch_kept[slot], block, __ATOMIC_ACQ_REL);
}

/* A block goes to the first free place; where there is none, it goes back to the system. */
static void scratch_keep(struct scratch_block *block) {
  for (int i = 0; block && i < SCRATCH_KEPT; i++) block = scratch_exchange(i, block);
  free(block);
}

/* A kept block of at least `bytes`, but not far more, or NULL. */
static struct scratch_block *scratch_take(size_t bytes) {
  for (int i = 0; i < SCRATCH_KEPT; i++) {
    struct scratch_block *block = scratch_exchange(i, NULL);
    if (block && block->bytes >= bytes && block->bytes <= 4 * bytes) return block;
    if (block) scratch_keep(block);
  }
  return NULL;
}

/* n uninitialised floats, aligned to 64 bytes; NULL without memory. Freed by scratch_free. */
static float *scratch_floats(int64_t n) {
  const size_t page = (size_t)64 << 10;
  size_t bytes = ((size_t)n * sizeof(float) + sizeof(struct scratch_block) + page - 1) / page * page;
  struct scratch_block *block;
  if (bytes < SCRATCH_PAGE / 4) { /* a call this small should not pay for clearing 2 MiB */
    block = aligned_alloc(64, bytes);
    if (block) block->bytes = 0;
    return block ? (float *)(block + 1) : NULL;
  }
  bytes = (bytes + SCRATCH_PAGE - 1) / SCRATCH_PAGE * SCRATCH_PAGE;
  block = scratch_take(bytes);
  if (!block) {
    block = aligned_alloc(SCRATCH_PAGE, bytes);
    if (!block) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(block, bytes, MADV_HUGEPAGE);
#endif
    block->bytes = bytes;
  }
  return (float *)(block + 1);
}

static void scratch_free(void *floats) {
  if (!floats) return;
  struct scratch_block *block = (struct scratch_block *)floats - 1;
  if (block->bytes == 0 || block->bytes > SCRATCH_LARGEST)
    free(block);
  else
    scratch_keep(block);
}

#endif
