/* watch.c - waiting for the stream with a limit for each launch. A running kernel cannot be stopped by the driver API:
 * one that is over its limit loses the device to this process, and the end of the process stops it.
 * Launches are gathered behind one event each 10 ms or 32 launches, so that watching costs nearly nothing.
 * Read next: module.c. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "pah_measure.h"
#include "state.h"

static const double mark_seconds = 0.01, spin_seconds = 0.002, forever = 1e300;
enum { MARK_LAUNCHES = 32 };

/* The driver's own end of the process waits for the kernel that does not end, so it is left out. */
static void leave(int status, void *unused) {
  (void)unused;
  fflush(NULL);
  _exit(status);
}

static int over(struct pah_device *dev, const struct cuda_mark *mark) {
  struct cuda_state *s = dev->state;
  snprintf(s->lost, sizeof s->lost, "kernel %s ran longer than its limit of %g s", mark->kernel, mark->allowed);
  if (!s->stuck) on_exit(leave, NULL);
  s->stuck = 1;
  return cuda_enter(dev);
}

/* Polls: short waits are met within a microsecond, long ones cost no processor. */
static int wait_mark(struct pah_device *dev, const struct cuda_mark *mark) {
  double start = pah_clock();
  for (;;) {
    CUresult r = cu.cuEventQuery(mark->event);
    if (r == CUDA_SUCCESS) return PAH_OK;
    if (r != CUDA_ERROR_NOT_READY) return cuda_fail(dev, r, "cuEventQuery", mark->kernel);
    if (pah_interrupted) return pah_fail(PAH_EINTERRUPTED, "interrupted");
    double waited = pah_clock() - start;
    if (waited > mark->allowed) return over(dev, mark);
    if (waited > spin_seconds) nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
  }
}

static int wait_first(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  int status = wait_mark(dev, &s->marks[s->first]);
  if (status) return status;
  s->first = (s->first + 1) % CUDA_MARKS;
  s->pending--;
  return PAH_OK;
}

/* Moves what is open to the end of the ring. */
static int close_mark(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  int status = s->pending == CUDA_MARKS ? wait_first(dev) : PAH_OK;
  if (status) return status;
  struct cuda_mark *mark = &s->marks[(s->first + s->pending) % CUDA_MARKS];
  CUresult r = cu.cuEventRecord(mark->event, s->stream);
  if (r) return cuda_fail(dev, r, "cuEventRecord", s->open.kernel);
  mark->allowed = s->open.allowed;
  memcpy(mark->kernel, s->open.kernel, sizeof mark->kernel);
  s->pending++;
  s->open_launches = 0;
  return PAH_OK;
}

int cuda_launched(struct pah_device *dev, const char *kernel, double limit) {
  struct cuda_state *s = dev->state;
  if (s->recording) return PAH_OK; /* nothing runs */
  double now = pah_clock();
  if (!s->open_launches) {
    s->open.allowed = 0;
    s->open_since = now;
  }
  s->open_launches++;
  s->open.allowed += limit > 0 ? limit : forever;
  snprintf(s->open.kernel, sizeof s->open.kernel, "%s", kernel);
  return s->open_launches >= MARK_LAUNCHES || now - s->open_since > mark_seconds ? close_mark(dev) : PAH_OK;
}

int cuda_wait(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  int status = cuda_not_recorded(dev, "a wait");
  if (!status && s->open_launches) status = close_mark(dev);
  while (!status && s->pending) status = wait_first(dev);
  if (status) return status;
  CUresult r = cu.cuStreamSynchronize(s->stream); /* copies and frees behind the last mark */
  return r ? cuda_fail(dev, r, "cuStreamSynchronize", NULL) : PAH_OK;
}

int cuda_marks_open(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  for (int i = 0; i < CUDA_MARKS; i++) {
    CUresult r = cu.cuEventCreate(&s->marks[i].event, CU_EVENT_DISABLE_TIMING);
    if (r) return cuda_fail(dev, r, "cuEventCreate", NULL);
  }
  return PAH_OK;
}

void cuda_marks_close(struct pah_device *dev) {
  struct cuda_state *s = dev->state;
  for (int i = 0; i < CUDA_MARKS && s->marks[i].event; i++) cu.cuEventDestroy_v2(s->marks[i].event);
}

/* ---- Events for timing ---- */

int cuda_event_record(struct pah_device *dev, void **event) {
  struct cuda_state *s = dev->state;
  CUevent e = NULL;
  int status = cuda_enter(dev);
  if (!status) status = cuda_not_recorded(dev, "an event");
  if (status) return status;
  CUresult r = cu.cuEventCreate(&e, 0);
  if (r) return cuda_fail(dev, r, "cuEventCreate", NULL);
  r = cu.cuEventRecord(e, s->stream);
  if (r) {
    cu.cuEventDestroy_v2(e);
    return cuda_fail(dev, r, "cuEventRecord", NULL);
  }
  *event = e;
  return PAH_OK;
}

int cuda_event_elapsed(struct pah_device *dev, void *from, void *to, double *seconds) {
  float milliseconds = 0;
  int status = cuda_enter(dev);
  if (status) return status;
  CUresult r = cu.cuEventElapsedTime(&milliseconds, from, to);
  if (r) return cuda_fail(dev, r, "cuEventElapsedTime", NULL);
  *seconds = milliseconds * 1e-3;
  return PAH_OK;
}

void cuda_event_free(struct pah_device *dev, void *event) {
  struct cuda_state *s = dev->state;
  if (s->stuck) return;
  cu.cuCtxSetCurrent(s->context);
  cu.cuEventDestroy_v2(event);
}
