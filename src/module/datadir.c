/* datadir.c - finds the program and the folder of its data files once, for host/host.c (Lua) and module.c (kernels). */
#define _GNU_SOURCE
#include "datadir.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char exe[PATH_MAX], dir[PATH_MAX + 32];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* $PAH_DATADIR, else share/pah beside or above the program, else where it was installed. */
static void find(void) {
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  exe[n > 0 ? n : 0] = 0;
  const char *asked = getenv("PAH_DATADIR"), *slash = strrchr(exe, '/');
  if (asked && *asked) {
    snprintf(dir, sizeof dir, "%s", asked);
    return;
  }
  for (int above = 0; slash && above < 2; above++) {
    char probe[2 * PATH_MAX];
    while (above && slash > exe && *--slash != '/') continue;
    snprintf(dir, sizeof dir, "%.*s/share/pah", (int)(slash - exe), exe);
    snprintf(probe, sizeof probe, "%s/lua/pah/init.lua", dir);
    if (!access(probe, R_OK)) return;
  }
  snprintf(dir, sizeof dir, "%s", PAH_DATADIR);
}

const char *pah_exe_path(void) {
  pthread_once(&once, find);
  return exe;
}

const char *pah_data_dir(void) {
  pthread_once(&once, find);
  return dir;
}

const char *pah_data_path(char *path, size_t bytes, const char *relative) {
  snprintf(path, bytes, "%s/%s", pah_data_dir(), relative);
  return path;
}
