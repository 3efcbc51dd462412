/* forward_sm80.c - what the forwards that copy by cp.async are launched with, kernels/sm80/forward/forward.cu for bf16,
 * f16 and fp8 and, if it is named, for f32 as tf32, and kernels/simt/forward.cu for f32: which tile for which head_dim
 * and how much shared memory, heads packed or not, a thread block for each tile of rows. What they cannot do is said by
 * takes(), before anything is written. Read next: kernels/sm80/forward/config.cuh, kernels/simt/config.cuh,
 * doc/design/gpu-forward-sm80.md. */
#include "fast_kernels.h"

#include <string.h>

#include "error.h"
#include "forward_common.h"
#include "gpu/occupancy.h"

enum { KIB = 1024, LARGEST_DIM = 256, DIM_UNIT = 8, FP8_UNIT = 16, ROW_BYTES = 128, HALF = 2, FP8_SLOTS = 2 };

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

static int is_fp8(int dtype) {
  return pah_dtype_size(dtype) == 1;
}

/* Bytes of a row in shared memory, of elements of that size. */
static int64_t row_bytes(int64_t head_dim, int64_t size) {
  return (head_dim * size + ROW_BYTES - 1) / ROW_BYTES * ROW_BYTES;
}

static int64_t rows_of(const struct tile *t) {
  return 16 * t->m_tiles * t->warps;
}

/* Keys of a tile: of the row of the table or, where K and V are widened and that would spill, fewer. */
static int64_t keys_of(const struct tile *t, const struct pah_attn *a) {
  if (!is_fp8(a->k_blocks.dtype)) return t->tile_n;
  const int64_t most = t->dim == 192 ? 32 : t->dim == 128 && a->softcap > 0 ? 48 : 96;
  return t->tile_n < most ? t->tile_n : most;
}

/* A tile of K and one of V of what is widened, and a ring of both as they are in the cache; else a ring alone. */
static int64_t shared_of(const struct kind *kind, const struct tile *t, const struct pah_attn *a,
                         const struct pah_attn_sizes *s) {
  int64_t size = kind == &mma ? HALF : pah_dtype_size(a->q.dtype), wider = s->D > s->Dv ? s->D : s->Dv;
  int64_t tiles = is_fp8(a->k_blocks.dtype) ? 2 * row_bytes(wider, HALF) + FP8_SLOTS * row_bytes(wider, 1)
                                            : t->slots * row_bytes(wider, size);
  return rows_of(t) * (row_bytes(s->D, size) + keys_of(t, a) * kind->weight_bytes) + keys_of(t, a) * tiles;
}

/* NULL: there is none. */
static const struct tile *tile_of(const struct kind *kind, const struct pah_device *dev, const struct pah_attn *a,
                                  const struct pah_attn_sizes *s) {
  const struct pah_arch_limits *limits = pah_arch_limits(dev->info.arch);
  for (size_t i = 0; i < kind->tile_count; i++) {
    const struct tile *t = &kind->tiles[i];
    if (t->shared <= limits->shared / KIB && t->dim >= s->D && t->dim_v >= s->Dv &&
        shared_of(kind, t, a, s) <= limits->shared_block - KIB)
      return t;
  }
  return NULL;
}

static int find_units(const struct kind *kind, const struct pah_attn *a, struct sizes *sizes) {
  int status = pah_forward_units("k_blocks", &a->k_blocks, kind->name, &sizes->k);
  return status ? status : pah_forward_units("v_blocks", &a->v_blocks, kind->name, &sizes->v);
}

/* fp8 is widened, of the cache and of q; copies of it are 16 elements. */
static int check_fp8(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int q = a->q.dtype, cache = a->k_blocks.dtype;
  if (a->v_blocks.dtype != cache || !is_fp8(cache) || !(is_fp8(q) || q == PAH_BF16 || q == PAH_F16))
    return pah_fail(PAH_EUNSUPPORTED, "q: the sm80 kernel takes bf16 or f16 with a cache of the same or of fp8, or fp8 "
                                      "with a cache of fp8");
  if (s->D % FP8_UNIT != 0 || s->Dv % FP8_UNIT != 0)
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the sm80 kernel takes multiples of %d of fp8, this is %lld and %lld",
                    FP8_UNIT, (long long)s->D, (long long)s->Dv);
  return PAH_OK;
}

