/* forward_sm90.c - what kernels/sm90/forward.cu is launched with: which tile for which head_dim, heads packed or not,
 * tensor maps of q, k and v, one thread block per multiprocessor. What it cannot do is said by takes(), before anything
 * is written. Read next: kernels/sm90/config.cuh, doc/design/gpu-forward.md. */
#include "fast_kernels.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "forward_common.h"

enum { WARPGROUP_ROWS = 64, CONSUMERS = 2, TILE_M = WARPGROUP_ROWS * CONSUMERS, WARPGROUP = 128 };
enum { LARGEST_DIM = 256, ROW_UNIT = 8, LARGEST_BOUND = 50 };

/* In which types it multiplies: the rows of the table in kernels/sm90/operands.cuh. */
enum way { AS_STORED, WIDENED, FP8, FP8_WIDE, WAYS };

/* By head_dim, of q and K and of V: keys of a tile, with bulk copies or gathered, without or with a softcap; tiles of K
 * and of V in shared memory. What registers and shared memory hold without spilling, and of that the fastest; see the
 * document. The first row that is large enough is taken. */
struct tile {
  int dim, dim_v, keys[2][2], stages;
};
static const struct tile tiles[WAYS][5] = {
    [AS_STORED] = {{64, 64, {{192, 160}, {128, 128}}, 3},
                   {128, 128, {{128, 128}, {128, 128}}, 3},
                   {192, 128, {{112, 96}, {112, 80}}, 2},
                   {192, 192, {{96, 80}, {96, 64}}, 2},
                   {256, 256, {{64, 48}, {48, 32}}, 2}},
    [WIDENED] = {{64, 64, {{128, 128}}, 3},
                 {128, 128, {{128, 96}}, 3},
                 {192, 128, {{96, 64}}, 2},
                 {192, 192, {{64, 32}}, 2},
                 {256, 256, {{32, 32}}, 3}},
    [FP8] = {{64, 64, {{192, 160}, {128, 128}}, 3}, {128, 128, {{192, 128}, {128, 128}}, 2}},
    [FP8_WIDE] = {{64, 64, {{192, 128}, {128, 128}}, 3},
                  {128, 128, {{128, 128}, {128, 128}}, 3},
                  {192, 128, {{112, 96}, {112, 80}}, 3},
                  {192, 192, {{96, 80}, {96, 64}}, 2},
                  {256, 256, {{64, 48}, {48, 32}}, 3}},
};

/* What is handed over beside pah_attn_params: struct sm90_sizes of config.cuh. */
struct sizes {
  int box, head_dim, head_dim_v;
  struct pah_place_units k, v;
};

struct plan {
  enum way way;
  int dim, dim_v, tile_n, stages, gather, pack;
  struct sizes sizes;
};

static int is_fp8(int dtype) {
  return dtype == PAH_FP8_E4M3 || dtype == PAH_FP8_E5M2;
}

/* Weights of fp8 are as exact as an fp8 result; any other gets f16. So does one with a large o_scale: where most
 * results are beyond the largest number, those that are not lie close to 0, and the error of weights is that of the
 * others. */
static enum way way_of(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  if (!is_fp8(a->k_blocks.dtype)) return AS_STORED;
  if (!is_fp8(a->q.dtype)) return WIDENED;
  return is_fp8(a->out.dtype) && s->D <= 128 && s->Dv <= 128 && a->o_scale <= 64 ? FP8 : FP8_WIDE;
}

static struct plan plan_of(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  struct plan plan = {.way = way_of(a, s), .sizes = {.box = ROW_UNIT, .head_dim = (int)s->D, .head_dim_v = (int)s->Dv}};
  const struct tile *tile = tiles[plan.way];
  const int cap = a->softcap > 0;
  plan.gather = s->block_size % ROW_UNIT != 0 && plan.way != WIDENED;
  while (tile->dim < s->D || tile->dim_v < s->Dv) tile++;
  plan.dim = tile->dim;
  plan.dim_v = tile->dim_v;
  plan.stages = tile->stages;
  plan.tile_n = tile->keys[plan.gather][cap];
  int64_t box = pah_gcd(s->block_size, plan.tile_n);
  if (box % ROW_UNIT == 0) plan.sizes.box = (int)box;
  plan.pack = pah_forward_pack(s, TILE_M);
  return plan;
}

