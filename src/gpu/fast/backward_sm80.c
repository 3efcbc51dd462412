/* backward_sm80.c - what kernels/sm80/backward/ is launched with, behind what all fast backwards need
 * (backward_common.h): dK and dV, then dQ; the tiles of both by head_dim and shared memory. What they cannot do is said
 * by takes(), before anything is written. Read next: kernels/sm80/backward/config.cuh,
 * doc/design/gpu-backward-sm80.md. */
#include "fast_kernels.h"

#include <string.h>

#include "backward_common.h"
#include "error.h"
#include "forward_common.h"
#include "gpu/occupancy.h"

enum { KIB = 1024, LARGEST_DIM = 256, DIM_UNIT = 8, WARP = 32, ROW_TILE = 16, COLUMN = 64 };

/* By shared memory of a multiprocessor in KiB and head_dim. The first row that fits is taken. */
static const struct tiles {
  int shared, dim;
  struct { /* config.cuh: keys of a thread block, queries of a tile, tiles in shared memory, warps that share keys */
    int warps, keys, queries, stages, share;
  } dkdv;
  struct { /* ../forward/config.cuh: tiles of 16 rows a warp, keys of a tile, tiles of K and V in shared memory */
    int warps, m_tiles, keys, stages;
  } dq;
} tiles[] = {
    {220, 64, {4, 128, 64, 3, 1}, {4, 2, 48, 2}},  {160, 64, {4, 128, 64, 2, 1}, {4, 2, 64, 2}},
    {220, 128, {8, 128, 64, 2, 2}, {4, 2, 32, 2}}, {160, 128, {8, 128, 64, 2, 2}, {8, 2, 32, 2}},
    {220, 256, {8, 64, 64, 2, 4}, {8, 1, 32, 2}},  {0, 64, {4, 128, 64, 2, 1}, {4, 2, 32, 2}},
    {0, 128, {4, 64, 32, 2, 2}, {8, 1, 32, 2}},
};

/* What is handed over beside pah_attn_params: struct key_sizes of queries.cuh, and fetch_sizes of page_fetch.cuh. */
struct dkdv_sizes {
  struct pah_place_units k, v;
  int group;
  float inner;
};
struct dq_sizes {
  struct pah_place_units k, v;
  int tile_blocks, tile_slots;
};

/* NULL: there is none. */
static const struct tiles *tiles_for(const struct pah_device *dev, const struct pah_attn_sizes *s) {
  int64_t shared = pah_arch_limits(dev->info.arch)->shared / KIB;
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
    if (tiles[i].shared <= shared && tiles[i].dim >= s->D && tiles[i].dim >= s->Dv) return &tiles[i];
  return NULL;
}

static int find_units(const struct pah_attn *a, struct dkdv_sizes *sizes) {
  int status = pah_forward_units("k_blocks", &a->k_blocks, "sm80", &sizes->k);
  return status ? status : pah_forward_units("v_blocks", &a->v_blocks, "sm80", &sizes->v);
}

int pah_backward_sm80_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int status = pah_forward_check_ampere(dev, a, "sm80");
  if (!status) status = pah_forward_check_types(a, "sm80");
  if (status) return status;
  if (s->D > LARGEST_DIM || s->Dv > LARGEST_DIM)
    return pah_fail(PAH_EUNSUPPORTED, "head_dim: the sm80 kernel takes multiples of %d up to %d, this is %lld and %lld",
                    DIM_UNIT, LARGEST_DIM, (long long)s->D, (long long)s->Dv);
  const struct tiles *t = tiles_for(dev, s);
  if (!t) return pah_fail(PAH_EUNSUPPORTED, "head_dim: the sm80 kernel takes up to 128 on %s", dev->info.arch);
  status = pah_backward_check(a, s, t->dkdv.keys, "sm80");
  struct dkdv_sizes sizes;
  return status ? status : find_units(a, &sizes);
}

