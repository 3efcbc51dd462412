/* thread.c - the small calls of sim/abi.h: where a thread is, its clock, its output, its end.
 * Read next: sim/abi.h, sched.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/check/check.h"
#include "claim.h"
#include "sched.h"
#include "sim/check/shadow.h"

struct pah_sim_dim pah_sim_thread_idx(void) {
  return sim_block.running->index;
}

struct pah_sim_dim pah_sim_block_idx(void) {
  return sim_block.here->at;
}

struct pah_sim_dim pah_sim_block_dim(void) {
  return sim_block.block_dim;
}

struct pah_sim_dim pah_sim_grid_dim(void) {
  return sim_block.grid_dim;
}

unsigned pah_sim_lane(void) {
  return (unsigned)sim_block.running->lane;
}

unsigned pah_sim_dynamic_shared_bytes(void) {
  return (unsigned)sim_job->launch->shared;
}

void pah_sim_yield(void) {
  sim_yield();
}

unsigned long long pah_sim_clock(void) {
  static unsigned long long ticks;
  sim_team_over(SIM_OVER_ORDER);
  sim_yield(); /* loops that wait for time to pass let others run */
  return ticks += 16;
}

void pah_sim_trap(void) {
  sim_fatal(__builtin_return_address(0), "trap", "the kernel called __trap");
}

void pah_sim_assert(const char *expression, const char *file, int line) {
  sim_fatal(__builtin_return_address(0), "assert", "%s:%d: assertion \"%s\" failed", file, line, expression);
}

void pah_sim_unsupported(const char *what) {
  sim_fatal(__builtin_return_address(0), "unsupported", "%s cannot be simulated", what);
}

void pah_sim_bad_ptx(const char *what) {
  sim_fatal(__builtin_return_address(0), "bad-ptx", "%s", what);
}

int pah_sim_printf(const char *format, ...) {
  char text[4096];
  va_list args;
  sim_team_over(SIM_OVER_ORDER);
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (sim_job->again) return n;
  size_t left = n < 0 ? 0 : n < (int)sizeof text ? (size_t)n : sizeof text - 1;
  for (const char *p = text; left;) {
    ssize_t written = write(STDOUT_FILENO, p, left);
    if (written <= 0) break;
    p += written;
    left -= (size_t)written;
  }
  return n;
}

/* ---- The heap of device-side malloc: ends with the launch, nothing in it can be handed to the host ---- */

void *pah_sim_malloc(unsigned long bytes) {
  struct sim_arena *arena = sim_job->arena; /* the child's own copy: the parent will not know */
  void *p = NULL;
  static uint64_t used;
  sim_team_over(SIM_OVER_ORDER);
  if (!bytes || bytes > SIM_HEAP_BYTES / 2 || used + bytes + 1024 > SIM_HEAP_BYTES / 2) return NULL;
  arena->gap = 256; /* there may be many */
  if (sim_arena_alloc(arena, (int64_t)bytes, &p)) return NULL;
  used += bytes + 1024;
  sim_spaces[SIM_GLOBAL].size = arena->next;
  sim_result->heap_end = arena->next;
  return p;
}

void pah_sim_free(void *p) {
  const struct sim_allocation *a = p ? sim_arena_find(sim_job->arena, p) : NULL;
  if (!p) return;
  if (!a || !a->alive || sim_job->arena->base + a->start != p)
    sim_fatal(__builtin_return_address(0), "bad-address", "free of %p, which malloc has not given or which is free", p);
  sim_arena_free(sim_job->arena, p);
}
