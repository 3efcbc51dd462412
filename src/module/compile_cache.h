/* compile_cache.h - compiled code on disk, found again as long as all that went into it is as it was. See
 * compile_cache.c. */
#ifndef PAH_CACHE_H
#define PAH_CACHE_H

#include "cache_folder.h"
#include "content.h"
#include "reads.h"

/* What was kept under the key, whose files are as they were, with its contents verified. Returns 1 and its path, 0 if
 * there is nothing of use, or an error if the folder is unusable. `reads`, if not NULL, gets the files. */
int pah_cache_find(const char *key, const char *suffix, struct pah_reads *reads, char *path, size_t bytes);
/* Moves a file of the work folder into the cache. If `reads` is sure, it can be found again by the key. */
int pah_cache_keep(struct pah_work *w, const char *file, const char *key, const char *suffix,
                   const struct pah_reads *reads, char *path, size_t bytes);

/* The same for contents in memory. get: *data is malloc'ed; 1 there, 0 not. */
int pah_cache_put(const char *key, const char *suffix, const struct pah_reads *reads, const void *data, size_t bytes);
int pah_cache_get(const char *key, const char *suffix, void **data, size_t *bytes);

#endif
