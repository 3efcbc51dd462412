/* cache_folder.h - the folder of compiled code: where it is, rooms to work in, how large it may grow. See
 * cache_folder.c. */
#ifndef PAH_CACHE_FOLDER_H
#define PAH_CACHE_FOLDER_H

#include <stddef.h>
#include <stdint.h>

/* The path of the folder, made if it is not there. It must be the user's own and nobody else may write to it. */
int pah_cache_folder(char *path, size_t bytes);

/* A folder of one compilation's own, within the cache: whatever is left in it goes at the end, or with the next
 * compilation of anyone if this process is killed. */
struct pah_work {
  char path[4000];
  int lock; /* descriptor; -1: there is none */
};
int pah_work_open(struct pah_work *w);
void pah_work_close(struct pah_work *w);

/* From the work folder into the cache, under a name there; it lasts, whatever happens to the machine. */
int pah_work_keep(const struct pah_work *w, const char *file, const char *name);

/* Notes that the entry is in use. Removes those that have not been used for longest, but `keep`, until the folder is
 * within its limit. */
void pah_cache_used(const char *path);
void pah_cache_trim(const char *keep);

#endif
