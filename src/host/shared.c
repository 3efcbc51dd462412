/* shared.c - memory for another process: on the host an anonymous file (memfd) that the other opens through /proc while
 * this process lives; on cuda the device's own (its slot `share`). Read next: shared.h, lua/pah/worker/init.lua. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "error.h"
#include "shared.h"

struct pah_shared {
  struct pah_device *device;
  void *data;
  int64_t bytes;
  int fd; /* of the host's; -1: of the device's */
  char name[2 * PAH_SHARE_HANDLE + 1];
};

static int host_memory(struct pah_shared *s) {
  s->fd = memfd_create("pah", MFD_CLOEXEC);
  if (s->fd < 0) return pah_fail(PAH_EIO, "shared: memfd_create: %s", strerror(errno));
  if (ftruncate(s->fd, s->bytes))
    return pah_fail(PAH_ENOMEM, "shared: no memory of %lld bytes: %s", (long long)s->bytes, strerror(errno));
  void *data = mmap(NULL, (size_t)s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
  if (data == MAP_FAILED)
    return pah_fail(PAH_ENOMEM, "shared: no memory of %lld bytes: %s", (long long)s->bytes, strerror(errno));
  s->data = data;
  snprintf(s->name, sizeof s->name, "/proc/%ld/fd/%d", (long)getpid(), s->fd);
  return PAH_OK;
}

static int device_memory(struct pah_shared *s) {
  unsigned char handle[PAH_SHARE_HANDLE];
  int status = s->device->ops->share(s->device, s->bytes, &s->data, handle);
  for (int i = 0; !status && i < PAH_SHARE_HANDLE; i++) snprintf(s->name + 2 * i, 3, "%02x", handle[i]);
  return status;
}

int pah_shared_new(struct pah_device *device, int64_t bytes, struct pah_shared **shared) {
  if (bytes < 1) return pah_fail(PAH_EINVAL, "bytes: is %lld, must be at least 1", (long long)bytes);
  struct pah_shared *s = calloc(1, sizeof *s);
  if (!s) return pah_fail(PAH_ENOMEM, "shared: no memory");
  *s = (struct pah_shared){.device = device, .bytes = bytes, .fd = -1};
  pah_device_retain(device);
  int status = device->ops->share ? device_memory(s) : host_memory(s);
  if (status) return pah_shared_free(s), status;
  *shared = s;
  return PAH_OK;
}

void *pah_shared_data(const struct pah_shared *shared) {
  return shared->data;
}

const char *pah_shared_name(const struct pah_shared *shared) {
  return shared->name;
}

void pah_shared_free(struct pah_shared *shared) {
  if (!shared) return;
  if (shared->data && shared->device->ops->share) shared->device->ops->unshare(shared->device, shared->data);
  if (shared->data && shared->fd >= 0) munmap(shared->data, (size_t)shared->bytes);
  if (shared->fd >= 0) close(shared->fd);
  pah_device_release(shared->device);
  free(shared);
}
