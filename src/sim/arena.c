/* arena.c - device memory of sim. Addresses are not used again until the range is used up, so that a kernel that holds
 * on to a freed tensor is told so; the memory behind them goes back to the system at once.
 * Promises: allocations are 256-byte aligned and stand gigabytes apart, so that no index of 32 bits that is wrong leads
 * from one to another; when there are hundreds less, but as far as they are long and at least 64 KiB. New memory holds
 * 0xff, NaN in every type, until it is written.
 * Read next: sim/check/shadow.c. */
#define _GNU_SOURCE
#include "arena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"

enum { ALIGN = 256, GAP = 64 * 1024, PAGE = 4096, FAR = 128 };
#define RANGE ((uint64_t)1 << 41)

/* Shared with children, reserved but not backed until touched. Smaller where the system allows less. */
static void *reserve(uint64_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

/* A quarter of the addresses is for those that stand close. */
static uint64_t far_gap(const struct sim_arena *a) {
  const uint64_t wide = a->size / 4 * 3;
  return a->next < wide ? (wide - a->next) / FAR / PAGE * PAGE : 0;
}

int sim_arena_open(struct sim_arena *a, uint64_t limit) {
  memset(a, 0, sizeof *a);
  for (a->size = RANGE; a->size >= (uint64_t)1 << 30; a->size /= 2) {
    a->base = reserve(a->size);
    a->state = a->base ? reserve(a->size / 4) : NULL;
    if (a->state) break;
    if (a->base) munmap(a->base, a->size);
  }
  if (!a->state) return pah_fail(PAH_ENOMEM, "sim: no addresses can be reserved for its memory");
  a->next = far_gap(a) + PAGE;
  a->limit = limit;
  return PAH_OK;
}

void sim_arena_close(struct sim_arena *a) {
  munmap(a->base, a->size);
  munmap(a->state, a->size / 4);
  free(a->allocations);
}

/* Bytes of the range that an allocation takes at least, with what stays free behind it. */
static uint64_t extent(const struct sim_arena *a, uint64_t bytes) {
  const uint64_t gap = a->gap ? a->gap : bytes > GAP ? bytes : GAP;
  return (bytes + gap + ALIGN - 1) / ALIGN * ALIGN;
}

/* The same for a new one at the end: the more addresses are left, the more stay free. */
static uint64_t wide_extent(const struct sim_arena *a, uint64_t bytes) {
  const uint64_t least = extent(a, bytes), gap = far_gap(a) / ALIGN * ALIGN;
  return !a->gap && bytes + gap > least ? (bytes + gap + ALIGN - 1) / ALIGN * ALIGN : least;
}

static void insert(struct sim_arena *a, int64_t at, uint64_t start, uint64_t bytes) {
  memmove(a->allocations + at + 1, a->allocations + at, (size_t)(a->count - at) * sizeof *a->allocations);
  a->allocations[at] = (struct sim_allocation){start, bytes, ++a->made, 1};
  a->count++;
}

/* A place among the freed ones once all addresses have been given out; -1: none. */
static int64_t reuse(struct sim_arena *a, uint64_t bytes) {
  for (int64_t i = 0; i < a->count; i++) {
    uint64_t end = a->allocations[i].start;
    int64_t j = i;
    while (j < a->count && !a->allocations[j].alive)
      end = a->allocations[j].start + extent(a, a->allocations[j].bytes), j++;
    if (j == i || end - a->allocations[i].start < extent(a, bytes)) continue;
    uint64_t start = a->allocations[i].start;
    memmove(a->allocations + i, a->allocations + j, (size_t)(a->count - j) * sizeof *a->allocations);
    a->count -= j - i;
    insert(a, i, start, bytes);
    return i;
  }
  return -1;
}

int sim_arena_alloc(struct sim_arena *a, int64_t bytes, void **data) {
  uint64_t want = (uint64_t)bytes;
  if (want > a->limit - a->bytes)
    return pah_fail(PAH_ENOMEM, "sim: %lld bytes do not fit, %llu of %llu are in use", (long long)bytes,
                    (unsigned long long)a->bytes, (unsigned long long)a->limit);
  if (a->count + 1 >= a->room) {
    int64_t room = a->room ? 2 * a->room : 64;
    struct sim_allocation *more = realloc(a->allocations, (size_t)room * sizeof *more);
    if (!more) return pah_fail(PAH_ENOMEM, "sim: no memory for the list of tensors");
    a->allocations = more;
    a->room = room;
  }
  int64_t at = a->count;
  if (a->size - a->next >= extent(a, want)) {
    const uint64_t taken = wide_extent(a, want), left = a->size - a->next;
    insert(a, at, a->next, want);
    a->next += taken < left ? taken : extent(a, want);
  } else if ((at = reuse(a, want)) < 0) {
    return pah_fail(PAH_ENOMEM, "sim: no %lld bytes in a row are free", (long long)bytes);
  }
  uint64_t start = a->allocations[at].start;
  memset(a->state + start / 4, SIM_ADDRESSABLE, want / 4);
  if (want % 4) a->state[(start + want) / 4] = (uint8_t)(((1u << want % 4) - 1) << 4);
  memset(a->base + start, 0xff, want);
  a->bytes += want;
  *data = a->base + start;
  return PAH_OK;
}

static int64_t index_of(const struct sim_arena *a, uint64_t offset) {
  int64_t low = 0, high = a->count;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (a->allocations[middle].start <= offset)
      low = middle + 1;
    else
      high = middle;
  }
  return low - 1;
}

