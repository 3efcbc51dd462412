/* compile_cache.c - compiled code on disk. KEY.index stands for a source and its options; it lists results, each with
 * the files that went into it and the hash of its contents, by which it is named: HASH.so. So a result is found while
 * its files are as they were, is never taken from a damaged file, and comes back when an edit is undone.
 * Read next: reads.c (what went in), cache_folder.c (durability, size), module.c (the key). */
#define _GNU_SOURCE
#include "compile_cache.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

enum { MOST_RESULTS = 16, SUFFIX_SIZE = 8 };
static const char magic[] = "pahindex1 ";

/* ---- The index: a line "= HASH SUFFIX" for a result, then a line "HASH PATH" for each file, or "- PATH" ---- */

/* The text behind its own hash; *data is to be freed. NULL: there is none, or it is damaged. */
static char *read_index(const char *folder, const char *key, char **data) {
  char path[PATH_MAX], own[PAH_KEY_SIZE];
  size_t bytes, head = strlen(magic) + PAH_KEY_SIZE;
  snprintf(path, sizeof path, "%.4000s/%s.index", folder, key);
  if (pah_read_file("cache", path, data, &bytes)) return *data = NULL;
  if (bytes < head || strncmp(*data, magic, strlen(magic)) != 0 || strlen(*data) != bytes) return NULL;
  pah_content_key(*data + head, bytes - head, own);
  return memcmp(*data + strlen(magic), own, PAH_KEY_SIZE - 1) ? NULL : *data + head;
}

/* Reads the result at *at and goes to the next; 0: there is none. */
static int next_result(char **at, char *hash, char *suffix, struct pah_reads *reads) {
  *reads = (struct pah_reads){.count = 0};
  if (!*at || sscanf(*at, "= %32s %7s\n", hash, suffix) != 2) return 0;
  *at = strchr(*at, '\n');
  for (*at += *at != NULL; *at && **at && **at != '='; *at = strchr(*at, '\n'), *at += *at != NULL) {
    char file[PAH_KEY_SIZE];
    int start = 0;
    if (sscanf(*at, "%32s %n", file, &start) != 1 || !start) break;
    char *path = strndup(*at + start, strcspn(*at + start, "\n"));
    if (path) pah_reads_add_known(reads, path, strcmp(file, "-") ? file : "");
    reads->unsure |= !path;
    free(path);
  }
  return 1;
}

static void write_result(FILE *f, const char *hash, const char *suffix, const struct pah_reads *reads) {
  fprintf(f, "= %s %s\n", hash, suffix);
  for (int64_t i = 0; i < reads->count; i++)
    fprintf(f, "%s %s\n", *reads->list[i].key ? reads->list[i].key : "-", reads->list[i].path);
}

/* The new result first, then those before it that differ, but not too many. */
static char *new_index(const char *folder, const char *key, const char *hash, const char *suffix,
                       const struct pah_reads *reads) {
  char *text = NULL, *old, *at, other[PAH_KEY_SIZE], kind[SUFFIX_SIZE];
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  write_result(f, hash, suffix, reads);
  at = read_index(folder, key, &old);
  for (int n = 1; n < MOST_RESULTS; n++) {
    struct pah_reads theirs;
    int there = next_result(&at, other, kind, &theirs);
    if (there && !pah_reads_are_current(&theirs)) write_result(f, other, kind, &theirs);
    pah_reads_free(&theirs);
    if (!there) break;
  }
  free(old);
  return fclose(f) ? free(text), NULL : text;
}

/* ---- Finding ---- */

/* Whether the file holds what its name says; if not it is removed. */
static int is_whole(const char *path, const char *hash) {
  char own[PAH_KEY_SIZE], *data;
  size_t bytes;
  if (pah_read_file("cache", path, &data, &bytes)) return 0;
  pah_content_key(data, bytes, own);
  free(data);
  if (!strcmp(own, hash)) return 1;
  unlink(path);
  return 0;
}

