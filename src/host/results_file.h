/* results_file.h - what lua/pah/results/init.lua needs of the system: a line appended to a file, a lock of a run, a
 * hash. The last of the interface headers (INTERFACE in Makefile.am). Read next: results_file.c, sha256.c. */
#ifndef PAH_FILE_H
#define PAH_FILE_H

#include <stdint.h>

/* Appends `size` bytes, a line with its newline, under a lock of the file, and waits for the disk. What a killed
 * process has left of a line is cut off before (*cut bytes). On failure the file is as it was. create: 1 makes the
 * file. */
int pah_file_append(const char *path, const char *text, int64_t size, int create, int64_t *cut);

/* A lock of the file that no other holder of `key` (at most 2^32) can have until *fd is unlocked or the process ends;
 * PAH_EINVAL while another has it. Nothing else is kept from the file. create: 1 makes the file, empty. */
int pah_file_lock(const char *path, uint64_t key, int create, int *fd);
void pah_file_unlock(int fd);

void pah_sha256(const void *data, int64_t bytes, char *hex); /* hex: 64 digits and a NUL */

#endif
