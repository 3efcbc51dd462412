/* tensor_map.h - the 128 bytes that describe a tensor to bulk tensor copies, as sim encodes them (pah_tensor_map).
 * The driver's encoding on cuda is its own secret; kernels only pass the address on. Read next: tensor_map.c, tma.c. */
#ifndef PAH_SIM_TENSOR_MAP_H
#define PAH_SIM_TENSOR_MAP_H

#include <stdint.h>

#include "pah_module.h"

enum { SIM_TENSOR_RANK = 5 };

/* Types of elements, numbered as tensormap.replace does. */
enum sim_map_type {
  SIM_MAP_U8,
  SIM_MAP_U16,
  SIM_MAP_U32,
  SIM_MAP_S32,
  SIM_MAP_U64,
  SIM_MAP_S64,
  SIM_MAP_F16,
  SIM_MAP_F32,
  SIM_MAP_F32_FTZ,
  SIM_MAP_F64,
  SIM_MAP_BF16,
  SIM_MAP_TF32,
  SIM_MAP_TF32_FTZ
};
int tensor_map_bytes(int type); /* of an element; 0: there is no such type */

struct sim_tensor_map {
  char magic[8]; /* "pahtmap1" */
  uint64_t address;
  uint64_t stride[SIM_TENSOR_RANK - 1]; /* bytes from one index to the next of dimensions 1 to 4 */
  uint32_t size[SIM_TENSOR_RANK];       /* elements; innermost first */
  uint16_t box[SIM_TENSOR_RANK];
  uint8_t rank, element_bytes, swizzle, type; /* swizzle: enum pah_swizzle; type: enum sim_map_type */
  uint8_t is_changed;                         /* by tensormap.replace: looked at again when it is used */
  uint8_t padding[128 - 8 - 8 - 8 * 4 - 4 * 5 - 2 * 5 - 5];
};

/* The device's slot. */
int sim_tensor_map(struct pah_device *dev, const struct pah_tensor *t, const int64_t *box, int32_t swizzle,
                   struct pah_tensor_map *map);

#endif
