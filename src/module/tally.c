/* tally.c - the counters of many launches in one sum: what lua/pah/measure/init.lua says of a function on sim, which
 * has no time. Launches of built-in kernels count too while a tally runs. Read next: module.c, sim/check/counters.c. */
#include "tally.h"

#include "error.h"

/* The counters before those that describe one launch are a row of int64_t. */
enum { SUMMED = offsetof(struct pah_counters, shared_static_bytes) / sizeof(int64_t) };

static struct pah_tally *tally_of(const struct pah_device *device) {
  return device->ops->tally ? device->ops->tally((struct pah_device *)device) : NULL;
}

int pah_tally_on(const struct pah_device *device) {
  const struct pah_tally *t = tally_of(device);
  return t && t->on;
}

int pah_device_tally(struct pah_device *device, int on, struct pah_counters *sum, int64_t *launches) {
  struct pah_tally *t = tally_of(device);
  if (!t) return pah_fail(PAH_EUNSUPPORTED, "tally: %s does not count, must be sim", device->info.name);
  if (sum) *sum = t->sum;
  if (launches) *launches = t->launches;
  if (on) *t = (struct pah_tally){0};
  t->on = on;
  return PAH_OK;
}

void pah_tally_add(struct pah_device *device, const struct pah_report *report) {
  if (!pah_tally_on(device) || !report->has_counters) return;
  struct pah_tally *t = tally_of(device);
  int64_t *sum = (int64_t *)&t->sum;
  const int64_t *add = (const int64_t *)&report->counters;
  for (int i = 0; i < (int)SUMMED; i++) sum[i] += add[i];
  t->launches++;
}
