/* kernels.c - pah_kernel_at: the list of kernels.h as a table. */
#include "kernels.h"

#include "pah_module.h"

#define ROW(device, op, name, dtypes, limits, about) {device, op, name, dtypes, limits, about},
static const struct pah_kernel kernels[] = {PAH_KERNELS(ROW)};
#undef ROW

const struct pah_kernel *pah_kernel_at(int64_t i) {
  return i >= 0 && i < (int64_t)(sizeof kernels / sizeof *kernels) ? &kernels[i] : 0;
}
