/* compile_cache.h - compiled modules on disk, by a key that stands for all that they depend on. See compile_cache.c. */
#ifndef PAH_CACHE_H
#define PAH_CACHE_H

#include <stddef.h>
#include <stdint.h>

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

/* The path of the entry KEY.SUFFIX. Returns 1 if it is there, 0 if not, or an error if the folder is unusable: it must
 * be the user's own and nobody else may write to it. */
int pah_cache_find(const char *key, const char *suffix, char *path, size_t bytes);
/* A new empty file in the cache folder, to be filled and then moved into place (atomically) or removed. */
int pah_cache_temporary(char *path, size_t bytes);
int pah_cache_commit(const char *temporary, const char *key, const char *suffix, char *path, size_t bytes);
/* The same for contents in memory. get: *data is malloc'ed; 1 there, 0 not. */
int pah_cache_put(const char *key, const char *suffix, const void *data, size_t bytes);
int pah_cache_get(const char *key, const char *suffix, void **data, size_t *bytes);

/* A whole file, with a 0 behind it; *data is malloc'ed. The error line names `what` and the path. */
int pah_read_file(const char *what, const char *path, char **data, size_t *bytes);

#endif
