/* zip.c - see zip.h. Dimensions that lie behind one another in all of the tensors are walked as one. */
#include "zip.h"

#include <omp.h>

#include "device.h"
#include "error.h"
#include "tensor.h"

/* The shape that all have and the strides of each in bytes, neighbouring dimensions merged where that is possible. */
struct zip {
  int ndim, count;
  int64_t shape[PAH_MAX_DIMS], stride[PAH_ZIP][PAH_MAX_DIMS];
  char *data[PAH_ZIP];
};

/* Whether dimension d lies behind the last one of the zip in every tensor. */
static int continues(const struct zip *z, const struct pah_tensor *const *tensors, int d) {
  if (!z->ndim) return 0;
  for (int i = 0; i < z->count; i++) {
    const struct pah_tensor *t = tensors[i];
    if (z->stride[i][z->ndim - 1] != t->stride[d] * t->shape[d] * pah_dtype_size(t->dtype)) return 0;
  }
  return 1;
}

static struct zip zip_of(const struct pah_tensor *const *tensors, int count) {
  struct zip z = {.count = count};
  for (int i = 0; i < count; i++) z.data[i] = tensors[i]->data;
  for (int d = 0; d < tensors[0]->ndim; d++) {
    int64_t size = tensors[0]->shape[d];
    if (size == 1) continue;
    if (continues(&z, tensors, d))
      z.shape[z.ndim - 1] *= size;
    else
      z.shape[z.ndim++] = size;
    for (int i = 0; i < count; i++) z.stride[i][z.ndim - 1] = tensors[i]->stride[d] * pah_dtype_size(tensors[i]->dtype);
  }
  if (!z.ndim) z.shape[z.ndim++] = 1;
  return z;
}

/* The runs of `left` elements from row-major index `start` on. */
static void walk(const struct zip *z, int64_t start, int64_t left,
                 void (*visit)(const struct pah_zip_run *run, void *context), void *context) {
  int64_t at[PAH_MAX_DIMS];
  int last = z->ndim - 1;
  for (int d = last; d >= 0; d--) at[d] = start % z->shape[d], start /= z->shape[d];
  while (left > 0) {
    struct pah_zip_run run = {.count = z->shape[last] - at[last]};
    if (run.count > left) run.count = left;
    for (int i = 0; i < z->count; i++) {
      run.p[i] = z->data[i];
      run.step[i] = z->stride[i][last];
      for (int d = 0; d <= last; d++) run.p[i] += at[d] * z->stride[i][d];
    }
    visit(&run, context);
    left -= run.count;
    at[last] += run.count;
    for (int d = last; d > 0 && at[d] == z->shape[d]; d--) at[d] = 0, at[d - 1]++;
  }
}

int pah_zip(const struct pah_tensor *const *tensors, int count,
            void (*visit)(const struct pah_zip_run *run, void *context), void *context) {
  enum { PIECE = 1 << 15 };
  struct zip z = zip_of(tensors, count);
  int64_t numel = pah_tensor_numel(tensors[0]), pieces = (numel + PIECE - 1) / PIECE;
  int threads = pah_get_threads();
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (pieces > 1)
  for (int64_t p = 0; p < pieces; p++) {
    int64_t left = numel - p * PIECE;
    if (!pah_interrupted) walk(&z, p * PIECE, left < PIECE ? left : PIECE, visit, context);
  }
  return pah_tensor_stopped();
}

int pah_zip_check(const struct pah_arg *args, int count) {
  for (int i = 0; i < count; i++) {
    int status = i ? pah_tensor_check(args[i].name, args[i].t) : pah_check_written(args[i].name, args[i].t);
    if (status) return status;
    const struct pah_device *device = args[i].t->device;
    if (!device->info.host_memory)
      return pah_fail(PAH_EUNSUPPORTED,
                      "%s: is on %s, which has no arithmetic on tensors; must be on the cpu: to(\"cpu\")", args[i].name,
                      device->info.name);
    if (device != args[0].t->device)
      return pah_fail(PAH_EINVAL, "%s: is on %s, must be on %s as %s is", args[i].name, device->info.name,
                      args[0].t->device->info.name, args[0].name);
    status = i ? pah_check_disjoint(args[0], args[i]) : PAH_OK;
    if (status) return status;
  }
  return PAH_OK;
}
