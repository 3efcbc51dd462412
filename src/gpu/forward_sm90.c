/* forward_sm90.c - what kernels/sm90/forward.cu is launched with: which tile for which head_dim, heads packed or not,
 * tensor maps of q, k and v, one thread block per multiprocessor. What it cannot do is said by takes(), before anything
 * is written. Read next: kernels/sm90/config.cuh, doc/design/gpu-forward.md. */
#include "forward_sm90.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "forward_common.h"

enum { WARPGROUP_ROWS = 64, CONSUMERS = 2, TILE_M = WARPGROUP_ROWS * CONSUMERS, THREADS = 128 * (CONSUMERS + 1) };
enum { COLUMNS = 64, LARGEST_DIM = 256, ROW_UNIT = 8 };

/* By head_dim, of q and K and of V: keys of a tile, with bulk copies or gathered, without or with a softcap; tiles of K
 * and of V in shared memory. What registers and shared memory hold without spilling, and of that the fastest; see the
 * document. The first row that is large enough is taken. */
static const struct {
  int dim, dim_v, keys[2][2], stages;
} tiles[] = {{64, 64, {{192, 160}, {128, 128}}, 3},
             {128, 128, {{128, 128}, {128, 128}}, 3},
             {192, 128, {{112, 96}, {112, 80}}, 2},
             {192, 192, {{96, 80}, {96, 64}}, 2},
             {256, 256, {{64, 48}, {48, 32}}, 2}};

/* What is handed over beside pah_attn_params: struct sm90_sizes of config.cuh. */
struct sizes {
  int box, head_dim, head_dim_v;
  struct pah_place_units k, v;
};

struct plan {
  int dim, dim_v, tile_n, stages, gather, pack;
  struct sizes sizes;
};

static struct plan plan_of(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  struct plan plan = {.sizes = {.box = ROW_UNIT, .head_dim = (int)s->D, .head_dim_v = (int)s->Dv}};
  size_t i = 0;
  while (tiles[i].dim < s->D || tiles[i].dim_v < s->Dv) i++;
  plan.dim = tiles[i].dim;
  plan.dim_v = tiles[i].dim_v;
  plan.stages = tiles[i].stages;
  int64_t box = pah_gcd(s->block_size, tiles[i].keys[0][a->softcap > 0]);
  plan.gather = box % ROW_UNIT != 0;
  plan.tile_n = tiles[i].keys[plan.gather][a->softcap > 0];
  if (!plan.gather) plan.sizes.box = (int)box;
  plan.pack = pah_forward_pack(s, TILE_M);
  return plan;
}

/* Of pools that are gathered. */
static int find_units(const struct pah_attn *a, struct sizes *sizes) {
  int status = pah_forward_units("k_blocks", &a->k_blocks, "sm90", &sizes->k);
  return status ? status : pah_forward_units("v_blocks", &a->v_blocks, "sm90", &sizes->v);
}

/* ---- What it takes ---- */

int pah_forward_sm90_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  if (strcmp(dev->info.arch, "sm_90a") != 0)
    return pah_fail(PAH_EUNSUPPORTED, "kernel: the sm90 kernel needs an sm_90a (Hopper), %s is %s", dev->info.name,
                    dev->info.arch);
  if (a->block_m || a->block_n)
    return pah_fail(PAH_EUNSUPPORTED, "block_m: the sm90 kernel has tiles of its own, must be 0");
  int status = pah_forward_check_types(a, "sm90");
  if (status) return status;
  if (s->D > LARGEST_DIM || s->Dv > LARGEST_DIM)
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the sm90 kernel takes multiples of %d up to %d, this is %lld and %lld",
                    ROW_UNIT, LARGEST_DIM, (long long)s->D, (long long)s->Dv);
  status = pah_forward_check_sizes(a, s, "sm90");
  if (status) return status;
  struct plan plan = plan_of(a, s);
  return plan.gather ? find_units(a, &plan.sizes) : PAH_OK;
}

/* ---- The launch ---- */

/* q as [B, H, Sq, D], ragged q with B 1; where heads are packed as [B, Sq, H, D], a box of both. */
static int map_q(const struct pah_attn *a, const struct pah_attn_sizes *s, int pack, struct pah_tensor_map *map) {
  struct pah_row_strides stride = pah_q_strides(s, &a->q);
  struct pah_tensor q = a->q;
  int heads = pack > 1 ? 2 : 1, rows = 3 - heads;
  int64_t box[4] = {1, 0, 0, COLUMNS};
  q.ndim = 4;
  q.shape[0] = s->ragged ? 1 : s->B;
  q.stride[0] = s->ragged ? stride.row : stride.batch;
  q.shape[heads] = s->H;
  q.stride[heads] = stride.head;
  q.shape[rows] = s->ragged ? s->total_q : a->q.shape[2];
  q.stride[rows] = stride.row;
  q.shape[3] = s->D;
  q.stride[3] = 1;
  box[heads] = pack;
  box[rows] = TILE_M / pack;
  return pah_tensor_map(&q, box, PAH_SWIZZLE_128, map);
}

int pah_forward_sm90(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                     struct pah_attn_params *p) {
  struct plan plan = plan_of(a, s);
  const int64_t box[4] = {1, plan.sizes.box, 1, COLUMNS};
  struct pah_tensor_map q, k, v;
  int status = map_q(a, s, plan.pack, &q);
  if (!status) status = pah_tensor_map(&a->k_blocks, box, PAH_SWIZZLE_128, &k);
  if (!status) status = pah_tensor_map(&a->v_blocks, box, PAH_SWIZZLE_128, &v);
  if (!status && plan.gather) status = find_units(a, &plan.sizes);
  if (status) return status;

  struct pah_gpu_call call = {.file = "sm90/forward.cu", .kernel = "forward_sm90", .threads = THREADS, .problem = a};
  pah_gpu_define(&call, "HEAD_DIM", plan.dim);
  if (plan.dim_v != plan.dim) pah_gpu_define(&call, "HEAD_DIM_V", plan.dim_v);
  pah_gpu_define(&call, "TILE_N", plan.tile_n);
  pah_gpu_define(&call, "STAGES", plan.stages);
  if (plan.pack > 1) pah_gpu_define(&call, "PACK", plan.pack);
  if (plan.gather) pah_gpu_define(&call, "GATHER", 1);
  if (a->softcap > 0) pah_gpu_define(&call, "SOFTCAP", 1);
  if (p->tree_mask) pah_gpu_define(&call, "TREE", 1);
  pah_gpu_define_type(&call, "IO_T", a->q.dtype);
  int64_t items = pah_forward_items(a, s, TILE_M, plan.pack), sms = dev->info.sms;
  call.grid[0] = items < sms ? items : sms;
  call.grid[1] = call.grid[2] = 1;
  call.shared = 2 * (plan.dim * TILE_M + (plan.dim + plan.dim_v) * plan.stages * plan.tile_n);
  const void *args[] = {p, &plan.sizes, &q, &k, &v};
  memcpy(call.args, args, sizeof args);
  return pah_gpu_call(dev, &call);
}