/* Of pools that threads read themselves: what is gathered, and what is widened. */
static int find_units(const struct pah_attn *a, struct plan *plan) {
  if (!plan->gather && plan->way != WIDENED) return PAH_OK;
  int status = pah_forward_units("k_blocks", &a->k_blocks, "sm90", &plan->sizes.k);
  return status ? status : pah_forward_units("v_blocks", &a->v_blocks, "sm90", &plan->sizes.v);
}

/* ---- What it takes ---- */

static int check_types(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int q = a->q.dtype, cache = a->k_blocks.dtype, out = a->out.dtype;
  if (a->v_blocks.dtype != cache || !(q == PAH_BF16 || q == PAH_F16 || is_fp8(q)) || !(cache == q || is_fp8(cache)))
    return pah_fail(PAH_EUNSUPPORTED, "q: the sm90 kernel takes bf16 or f16 with a cache of the same or of fp8, or fp8 "
                                      "with a cache of fp8");
  if (is_fp8(q) && s->block_size % ROW_UNIT != 0 && (s->D % (2 * ROW_UNIT) != 0 || s->Dv % (2 * ROW_UNIT) != 0))
    return pah_fail(PAH_EUNSUPPORTED,
                    "block_size: the sm90 kernel takes multiples of %d of an fp8 q whose head_dim is no "
                    "multiple of %d, this is %lld",
                    ROW_UNIT, 2 * ROW_UNIT, (long long)s->block_size);
  if (is_fp8(out) && s->Dv % (2 * ROW_UNIT) != 0)
    return pah_fail(PAH_EUNSUPPORTED,
                    "out: the sm90 kernel writes fp8 of a head_dim that is a multiple of %d, this is "
                    "%lld",
                    2 * ROW_UNIT, (long long)s->Dv);
  return PAH_OK;
}

int pah_forward_sm90_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int status = pah_forward_check_hopper(dev, a, "sm90");
  if (!status) status = check_types(a, s);
  if (status) return status;
  if (s->D > LARGEST_DIM || s->Dv > LARGEST_DIM)
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the sm90 kernel takes multiples of %d up to %d, this is %lld and %lld",
                    ROW_UNIT, LARGEST_DIM, (long long)s->D, (long long)s->Dv);
  status = pah_forward_check_sizes(a, s, "sm90");
  if (status) return status;
  struct plan plan = plan_of(a, s);
  return find_units(a, &plan);
}

/* ---- The launch ---- */

/* Elements of a column in shared memory: 128 bytes of each row, or 64 where the head_dim is no multiple of those. */
static int columns_of(int dim, int dtype) {
  int size = (int)pah_dtype_size(dtype);
  return dim % (128 / size) == 0 ? 128 / size : 64 / size;
}

static int map_rows(const struct pah_tensor *t, int64_t box[4], int dim, struct pah_tensor_map *map) {
  box[3] = columns_of(dim, t->dtype);
  int swizzle = box[3] * pah_dtype_size(t->dtype) == 128 ? PAH_SWIZZLE_128 : PAH_SWIZZLE_64;
  return pah_tensor_map(t, box, swizzle, map);
}

/* q as [B, H, Sq, D], ragged q with B 1; where heads are packed as [B, Sq, H, D], a box of both. */
static int map_q(const struct pah_attn *a, const struct pah_attn_sizes *s, const struct plan *plan,
                 struct pah_tensor_map *q_map) {
  struct pah_row_strides stride = pah_q_strides(s, &a->q);
  struct pah_tensor q = a->q;
  int heads = plan->pack > 1 ? 2 : 1, rows = 3 - heads;
  int64_t box[4] = {1};
  q.ndim = 4;
  q.shape[0] = s->ragged ? 1 : s->B;
  q.stride[0] = s->ragged ? stride.row : stride.batch;
  q.shape[heads] = s->H;
  q.stride[heads] = stride.head;
  q.shape[rows] = s->ragged ? s->total_q : a->q.shape[2];
  q.stride[rows] = stride.row;
  q.shape[3] = s->D;
  q.stride[3] = 1;
  box[heads] = plan->pack;
  box[rows] = TILE_M / plan->pack;
  return map_rows(&q, box, plan->dim, q_map);
}

