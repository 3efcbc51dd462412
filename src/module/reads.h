/* reads.h - the files that went into a compilation, each with the key of its contents, and those that would have gone
 * in had they been there. See reads.c. */
#ifndef PAH_READS_H
#define PAH_READS_H

#include "content.h"

struct pah_read {
  char *path;
  char key[PAH_KEY_SIZE]; /* of its contents; "": there was no such file */
};

struct pah_reads {
  struct pah_read *list;
  int64_t count;
  int unsure;            /* something else may have gone in: the result must not be used again */
  struct timespec since; /* when the compiler was started */
};

/* begin: before the compiler starts. end: after it; what was changed meanwhile makes the list unsure. */
void pah_reads_begin(struct pah_reads *r);
void pah_reads_end(struct pah_reads *r);
void pah_reads_free(struct pah_reads *r);

/* A file as it is now, or that there is none; one whose key is known; all of another list. */
void pah_reads_add(struct pah_reads *r, const char *path);
void pah_reads_add_known(struct pah_reads *r, const char *path, const char *key);
void pah_reads_add_all(struct pah_reads *r, const struct pah_reads *more);

/* Whether each of them is as it was. */
int pah_reads_are_current(const struct pah_reads *r);

/* What a compiler has written by -MD, but for files below `skip`. */
void pah_reads_depfile(struct pah_reads *r, const char *path, const char *skip);

/* All that the text, or a file that it may include, names by #include or asks for by __has_include, whatever the
 * conditions around it say, and the places where such a file would be found first, were it there. Files that lie in no
 * folder of `include` stand for themselves. `told`: the compiler tells what it has read, so that an #include that
 * cannot be followed is no harm. Files that are listed already are not looked into. */
void pah_reads_scan(struct pah_reads *r, const char *text, const char *path, char *const *include, int told);

#endif
