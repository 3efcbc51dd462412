/* forward_sm80.c - what the forwards that copy by cp.async are launched with, kernels/sm80/forward/forward.cu for bf16
 * and f16 and, if it is named, for f32 as tf32, and kernels/simt/forward.cu for f32: which tile for which head_dim and
 * how much shared memory, heads packed or not, a thread block for each tile of rows. What they cannot do is said by
 * takes(), before anything is written. Read next: kernels/sm80/forward/config.cuh, kernels/simt/config.cuh,
 * doc/design/gpu-forward-sm80.md. */
#include "fast_kernels.h"

#include <string.h>

#include "error.h"
#include "forward_common.h"
#include "gpu/occupancy.h"

enum { KIB = 1024, LARGEST_DIM = 256, DIM_UNIT = 8, ROW_BYTES = 128 };

/* By shared memory of a multiprocessor in KiB and head_dim, of q and K and of V: tiles of 16 rows a warp, warps, keys
 * of a tile, slots of the ring. Sums, scores and Q fill the registers and shared memory of one, two or three thread
 * blocks (BLOCKS_PER_SM of config.cuh). The first row that fits is taken. */
struct tile {
  int shared, dim, dim_v, m_tiles, warps, tile_n, slots;
};
static const struct tile mma_tiles[] = {
    {160, 64, 64, 2, 4, 112, 3},  {220, 128, 128, 2, 4, 64, 2}, {160, 128, 128, 2, 4, 64, 3},
    {220, 192, 128, 2, 4, 64, 2}, {160, 192, 128, 2, 4, 32, 2}, {220, 256, 256, 1, 4, 64, 2},
    {160, 256, 256, 1, 4, 48, 2}, {0, 64, 64, 2, 4, 112, 2},    {0, 128, 128, 1, 4, 64, 2},
    {0, 192, 192, 1, 4, 32, 2},   {0, 256, 256, 1, 4, 64, 2},
};
static const struct tile tf32_tiles[] = {
    {160, 64, 64, 2, 4, 64, 3},   {220, 128, 128, 2, 4, 32, 3}, {160, 128, 128, 1, 4, 32, 2},
    {160, 192, 128, 1, 4, 32, 2}, {220, 256, 256, 1, 8, 32, 2}, {160, 256, 256, 1, 4, 32, 2},
    {0, 64, 64, 2, 4, 32, 2},     {0, 128, 128, 1, 4, 16, 2},   {0, 256, 256, 1, 4, 16, 2},
};
static const struct tile simt_tiles[] = {
    {0, 64, 64, 1, 4, 32, 2},
    {220, 128, 128, 1, 4, 64, 2},
    {0, 128, 128, 1, 4, 32, 2},
    {160, 256, 256, 1, 4, 32, 2},
};

/* One of the kernels. */
struct kind {
  const char *name, *file, *kernel;
  const struct tile *tiles;
  size_t tile_count;
  int64_t weight_bytes; /* of a row and key, where weights go through shared memory */
};
static const struct kind mma = {
    "sm80", "sm80/forward/forward.cu", "forward_sm80", mma_tiles, sizeof mma_tiles / sizeof *mma_tiles, 0};
static const struct kind tf32 = {
    "tf32", "sm80/forward/forward.cu", "forward_sm80", tf32_tiles, sizeof tf32_tiles / sizeof *tf32_tiles, 0};
static const struct kind simt = {
    "simt", "simt/forward.cu", "forward_simt", simt_tiles, sizeof simt_tiles / sizeof *simt_tiles, 4};

/* What is handed over beside pah_attn_params: struct fetch_sizes of page_fetch.cuh. */
struct sizes {
  struct pah_place_units k, v;
  int tile_blocks, tile_slots;
};

/* NULL: there is none. */
static const struct tile *tile_of(const struct kind *kind, const struct pah_device *dev,
                                  const struct pah_attn_sizes *s) {
  int64_t shared = pah_arch_limits(dev->info.arch)->shared / KIB;
  for (size_t i = 0; i < kind->tile_count; i++) {
    const struct tile *t = &kind->tiles[i];
    if (t->shared <= shared && t->dim >= s->D && t->dim_v >= s->Dv) return t;
  }
  return NULL;
}

/* Bytes of a row in shared memory. */
static int64_t row_bytes(int64_t head_dim, int dtype) {
  return (head_dim * pah_dtype_size(dtype) + ROW_BYTES - 1) / ROW_BYTES * ROW_BYTES;
}

