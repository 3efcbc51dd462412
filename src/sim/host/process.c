/* process.c - a process for kernel code: made, watched, and ended with all that it has made in turn.
 * Promises: nothing of it is left when the call returns, whether it ended, was interrupted, hung, or forked; it ends
 * with its parent. Read next: confine.c, launch.c. */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
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

static int has_ended(pid_t pid) {
  siginfo_t info = {.si_pid = 0};
  return !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == pid;
}

/* Waits for the end of the pipe, which the child holds open; so may a child of its own, and then its end is seen by
 * looking. */
static enum sim_ending watch(pid_t pid, int fd, double limit) {
  double end = pah_clock() + limit;
  for (;;) {
    double left = end - pah_clock();
    if (left <= 0) return SIM_OVER_LIMIT;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, left * 1000 < LOOK_MS ? (int)(left * 1000) + 1 : LOOK_MS);
    if (pah_interrupted) return SIM_INTERRUPTED;
    if (n > 0 || has_ended(pid)) return SIM_ENDED;
  }
}

static void be_child(void (*work)(void *data), void *data, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(3); /* it ended before we could ask for its signal */
  signal(SIGINT, SIG_IGN);           /* the parent hears it and ends us */
  sim_confine();
  work(data);
  _exit(0);
}

int sim_in_process(const char *what, void (*work)(void *data), void *data, double limit, enum sim_ending *how,
                   int *exit_status) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC)) return pah_fail(PAH_EDEVICE, "%s: no pipe for the simulation: %s", what, strerror(errno));
  fflush(NULL); /* else the child would print what the parent has not yet */
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    close(fds[0]);
    be_child(work, data, parent);
  }
  close(fds[1]);
  if (pid < 0) {
    close(fds[0]);
    return pah_fail(PAH_EDEVICE, "%s: no process for the simulation: %s", what, strerror(errno));
  }
  setpgid(pid, pid); /* here too: whoever comes first */
  *how = watch(pid, fds[0], limit);
  close(fds[0]);
  if (*how == SIM_ENDED) { /* it closes the pipe a moment before it ends, unless it closed it by itself */
    for (int i = 0; i < 1000 && !has_ended(pid); i++) poll(NULL, 0, 1);
  }
  kill(-pid, SIGKILL); /* its children too; the number is its own until it is waited for */
  kill(pid, SIGKILL);
  pid_t waited;
  *exit_status = 0;
  while ((waited = waitpid(pid, exit_status, 0)) < 0 && errno == EINTR) continue;
  if (waited < 0) return pah_fail(PAH_EDEVICE, "%s: the process of the simulation is lost: %s", what, strerror(errno));
  return PAH_OK;
}
