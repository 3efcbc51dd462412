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

void pah_tally_add(struct pah_device *device, const struct pah_report *report) {
  if (!device->tally_on || !report->has_counters) return;
  struct pah_counters *sum = &device->tally;
  const struct pah_counters *c = &report->counters;
  device->tally_launches++;
  sum->thread_blocks += c->thread_blocks;
  sum->threads += c->threads;
  sum->global_load_bytes += c->global_load_bytes;
  sum->global_store_bytes += c->global_store_bytes;
  sum->global_sectors += c->global_sectors;
  sum->global_sectors_ideal += c->global_sectors_ideal;
  sum->global_unique_bytes += c->global_unique_bytes;
  sum->shared_bytes += c->shared_bytes;
  sum->shared_wavefronts += c->shared_wavefronts;
  sum->shared_wavefronts_ideal += c->shared_wavefronts_ideal;
  sum->atomics += c->atomics;
  sum->barriers += c->barriers;
  sum->warp_barriers += c->warp_barriers;
  sum->shuffles += c->shuffles;
  sum->mma_flops += c->mma_flops;
  sum->async_bytes += c->async_bytes;
}
