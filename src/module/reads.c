/* reads.c - the files that went into a compilation: told by the compiler (g++ -MD), and found by following each
 * #include into every file that it could mean (NVRTC tells nothing). Too many are harmless; one too few would bring
 * back code that is out of date, so whatever cannot be followed makes the list unsure. Read next: scan.c,
 * compile_cache.c. */
#define _GNU_SOURCE
#include "reads.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

void pah_reads_begin(struct pah_reads *r) {
  *r = (struct pah_reads){.count = 0};
  /* What was written just now has its time behind it by a tick then, and differs from what is changed from here on. */
  nanosleep(&(struct timespec){.tv_nsec = 10100000}, NULL);
  clock_gettime(CLOCK_REALTIME, &r->since);
}

void pah_reads_end(struct pah_reads *r) {
  struct stat about;
  for (int64_t i = 0; i < r->count && !r->unsure; i++)
    if (*r->list[i].key && (stat(r->list[i].path, &about) || !pah_content_settled(&about, r->since))) r->unsure = 1;
  if (!r->unsure && !pah_reads_are_current(r)) r->unsure = 1;
}

void pah_reads_free(struct pah_reads *r) {
  for (int64_t i = 0; i < r->count; i++) free(r->list[i].path);
  free(r->list);
  *r = (struct pah_reads){.count = 0};
}

static int is_listed(const struct pah_reads *r, const char *path) {
  for (int64_t i = 0; i < r->count; i++)
    if (!strcmp(r->list[i].path, path)) return 1;
  return 0;
}

void pah_reads_add_known(struct pah_reads *r, const char *path, const char *key) {
  if (is_listed(r, path)) return;
  struct pah_read *more = realloc(r->list, (size_t)(r->count + 1) * sizeof *more);
  char *copy = strdup(path);
  if (more) r->list = more;
  if (!more || !copy || strchr(path, '\n')) { /* a list is kept by lines */
    free(copy);
    r->unsure = 1;
    return;
  }
  struct pah_read *read = &r->list[r->count++];
  read->path = copy;
  snprintf(read->key, sizeof read->key, "%s", key);
}

void pah_reads_add(struct pah_reads *r, const char *path) {
  char key[PAH_KEY_SIZE];
  if (is_listed(r, path)) return;
  if (!pah_content_key_of(path, key)) *key = 0;
  pah_reads_add_known(r, path, key);
}

void pah_reads_add_all(struct pah_reads *r, const struct pah_reads *more) {
  for (int64_t i = 0; i < more->count; i++) pah_reads_add_known(r, more->list[i].path, more->list[i].key);
  r->unsure |= more->unsure;
}

int pah_reads_are_current(const struct pah_reads *r) {
  for (int64_t i = 0; i < r->count; i++) {
    char key[PAH_KEY_SIZE];
    if (!pah_content_key_of(r->list[i].path, key)) *key = 0;
    if (strcmp(key, r->list[i].key) != 0) return 0;
  }
  return 1;
}

/* ---- As the compiler tells ---- */

/* The next name of a rule of make, unquoted in place: "a\ b", "\#" and "$$" are one character each. */
static char *next_name(char **at) {
  char *p = *at, *out, *name;
  for (;; p++) {
    if (p[0] == '\\' && p[1] == '\n')
      p++;
    else if (*p != ' ' && *p != '\n' && *p != '\t' && *p != '\r')
      break;
  }
  if (!*p) return NULL;
  for (name = out = p; *p && *p != ' ' && *p != '\n' && *p != '\t' && *p != '\r'; p++) {
    if (p[0] == '\\' && (p[1] == ' ' || p[1] == '#' || p[1] == '\t' || p[1] == '\\')) p++;
    if (p[0] == '$' && p[1] == '$') p++;
    *out++ = *p;
  }
  *at = *p ? p + 1 : p;
  *out = 0;
  return name;
}

void pah_reads_depfile(struct pah_reads *r, const char *path, const char *skip) {
  char *text, *colon, *name;
  if (pah_read_file("depfile", path, &text, NULL)) {
    r->unsure = 1;
    return;
  }
  colon = strstr(text, ": ");
  if (!colon) r->unsure = 1;
  char *at = colon ? colon + 2 : text;
  while (colon && (name = next_name(&at))) {
    char key[PAH_KEY_SIZE];
    if (!strncmp(name, skip, strlen(skip))) continue;
    if (pah_content_key_of(name, key))
      pah_reads_add_known(r, name, key);
    else
      r->unsure = 1; /* gone meanwhile */
  }
  free(text);
}

/* ---- As the text tells ---- */

/* Words of a source that make its result depend on more than its files. */
static void look_for_words(struct pah_reads *r, const char *text) {
  static const char *const words[] = {"__has_embed", ".incbin", "__TIME__", "__DATE__", "__TIMESTAMP__"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strstr(text, words[i])) r->unsure = 1;
}

struct walk {
  struct pah_reads *reads;
  char *const *include;
  int told;
  const char *folder; /* of the file that includes */
  int depth;
};

static void walk_text(struct walk *w, const char *path, const char *text);

static void walk_file(struct walk *w, const char *folder, const char *name) {
  char path[PATH_MAX], *text;
  if ((size_t)snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name) >= sizeof path) {
    w->reads->unsure = 1;
    return;
  }
  if (is_listed(w->reads, path)) return;
  pah_reads_add(w->reads, path);
  if (pah_read_file("include", path, &text, NULL)) return;
  walk_text(w, path, text);
  free(text);
}

static void walk_include(void *data, const char *name, int how) {
  struct walk *w = data;
  if (*name == '/') {
    walk_file(w, "", name);
    return;
  }
  if (how & PAH_QUOTED) walk_file(w, w->folder, name);
  for (char *const *folder = w->include; *folder; folder++) walk_file(w, *folder, name);
  static const char *const systems[] = {"/usr/local/include", "/usr/include"};
  for (int i = 0; i < 2 && how & PAH_ASKED; i++) {
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", systems[i], name) < sizeof path) pah_reads_add(w->reads, path);
  }
}

static void walk_text(struct walk *w, const char *path, const char *text) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/'), *outer = w->folder;
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
  look_for_words(w->reads, text);
  if (w->depth >= 200) {
    w->reads->unsure = 1;
    return;
  }
  w->depth++;
  w->folder = folder;
  int asks, clear = pah_scan_includes(text, walk_include, w, &asks);
  if (!asks || (!clear && !w->told)) w->reads->unsure = 1;
  w->folder = outer;
  w->depth--;
}

void pah_reads_scan(struct pah_reads *r, const char *text, const char *path, char *const *include, int told) {
  struct walk w = {.reads = r, .include = include, .told = told};
  walk_text(&w, path, text);
}
