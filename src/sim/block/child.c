/* child.c - the child process of a launch: it runs the thread blocks one after another, those of a cluster together.
 * Whatever ends it early - memory that no hook has watched, a division by zero, the limit of seconds - becomes a
 * finding at a source line. Read next: job.h, sched.c (one thread block), sim/host/launch.c (the parent). */
#define _GNU_SOURCE
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "pah_measure.h"
#include "sim/check/check.h"
#include "claim.h"
#include "sim/check/counters.h"
#include "job.h"
#include "sched.h"
#include "sim/check/shadow.h"

const struct sim_job *sim_job;
struct sim_result *sim_result;

void sim_give_up(const char *why) {
  sim_team_over(SIM_OVER_FAILURE);
  snprintf(sim_result->give_up, sizeof sim_result->give_up, "%s", why);
  _exit(3);
}

static const void *interrupted_at(void *context) {
#if defined(__x86_64__)
  return (const uint8_t *)(uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] +
         1; /* like a return address */
#else
  return (const uint8_t *)(uintptr_t)((ucontext_t *)context)->uc_mcontext.pc + 1;
#endif
}

/* In the runtime the place of the interrupted instruction says nothing; the thread's last entry does. */
static const void *place_of(const void *pc) {
  const struct sim_image *image = sim_job->image;
  int in_kernel = (const uint8_t *)pc >= image->text && (const uint8_t *)pc < image->text_end;
  return in_kernel || !sim_block.running ? pc : sim_block.running->pc;
}

/* In a function of the system: the first word of the stack that leads back into the kernel. */
static const void *called_from(const void *pc, void *context) {
#if defined(__x86_64__)
  const uint8_t *const *sp = (const void *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
#else
  const uint8_t *const *sp = (const void *)(uintptr_t)((ucontext_t *)context)->uc_mcontext.sp;
#endif
  const struct sim_image *image = sim_job->image;
  for (int i = 0; sim_block.running && i < 256; i++, sp++) {
    if ((uint64_t)((const uint8_t *)sp - sim_block.running->fiber.stack) >= SIM_STACK_SIZE) break;
    if (*sp >= image->text && *sp < image->text_end) return *sp;
  }
  return place_of(pc);
}

/* Memory that no hook has watched, or none left of a stack. */
static void on_fault(int signal, siginfo_t *info, void *context) {
  const void *pc = place_of(interrupted_at(context));
  int owner = 0, where = sim_fiber_of(info->si_addr, &owner);
  if (signal == SIGSYS)
    sim_find(called_from(pc, context), "system-call",
             "system call %d was made, which reaches other processes or files: no GPU can do that", info->si_syscall);
  else if (signal == SIGFPE)
    sim_find(pc, "arithmetic", "an integer was divided by zero, or the quotient does not fit");
  else if (signal == SIGILL)
    sim_find(pc, "trap", "the kernel reached code that the compiler took for unreachable");
  else if (where == 2)
    sim_find(pc, "stack-overflow", "thread %d needs more than %d KiB of local memory", owner, SIM_STACK_SIZE / 1024);
  else
    sim_find(pc, "bad-address", "address %p was used, which is in no tensor, shared or local memory", info->si_addr);
  sim_result->done = 1;
  _exit(0);
}

static double stops_after; /* seconds */

static void on_alarm(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  sim_team = NULL; /* a launch that was too slow for several processes is so for one */
  sim_find(place_of(interrupted_at(context)), "time-limit",
           "the launch was stopped at its limit of %g seconds here, in "
           "thread block %lld",
           stops_after, (long long)(sim_block.here ? sim_block.here->index : 0));
  sim_result->done = 1;
  _exit(0);
}

static void catch (int signal, void (*handler)(int, siginfo_t *, void *)) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaction(signal, &action, NULL);
}

static void prepare_signals(double limit) {
  static uint8_t stack[64 * 1024];
  sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) catch (faults[i], on_fault);
  catch (SIGALRM, on_alarm);
  struct itimerval timer = {
      .it_value = {.tv_sec = (time_t)limit, .tv_usec = (suseconds_t)((limit - (double)(time_t)limit) * 1e6)}};
  if (!timer.it_value.tv_sec && !timer.it_value.tv_usec) timer.it_value.tv_usec = 1;
  setitimer(ITIMER_REAL, &timer, NULL);
}

/* The i-th thread block, or cluster, in the order of the launch. */
static void run_gang(int64_t i, int64_t gangs) {
  sim_run_gang(sim_job->launch->schedule == PAH_REVERSE ? gangs - 1 - i : i);
  for (int w = 0; w < sim_all_teams() && sim_counting; w++) sim_count_flush(w);
}

void sim_child(const struct sim_job *job, int index, double limit) {
  stops_after = limit;
  prepare_signals(job->team ? fmax(0, limit - (pah_clock() - job->team->started)) : limit);
  sim_job = job;
  sim_homes_open();
  sim_copy_arguments();
  sim_result->begun = 1;
  sim_team_join(job->team, index);
  sim_shadow_open();
  sim_count_open();
  sim_read_only_open();
  sim_sequence_open();
  const int64_t gangs = sim_gang_count();
  int64_t first = 0, count = job->team ? sim_team_take(gangs, &first) : gangs;
  while (count > 0 && !sim_block.fatal) {
    for (int64_t i = first; i < first + count && !sim_block.fatal; i++) run_gang(i, gangs);
    count = job->team ? sim_team_take(gangs, &first) : 0;
  }
  sim_result->done = 1;
  _exit(0);
}

/* ---- Where its memory is ---- */

/* A cluster's addresses begin with the window of its rank 0. */
uint8_t *sim_shared_base(void) {
  return sim_block.here->first->window;
}

uint32_t sim_shared_bytes(void) {
  const struct sim_image *image = sim_job->image;
  return (uint32_t)(image->dynamic_offset ? image->dynamic_offset - 1 + (uint64_t)sim_job->launch->shared
                                          : image->shared_bytes);
}

struct pah_counters *sim_counters(void) {
  return &sim_result->counters;
}

static void *shared_at(uint32_t address, uint32_t bytes, const void *pc, int whole_cluster) {
  const uint64_t at = address & (sim_window_bytes() - 1), rank = address >> sim_window_shift;
  if (at > sim_shared_bytes() || bytes > sim_shared_bytes() - at || rank >= (uint64_t)sim_block.cluster)
    sim_fatal(pc, "out-of-bounds", "uses %u bytes at byte %u of shared memory, which has %u bytes", bytes, address,
              sim_shared_bytes());
  if (!whole_cluster && rank != (uint64_t)sim_block.here->rank)
    sim_fatal(pc, "out-of-bounds",
              "uses %u bytes at byte %llu of the shared memory of rank %llu of the cluster: the instruction is for the "
              "thread block's own, of rank %d",
              bytes, (unsigned long long)at, (unsigned long long)rank, sim_block.here->rank);
  return sim_shared_base() + address;
}

/* Matrices are read by way of it, chunk by chunk. */
void *sim_shared(uint32_t address, uint32_t bytes, const void *pc) {
  const uint64_t at = address - ((uint64_t)sim_block.here->rank << sim_window_shift);
  if (at <= sim_shared_size && bytes <= sim_shared_size - at) return pah_sim_window + at;
  return shared_at(address, bytes, pc, 0);
}

void *sim_shared_cluster(uint32_t address, uint32_t bytes, const void *pc) {
  return shared_at(address, bytes, pc, 1);
}
