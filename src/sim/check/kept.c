/* kept.c - pages of global memory and of a module's variables as they were before a launch. The child keeps a page when
 * it first writes there, so that a launch costs by what it writes, not by what the device holds.
 * Read next: check.c, which calls sim_keep; sim/host/outcome.c. */
#define _GNU_SOURCE
#include "kept.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>

/* Parts of one range of addresses; with base NULL they are only counted. */
static void *part(uint8_t *base, uint64_t *at, uint64_t bytes) {
  void *p = base ? base + *at : NULL;
  *at += (bytes + SIM_PAGE - 1) / SIM_PAGE * SIM_PAGE;
  return p;
}

static void place(struct sim_kept_space *s, uint8_t *base, uint64_t *at) {
  const uint64_t pages = s->bytes / SIM_PAGE + 1;
  s->is_kept = part(base, at, pages);
  s->copy = part(base, at, pages * SIM_PAGE);
  s->copy_of_states = part(base, at, s->state ? pages * SIM_PAGE_WORDS : 0);
  s->list = part(base, at, pages * sizeof *s->list);
}

struct sim_kept *sim_kept_open(const struct sim_job *job) {
  const struct sim_image *image = job->image;
  struct sim_kept kept = {.spaces = {{.base = job->arena->base, .bytes = job->arena->next, .state = job->arena->state},
                                     {.base = image->data, .bytes = (uint64_t)(image->data_end - image->data)}}};
  uint64_t bytes = 0;
  part(NULL, &bytes, sizeof kept);
  for (int i = 0; i < 2; i++) place(&kept.spaces[i], NULL, &bytes);
  uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return NULL;
  uint64_t at = 0;
  struct sim_kept *k = part(base, &at, sizeof *k);
  for (int i = 0; i < 2; i++) place(&kept.spaces[i], base, &at);
  kept.reserved = bytes;
  *k = kept;
  return k;
}

static uint64_t bytes_of(const struct sim_kept_space *s, uint64_t page) {
  const uint64_t left = s->bytes - page * SIM_PAGE;
  return left < SIM_PAGE ? left : SIM_PAGE;
}

void sim_kept_restore(const struct sim_kept *k) {
  for (const struct sim_kept_space *s = k->spaces; s < k->spaces + 2; s++)
    for (uint64_t i = 0; i < s->listed; i++) {
      const uint64_t page = s->list[i];
      if (s->is_kept[page] != SIM_KEPT) continue; /* who was at it has been ended */
      memcpy(s->base + page * SIM_PAGE, s->copy + page * SIM_PAGE, bytes_of(s, page));
      if (s->state) memcpy(s->state + page * SIM_PAGE_WORDS, s->copy_of_states + page * SIM_PAGE_WORDS, SIM_PAGE_WORDS);
    }
}

void sim_kept_forget(struct sim_kept *k) {
  for (struct sim_kept_space *s = k->spaces; s < k->spaces + 2; s++) {
    for (uint64_t i = 0; i < s->listed; i++) s->is_kept[s->list[i]] = 0;
    s->listed = 0;
  }
}

void sim_kept_close(struct sim_kept *k) {
  if (k) munmap(k, k->reserved);
}

/* Another process may be at it: then it is waited for, since nobody may write to the page before. */
void sim_keep(const struct sim_space *space, uint64_t word) {
  struct sim_kept_space *s = &sim_job->kept->spaces[space != &sim_spaces[SIM_GLOBAL]];
  const uint64_t page = word / SIM_PAGE_WORDS;
  uint8_t was = SIM_NOT_KEPT;
  if (page * SIM_PAGE >= s->bytes) return; /* behind the end is the launch's own heap */
  if (__atomic_load_n(&s->is_kept[page], __ATOMIC_ACQUIRE) == SIM_KEPT) return;
  if (!__atomic_compare_exchange_n(&s->is_kept[page], &was, SIM_BEING_KEPT, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    while (__atomic_load_n(&s->is_kept[page], __ATOMIC_ACQUIRE) != SIM_KEPT) sched_yield();
    return;
  }
  s->list[__atomic_fetch_add(&s->listed, 1, __ATOMIC_SEQ_CST)] = page;
  memcpy(s->copy + page * SIM_PAGE, s->base + page * SIM_PAGE, bytes_of(s, page));
  if (s->state) memcpy(s->copy_of_states + page * SIM_PAGE_WORDS, s->state + page * SIM_PAGE_WORDS, SIM_PAGE_WORDS);
  __atomic_store_n(&s->is_kept[page], SIM_KEPT, __ATOMIC_SEQ_CST);
}
