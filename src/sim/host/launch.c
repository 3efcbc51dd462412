/* launch.c - a launch runs in child processes: whatever a kernel does to memory, it does to a copy, except for the
 * arena and the module's variables, which are shared and watched. The parent waits, stops it at the limit or on Ctrl-C,
 * and reads the findings from a page that both see.
 * Promises: no kernel can harm the host or hang it. Read next: team.c, sim/block/child.c (the work), report.c. */
#define _GNU_SOURCE
#include "launch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "error.h"
#include "gpu/occupancy.h"
#include "outcome.h"
#include "report.h"
#include "sim/block/claim.h"
#include "team.h"

/* How a child ended that did not say so itself. */
static int explain(enum sim_ending how, int exit_status, const struct sim_job *job) {
  if (how == SIM_INTERRUPTED) return pah_fail(PAH_EINTERRUPTED, "interrupted");
  if (how == SIM_OVER_LIMIT) return pah_fail(PAH_EDEVICE, "%s: did not stop at its limit and was killed", job->kernel);
  if (sim_result->give_up[0]) return pah_fail(PAH_ENOMEM, "%s: sim gave up: %s", job->kernel, sim_result->give_up);
  if (WIFSIGNALED(exit_status) && WTERMSIG(exit_status) == SIGSYS) /* where it could not become a finding */
    return pah_fail(PAH_EDEVICE, "%s: system-call: made a system call that reaches other processes or files",
                    job->kernel);
  if (WIFSIGNALED(exit_status))
    return pah_fail(PAH_EDEVICE, "%s: the process of the simulation was killed by signal %d (%s)%s", job->kernel,
                    WTERMSIG(exit_status), strsignal(WTERMSIG(exit_status)),
                    WTERMSIG(exit_status) == SIGKILL ? ": is the machine out of memory?" : "");
  return pah_fail(PAH_EDEVICE, "%s: the process of the simulation ended early (status %d)", job->kernel,
                  WEXITSTATUS(exit_status));
}

static void fill_finding(struct pah_finding *to, const struct sim_finding *f, const struct sim_place *at,
                         const struct sim_place *other, const struct sim_job *job) {
  const int64_t *block = job->launch->block, *grid = job->launch->grid;
  memcpy(to->code, f->code, sizeof to->code);
  memcpy(to->message, f->message, sizeof to->message);
  size_t n = strlen(to->message);
  if (f->other_pc && other->line)
    snprintf(to->message + n, sizeof to->message - n, " at %s:%d", other->file, other->line);
  if (sim_arena_holds(job->arena, f->address))
    sim_describe_address(job->launch, job->signature->count, f->address, to->message, sizeof to->message);
  sim_source_line(job, at, to->source, sizeof to->source);
  memcpy(to->file, at->file, sizeof to->file);
  to->line = at->line;
  to->thread[0] = (int32_t)(f->thread % block[0]);
  to->thread[1] = (int32_t)(f->thread / block[0] % block[1]);
  to->thread[2] = (int32_t)(f->thread / block[0] / block[1]);
  to->block[0] = (int32_t)(f->block % grid[0]);
  to->block[1] = (int32_t)(f->block / grid[0] % grid[1]);
  to->block[2] = (int32_t)(f->block / grid[0] / grid[1]);
  to->count = f->count;
}

/* Instructions of one source line, as of a loop that the compiler has unrolled, have one finding: same code, same words
 * up to the first number. */
static int merge_finding(struct pah_report *report, const struct pah_finding *f) {
  const size_t words = strcspn(f->message, "0123456789");
  for (int64_t i = 0; i < report->finding_count && f->line > 0; i++) {
    struct pah_finding *had = &report->findings[i];
    if (had->line != f->line || strcmp(had->file, f->file) != 0 || strcmp(had->code, f->code) != 0 ||
        strncmp(had->message, f->message, words) != 0)
      continue;
    had->count += f->count;
    return 1;
  }
  return 0;
}

/* By their place in the object: an order that does not depend on who came first. */
static int by_place(const void *a, const void *b) {
  const uint8_t *x = (*(const struct sim_line *const *)a)->pc, *y = (*(const struct sim_line *const *)b)->pc;
  return (x > y) - (x < y);
}

/* Instructions of one source line become one entry. */
static void fill_lines(struct pah_report *report, const struct sim_line *const *used, const struct sim_place *places,
                       int n) {
  for (int i = 0; i < n; i++) {
    int64_t at = 0;
    while (at < report->line_count &&
           (report->lines[at].line != places[i].line || strcmp(report->lines[at].file, places[i].file) != 0))
      at++;
    struct pah_line_counters *l = &report->lines[at];
    if (at == report->line_count) {
      report->line_count++;
      memcpy(l->file, places[i].file, sizeof l->file);
      l->line = places[i].line;
    }
    sim_add_line(l, &used[i]->count);
  }
}

