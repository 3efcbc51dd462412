/* device.c - the open devices: counting their references and their memory.
 * Promises: one object per name; a device closes when the last handle and the last buffer on it are gone.
 * Read next: device.h (what a device must provide), devices.c (the kinds that there are), cpu/device.c. */
#include "device.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

static struct pah_device *open_devices;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;

/* Called with list_lock held. */
static int open_new(const struct pah_device_ops *ops, const char *name, const char *arg, struct pah_device **device) {
  int status = ops->usable(arg);
  if (status) return status;
  struct pah_device *dev = calloc(1, sizeof *dev);
  if (!dev) return pah_fail(PAH_ENOMEM, "device: no memory for %s", name);
  dev->ops = ops;
  dev->references = 1;
  pthread_mutex_init(&dev->lock, NULL);
  strncpy(dev->info.name, name, sizeof dev->info.name - 1);
  status = ops->open(dev, arg);
  if (status) {
    pthread_mutex_destroy(&dev->lock);
    free(dev);
    return status;
  }
  dev->next = open_devices;
  open_devices = dev;
  *device = dev;
  return PAH_OK;
}

int pah_device_open_kind(const struct pah_device_ops *ops, const char *name, const char *arg,
                         struct pah_device **device) {
  pthread_mutex_lock(&list_lock);
  int status = PAH_OK;
  struct pah_device *dev = open_devices;
  while (dev && strcmp(dev->info.name, name) != 0) dev = dev->next;
  if (dev) {
    pah_device_retain(dev);
    *device = dev;
  } else {
    status = open_new(ops, name, arg, device);
  }
  pthread_mutex_unlock(&list_lock);
  return status;
}

void pah_device_retain(struct pah_device *dev) {
  pthread_mutex_lock(&dev->lock);
  dev->references++;
  pthread_mutex_unlock(&dev->lock);
}

void pah_device_release(struct pah_device *dev) {
  if (!dev) return;
  pthread_mutex_lock(&list_lock);
  pthread_mutex_lock(&dev->lock);
  int64_t left = --dev->references;
  pthread_mutex_unlock(&dev->lock);
  if (left == 0) {
    struct pah_device **at = &open_devices;
    while (*at != dev) at = &(*at)->next;
    *at = dev->next;
  }
  pthread_mutex_unlock(&list_lock);
  if (left) return;
  if (dev->ops->close) dev->ops->close(dev);
  pthread_mutex_destroy(&dev->lock);
  free(dev);
}

int pah_device_get_info(struct pah_device *dev, struct pah_device_info *info) {
  *info = dev->info;
  if (dev->ops->info) dev->ops->info(dev, info);
  return PAH_OK;
}

void pah_device_get_memory(struct pah_device *dev, struct pah_memory *memory) {
  pthread_mutex_lock(&dev->lock);
  *memory = dev->memory;
  pthread_mutex_unlock(&dev->lock);
  if (dev->ops->memory) dev->ops->memory(dev, memory);
}

int pah_device_synchronize(struct pah_device *dev) {
  return dev->ops->synchronize ? dev->ops->synchronize(dev) : PAH_OK;
}

int pah_device_set(struct pah_device *dev, const char *name, const char *value) {
  if (!strcmp(name, "check")) {
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
      return pah_fail(PAH_EINVAL, "check: is \"%.32s\", must be 0 or 1", value);
    if (dev->ops->host_readable || dev->info.host_memory) { /* the core itself looks over the tables */
      if (*value == '1') return PAH_OK;
      return pah_fail(PAH_EINVAL, "check: is 0, but %s always checks block tables and lengths", dev->info.name);
    }
  }
  if (!dev->ops->set)
    return pah_fail(PAH_EINVAL, "%.32s: is not a setting of %s, which has none of its own", name, dev->info.name);
  return dev->ops->set(dev, name, value);
}

int pah_device_alloc(struct pah_device *dev, int64_t bytes, void **data) {
  int status = dev->ops->alloc(dev, bytes, data);
  if (status) return status;
  pthread_mutex_lock(&dev->lock);
  dev->memory.bytes += bytes;
  dev->memory.buffers++;
  if (dev->memory.bytes > dev->memory.peak_bytes) dev->memory.peak_bytes = dev->memory.bytes;
  pthread_mutex_unlock(&dev->lock);
  return PAH_OK;
}

void pah_device_free(struct pah_device *dev, void *data, int64_t bytes) {
  dev->ops->free(dev, data, bytes);
  pthread_mutex_lock(&dev->lock);
  dev->memory.bytes -= bytes;
  dev->memory.buffers--;
  pthread_mutex_unlock(&dev->lock);
}
