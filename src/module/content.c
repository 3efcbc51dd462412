/* content.c - files by their contents. The headers of a compilation are hundreds, so a hash is remembered with the file
 * number, size and times that it was made of, unless a change at that very moment could have been missed.
 * Read next: reads.c, compile_cache.c. */
#define _GNU_SOURCE
#include "content.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

/* ---- Hashes ---- */

/* FNV-1a of 128 bits, by words, each step invertible: keys need to differ, above all where a bit has flipped, not to
 * resist an attacker, who has no access to the folder. */
void pah_hash_init(struct pah_hash *h) {
  h->state = ((pah_u128)0x6c62272e07bb0142u << 64) | 0x62b821756295c58du;
}

void pah_hash_add(struct pah_hash *h, const void *data, size_t bytes) {
  const pah_u128 prime = ((pah_u128)1 << 88) | 0x13b;
  const unsigned char *p = data;
  pah_u128 state = h->state;
  for (; bytes >= 8; p += 8, bytes -= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    state = (state ^ word) * prime;
    state ^= state >> 67;
  }
  for (size_t i = 0; i < bytes; i++) state = (state ^ p[i]) * prime;
  h->state = state;
}

void pah_hash_string(struct pah_hash *h, const char *s) {
  pah_hash_add(h, s, strlen(s) + 1);
}

void pah_hash_finish(const struct pah_hash *h, char key[PAH_KEY_SIZE]) {
  snprintf(key, PAH_KEY_SIZE, "%016llx%016llx", (unsigned long long)(h->state >> 64), (unsigned long long)h->state);
}

void pah_content_key(const void *data, size_t bytes, char key[PAH_KEY_SIZE]) {
  struct pah_hash hash;
  pah_hash_init(&hash);
  pah_hash_add(&hash, &bytes, sizeof bytes);
  pah_hash_add(&hash, data, bytes);
  pah_hash_finish(&hash, key);
}

/* ---- Hashes of files ---- */

int pah_content_settled(const struct stat *about, struct timespec when) {
  const struct timespec times[] = {about->st_mtim, about->st_ctim};
  for (int i = 0; i < 2; i++) { /* the kernel's clock of files goes in ticks, that of some file systems in seconds */
    double grain = times[i].tv_nsec ? 0.01 : 2;
    double since = (double)(when.tv_sec - times[i].tv_sec) + (double)(when.tv_nsec - times[i].tv_nsec) * 1e-9;
    if (since < grain) return 0;
  }
  return 1;
}

enum { REMEMBERED = 4096 };
static struct {
  char *path;
  struct stat about;
  char key[PAH_KEY_SIZE];
} remembered[REMEMBERED];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int is_same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         !memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim) && !memcmp(&a->st_ctim, &b->st_ctim, sizeof a->st_ctim);
}

static size_t slot_of(const char *path) {
  struct pah_hash hash;
  pah_hash_init(&hash);
  pah_hash_string(&hash, path);
  return (size_t)(hash.state % REMEMBERED);
}

static void remember(const char *path, const struct stat *about, const char *key) {
  size_t slot = slot_of(path);
  char *copy = strdup(path);
  if (!copy) return;
  pthread_mutex_lock(&lock);
  free(remembered[slot].path);
  remembered[slot].path = copy;
  remembered[slot].about = *about;
  memcpy(remembered[slot].key, key, PAH_KEY_SIZE);
  pthread_mutex_unlock(&lock);
}

static int recall(const char *path, const struct stat *about, char *key) {
  size_t slot = slot_of(path);
  pthread_mutex_lock(&lock);
  const char *known = remembered[slot].path;
  int found = known && !strcmp(known, path) && is_same(&remembered[slot].about, about);
  if (found) memcpy(key, remembered[slot].key, PAH_KEY_SIZE);
  pthread_mutex_unlock(&lock);
  return found;
}

int pah_content_key_of(const char *path, char key[PAH_KEY_SIZE]) {
  struct stat before, after;
  struct timespec now;
  char *data;
  size_t bytes;
  if (stat(path, &before) || !S_ISREG(before.st_mode)) return 0;
  if (recall(path, &before, key)) return 1;
  clock_gettime(CLOCK_REALTIME, &now);
  if (pah_read_file("file", path, &data, &bytes)) return 0;
  pah_content_key(data, bytes, key);
  free(data);
  if (!stat(path, &after) && is_same(&before, &after) && pah_content_settled(&before, now))
    remember(path, &before, key);
  return 1;
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