static int fill_report(const struct sim_job *job, struct pah_report *report) {
  static const struct sim_line *used[SIM_MAX_LINES];
  int findings = sim_result->finding_count, lines = 0;
  for (int i = 0; i < SIM_MAX_LINES; i++)
    if (sim_result->lines[i].pc) used[lines++] = &sim_result->lines[i];
  qsort(used, (size_t)lines, sizeof *used, by_place);
  int n = 2 * findings + lines;
  const void **pcs = calloc((size_t)n + 1, sizeof *pcs);
  struct sim_place *places = calloc((size_t)n + 1, sizeof *places);
  report->findings = calloc((size_t)findings + 1, sizeof *report->findings);
  report->lines = calloc((size_t)lines + 1, sizeof *report->lines);
  if (!pcs || !places || !report->findings || !report->lines) {
    free(pcs);
    free(places);
    return pah_fail(PAH_ENOMEM, "%s: no memory for the report", job->kernel);
  }
  for (int i = 0; i < findings; i++) {
    const struct sim_finding *f = &sim_result->findings[i];
    pcs[2 * i] = f->pc;
    pcs[2 * i + 1] = f->other_pc ? f->other_pc : f->pc;
  }
  for (int i = 0; i < lines; i++) pcs[2 * findings + i] = used[i]->pc;
  sim_places(job->image, pcs, n, places);
  for (int i = 0; i < findings; i++) {
    struct pah_finding *to = &report->findings[report->finding_count];
    fill_finding(to, &sim_result->findings[i], &places[2 * i], &places[2 * i + 1], job);
    if (!sim_allowed_by_comment(to->source, to->code) && !merge_finding(report, to)) report->finding_count++;
  }
  fill_lines(report, used, places + 2 * findings, lines);
  free(pcs);
  free(places);
  struct pah_counters *c = &report->counters;
  *c = sim_result->counters;
  c->shared_static_bytes = job->static_shared;
  c->shared_dynamic_bytes = job->launch->shared;
  const int64_t *block = job->launch->block;
  c->blocks_per_sm = pah_thread_blocks_per_sm(pah_arch_limits_of(job->arch), block[0] * block[1] * block[2], 0,
                                              c->shared_static_bytes + c->shared_dynamic_bytes, &c->occupancy);
  report->has_counters = job->launch->counters > 0;
  report->schedule = job->launch->schedule;
  report->seed = job->launch->seed;
  report->processors = job->team ? job->team->processes : 1;
  return PAH_OK;
}

/* With a problem, its words say what may be read; else a read of what nobody has written is judged by what comes of it.
 */
static int judges_reads(const struct pah_launch *l) {
  return !l->problem && !sim_allowed(l->allow, "uninitialised");
}

/* The first run, by several processes if it may be; enum sim_over: why those did not do. */
static int run_first(struct sim_attempt *first, struct sim_job *job) {
  int over = SIM_NOT_OVER;
  if (job->processes > 1 && (job->kept = sim_kept_open(job)) && (job->team = sim_team_open(job))) {
    over = sim_run_by_team(first, job);
    if (over == SIM_NOT_OVER) return over;
    sim_kept_restore(job->kept);
    memset(sim_result, 0, sizeof *sim_result);
  }
  sim_team_close(job->team);
  sim_kept_close(job->kept); /* a process of the team may have been ended while it kept a page */
  job->team = NULL;
  job->kept = judges_reads(job->launch) ? sim_kept_open(job) : NULL;
  sim_run_alone(first, job);
  return over;
}

int sim_launch(const struct sim_job *given, struct pah_report *report) {
  struct sim_job job = *given;
  struct sim_attempt first = {.how = SIM_ENDED}, again;
  if (sim_check_allow(job.kernel, job.launch->allow)) return PAH_EINVAL;
  sim_result = mmap(NULL, sizeof *sim_result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (sim_result == MAP_FAILED) return pah_fail(PAH_ENOMEM, "%s: no memory for the report", job.kernel);
  const int over = run_first(&first, &job);
  int status = first.status;
  if (!status && sim_result->done && first.how == SIM_ENDED) {
    if (job.kept) sim_judge_unwritten(&job, sim_run_alone, &again);
    status = fill_report(&job, report);
    /* Its thread blocks meet, or what is found in it is allowed in the source: one process the next time. */
    if (job.alone && (over == SIM_OVER_ORDER || (over == SIM_OVER_FINDING && !report->finding_count))) *job.alone = 1;
  } else if (!status) {
    status = explain(first.how, first.exit_status, &job);
  }
  sim_team_close(job.team);
  sim_kept_close(job.kept);
  munmap(sim_result, sizeof *sim_result);
  sim_result = NULL;
  return status;
}
