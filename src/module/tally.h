/* tally.h - the counters of many launches in one sum, kept by a device that counts (the slot `tally`). See tally.c. */
#ifndef PAH_TALLY_H
#define PAH_TALLY_H

#include "device.h"

struct pah_tally {
  int on; /* launches are summed up */
  int64_t launches;
  struct pah_counters sum;
};

/* Whether a tally of the device runs. */
int pah_tally_on(const struct pah_device *device);
/* What a launch has counted, into the device's tally if one runs. */
void pah_tally_add(struct pah_device *device, const struct pah_report *report);

#endif
