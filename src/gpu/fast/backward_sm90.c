/* backward_sm90.c - what kernels/sm90/backward/ is launched with, behind what all fast backwards need
 * (backward_common.h). What it cannot do is said by takes(), before anything is written. Read next:
 * kernels/sm90/backward/backward.cu, doc/design/gpu-backward.md. */
#include "fast_kernels.h"

#include <string.h>

#include "backward_common.h"
#include "error.h"
#include "forward_common.h"

enum { CONSUMERS = 2, TILE_M = 64 * CONSUMERS, THREADS = 128 * (CONSUMERS + 1), COLUMNS = 64, ROW_UNIT = 8 };
enum { KEYS = 128, LARGEST_DIM = 128 };

/* By head_dim: queries of a tile of dkdv.cuh and how many of them are on their way; keys of a tile of dq.cuh, with bulk
 * copies or gathered, without or with a softcap, and how many; registers of a thread that computes, and of one that
 * copies. What registers and shared memory hold without spilling. */
static const struct tiles {
  int dim, queries, query_stages, keys[2][2], stages, registers[2];
} tiles[] = {{64, 64, 3, {{96, 96}, {96, 96}}, 4, {208, 88}}, {128, 64, 3, {{96, 80}, {96, 80}}, 3, {224, 56}}};

/* What is handed over beside pah_attn_params: struct sm90_sizes of config.cuh. */
struct sizes {
  int box, head_dim, head_dim_v;
  struct pah_place_units k, v;
};

/* Tokens that one bulk copy may bring, for tiles of both halves; no multiple of ROW_UNIT: K and V are gathered. */
static int64_t box_of(const struct pah_attn *a, const struct pah_attn_sizes *s, const struct tiles *t) {
  return pah_gcd(s->block_size, pah_gcd(KEYS, t->keys[0][a->softcap > 0]));
}

static const struct tiles *tiles_for(const struct pah_attn_sizes *s) {
  const struct tiles *t = tiles;
  while (t->dim < s->D || t->dim < s->Dv) t++;
  return t;
}

static int find_units(const struct pah_attn *a, struct sizes *sizes) {
  int status = pah_forward_units("k_blocks", &a->k_blocks, "sm90", &sizes->k);
  return status ? status : pah_forward_units("v_blocks", &a->v_blocks, "sm90", &sizes->v);
}

/* ---- What they take ---- */

int pah_backward_sm90_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int status = pah_forward_check_hopper(dev, a, "sm90");
  if (!status) status = pah_forward_check_types(a, "sm90");
  if (status) return status;
  if (s->D > LARGEST_DIM || s->Dv > LARGEST_DIM)
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the sm90 kernel takes multiples of %d up to %d, this is %lld and %lld",
                    ROW_UNIT, LARGEST_DIM, (long long)s->D, (long long)s->Dv);
  status = pah_backward_check(a, s, KEYS, "sm90");
  struct sizes sizes;
  return status || box_of(a, s, tiles_for(s)) % ROW_UNIT == 0 ? status : find_units(a, &sizes);
}

/* ---- The launches ---- */

/* t as [B, H, Sq, D], ragged with B 1; boxes of a tile's rows. */
static int map_rows(const struct pah_backward *w, const struct pah_tensor *t, struct pah_tensor_map *map) {
  struct pah_row_strides stride = pah_q_strides(w->s, t);
  struct pah_tensor all = *t;
  const int64_t box[4] = {1, 1, w->queries, COLUMNS};
  const int64_t shape[4] = {w->s->ragged ? 1 : w->s->B, w->s->H, w->s->ragged ? w->s->total_q : w->a->q.shape[2],
                            t->shape[t->ndim - 1]};
  const int64_t strides[4] = {w->s->ragged ? stride.row : stride.batch, stride.head, stride.row, 1};
  all.ndim = 4;
  memcpy(all.shape, shape, sizeof shape);
  memcpy(all.stride, strides, sizeof strides);
  return pah_tensor_map(&all, box, PAH_SWIZZLE_128, map);
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Either half's tiles lie in the same shared memory: query_ring.cuh, and config.cuh with dout behind. */
static int64_t shared_bytes(const struct tiles *t, int keys) {
  int64_t dkdv = 4LL * t->dim * KEYS + t->query_stages * (4LL * t->dim * t->queries + 8 * t->queries);
  int64_t dq = 4LL * t->dim * TILE_M + 4LL * t->dim * t->stages * keys;
  return larger(dkdv, dq);
}

static int launch_gradients(const struct pah_backward *w, const struct tiles *t) {
  const struct pah_attn *a = w->a;
  struct pah_gpu_call call = {
      .file = "sm90/backward/backward.cu", .kernel = "backward_sm90", .threads = THREADS, .problem = a};
  const int cap = a->softcap > 0;
  int64_t box = box_of(a, w->s, t);
  const int gather = box % ROW_UNIT != 0, keys = t->keys[gather][cap];
  struct sizes sizes = {.box = gather ? ROW_UNIT : (int)box, .head_dim = (int)w->s->D, .head_dim_v = (int)w->s->Dv};
  const int64_t kv_box[4] = {1, sizes.box, 1, COLUMNS};
  struct pah_tensor_map q, d_out, k, v;
  int status = map_rows(w, &a->q, &q);
  if (!status) status = map_rows(w, &a->dout, &d_out);
  if (!status) status = pah_tensor_map(&a->k_blocks, kv_box, PAH_SWIZZLE_128, &k);
  if (!status) status = pah_tensor_map(&a->v_blocks, kv_box, PAH_SWIZZLE_128, &v);
  if (!status && gather) status = find_units(a, &sizes);
  if (status) return status;
  pah_gpu_define(&call, "HEAD_DIM", t->dim);
  pah_gpu_define(&call, "TILE_N", keys);
  pah_gpu_define(&call, "STAGES", t->stages);
  pah_gpu_define(&call, "QUERIES", t->queries);
  pah_gpu_define(&call, "QUERY_STAGES", t->query_stages);
  pah_gpu_define(&call, "CONSUMER_REGISTERS", t->registers[0]);
  pah_gpu_define(&call, "PRODUCER_REGISTERS", t->registers[1]);
  if (gather) pah_gpu_define(&call, "GATHER", 1);
  if (cap) pah_gpu_define(&call, "SOFTCAP", 1);
  pah_gpu_define_type(&call, "IO_T", a->q.dtype);
  int64_t items = larger(w->items * w->s->Hkv, pah_forward_items(a, w->s, TILE_M, 1)), sms = w->dev->info.sms;
  call.grid[0] = items < sms ? items : sms;
  call.grid[1] = call.grid[2] = 1;
  call.shared = shared_bytes(t, keys);
  const void *args[] = {w->p, &sizes, &w->plan, &q, &d_out, &k, &v};
  memcpy(call.args, args, sizeof args);
  return pah_gpu_call(w->dev, &call);
}

int pah_backward_sm90(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                      struct pah_attn_params *p) {
  const struct tiles *t = tiles_for(s);
  struct pah_backward w = {.dev = dev, .a = a, .s = s, .p = p, .dim = t->dim, .queries = t->queries, .keys = KEYS};
  int status = pah_backward_begin(&w);
  return status ? status : launch_gradients(&w, t);
}
