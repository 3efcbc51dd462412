/* process.c - processes for kernel code: made, watched, and ended with all that they have made in turn. What runs long
 * is run by several; short work pays for one process only.
 * Promises: nothing of them is left when the call returns, whether they ended, were interrupted, hung, or forked; they
 * end with their parent. Read next: confine.c, launch.c. */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "pah_measure.h"

enum { LOOK_MS = 100 };

struct processes {
  int count, running;
  pid_t pid[SIM_MOST_PROCESSES];
  struct pollfd ends[SIM_MOST_PROCESSES]; /* of pipes; fd -1: it has ended */
};

static int has_ended(pid_t pid) {
  siginfo_t info = {.si_pid = 0};
  return !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == pid;
}

static void be_child(const struct sim_work *work, int process, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(3); /* it ended before we could ask for its signal */
  signal(SIGINT, SIG_IGN);           /* the parent hears it and ends us */
  sim_confine();
  work->run(work->data, process);
  _exit(0);
}

static int start(struct processes *all, const struct sim_work *work) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC))
    return pah_fail(PAH_EDEVICE, "%s: no pipe for the simulation: %s", work->what, strerror(errno));
  fflush(NULL); /* else the child would print what the parent has not yet */
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    close(fds[0]);
    be_child(work, all->count, parent);
  }
  close(fds[1]);
  if (pid < 0) {
    close(fds[0]);
    return pah_fail(PAH_EDEVICE, "%s: no process for the simulation: %s", work->what, strerror(errno));
  }
  setpgid(pid, pid); /* here too: whoever comes first */
  all->pid[all->count] = pid;
  all->ends[all->count++] = (struct pollfd){.fd = fds[0], .events = POLLIN};
  all->running++;
  return PAH_OK;
}

/* Ends a process if it has not ended by itself; its status, -1 if that is lost. */
static int end(struct processes *all, int i, int by_itself) {
  const pid_t pid = all->pid[i];
  int status = 0;
  pid_t waited;
  close(all->ends[i].fd);
  all->ends[i].fd = -1;
  all->running--;
  /* It closes the pipe a moment before it ends, unless it closed it by itself. */
  for (int n = 0; by_itself && n < 1000 && !has_ended(pid); n++) poll(NULL, 0, 1);
  kill(-pid, SIGKILL); /* its children too; the number is its own until it is waited for */
  kill(pid, SIGKILL);
  while ((waited = waitpid(pid, &status, 0)) < 0 && errno == EINTR) continue;
  return waited < 0 ? -1 : status;
}

/* Waits for the ends of the pipes, which the children hold open; so may a child of theirs, and then the end of a
 * process is seen by looking. Until one fails, all have ended or the rest is in vain. */
static enum sim_ending watch(struct processes *all, const struct sim_work *work, int *exit_status) {
  const double begin = pah_clock(), limit = begin + work->limit;
  int asked = !work->others;
  while (all->running) {
    if (!asked && pah_clock() >= begin + work->others_after) {
      asked = 1;
      for (int n = work->others(work->data); n > 0; n--)
        if (start(all, work)) break; /* those that there are will do */
    }
    const double left = (limit - pah_clock()) * 1000;
    const int look = asked ? LOOK_MS : (int)ceil(work->others_after * 1000);
    if (left <= 0) return SIM_OVER_LIMIT;
    poll(all->ends, (nfds_t)all->count, left < look ? (int)left + 1 : look);
    if (pah_interrupted) return SIM_INTERRUPTED;
    for (int i = 0; i < all->count; i++) {
      if (all->ends[i].fd < 0 || !(all->ends[i].revents || has_ended(all->pid[i]))) continue;
      *exit_status = end(all, i, 1);
      if (*exit_status || (work->others && work->is_in_vain(work->data))) return SIM_ENDED;
    }
  }
  return SIM_ENDED;
}

int sim_in_process(const struct sim_work *work, enum sim_ending *how, int *exit_status) {
  struct processes all = {.count = 0};
  int status = start(&all, work);
  if (status) return status;
  *exit_status = 0;
  *how = watch(&all, work, exit_status);
  for (int i = 0; i < all.count; i++)
    if (all.ends[i].fd >= 0) end(&all, i, 0);
  return *exit_status == -1 ? pah_fail(PAH_EDEVICE, "%s: the process of the simulation is lost", work->what) : PAH_OK;
}
