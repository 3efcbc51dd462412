/* forward_sm80.c - what kernels/sm80/forward/forward.cu is launched with: which tile for which head_dim and how much
 * shared memory, heads packed or not, a thread block for each tile of rows. What it cannot do is said by takes(),
 * before anything is written. Read next: kernels/sm80/forward/config.cuh, doc/design/gpu-forward-sm80.md. */
#include "forward_sm80.h"

#include <string.h>

#include "error.h"
#include "forward_common.h"
#include "occupancy.h"

enum { KIB = 1024, LARGEST_DIM = 256, DIM_UNIT = 8, COLUMNS = 64 };

/* By shared memory of a multiprocessor and head_dim, of q and K and of V: tiles of 16 rows a warp, warps, keys of a
 * tile, slots of the ring. Sums, scores and Q fill the registers and shared memory of one, two or three thread blocks
 * (BLOCKS_PER_SM of config.cuh). The first row that fits is taken. */
static const struct tile {
  int shared, dim, dim_v, m_tiles, warps, tile_n, slots;
} tiles[] = {
    {160, 64, 64, 2, 4, 64, 4},   {160, 128, 128, 2, 4, 64, 3}, {220, 192, 128, 2, 4, 64, 2},
    {160, 192, 128, 2, 4, 32, 2}, {220, 256, 256, 1, 8, 64, 4}, {160, 256, 256, 1, 8, 64, 2},
    {0, 64, 64, 2, 4, 64, 2},     {0, 128, 128, 1, 4, 64, 2},   {0, 192, 192, 1, 4, 32, 2},
    {0, 256, 256, 1, 4, 64, 2},
};

/* What is handed over beside pah_attn_params: struct sm80_sizes of config.cuh. */
struct sizes {
  struct pah_place_units k, v;
  int tile_blocks, tile_slots;
};

static const struct tile *tile_of(const struct pah_device *dev, const struct pah_attn_sizes *s) {
  int64_t shared = pah_arch_limits(dev->info.arch)->shared / KIB;
  const struct tile *t = tiles;
  while (t->shared > shared || t->dim < s->D || t->dim_v < s->Dv) t++;
  return t;
}

static int64_t padded(int64_t head_dim) {
  return (head_dim + COLUMNS - 1) / COLUMNS * COLUMNS;
}

/* ---- What it takes ---- */

static int find_units(const struct pah_attn *a, struct sizes *sizes) {
  int status = pah_forward_units("k_blocks", &a->k_blocks, "sm80", &sizes->k);
  return status ? status : pah_forward_units("v_blocks", &a->v_blocks, "sm80", &sizes->v);
}

int pah_forward_sm80_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  if (pah_arch_limits(dev->info.arch)->arch < 80)
    return pah_fail(PAH_EUNSUPPORTED, "device: the sm80 kernel takes only sm_80 and newer, %s is %s", dev->info.name,
                    dev->info.arch);
  if (a->block_m || a->block_n)
    return pah_fail(PAH_EUNSUPPORTED, "block_m: the sm80 kernel has tiles of its own, must be 0");
  int status = pah_forward_check_types(a, "sm80");
  if (status) return status;
  if (s->D > LARGEST_DIM || s->Dv > LARGEST_DIM)
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the sm80 kernel takes multiples of %d up to %d, this is %lld and %lld",
                    DIM_UNIT, LARGEST_DIM, (long long)s->D, (long long)s->Dv);
  status = pah_forward_check_sizes(a, s, "sm80");
  struct sizes sizes;
  return status ? status : find_units(a, &sizes);
}

/* ---- The launch ---- */

int pah_forward_sm80(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                     struct pah_attn_params *p) {
  const struct tile *t = tile_of(dev, s);
  struct sizes sizes = {.tile_blocks = t->tile_n / p->block_size, .tile_slots = t->tile_n % p->block_size};
  int status = find_units(a, &sizes);
  if (status) return status;
  int64_t rows = 16 * t->m_tiles * t->warps, dim = padded(s->D), dim_v = padded(s->Dv);
  int pack = pah_forward_pack(s, rows);
  struct pah_gpu_call call = {
      .file = "sm80/forward/forward.cu", .kernel = "forward_sm80", .threads = 32 * t->warps, .problem = a};
  pah_gpu_define(&call, "DIM", s->D);
  if (s->Dv != s->D) pah_gpu_define(&call, "DIM_V", s->Dv);
  pah_gpu_define(&call, "TILE_N", t->tile_n);
  pah_gpu_define(&call, "M_TILES", t->m_tiles);
  pah_gpu_define(&call, "WARPS", t->warps);
  pah_gpu_define(&call, "SLOTS", t->slots);
  if (pack > 1) pah_gpu_define(&call, "PACK", pack);
  if (a->softcap > 0) pah_gpu_define(&call, "SOFTCAP", 1);
  if (p->tree_mask) pah_gpu_define(&call, "TREE", 1);
  pah_gpu_define_type(&call, "IO_T", a->q.dtype);
  call.grid[0] = pah_forward_items(a, s, rows, pack);
  call.grid[1] = call.grid[2] = 1;
  call.shared = 2 * (rows * dim + (int64_t)t->slots * t->tile_n * (dim > dim_v ? dim : dim_v));
  const void *args[] = {p, &sizes};
  memcpy(call.args, args, sizeof args);
  return pah_gpu_call(dev, &call);
}
