/* cuda/device.c - the slot of the cuda device. This version ships no CUDA kernels: opening it says what is there and
 * what is missing, and touches nothing else. Read next: ../device.h. */
#include <dlfcn.h>

#include "../device.h"
#include "../error.h"

static int cuda_usable(const char *arg) {
  (void)arg;
  void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (!driver)
    return pah_fail(PAH_EDEVICE,
                    "cuda is not usable because libcuda.so.1 cannot be opened: no NVIDIA driver is installed here; "
                    "install one, or use device \"cpu\"");
  dlclose(driver);
  return pah_fail(PAH_EDEVICE,
                  "cuda is not usable because this version of pah has no CUDA kernels yet (a driver is installed); "
                  "use device \"cpu\"");
}

static int cuda_open(struct pah_device *dev, const char *arg) {
  (void)dev;
  return cuda_usable(arg);
}

const struct pah_device_ops pah_cuda_ops = {.kind = "cuda", .usable = cuda_usable, .open = cuda_open};