int pah_cache_find(const char *key, const char *suffix, struct pah_reads *reads, char *path, size_t bytes) {
  char folder[PATH_MAX], index[PATH_MAX], hash[PAH_KEY_SIZE], kind[SUFFIX_SIZE], *data;
  int status = pah_cache_folder(folder, sizeof folder), found = 0;
  if (status) return status;
  struct pah_reads theirs = {.count = 0};
  char *at = read_index(folder, key, &data);
  while (!found && next_result(&at, hash, kind, &theirs)) {
    snprintf(path, bytes, "%.3900s/%s.%s", folder, hash, suffix);
    found = !strcmp(kind, suffix) && !theirs.unsure && pah_reads_are_current(&theirs) && is_whole(path, hash);
    if (!found) pah_reads_free(&theirs);
  }
  free(data);
  if (found && reads)
    *reads = theirs;
  else
    pah_reads_free(&theirs);
  if (!found) return 0;
  snprintf(index, sizeof index, "%.3900s/%s.index", folder, key);
  pah_cache_used(path);
  pah_cache_used(index);
  return 1;
}

/* ---- Keeping ---- */

static int write_file(const char *path, const char *head, const void *data, size_t bytes) {
  FILE *f = fopen(path, "wbe");
  int written = f && fputs(head, f) >= 0 && fwrite(data, 1, bytes, f) == bytes;
  if (f && fclose(f)) written = 0;
  return written ? PAH_OK : pah_fail(PAH_EIO, "%s: cannot be written", path);
}

/* Without an index the code is only compiled again, so that its failure is none of the caller's. */
static void keep_index(struct pah_work *w, const char *folder, const char *key, const char *hash, const char *suffix,
                       const struct pah_reads *reads) {
  char path[PATH_MAX], name[64], head[sizeof magic + PAH_KEY_SIZE + 1], own[PAH_KEY_SIZE];
  char *text = new_index(folder, key, hash, suffix, reads);
  if (!text) return;
  pah_content_key(text, strlen(text), own);
  snprintf(head, sizeof head, "%s%s\n", magic, own);
  snprintf(path, sizeof path, "%s/index", w->path);
  snprintf(name, sizeof name, "%s.index", key);
  if (!write_file(path, head, text, strlen(text))) pah_work_keep(w, "index", name);
  free(text);
}

int pah_cache_keep(struct pah_work *w, const char *file, const char *key, const char *suffix,
                   const struct pah_reads *reads, char *path, size_t bytes) {
  char folder[PATH_MAX], made[PATH_MAX], hash[PAH_KEY_SIZE], name[64], *data;
  size_t size;
  snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(w->path, '/') - w->path), w->path);
  snprintf(made, sizeof made, "%s/%.64s", w->path, file);
  int status = pah_read_file("cache", made, &data, &size);
  if (status) return status;
  pah_content_key(data, size, hash);
  free(data);
  snprintf(name, sizeof name, "%s.%s", hash, suffix);
  snprintf(path, bytes, "%.3900s/%s", folder, name);
  status = pah_work_keep(w, file, name);
  if (!status && !reads->unsure) keep_index(w, folder, key, hash, suffix, reads);
  if (!status) pah_cache_trim(name);
  return status;
}

int pah_cache_put(const char *key, const char *suffix, const struct pah_reads *reads, const void *data, size_t bytes) {
  struct pah_work w;
  char path[PATH_MAX];
  int status = pah_work_open(&w);
  if (status) return status;
  snprintf(path, sizeof path, "%s/data", w.path);
  status = write_file(path, "", data, bytes);
  if (!status) status = pah_cache_keep(&w, "data", key, suffix, reads, path, sizeof path);
  pah_work_close(&w);
  return status;
}

int pah_cache_get(const char *key, const char *suffix, void **data, size_t *bytes) {
  char path[PATH_MAX];
  int found = pah_cache_find(key, suffix, NULL, path, sizeof path);
  if (found != 1) return found;
  return pah_read_file("cache", path, (char **)data, bytes) ? 0 : 1; /* gone meanwhile: not there */
}
