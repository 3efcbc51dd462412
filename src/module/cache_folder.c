/* cache_folder.c - the folder of compiled code: $PAH_CACHE_DIR, else $XDG_CACHE_HOME/pah, else ~/.cache/pah. Entries
 * are HASH.so, HASH.code, HASH.gch and KEY.index; new-XXXXXX is the room of a compilation that runs, by a lock which
 * ends with its process. Promises: an entry appears whole or not at all and lasts; a folder that others could write to
 * is refused, since its files are run; no file is removed but those that pah has made. Read next: compile_cache.c. */
#define _GNU_SOURCE
#include "cache_folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "content.h"
#include "error.h"
#include "pah_module.h"

enum { HOUR = 3600, MINUTE = 60, BORN = 2 }; /* seconds */

/* ---- Where it is ---- */

/* mkdir -p with mode 0700 for what is new. */
static int make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
    if (slash) *slash = 0;
    int made = mkdir(path, 0700) == 0 || errno == EEXIST || errno == EISDIR;
    int why = errno;
    if (slash) *slash = '/';
    if (!made) return why;
    if (!slash) return 0;
  }
}

/* $PAH_CACHE_SIZE in bytes; -1: no limit. */
static int read_limit(int64_t *limit) {
  const char *text = getenv("PAH_CACHE_SIZE");
  *limit = (int64_t)1 << 30;
  if (!text || !*text) return PAH_OK;
  if (!strcmp(text, "none")) return *limit = -1, PAH_OK;
  static const char units[] = "KMGT";
  char *end;
  double value = strtod(text, &end);
  const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
  for (int i = 0; unit && i <= unit - units; i++) value *= 1024;
  if (end == text || !(value >= 0) || !(value < 9e18) || (*end && !unit) || (unit && end[1]))
    return pah_fail(PAH_EINVAL, "PAH_CACHE_SIZE: is \"%.32s\", must be a number of bytes (512M, 2G), or none", text);
  *limit = (int64_t)value;
  return PAH_OK;
}

