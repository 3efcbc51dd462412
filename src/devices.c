/* devices.c - the list of devices, and opening one by its name. The only file of the core that names a backend.
 * Read next: device.h (what a device must provide), device.c. */
#include <string.h>

#include "device.h"
#include "error.h"

static const struct pah_device_ops *const kinds[] = {&pah_cpu_ops, &pah_cuda_ops, &pah_sim_ops};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

const char *pah_device_kind(int64_t i) {
  return i >= 0 && i < KIND_COUNT ? kinds[i]->kind : NULL;
}

/* Splits "kind:arg". The reason is left in the error line when there is no such kind. */
static const struct pah_device_ops *find_kind(const char *name, const char **arg) {
  if (!name) {
    pah_fail(PAH_EINVAL, "device: the name is NULL, must be cpu, cuda or sim");
    return NULL;
  }
  const char *colon = strchr(name, ':');
  size_t length = colon ? (size_t)(colon - name) : strlen(name);
  *arg = colon ? colon + 1 : "";
  for (int i = 0; i < KIND_COUNT; i++)
    if (strlen(kinds[i]->kind) == length && !strncmp(kinds[i]->kind, name, length)) return kinds[i];
  pah_fail(PAH_EINVAL, "device: \"%.64s\" is not a device, must be cpu[:ISA], cuda[:N] or sim[:ARCH]", name);
  return NULL;
}

int pah_device_usable(const char *name) {
  const char *arg;
  const struct pah_device_ops *ops = find_kind(name, &arg);
  return ops ? ops->usable(arg) : PAH_EINVAL;
}

int pah_device_open(const char *name, struct pah_device **device) {
  const char *arg;
  const struct pah_device_ops *ops = find_kind(name, &arg);
  if (!ops) return PAH_EINVAL;
  if (strlen(name) >= sizeof((struct pah_device_info *)0)->name)
    return pah_fail(PAH_EINVAL, "device: the name \"%.32s...\" is too long", name);
  return pah_device_open_kind(ops, name, arg, device);
}