static int check_types(const struct kind *kind, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  if (kind != &mma) return pah_forward_check_f32(a, kind->name);
  return is_fp8(a->k_blocks.dtype) || is_fp8(a->q.dtype) ? check_fp8(a, s) : pah_forward_check_types(a, kind->name);
}

static int takes(const struct kind *kind, const struct pah_device *dev, const struct pah_attn *a,
                 const struct pah_attn_sizes *s) {
  if (pah_arch_limits(dev->info.arch)->arch < 80)
    return pah_fail(PAH_EUNSUPPORTED, "device: the %s kernel takes only sm_80 and newer, %s is %s", kind->name,
                    dev->info.name, dev->info.arch);
  if (a->block_m || a->block_n)
    return pah_fail(PAH_EUNSUPPORTED, "block_m: the %s kernel has tiles of its own, must be 0", kind->name);
  int status = check_types(kind, a, s);
  if (status) return status;
  if (s->D > LARGEST_DIM || s->Dv > LARGEST_DIM)
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the %s kernel takes multiples of %d up to %d, this is %lld and %lld",
                    kind->name, DIM_UNIT, LARGEST_DIM, (long long)s->D, (long long)s->Dv);
  if (!tile_of(kind, dev, a, s))
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the %s kernel takes up to 128 where shared memory is small",
                    kind->name);
  status = pah_forward_check_sizes(a, s, kind->name);
  struct sizes sizes;
  return status ? status : find_units(kind, a, &sizes);
}

static int run(const struct kind *kind, struct pah_device *dev, const struct pah_attn *a,
               const struct pah_attn_sizes *s, struct pah_attn_params *p) {
  const struct tile *t = tile_of(kind, dev, a, s);
  struct sizes sizes = {.tile_blocks = (int)(keys_of(t, a) / p->block_size),
                        .tile_slots = (int)(keys_of(t, a) % p->block_size)};
  int status = find_units(kind, a, &sizes);
  if (status) return status;
  const int q = a->q.dtype, cache = a->k_blocks.dtype, out = a->out.dtype;
  int64_t rows = rows_of(t);
  int pack = pah_forward_packs(s, rows) ? (int)s->group : 1; /* less of a tile lies behind the diagonal */
  struct pah_gpu_call call = {.file = kind->file, .kernel = kind->kernel, .threads = 32 * t->warps, .problem = a};
  pah_gpu_define(&call, "DIM", s->D);
  if (s->Dv != s->D) pah_gpu_define(&call, "DIM_V", s->Dv);
  pah_gpu_define(&call, "TILE_N", (int)keys_of(t, a));
  if (kind != &simt) pah_gpu_define(&call, "M_TILES", t->m_tiles);
  if (kind == &tf32) pah_gpu_define(&call, "TF32", 1);
  pah_gpu_define(&call, "WARPS", t->warps);
  pah_gpu_define(&call, "SLOTS", is_fp8(cache) ? FP8_SLOTS : t->slots);
  if (pack > 1) pah_gpu_define(&call, "PACK", pack);
  if (a->softcap > 0) pah_gpu_define(&call, "SOFTCAP", 1);
  if (p->tree_mask) pah_gpu_define(&call, "TREE", 1);
  if (is_fp8(cache) || pah_forward_descaled(a)) pah_gpu_define(&call, "DESCALED", 1);
  pah_gpu_define_type(&call, "IO_T", q);
  if (cache != q) pah_gpu_define_type(&call, "KV_T", cache);
  if (out != q) pah_gpu_define_type(&call, "OUT_T", out);
  call.grid[0] = pah_forward_items(a, s, rows, pack);
  call.grid[1] = call.grid[2] = 1;
  call.shared = shared_of(kind, t, a, s);
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
