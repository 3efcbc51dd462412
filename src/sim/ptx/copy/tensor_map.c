/* tensor_map.c - the encoding of tensor maps that sim's bulk copies read (tensor_map.h). Read next: tma.c. */
#include "tensor_map.h"

#include <string.h>

static int type_of(int dtype) {
  switch (dtype) {
  case PAH_I32: return SIM_MAP_S32;
  case PAH_I64: return SIM_MAP_S64;
  case PAH_F16: return SIM_MAP_F16;
  case PAH_F32: return SIM_MAP_F32;
  case PAH_F64: return SIM_MAP_F64;
  case PAH_BF16: return SIM_MAP_BF16;
  default: return SIM_MAP_U8;
  }
}

int sim_tensor_map(struct pah_device *dev, const struct pah_tensor *t, const int64_t *box, int32_t swizzle,
                   struct pah_tensor_map *map) {
  const int64_t size = pah_dtype_size(t->dtype);
  struct sim_tensor_map m = {.magic = "pahtmap1", .address = (uint64_t)(uintptr_t)t->data};
  _Static_assert(sizeof m == sizeof *map, "a tensor map has 128 bytes");
  (void)dev;
  m.rank = (uint8_t)t->ndim;
  m.element_bytes = (uint8_t)size;
  m.swizzle = (uint8_t)swizzle;
  m.type = (uint8_t)type_of(t->dtype);
  for (int i = 0; i < t->ndim; i++) {
    const int from = t->ndim - 1 - i; /* the map counts from the innermost */
    m.size[i] = (uint32_t)t->shape[from];
    m.box[i] = (uint16_t)box[from];
    if (i > 0) m.stride[i - 1] = (uint64_t)(t->stride[from] * size);
  }
  memcpy(map, &m, sizeof m);
  return PAH_OK;
}
