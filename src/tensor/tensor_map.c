/* tensor_map.c - the rules of tensor maps, checked once for every device; the encoding is the device's own.
 * The rules are those of cuTensorMapEncodeTiled. Read next: sim/ptx/copy/tensor_map.c. */
#include "device.h"
#include "error.h"

enum { RANK = 5, LARGEST_BOX = 256, ALIGNMENT = 16 };

static int check_rows(const struct pah_tensor *t, const int64_t *box, int32_t swizzle, int64_t size) {
  const int last = t->ndim - 1;
  const int64_t bytes = box[last] * size, span = 16LL << swizzle;
  if (bytes % ALIGNMENT != 0)
    return pah_fail(PAH_EINVAL, "box: the last item is %lld bytes, must be a multiple of %d", (long long)bytes,
                    ALIGNMENT);
  if (swizzle != PAH_SWIZZLE_NONE && bytes > span)
    return pah_fail(PAH_EINVAL, "box: the last item is %lld bytes, must be at most the %lld of the swizzle",
                    (long long)bytes, (long long)span);
  return PAH_OK;
}

static int check(const struct pah_tensor *t, const int64_t *box, int32_t swizzle) {
  const int64_t size = pah_dtype_size(t->dtype);
  if (t->ndim < 1 || t->ndim > RANK)
    return pah_fail(PAH_EINVAL, "tensor: has %d dimensions, must have 1 to %d", t->ndim, RANK);
  if (swizzle < PAH_SWIZZLE_NONE || swizzle > PAH_SWIZZLE_128)
    return pah_fail(PAH_EINVAL, "swizzle: is %d, must be one of enum pah_swizzle", swizzle);
  if ((uintptr_t)t->data % ALIGNMENT != 0)
    return pah_fail(PAH_EINVAL, "tensor: data is at %p, must be at a multiple of %d", t->data, ALIGNMENT);
  if (t->stride[t->ndim - 1] != 1)
    return pah_fail(PAH_EINVAL, "tensor: the last stride is %lld, must be 1", (long long)t->stride[t->ndim - 1]);
  for (int i = 0; i < t->ndim; i++) {
    if (box[i] < 1 || box[i] > LARGEST_BOX)
      return pah_fail(PAH_EINVAL, "box: item %d is %lld, must be 1 to %d", i + 1, (long long)box[i], LARGEST_BOX);
    if (t->shape[i] < 1 || t->shape[i] > UINT32_MAX)
      return pah_fail(PAH_EINVAL, "tensor: dimension %d is %lld, must be 1 to 2^32 - 1", i + 1, (long long)t->shape[i]);
    if (i < t->ndim - 1 && (t->stride[i] * size % ALIGNMENT != 0 || t->stride[i] * size >= 1LL << 40))
      return pah_fail(PAH_EINVAL, "tensor: stride %d is %lld bytes, must be a multiple of %d below 2^40", i + 1,
                      (long long)(t->stride[i] * size), ALIGNMENT);
  }
  return check_rows(t, box, swizzle, size);
}

int pah_tensor_map(const struct pah_tensor *tensor, const int64_t *box, int32_t swizzle, struct pah_tensor_map *map) {
  const struct pah_device_ops *ops = tensor->device->ops;
  int status = check(tensor, box, swizzle);
  if (status != PAH_OK) return status;
  if (ops->tensor_map == NULL) return pah_fail(PAH_EDEVICE, "%s has no tensor maps", ops->kind);
  return ops->tensor_map(tensor->device, tensor, box, swizzle, map);
}