/* Gives whole pages of the range back; what is left of a page stays. */
static void drop_pages(uint8_t *p, uint64_t bytes) {
  uintptr_t from = ((uintptr_t)p + PAGE - 1) & ~(uintptr_t)(PAGE - 1),
            to = ((uintptr_t)p + bytes) & ~(uintptr_t)(PAGE - 1);
  if (from < to) madvise((void *)from, to - from, MADV_REMOVE);
}

void sim_arena_free(struct sim_arena *a, void *data) {
  int64_t at = index_of(a, (uint64_t)((uint8_t *)data - a->base));
  struct sim_allocation *m = &a->allocations[at];
  m->alive = 0;
  a->bytes -= m->bytes;
  memset(a->state + m->start / 4, 0, (m->bytes + 3) / 4);
  drop_pages(a->state + m->start / 4, m->bytes / 4);
  drop_pages(data, m->bytes);
}

void sim_arena_written(struct sim_arena *a, const void *p, int64_t bytes) {
  uint64_t at = (uint64_t)((const uint8_t *)p - a->base), end = at + (uint64_t)bytes;
  for (; at % 4 && at < end; at++) a->state[at / 4] |= (uint8_t)(1u << at % 4);
  if (at < end) memset(a->state + at / 4, SIM_INITIALISED | SIM_ADDRESSABLE, (end - at) / 4);
  for (at += (end - at) / 4 * 4; at < end; at++) a->state[at / 4] |= (uint8_t)(1u << at % 4);
}

void sim_arena_copied(struct sim_arena *a, const void *dst, const void *src, int64_t bytes) {
  const uint64_t to = (uint64_t)((const uint8_t *)dst - a->base), from = (uint64_t)((const uint8_t *)src - a->base);
  if (to % 4 || from % 4) {
    sim_arena_written(a, dst, bytes);
    return;
  }
  for (uint64_t i = 0; i < (uint64_t)bytes / 4; i++)
    a->state[to / 4 + i] = (uint8_t)(SIM_ADDRESSABLE | (a->state[from / 4 + i] & SIM_INITIALISED));
  const uint64_t rest = (uint64_t)bytes % 4, end = (uint64_t)bytes / 4, mask = (1u << rest) - 1;
  if (rest) a->state[to / 4 + end] = (uint8_t)((a->state[to / 4 + end] & ~mask) | (a->state[from / 4 + end] & mask));
}

int sim_arena_holds(const struct sim_arena *a, const void *p) {
  return (const uint8_t *)p >= a->base && (const uint8_t *)p < a->base + a->size;
}

const struct sim_allocation *sim_arena_find(const struct sim_arena *a, const void *p) {
  if (!sim_arena_holds(a, p)) return NULL;
  int64_t at = index_of(a, (uint64_t)((const uint8_t *)p - a->base));
  return at < 0 ? NULL : &a->allocations[at];
}