static int find_units(const struct kind *kind, const struct pah_attn *a, struct sizes *sizes) {
  int status = pah_forward_units("k_blocks", &a->k_blocks, kind->name, &sizes->k);
  return status ? status : pah_forward_units("v_blocks", &a->v_blocks, kind->name, &sizes->v);
}

static int takes(const struct kind *kind, const struct pah_device *dev, const struct pah_attn *a,
                 const struct pah_attn_sizes *s) {
  if (pah_arch_limits(dev->info.arch)->arch < 80)
    return pah_fail(PAH_EUNSUPPORTED, "device: the %s kernel takes only sm_80 and newer, %s is %s", kind->name,
                    dev->info.name, dev->info.arch);
  if (a->block_m || a->block_n)
    return pah_fail(PAH_EUNSUPPORTED, "block_m: the %s kernel has tiles of its own, must be 0", kind->name);
  int status = kind == &mma ? pah_forward_check_types(a, kind->name) : pah_forward_check_f32(a, kind->name);
  if (status) return status;
  if (s->D > LARGEST_DIM || s->Dv > LARGEST_DIM)
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the %s kernel takes multiples of %d up to %d, this is %lld and %lld",
                    kind->name, DIM_UNIT, LARGEST_DIM, (long long)s->D, (long long)s->Dv);
  if (!tile_of(kind, dev, s))
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the %s kernel takes up to 128 where shared memory is small",
                    kind->name);
  status = pah_forward_check_sizes(a, s, kind->name);
  struct sizes sizes;
  return status ? status : find_units(kind, a, &sizes);
}

static int run(const struct kind *kind, struct pah_device *dev, const struct pah_attn *a,
               const struct pah_attn_sizes *s, struct pah_attn_params *p) {
  const struct tile *t = tile_of(kind, dev, s);
  struct sizes sizes = {.tile_blocks = t->tile_n / p->block_size, .tile_slots = t->tile_n % p->block_size};
  int status = find_units(kind, a, &sizes);
  if (status) return status;
  int64_t rows = 16 * t->m_tiles * t->warps, k_row = row_bytes(s->D, a->q.dtype), v_row = row_bytes(s->Dv, a->q.dtype);
  int pack = pah_forward_packs(s, rows) ? (int)s->group : 1; /* less of a tile lies behind the diagonal */
  struct pah_gpu_call call = {.file = kind->file, .kernel = kind->kernel, .threads = 32 * t->warps, .problem = a};
  pah_gpu_define(&call, "DIM", s->D);
  if (s->Dv != s->D) pah_gpu_define(&call, "DIM_V", s->Dv);
  pah_gpu_define(&call, "TILE_N", t->tile_n);
  if (kind != &simt) pah_gpu_define(&call, "M_TILES", t->m_tiles);
  if (kind == &tf32) pah_gpu_define(&call, "TF32", 1);
  pah_gpu_define(&call, "WARPS", t->warps);
  pah_gpu_define(&call, "SLOTS", t->slots);
  if (pack > 1) pah_gpu_define(&call, "PACK", pack);
  pah_forward_define_cap(&call, a);
  if (p->tree_mask) pah_gpu_define(&call, "TREE", 1);
  pah_gpu_define_type(&call, "IO_T", a->q.dtype);
  call.grid[0] = pah_forward_items(a, s, rows, pack);
  call.grid[1] = call.grid[2] = 1;
  call.shared = rows * k_row + (int64_t)t->slots * t->tile_n * (k_row > v_row ? k_row : v_row) +
                rows * t->tile_n * kind->weight_bytes;
  const void *args[] = {p, &sizes};
  memcpy(call.args, args, sizeof args);
  return pah_gpu_call(dev, &call);
}

int pah_forward_sm80_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  return takes(&mma, dev, a, s);
}

int pah_forward_sm80(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                     struct pah_attn_params *p) {
  return run(&mma, dev, a, s, p);
}

int pah_forward_simt_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  return takes(&simt, dev, a, s);
}

int pah_forward_simt(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                     struct pah_attn_params *p) {
  return run(&simt, dev, a, s, p);
}

int pah_forward_tf32_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  return takes(&tf32, dev, a, s);
}

/* Who asks for f32 without a word gets f32. */
int pah_forward_tf32_pays(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  (void)dev, (void)a, (void)s;
  return 0;
}

int pah_forward_tf32(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                     struct pah_attn_params *p) {
  return run(&tf32, dev, a, s, p);
}
