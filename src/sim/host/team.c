/* team.c - runs a job in a process, or in several that share its thread blocks: others join the first when it has run
 * for a while, so that short launches pay for one. Their counters are added up; as soon as one of them has something to
 * find, or they meet in a word, all are ended, and the launch is to be run anew by one.
 * Read next: process.c, sim/block/claim.h (how they meet), sim/block/child.c. */
#include "team.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"
#include "sim/check/check.h"
#include "sim/check/counters.h"
#include "sim/block/claim.h"

enum { DEFAULT_LIMIT = 300 };     /* seconds */
static const double ALONE = 0.01; /* that one process runs before others join it */

static double limit_of(const struct sim_job *job) {
  return job->launch->limit > 0 ? job->launch->limit : DEFAULT_LIMIT;
}

/* ---- One ---- */

static void run(void *data, int process) {
  const struct sim_job *job = data;
  sim_child(job, process, limit_of(job));
}

int sim_run_alone(void *data, struct sim_job *job) {
  struct sim_attempt *a = data;
  const struct sim_work work = {.what = job->kernel, .run = run, .data = job, .limit = limit_of(job) + 5};
  a->how = SIM_ENDED;
  a->status = sim_in_process(&work, &a->how, &a->exit_status);
  sim_drop_guesses(sim_result);
  if (sim_result->heap_end) { /* the kernel's malloc: its words are nobody's again */
    uint64_t from = job->arena->next / 4;
    memset(job->arena->state + from, 0, sim_result->heap_end / 4 - from);
  }
  return !a->status && sim_result->done && a->how == SIM_ENDED;
}

/* ---- Several ---- */

struct members {
  const struct sim_job *job;
  struct sim_result *results; /* of each process but the first, whose result is sim_result */
};

static struct sim_result *result_of(const struct members *m, int process) {
  return process ? &m->results[process - 1] : sim_result;
}

static void run_member(void *data, int process) {
  const struct members *m = data;
  sim_result = result_of(m, process);
  run((void *)(uintptr_t)m->job, process);
}

static int others(void *data) {
  const struct sim_job *job = ((const struct members *)data)->job;
  if (job->at_once) return job->processes - 1;
  const int64_t *grid = job->launch->grid, left = grid[0] * grid[1] * grid[2] - job->team->next;
  const int more = left < job->processes - 1 ? (int)left : job->processes - 1;
  if (more > 0) job->team->processes = 1 + more;
  return more;
}

/* The one that has found that its seconds are over; the only finding that a team makes. -1: none. */
static int finder(const struct members *m) {
  for (int i = 0; i < m->job->processes; i++)
    if (result_of(m, i)->finding_count) return i;
  return -1;
}

static int is_in_vain(void *data) {
  const struct members *m = data;
  return m->job->team->over || finder(m) >= 0;
}

void sim_add_line(struct pah_line_counters *l, const struct pah_line_counters *c) {
  l->global_requests += c->global_requests;
  l->global_bytes += c->global_bytes;
  l->global_sectors += c->global_sectors;
  l->global_sectors_ideal += c->global_sectors_ideal;
  l->shared_requests += c->shared_requests;
  l->shared_bytes += c->shared_bytes;
  l->shared_wavefronts += c->shared_wavefronts;
  l->shared_wavefronts_ideal += c->shared_wavefronts_ideal;
}

/* What a process has counted joins that of the first. 0: there is no room for all of its lines. */
static int add_result(struct sim_result *to, const struct sim_result *from) {
  enum { SUMS = offsetof(struct pah_counters, shared_static_bytes) / sizeof(int64_t) };
  int64_t *sums = (int64_t *)&to->counters;
  const int64_t *more = (const int64_t *)&from->counters;
  for (int i = 0; i < (int)SUMS; i++) sums[i] += more[i];
  for (int i = 0; i < SIM_MAX_LINES; i++) {
    if (!from->lines[i].pc) continue;
    struct sim_line *line = sim_line_of(to, from->lines[i].pc);
    if (!line) return 0;
    sim_add_line(&line->count, &from->lines[i].count);
  }
  return 1;
}

/* All results in sim_result, where they are those of one process. */
static enum sim_over join_results(const struct members *m) {
  const int found = finder(m), processes = m->job->processes;
  for (int i = 0; i < processes && found < 0; i++) {
    const struct sim_result *r = result_of(m, i);
    if (r->begun != r->done || (m->job->at_once && !r->done)) return SIM_OVER_FAILURE;
  }
  for (int i = 1; i < processes; i++)
    if (!add_result(sim_result, result_of(m, i))) return SIM_OVER_ORDER;
  if (found > 0) {
    sim_result->finding_count = result_of(m, found)->finding_count;
    memcpy(sim_result->findings, result_of(m, found)->findings, sizeof sim_result->findings);
  }
  sim_result->done = 1;
  return SIM_NOT_OVER;
}

int sim_run_by_team(struct sim_attempt *a, struct sim_job *job) {
  struct members m = {.job = job};
  const struct sim_work work = {.what = job->kernel,
                                .run = run_member,
                                .others = others,
                                .others_after = job->at_once ? 0 : ALONE,
                                .is_in_vain = is_in_vain,
                                .data = &m,
                                .limit = limit_of(job) + 5};
  const size_t bytes = (size_t)(job->processes - 1) * sizeof *m.results;
  int over = SIM_OVER_FAILURE;
  m.results = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (m.results == MAP_FAILED) return over;
  a->how = SIM_ENDED;
  a->status = sim_in_process(&work, &a->how, &a->exit_status);
  if (a->status || a->how != SIM_ENDED)
    over = SIM_NOT_OVER;
  else if (job->team->over)
    over = job->team->over;
  else if (!a->exit_status)
    over = join_results(&m);
  munmap(m.results, bytes);
  return over;
}
