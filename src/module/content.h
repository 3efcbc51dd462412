/* content.h - files by their contents: reading one whole, and hashes that stand for what was read. See content.c. */
#ifndef PAH_CONTENT_H
#define PAH_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

enum { PAH_KEY_SIZE = 33 }; /* 32 hex digits and the end */

/* A hash that grows by what is added; finish writes the key. */
__extension__ typedef unsigned __int128 pah_u128;
struct pah_hash {
  pah_u128 state;
};
void pah_hash_init(struct pah_hash *h);
void pah_hash_add(struct pah_hash *h, const void *data, size_t bytes);
void pah_hash_string(struct pah_hash *h, const char *s); /* with its end, so that "ab","c" differs from "a","bc" */
void pah_hash_finish(const struct pah_hash *h, char key[PAH_KEY_SIZE]);

/* The key of some bytes; that of a file as it is now: 1, or 0 if there is no such file that can be read. */
void pah_content_key(const void *data, size_t bytes, char key[PAH_KEY_SIZE]);
int pah_content_key_of(const char *path, char key[PAH_KEY_SIZE]);

/* Whether every change of the file came before `when`, as far as the clock of its file system tells. */
int pah_content_settled(const struct stat *about, struct timespec when);

/* A whole file, with a 0 behind it; *data is malloc'ed. The error line names `what` and the path. */
int pah_read_file(const char *what, const char *path, char **data, size_t *bytes);

#endif
