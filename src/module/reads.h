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

/* What a compiler has written by -MD, but for files below `skip`; then the files that would be found first, were they
 * there: `include` are the folders that are searched. */
void pah_reads_depfile(struct pah_reads *r, const char *path, const char *skip);
void pah_reads_shadows(struct pah_reads *r, char *const *include);

/* For a compiler that does not tell: all that the text, or a file that it may include, names by #include, whatever the
 * conditions around it say. Files that lie in no folder of `include` stand for themselves. */
void pah_reads_scan(struct pah_reads *r, const char *text, const char *path, char *const *include);

/* Words of a source that make its result depend on more than its files: __TIME__, __has_include, .incbin. */
void pah_reads_words(struct pah_reads *r, const char *text);

#endif
