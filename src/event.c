/* event.c - moments in the order of a device's work: those of the GPU's own clock on cuda, the host's elsewhere.
 * Read next: device.h, cuda/watch.c. */
#include <stdlib.h>

#include "device.h"
#include "error.h"
#include "pah_measure.h"

struct pah_event {
  struct pah_device *device; /* retained */
  void *handle;              /* the device's own */
  double clock;              /* where it has none */
};

int pah_event_record(struct pah_device *device, struct pah_event **event) {
  struct pah_event *e = calloc(1, sizeof *e);
  int status = PAH_OK;
  if (!e) return pah_fail(PAH_ENOMEM, "event: no memory");
  if (device->ops->event_record)
    status = device->ops->event_record(device, &e->handle);
  else
    e->clock = pah_clock();
  if (status) {
    free(e);
    return status;
  }
  pah_device_retain(device);
  e->device = device;
  *event = e;
  return PAH_OK;
}

int pah_event_elapsed(struct pah_event *from, struct pah_event *to, double *seconds) {
  if (from->device != to->device)
    return pah_fail(PAH_EINVAL, "event: is one of %s, must be one of %s", from->device->info.name,
                    to->device->info.name);
  int status = pah_device_synchronize(to->device);
  if (status) return status;
  if (to->device->ops->event_record)
    return to->device->ops->event_elapsed(to->device, from->handle, to->handle, seconds);
  *seconds = to->clock - from->clock;
  return PAH_OK;
}

void pah_event_free(struct pah_event *event) {
  if (!event) return;
  if (event->handle) event->device->ops->event_free(event->device, event->handle);
  pah_device_release(event->device);
  free(event);
}
