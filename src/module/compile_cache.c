/* compile_cache.c - compiled modules on disk: $PAH_CACHE_DIR, else $XDG_CACHE_HOME/pah, else ~/.cache/pah.
 * Promises: an entry appears whole or not at all (written aside, then renamed), so any number of processes may use the
 * folder at once; a folder that others could write to is refused, since its files are run. Read next: module.c. */
#define _GNU_SOURCE
#include "compile_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

/* FNV-1a of 128 bits: keys need to differ, not to resist an attacker, who has no access to the folder. */
void pah_hash_init(struct pah_hash *h) {
  h->state = ((pah_u128)0x6c62272e07bb0142u << 64) | 0x62b821756295c58du;
}

void pah_hash_add(struct pah_hash *h, const void *data, size_t bytes) {
  const pah_u128 prime = ((pah_u128)1 << 88) | 0x13b;
  const unsigned char *p = data;
  for (size_t i = 0; i < bytes; i++) h->state = (h->state ^ p[i]) * prime;
}

void pah_hash_string(struct pah_hash *h, const char *s) {
  pah_hash_add(h, s, strlen(s) + 1);
}

void pah_hash_finish(const struct pah_hash *h, char key[PAH_KEY_SIZE]) {
  snprintf(key, PAH_KEY_SIZE, "%016llx%016llx", (unsigned long long)(h->state >> 64), (unsigned long long)h->state);
}

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

static int folder(char *path, size_t bytes) {
  const char *own = getenv("PAH_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  struct passwd *user = home && *home ? NULL : getpwuid(geteuid());
  if (user) home = user->pw_dir;
  if (own && *own)
    snprintf(path, bytes, "%s", own);
  else if (xdg && *xdg == '/')
    snprintf(path, bytes, "%s/pah", xdg);
  else if (home && *home)
    snprintf(path, bytes, "%s/.cache/pah", home);
  else
    return pah_fail(PAH_EIO, "PAH_CACHE_DIR: is not set and there is no home folder; set it to a folder of your own");
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

static int entry(const char *key, const char *suffix, char *path, size_t bytes) {
  char dir[PATH_MAX];
  int status = folder(dir, sizeof dir);
  if (!status && (size_t)snprintf(path, bytes, "%s/%s.%s", dir, key, suffix) >= bytes)
    status = pah_fail(PAH_EIO, "cache folder %.64s...: the path is too long", dir);
  return status;
}

int pah_cache_find(const char *key, const char *suffix, char *path, size_t bytes) {
  int status = entry(key, suffix, path, bytes);
  return status ? status : access(path, R_OK) == 0;
}

int pah_cache_temporary(char *path, size_t bytes) {
  char dir[PATH_MAX];
  int status = folder(dir, sizeof dir);
  if (status) return status;
  snprintf(path, bytes, "%s/new-%s", dir,
           "XX"
           "XX"
           "XX"); /* mkostemp's six */
  int fd = mkostemp(path, O_CLOEXEC);
  if (fd < 0) return pah_fail(PAH_EIO, "cache folder %s: no file can be made in it: %s", dir, strerror(errno));
  close(fd);
  return PAH_OK;
}

int pah_cache_commit(const char *temporary, const char *key, const char *suffix, char *path, size_t bytes) {
  int status = entry(key, suffix, path, bytes);
  if (!status && rename(temporary, path)) status = pah_fail(PAH_EIO, "%s: cannot be made: %s", path, strerror(errno));
  if (status) unlink(temporary);
  return status;
}

int pah_cache_put(const char *key, const char *suffix, const void *data, size_t bytes) {
  char temporary[PATH_MAX], path[PATH_MAX];
  int status = pah_cache_temporary(temporary, sizeof temporary);
  if (status) return status;
  FILE *f = fopen(temporary, "wb");
  int written = f && fwrite(data, 1, bytes, f) == bytes;
  if (f && fclose(f)) written = 0;
  if (!written) {
    status = pah_fail(PAH_EIO, "%s: cannot be written: %s", temporary, strerror(errno));
    unlink(temporary);
    return status;
  }
  return pah_cache_commit(temporary, key, suffix, path, sizeof path);
}

int pah_cache_get(const char *key, const char *suffix, void **data, size_t *bytes) {
  char path[PATH_MAX];
  int found = pah_cache_find(key, suffix, path, sizeof path);
  if (found != 1) return found;
  return pah_read_file("cache", path, (char **)data, bytes) ? 0 : 1; /* gone meanwhile: not there */
}

int pah_read_file(const char *what, const char *path, char **data, size_t *bytes) {
  struct stat about;
  FILE *f = fopen(path, "rbe");
  if (!f || fstat(fileno(f), &about)) {
    int status = pah_fail(PAH_EIO, "%s: %s cannot be read: %s", what, path, strerror(errno));
    if (f) fclose(f);
    return status;
  }
  int status = PAH_OK;
  size_t size = (size_t)about.st_size;
  char *text = S_ISREG(about.st_mode) ? malloc(size + 1) : NULL;
  if (!S_ISREG(about.st_mode))
    status = pah_fail(PAH_EIO, "%s: %s is not a file", what, path);
  else if (!text)
    status = pah_fail(PAH_ENOMEM, "%s: no memory for %s", what, path);
  else if (fread(text, 1, size, f) != size)
    status = pah_fail(PAH_EIO, "%s: %s cannot be read whole", what, path);
  fclose(f);
  if (status) {
    free(text);
    return status;
  }
  text[size] = 0;
  *data = text;
  if (bytes) *bytes = size;
  return PAH_OK;
}