int pah_cache_folder(char *path, size_t bytes) {
  const char *own = getenv("PAH_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  struct passwd *user = home && *home ? NULL : getpwuid(geteuid());
  int64_t limit;
  int status = read_limit(&limit), n;
  if (status) return status;
  if (user) home = user->pw_dir;
  if (own && *own)
    n = snprintf(path, bytes, "%s", own);
  else if (xdg && *xdg == '/')
    n = snprintf(path, bytes, "%s/pah", xdg);
  else if (home && *home)
    n = snprintf(path, bytes, "%s/.cache/pah", home);
  else
    return pah_fail(PAH_EIO, "PAH_CACHE_DIR: is not set and there is no home folder; set it to a folder of your own");
  if (n < 0 || (size_t)n + 100 >= bytes) return pah_fail(PAH_EIO, "cache folder %.64s...: the path is too long", path);
  int why = make_folders(path);
  struct stat about;
  if (why || stat(path, &about))
    return pah_fail(PAH_EIO, "cache folder %s: cannot be made: %s; set PAH_CACHE_DIR to a folder of your own", path,
                    strerror(why ? why : errno));
  if (!S_ISDIR(about.st_mode)) return pah_fail(PAH_EIO, "cache folder %s: is not a folder", path);
  if (about.st_uid != geteuid())
    return pah_fail(PAH_EIO, "cache folder %s: belongs to another user (%u), must be your own", path, about.st_uid);
  if (about.st_mode & (S_IWGRP | S_IWOTH))
    return pah_fail(PAH_EIO, "cache folder %s: others can write to it (mode %03o), must be writable by you alone", path,
                    (unsigned)about.st_mode & 0777);
  return PAH_OK;
}

/* ---- Rooms to work in ---- */

static void remove_room(const char *path) {
  char file[PATH_MAX];
  DIR *dir = opendir(path);
  for (struct dirent *e; dir && (e = readdir(dir));) {
    if ((size_t)snprintf(file, sizeof file, "%s/%s", path, e->d_name) < sizeof file && e->d_name[0] != '.' &&
        unlink(file) && (errno == EISDIR || errno == EPERM))
      remove_room(file); /* a folder in it */
  }
  if (dir) closedir(dir);
  rmdir(path);
}

/* A room is left over when nobody holds its lock, and it is old enough not to be in the making. */
static int is_left(const char *path, const struct stat *about) {
  char file[PATH_MAX];
  time_t age = time(NULL) - about->st_mtime;
  if (!S_ISDIR(about->st_mode)) return age > HOUR;
  snprintf(file, sizeof file, "%.4000s/lock", path);
  int fd = open(file, O_RDWR | O_CLOEXEC), left = fd < 0 ? age > MINUTE : age > BORN && !flock(fd, LOCK_EX | LOCK_NB);
  if (fd >= 0) close(fd);
  return left;
}

int pah_work_open(struct pah_work *w) {
  char folder[PATH_MAX], lock[PATH_MAX];
  int status = pah_cache_folder(folder, sizeof w->path);
  w->lock = -1;
  if (status) return status;
  const char x = 'X'; /* the six that mkdtemp asks for */
  snprintf(w->path, sizeof w->path, "%.3900s/new-%c%c%c%c%c%c", folder, x, x, x, x, x, x);
  if (!mkdtemp(w->path))
    return pah_fail(PAH_EIO, "cache folder %s: nothing can be made in it: %s", folder, strerror(errno));
  snprintf(lock, sizeof lock, "%s/lock", w->path);
  w->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (w->lock < 0) {
    status = pah_fail(PAH_EIO, "%s: cannot be made: %s", lock, strerror(errno));
    rmdir(w->path);
    return status;
  }
  flock(w->lock, LOCK_EX | LOCK_NB);
  return PAH_OK;
}

void pah_work_close(struct pah_work *w) {
  if (w->lock < 0) return;
  remove_room(w->path);
  close(w->lock);
  w->lock = -1;
}

static int sync_path(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  int failed = fd < 0 || (fsync(fd) && errno != EINVAL && errno != EROFS);
  if (fd >= 0) close(fd);
  return failed;
}

int pah_work_keep(const struct pah_work *w, const char *file, const char *name) {
  char folder[PATH_MAX], from[PATH_MAX], to[PATH_MAX + 128];
  snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(w->path, '/') - w->path), w->path);
  snprintf(from, sizeof from, "%.4000s/%.64s", w->path, file);
  snprintf(to, sizeof to, "%s/%.100s", folder, name);
  if (sync_path(from) || rename(from, to) || sync_path(folder))
    return pah_fail(PAH_EIO, "%s: cannot be made: %s", to, strerror(errno));
  return PAH_OK;
}

/* ---- What is in it ---- */

struct entry {
  char name[64];
  int64_t bytes;
  struct timespec used;
};

struct listing {
  struct entry *list;
  int64_t count, bytes;
};

/* KEY.SUFFIX, as pah makes them. */
static int is_entry(const char *name) {
  static const char *const suffixes[] = {".so", ".code", ".gch", ".index", ".h", ".h.gch"};
  if (strspn(name, "0123456789abcdef") != PAH_KEY_SIZE - 1) return 0;
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
    if (!strcmp(name + PAH_KEY_SIZE - 1, suffixes[i])) return 1;
  return 0;
}

static void list_entry(struct listing *l, const char *name, const struct stat *about) {
  struct entry *more = realloc(l->list, (size_t)(l->count + 1) * sizeof *more);
  if (!more) return;
  l->list = more;
  struct entry *e = &more[l->count++];
  snprintf(e->name, sizeof e->name, "%.63s", name);
  e->bytes = about->st_size;
  e->used = about->st_mtim;
  l->bytes += e->bytes;
}

