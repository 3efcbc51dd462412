/* scratch.c - working memory of the cpu's kernels, one stock for all instruction sets: on huge pages where the system
 * has them, and kept for the next call. In a virtual machine pages that a program gave back may have gone to the
 * machine below, and cost up to 5 ms for each 2 MiB when they are touched again: a forward pass of 240 ms then took
 * 290. malloc keeps little that is aligned. Huge pages spare more than the TLB: a second-level cache is indexed by
 * physical address, so tiles that should just fit there collide when their small pages happen to lie badly. */
#define _GNU_SOURCE
#include "scratch.h"

#include <stdlib.h>
#include <sys/mman.h>

/* The address sanitizer is to see where every block ends, so nothing is kept there. */
#if defined(__SANITIZE_ADDRESS__)
enum { KEPT = 0 };
#else
enum { KEPT = 4 }; /* blocks, of at most LARGEST bytes each */
#endif
enum { HUGE_PAGE = 2 << 20, LARGEST = 64 << 20 };

/* In front of what is handed out, a line of its own. */
struct block {
  _Alignas(64) size_t bytes; /* of all of it */
  int keep;
};

static struct block *kept[KEPT + 1];
static int64_t held; /* bytes, in use or kept */

static struct block *exchange(int slot, struct block *block) {
  return __atomic_exchange_n(&kept[slot], block, __ATOMIC_ACQ_REL);
}

static void give_back(struct block *block) {
  if (!block) return;
  __atomic_fetch_sub(&held, (int64_t)block->bytes, __ATOMIC_RELAXED);
  free(block);
}

/* A block goes to the first free place; where there is none, it goes back to the system. */
static void keep(struct block *block) {
  for (int i = 0; block && i < KEPT; i++) block = exchange(i, block);
  give_back(block);
}

/* A kept block of at least `bytes`, but not far more, or NULL. */
static struct block *take(size_t bytes) {
  for (int i = 0; i < KEPT; i++) {
    struct block *block = exchange(i, NULL);
    if (block && block->bytes >= bytes && block->bytes <= 4 * bytes) return block;
    if (block) keep(block);
  }
  return NULL;
}

static struct block *allocate(size_t align, size_t bytes) {
  struct block *block = aligned_alloc(align, bytes);
  if (!block) return NULL;
  *block = (struct block){.bytes = bytes};
  __atomic_fetch_add(&held, (int64_t)bytes, __ATOMIC_RELAXED);
  return block;
}

float *pah_scratch_floats(int64_t n) {
  const size_t page = (size_t)64 << 10;
  size_t bytes = ((size_t)n * sizeof(float) + sizeof(struct block) + page - 1) / page * page;
  struct block *block;
  if (bytes < HUGE_PAGE / 4) { /* a call this small should not pay for clearing 2 MiB */
    block = allocate(64, bytes);
    return block ? (float *)(block + 1) : NULL;
  }
  bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  block = take(bytes);
  if (!block) {
    block = allocate(HUGE_PAGE, bytes);
    if (!block) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(block, bytes, MADV_HUGEPAGE);
#endif
    block->keep = bytes <= LARGEST;
  }
  return (float *)(block + 1);
}

void pah_scratch_free(void *floats) {
  if (!floats) return;
  struct block *block = (struct block *)floats - 1;
  if (block->keep)
    keep(block);
  else
    give_back(block);
}

int64_t pah_scratch_bytes(void) {
  return __atomic_load_n(&held, __ATOMIC_RELAXED);
}
