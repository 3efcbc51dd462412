/* results_file.c - files of results: a line that is appended whole or not at all, and a lock that ends with its
 * process. Promises: a line is on the disk when pah_file_append returns; several processes may append to one file; what
 * a killed one has left of a line is taken away by the next. Read next: lua/pah/results/jsonl.lua. */
#define _GNU_SOURCE
#include "results_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

/* Locks are of the open file (OFD) and not of the process: another descriptor of this file, such as SQLite's, may be
 * closed without ending them. Bytes below LOCKS are those of the lines, above them there is one for each key. */
static const int64_t LOCKS = (int64_t)1 << 41;

static int lock_bytes(int fd, int64_t from, int64_t count, int wait) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = count};
  int failed;
  do failed = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
  while (failed && errno == EINTR);
  return failed;
}

static int fail_at(const char *path, const char *what) {
  return pah_fail(PAH_EIO, "results: %s %s: %s", path, what, strerror(errno));
}

/* Whether the text is a whole object of JSON: its braces close at its end, those in strings aside. */
static int is_object(const char *text, int64_t size) {
  int64_t depth = 0;
  int in_string = 0;
  if (size < 2 || text[0] != '{') return 0;
  for (int64_t i = 0; i < size; i++) {
    if (in_string) {
      if (text[i] == '\\')
        i++;
      else if (text[i] == '"')
        in_string = 0;
    } else if (text[i] == '"') {
      in_string = 1;
    } else if (text[i] == '{') {
      depth++;
    } else if (text[i] == '}' && --depth == 0) {
      return i == size - 1;
    }
  }
  return 0;
}

/* What stands behind the last newline, malloc'ed; *size is its length. NULL with errno set if it cannot be read. */
static char *read_tail(int fd, int64_t file_size, int64_t *size) {
  char *tail = NULL;
  for (int64_t want = 4096;; want *= 4) {
    if (want > file_size) want = file_size;
    char *more = realloc(tail, (size_t)want + 1);
    if (!more) return free(tail), NULL;
    tail = more;
    int64_t got = pread(fd, tail, (size_t)want, file_size - want);
    if (got != want) return free(tail), NULL;
    char *newline = memrchr(tail, '\n', (size_t)want);
    if (!newline && want < file_size) continue;
    *size = newline ? tail + want - newline - 1 : want;
    memmove(tail, tail + want - *size, (size_t)*size);
    return tail;
  }
}

/* Makes the file end with a newline: what is no whole line is cut off, and *cut says how many bytes. */
static int mend(int fd, const char *path, int64_t *file_size, int64_t *cut) {
  int64_t size = 0;
  char *tail = read_tail(fd, *file_size, &size);
  if (!tail) return fail_at(path, "cannot be read");
  int whole = size == 0 || is_object(tail, size);
  free(tail);
  if (size == 0) return PAH_OK;
  if (whole) { /* all but the newline was written, or an editor has taken it away */
    if (write(fd, "\n", 1) != 1) return fail_at(path, "cannot be written");
    ++*file_size;
    return PAH_OK;
  }
  if (ftruncate(fd, *file_size - size)) return fail_at(path, "cannot be mended");
  *file_size -= size;
  *cut = size;
  return PAH_OK;
}

static int write_all(int fd, const char *text, int64_t size) {
  while (size > 0) {
    int64_t n = write(fd, text, (size_t)size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    text += n, size -= n;
  }
  return fdatasync(fd);
}

/* The entry of a new file is durable when its folder is. */
static void sync_folder(const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
  int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) fsync(fd), close(fd);
  free(folder);
}

static int append_locked(int fd, const char *path, const char *text, int64_t size, int create, int64_t *cut) {
  struct stat about;
  if (lock_bytes(fd, 0, LOCKS, 1)) return fail_at(path, "cannot be locked");
  if (fstat(fd, &about)) return fail_at(path, "cannot be looked at");
  if (!S_ISREG(about.st_mode)) return pah_fail(PAH_EIO, "results: %s is not a regular file", path);
  int64_t file_size = about.st_size;
  if (!create && file_size == 0) return pah_fail(PAH_EIO, "results: %s has been emptied", path);
  int status = file_size > 0 ? mend(fd, path, &file_size, cut) : PAH_OK;
  if (status) return status;
  if (write_all(fd, text, size)) {
    int why = errno;
    if (ftruncate(fd, file_size)) why = errno;
    errno = why;
    return fail_at(path, "cannot be written, what it held before is unharmed");
  }
  if (file_size == 0) sync_folder(path);
  return PAH_OK;
}

int pah_file_append(const char *path, const char *text, int64_t size, int create, int64_t *cut) {
  *cut = 0;
  int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (create ? O_CREAT : 0), 0666);
  if (fd < 0) return fail_at(path, "cannot be opened for writing");
  int status = append_locked(fd, path, text, size, create, cut);
  close(fd);
  return status;
}

/* Whether the path still leads to the file of fd: another process may have removed it since it was opened. */
static int is_at(int fd, const char *path) {
  struct stat opened, named;
  return !fstat(fd, &opened) && !stat(path, &named) && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

int pah_file_lock(const char *path, uint64_t key, int create, int *fd) {
  for (int tries = 0; tries < 100; tries++) {
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (create ? O_CREAT : 0), 0666);
    if (*fd < 0) return fail_at(path, "cannot be opened for writing");
    int failed = lock_bytes(*fd, LOCKS + (int64_t)key, 1, 0), why = errno;
    if (!failed && is_at(*fd, path)) return PAH_OK;
    close(*fd);
    *fd = -1;
    if (!failed) continue;
    errno = why;
    if (why != EAGAIN && why != EACCES) return fail_at(path, "cannot be locked");
    return pah_fail(PAH_EINVAL, "results: %s: another process holds the lock", path);
  }
  return pah_fail(PAH_EIO, "results: %s: another process removes it again and again", path);
}

void pah_file_unlock(int fd) {
  if (fd >= 0) close(fd);
}
