/* tally.c - the counters of many launches in one sum: what lua/pah/measure/init.lua says of a function on sim, which
 * has no time. Launches of built-in kernels count too while a tally runs. Read next: module.c, sim/block/counters.c. */
#include <string.h>

#include "device.h"
#include "error.h"

int pah_device_tally(struct pah_device *device, int on, struct pah_counters *sum, int64_t *launches) {
  if (!device->ops->launch || !device->ops->host_readable)
    return pah_fail(PAH_EUNSUPPORTED, "tally: %s does not count, must be sim", device->info.name);
  if (sum) *sum = device->tally;
  if (launches) *launches = device->tally_launches;
  device->tally_on = on;
  if (on) {
    memset(&device->tally, 0, sizeof device->tally);
    device->tally_launches = 0;
  }
  return PAH_OK;
}

/* The counters before those that describe one launch are a row of int64_t. */
enum { SUMMED = offsetof(struct pah_counters, shared_static_bytes) / sizeof(int64_t) };

void pah_tally_add(struct pah_device *device, const struct pah_report *report) {
  if (!device->tally_on || !report->has_counters) return;
  int64_t *sum = (int64_t *)&device->tally;
  const int64_t *add = (const int64_t *)&report->counters;
  for (int i = 0; i < (int)SUMMED; i++) sum[i] += add[i];
  device->tally_launches++;
}