static void begin(struct pah_gpu_call *call, const struct pah_backward *w, const char *file, const char *kernel,
                  int warps) {
  *call = (struct pah_gpu_call){.file = file, .kernel = kernel, .threads = WARP * warps, .problem = w->a};
  pah_gpu_define(call, "DIM", w->s->D);
  if (w->s->Dv != w->s->D) pah_gpu_define(call, "DIM_V", w->s->Dv);
  pah_gpu_define(call, "WARPS", warps);
  pah_gpu_define(call, "QUERIES", w->queries);
  if (w->a->softcap > 0) pah_gpu_define(call, "SOFTCAP", 1);
  pah_gpu_define_type(call, "IO_T", w->a->q.dtype);
  call->grid[1] = call->grid[2] = 1;
}

/* Thread blocks take items until there are no more: as many as fit. */
static int launch_dkdv(const struct pah_backward *w, const struct tiles *t, const struct dkdv_sizes *sizes) {
  struct pah_gpu_call call;
  begin(&call, w, "sm80/backward/dkdv.cu", "backward_dkdv_sm80", t->dkdv.warps);
  pah_gpu_define(&call, "KEYS", t->dkdv.keys);
  pah_gpu_define(&call, "QUERY_STAGES", t->dkdv.stages);
  pah_gpu_define(&call, "SHARE", t->dkdv.share);
  int64_t row = 2 * t->dim, tile = t->dkdv.queries * (2 * row + 8); /* config.cuh: *_START */
  int64_t weights = t->dkdv.share > 1 ? 4LL * t->dkdv.keys * t->dkdv.queries : 0;
  call.shared = 2 * t->dkdv.keys * row + t->dkdv.stages * tile + weights;
  int64_t items = w->items * w->s->Hkv, most = w->dev->info.sms;
  most *= pah_thread_blocks_per_sm(pah_arch_limits(w->dev->info.arch), call.threads, 0, call.shared, NULL);
  call.grid[0] = items < most ? items : most;
  const void *args[] = {w->p, sizes, &w->plan};
  memcpy(call.args, args, sizeof args);
  return pah_gpu_call(w->dev, &call);
}

static int launch_dq(const struct pah_backward *w, const struct tiles *t, const struct dkdv_sizes *places) {
  struct pah_gpu_call call;
  begin(&call, w, "sm80/backward/dq.cu", "backward_dq_sm80", t->dq.warps);
  int64_t rows = ROW_TILE * t->dq.m_tiles * t->dq.warps;
  int pack = pah_forward_packs(w->s, rows) ? (int)w->s->group : 1; /* less of a tile lies behind the diagonal */
  pah_gpu_define(&call, "TILE_N", t->dq.keys);
  pah_gpu_define(&call, "M_TILES", t->dq.m_tiles);
  pah_gpu_define(&call, "SLOTS", 2 * t->dq.stages);
  if (pack > 1) pah_gpu_define(&call, "PACK", pack);
  int64_t q = 2 * COLUMN * pah_up(w->s->D, COLUMN), d_out = 2 * COLUMN * pah_up(w->s->Dv, COLUMN); /* bytes of a row */
  call.shared = rows * (q + d_out) + 2LL * t->dq.stages * t->dq.keys * (q > d_out ? q : d_out);
  call.grid[0] = pah_forward_items(w->a, w->s, rows, pack);
  struct dq_sizes sizes = {.k = places->k,
                           .v = places->v,
                           .tile_blocks = t->dq.keys / w->p->block_size,
                           .tile_slots = t->dq.keys % w->p->block_size};
  const void *args[] = {w->p, &sizes, &w->plan};
  memcpy(call.args, args, sizeof args);
  return pah_gpu_call(w->dev, &call);
}

int pah_backward_sm80(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                      struct pah_attn_params *p) {
  const struct tiles *t = tiles_for(dev, s);
  struct pah_backward w = {
      .dev = dev, .a = a, .s = s, .p = p, .dim = t->dim, .queries = t->dkdv.queries, .keys = t->dkdv.keys};
  struct dkdv_sizes sizes = {.group = (int)s->group, .inner = p->softcap > 0 ? p->softmax_scale / p->softcap : 0};
  int status = find_units(a, &sizes);
  if (!status) status = pah_backward_begin(&w);
  if (!status) status = launch_dkdv(&w, t, &sizes);
  return status ? status : launch_dq(&w, t, &sizes);
}
