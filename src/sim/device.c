/* sim/device.c - the slot of the simulated GPU. This version ships no kernels for it: opening it says so.
 * Read next: ../device.h. */
#include "../device.h"
#include "../error.h"

static int sim_usable(const char *arg) {
  (void)arg;
  return pah_fail(PAH_EDEVICE,
                  "sim is not usable because this version of pah has no simulator yet; use device \"cpu\"");
}

static int sim_open(struct pah_device *dev, const char *arg) {
  (void)dev;
  return sim_usable(arg);
}

const struct pah_device_ops pah_sim_ops = {.kind = "sim", .usable = sim_usable, .open = sim_open};