/* Bytes of shared memory: as kernels/sm90/config.cuh counts them. */
static int64_t shared_of(const struct plan *plan, const struct pah_attn *a) {
  int64_t q = pah_dtype_size(a->q.dtype), v = plan->way == FP8_WIDE ? 2 : q, k = plan->dim, n = plan->tile_n;
  int64_t raw = plan->way == FP8 || plan->way == FP8_WIDE ? n * plan->dim_v : 0;
  int64_t sums = plan->way == FP8 ? 4 * TILE_M * plan->dim_v : 0;
  return q * k * TILE_M + (q * k + v * plan->dim_v) * plan->stages * n + raw + sums;
}

/* Whether the softcap bounds scores so that no maximum is looked for: kernels/tile_softmax.cuh. With larger head_dims,
 * heads packed or a gather it would spill. */
static int bounded(const struct pah_attn *a, const struct plan *plan) {
  return a->softcap > 0 && a->softcap <= LARGEST_BOUND && plan->way == AS_STORED && a->q.dtype == PAH_BF16 &&
         plan->dim <= 128 && plan->dim_v <= 128 && plan->pack == 1 && !plan->gather;
}

static void define(struct pah_gpu_call *call, const struct plan *plan, const struct pah_attn *a) {
  const int q = a->q.dtype, cache = a->k_blocks.dtype, out = a->out.dtype;
  pah_gpu_define(call, "HEAD_DIM", plan->dim);
  if (plan->dim_v != plan->dim) pah_gpu_define(call, "HEAD_DIM_V", plan->dim_v);
  pah_gpu_define(call, "TILE_N", plan->tile_n);
  pah_gpu_define(call, "STAGES", plan->stages);
  if (plan->pack > 1) pah_gpu_define(call, "PACK", plan->pack);
  if (plan->gather) pah_gpu_define(call, "GATHER", 1);
  if (a->softcap > 0) pah_gpu_define(call, "SOFTCAP", 1);
  if (bounded(a, plan)) pah_gpu_define(call, "BOUNDED", 1);
  if (a->tree_mask.dtype != PAH_NONE) pah_gpu_define(call, "TREE", 1);
  if (pah_forward_descaled(a)) pah_gpu_define(call, "DESCALED", 1);
  if (plan->way == FP8_WIDE) pah_gpu_define(call, "WIDE_VALUES", 1);
  if (plan->way == WIDENED && (plan->sizes.head_dim < plan->dim || plan->sizes.head_dim_v < plan->dim_v))
    pah_gpu_define(call, "NARROW", 1);
  pah_gpu_define_type(call, "IO_T", q);
  if (cache != q) pah_gpu_define_type(call, "KV_T", cache);
  if (out != q) pah_gpu_define_type(call, "OUT_T", out);
}

int pah_forward_sm90(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                     struct pah_attn_params *p) {
  struct plan plan = plan_of(a, s);
  int64_t box[4] = {1, plan.sizes.box, 1};
  struct pah_tensor_map q, k, v;
  int status = map_q(a, s, &plan, &q);
  if (!status) status = map_rows(&a->k_blocks, box, plan.dim, &k);
  if (!status) status = map_rows(&a->v_blocks, box, plan.dim_v, &v);
  if (!status) status = find_units(a, &plan);
  if (status) return status;

  struct pah_gpu_call call = {.file = "sm90/forward.cu", .kernel = "forward_sm90", .problem = a};
  call.threads = WARPGROUP * (CONSUMERS + 1 + (plan.way == WIDENED));
  define(&call, &plan, a);
  int64_t items = pah_forward_items(a, s, TILE_M, plan.pack), sms = dev->info.sms;
  call.grid[0] = items < sms ? items : sms;
  call.grid[1] = call.grid[2] = 1;
  call.shared = shared_of(&plan, a);
  const void *args[] = {p, &plan.sizes, &q, &k, &v};
  memcpy(call.args, args, sizeof args);
  return pah_gpu_call(dev, &call);
}
