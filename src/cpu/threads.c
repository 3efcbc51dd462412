/* threads.c - the number of threads of the cpu's kernels: what the script says, else OMP_NUM_THREADS, else the
 * processors that this process may run on (OpenMP asks the system for them), but no more than its control group has
 * time for: with a quota of two processors on a machine of sixty-four all threads would stand still most of the time.
 */
#define _GNU_SOURCE
#include "threads.h"

#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "pah.h"

static int thread_count; /* 0: not asked for */

/* ---- Control groups ------------------------------------------------------------------------------------ */

static int first_line(const char *folder, const char *name, char *line, int bytes) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return 0;
  FILE *f = fopen(path, "r");
  int there = f && fgets(line, bytes, f);
  if (f) fclose(f);
  return there;
}

/* Of one group, by version 2 ("200000 100000", "max 100000") or 1 (two files, -1 for none); 0 without a limit. */
static double processors_of(const char *folder) {
  char line[128];
  double quota = 0, period = 0;
  if (first_line(folder, "cpu.max", line, sizeof line)) {
    if (sscanf(line, "%lf %lf", &quota, &period) != 2) return 0;
  } else {
    if (!first_line(folder, "cpu.cfs_quota_us", line, sizeof line)) return 0;
    quota = atof(line);
    if (!first_line(folder, "cpu.cfs_period_us", line, sizeof line)) return 0;
    period = atof(line);
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

static double less(double a, double b) {
  return a == 0 ? b : b == 0 ? a : fmin(a, b);
}

/* The least of `group` under `root` and the groups above it. In a container the group's own path may not be there: what
 * is mounted at the root is its group then. */
static double least(const char *root, const char *group) {
  char folder[4096];
  if (snprintf(folder, sizeof folder, "%s%s", root, group) >= (int)sizeof folder) return 0;
  size_t shortest = strlen(root);
  double found = 0;
  for (;;) {
    found = less(found, processors_of(folder));
    char *slash = strrchr(folder, '/');
    if (strlen(folder) <= shortest || !slash || slash < folder + shortest) return found;
    *slash = 0;
  }
}

double pah_cgroup_processors(const char *list, const char *root) {
  char line[4096], controller[4096];
  double found = 0;
  FILE *f = fopen(list, "r");
  while (f && fgets(line, sizeof line, f)) { /* "0::/path", or "4:cpu,cpuacct:/path" of version 1 */
    line[strcspn(line, "\n")] = 0;
    char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
    if (!path) continue;
    *path++ = 0;
    if (names[1] == 0)
      found = less(found, least(root, path));
    else if (strstr(names + 1, "cpu") && snprintf(controller, sizeof controller, "%s/cpu", root) > 0)
      found = less(found, least(controller, path));
  }
  if (f) fclose(f);
  return found;
}

/* ---- Threads ------------------------------------------------------------------------------------------- */

static int allowed; /* by the control groups, rounded up; 0: no limit */

static void ask_groups(void) {
  double processors = pah_cgroup_processors("/proc/self/cgroup", "/sys/fs/cgroup");
  allowed = processors > 0 ? (int)fmin(1024, ceil(processors)) : 0;
}

int pah_get_threads(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  const char *wanted = getenv("OMP_NUM_THREADS");
  if (thread_count > 0) return thread_count;
  int threads = omp_get_max_threads();
  if (wanted && *wanted) return threads;
  pthread_once(&once, ask_groups);
  return allowed && allowed < threads ? allowed : threads;
}

int pah_set_threads(int threads) {
  if (threads < 1 || threads > 1024) return pah_fail(PAH_EINVAL, "threads: is %d, must be 1 to 1024", threads);
  thread_count = threads;
  return PAH_OK;
}
