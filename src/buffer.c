/* buffer.c - counted memory: of a device, or of a file mapped privately (writes stay in this process).
 * Promises: the last release frees; a buffer keeps its device open. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "error.h"

struct pah_buffer {
  atomic_int_fast64_t references;
  struct pah_device *device;
  void *data;
  int64_t bytes;
  int mapped; /* from a file */
};

static int buffer_wrap(struct pah_device *device, void *data, int64_t bytes, int mapped, struct pah_buffer **buffer) {
  struct pah_buffer *b = malloc(sizeof *b);
  if (!b) return pah_fail(PAH_ENOMEM, "buffer: no memory");
  *b = (struct pah_buffer){.device = device, .data = data, .bytes = bytes, .mapped = mapped};
  atomic_init(&b->references, 1);
  pah_device_retain(device);
  *buffer = b;
  return PAH_OK;
}

int pah_buffer_new(struct pah_device *device, int64_t bytes, struct pah_buffer **buffer) {
  if (bytes < 0) return pah_fail(PAH_EINVAL, "bytes: is %lld, must not be negative", (long long)bytes);
  if (bytes == 0) bytes = 1; /* so that every tensor has an address */
  void *data;
  int status = pah_device_alloc(device, bytes, &data);
  if (status) return status;
  status = buffer_wrap(device, data, bytes, 0, buffer);
  if (status) pah_device_free(device, data, bytes);
  return status;
}

int pah_buffer_map(struct pah_device *device, const char *path, struct pah_buffer **buffer) {
  if (!device->info.host_memory)
    return pah_fail(PAH_EUNSUPPORTED, "device: %s cannot map a file, must be cpu or sim", device->info.name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return pah_fail(PAH_EIO, "%s: %s", path, strerror(errno));
  struct stat st;
  void *data = MAP_FAILED;
  int status = PAH_OK;
  if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
    status = pah_fail(PAH_EIO, "%s: not a regular file", path);
  } else if (st.st_size == 0) {
    status = pah_fail(PAH_EIO, "%s: the file is empty", path);
  } else {
    data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) status = pah_fail(PAH_EIO, "%s: cannot be mapped: %s", path, strerror(errno));
  }
  close(fd);
  if (status) return status;
  status = buffer_wrap(device, data, st.st_size, 1, buffer);
  if (status) munmap(data, (size_t)st.st_size);
  return status;
}

void pah_buffer_retain(struct pah_buffer *b) {
  if (b) atomic_fetch_add(&b->references, 1);
}

void pah_buffer_release(struct pah_buffer *b) {
  if (!b || atomic_fetch_sub(&b->references, 1) != 1) return;
  if (b->mapped)
    munmap(b->data, (size_t)b->bytes);
  else
    pah_device_free(b->device, b->data, b->bytes);
  pah_device_release(b->device);
  free(b);
}

void *pah_buffer_data(const struct pah_buffer *b) {
  return b->data;
}

int64_t pah_buffer_bytes(const struct pah_buffer *b) {
  return b->bytes;
}