/* All entries; what killed compilations have left is removed on the way, and counted. */
static int64_t read_folder(const char *folder, struct listing *l) {
  char path[PATH_MAX];
  struct stat about;
  int64_t left = 0;
  *l = (struct listing){.count = 0};
  DIR *dir = opendir(folder);
  for (struct dirent *e; dir && (e = readdir(dir));) {
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= sizeof path || lstat(path, &about)) continue;
    if (S_ISREG(about.st_mode) && is_entry(e->d_name)) list_entry(l, e->d_name, &about);
    if (strncmp(e->d_name, "new-", 4) != 0 || strlen(e->d_name) < 10 || !is_left(path, &about)) continue;
    left++;
    if (S_ISDIR(about.st_mode))
      remove_room(path);
    else
      unlink(path);
  }
  if (dir) closedir(dir);
  return left;
}

static int by_use(const void *a, const void *b) {
  const struct timespec *x = &((const struct entry *)a)->used, *y = &((const struct entry *)b)->used;
  if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
  return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

void pah_cache_used(const char *path) {
  utimensat(AT_FDCWD, path, NULL, 0);
}

/* Those first that no limit has room for: nothing else shall go because of them. */
static int by_need(const void *a, const void *b, void *data) {
  const int64_t *limit = data;
  int x = ((const struct entry *)a)->bytes > *limit, y = ((const struct entry *)b)->bytes > *limit;
  return x != y ? y - x : by_use(a, b);
}

void pah_cache_trim(const char *keep) {
  char folder[PATH_MAX], path[PATH_MAX];
  int64_t limit;
  struct listing l;
  if (pah_cache_folder(folder, sizeof folder) || read_limit(&limit)) return;
  read_folder(folder, &l);
  if (limit >= 0 && l.bytes > limit) qsort_r(l.list, (size_t)l.count, sizeof *l.list, by_need, &limit);
  for (int64_t i = 0; limit >= 0 && i < l.count && l.bytes > limit; i++) {
    int is_kept = !strcmp(l.list[i].name, keep);
    snprintf(path, sizeof path, "%.4000s/%s", folder, l.list[i].name);
    if (is_kept ? l.list[i].bytes > limit : !unlink(path)) l.bytes -= l.list[i].bytes;
  }
  free(l.list);
}

/* ---- For `pah cache` ---- */

int pah_compile_cache_info(struct pah_compile_cache *c) {
  char folder[PATH_MAX];
  struct listing l;
  struct timespec now;
  *c = (struct pah_compile_cache){.files = 0};
  int status = pah_cache_folder(folder, sizeof folder);
  if (!status) status = read_limit(&c->limit);
  if (status) return status;
  snprintf(c->folder, sizeof c->folder, "%s", folder);
  read_folder(folder, &l);
  clock_gettime(CLOCK_REALTIME, &now);
  for (int64_t i = 0; i < l.count; i++) {
    double age = (double)(now.tv_sec - l.list[i].used.tv_sec) + (double)(now.tv_nsec - l.list[i].used.tv_nsec) * 1e-9;
    const char *suffix = strrchr(l.list[i].name, '.');
    if (age > c->oldest) c->oldest = age;
    c->sim_modules += !strcmp(suffix, ".so");
    c->cuda_modules += !strcmp(suffix, ".code");
  }
  c->files = l.count;
  c->bytes = l.bytes;
  free(l.list);
  return PAH_OK;
}

int pah_compile_cache_clear(int64_t *files, int64_t *bytes) {
  char folder[PATH_MAX], path[PATH_MAX];
  struct listing l;
  int status = pah_cache_folder(folder, sizeof folder);
  *files = *bytes = 0;
  if (status) return status;
  read_folder(folder, &l);
  for (int64_t i = 0; i < l.count; i++) {
    snprintf(path, sizeof path, "%.4000s/%s", folder, l.list[i].name);
    if (!unlink(path))
      *files += 1, *bytes += l.list[i].bytes;
    else if (errno != ENOENT)
      status = pah_fail(PAH_EIO, "%s: cannot be removed: %s", path, strerror(errno));
  }
  free(l.list);
  return status;
}
