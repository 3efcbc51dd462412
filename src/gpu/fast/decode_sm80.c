/* decode_sm80.c - decode by kernels/sm80: what it takes, the sizes of its tiles, its memory. It is one launch: as many
 * thread blocks as fit at once, KV heads x runs; or, of one sequence or few short ones, spread.cu's. Two areas of
 * memory are kept from call to call: parts of rows that several thread blocks share, and the counters of those who have
 * arrived, which every launch leaves at zero. Read next: kernels/sm80/decode.cu, kernels/sm80/tile.cuh (the same sizes,
 * checked there). */
#include "fast_kernels.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "gpu/occupancy.h"

enum { STATIC_SHARED = 10 * 1024, SIM_RUNS = 6, MAX_SOFTCAP = 1000 };
enum { FEW_TILES = 32, SPREAD_WARPS = 8 }; /* of a multiprocessor where several sequences are spread, at most; warps */

/* The sizes that tile.cuh is given. */
struct shape {
  int octets, team, warps, stages; /* 8 x octets rows a warp, team warps for more rows, warps of a thread block */
  int64_t rows, slot;              /* rows of a team; bytes of a warp's share of a ring's slot */
};

/* Rows are counted by the average of ragged queries: longer ones are cut into groups of rows. */
static struct shape shape_of(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int64_t rows = s->group * (s->B ? pah_up(s->total_q, s->B) : 1), bytes = pah_dtype_size(a->k_blocks.dtype);
  struct shape h = {.octets = rows > 32 ? 2 : 1, .team = rows <= 8 ? 1 : rows <= 16 ? 2 : 4};
  h.rows = 8 * h.octets * h.team;
  h.slot = (bytes == 1 || s->D <= 64 ? 32 : 16) * (s->D + s->Dv) * bytes;
  int64_t room = pah_arch_limits(dev->info.arch)->shared_block - STATIC_SHARED;
  /* Registers: 168 a thread, or up to 255. Before sm_89 fp8 is widened by many instructions, which need more. */
  int by_hand = bytes == 1 && atoi(dev->info.arch + 3) < 89;
  int most = h.octets == 2 || s->D > 128 || by_hand ? 8 : 12;
  h.stages = most == 8 && s->D <= 128 && room >= 8 * 3 * h.slot ? 3 : 2;
  int64_t fit = room / (h.stages * h.slot);
  if (fit > 8 && fit < 12) fit = 8; /* a quarter of the multiprocessor with three warps has 168 registers for each */
  h.warps = (int)(fit < most ? fit : most) / h.team * h.team;
  return h;
}

/* ---- What is taken ---- */

static int refuse(const char *field, const char *must) {
  return pah_fail(PAH_EUNSUPPORTED, "%s: the sm80 kernel takes only %s", field, must);
}

static int is_taken(int64_t head_dim) {
  return head_dim == 64 || head_dim == 128 || head_dim == 256;
}

static int is_half(int dtype) {
  return dtype == PAH_F16 || dtype == PAH_BF16;
}

/* Copies move 16 bytes, and their addresses are counted in these, by 32 bits. */
static int fits_copies(const struct pah_tensor *t) {
  int64_t bytes = pah_dtype_size(t->dtype), last = 0;
  if ((uintptr_t)t->data % 16) return 0;
  for (int i = 0; i < 3; i++) {
    if (t->shape[i] > 1 && (t->stride[i] < 0 || t->stride[i] * bytes % 16)) return 0;
    if (t->shape[i] > 1) last += (t->shape[i] - 1) * t->stride[i];
  }
  return last * bytes / 16 < UINT32_MAX;
}

/* Q is read by 4 bytes. */
static int fits_words(const struct pah_tensor *t) {
  if ((uintptr_t)t->data % 4) return 0;
  for (int i = 0; i < t->ndim - 1; i++)
    if (t->shape[i] > 1 && t->stride[i] % 2) return 0;
  return 1;
}

int pah_decode_sm80_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int kv = a->k_blocks.dtype;
  if (pah_arch_limits(dev->info.arch)->arch < 80) return refuse("device", "sm_80 and newer");
  if (!is_taken(s->D) || !is_taken(s->Dv) || s->Dv > s->D)
    return refuse("head_dim", "64, 128 or 256, and for V no more than for K");
  if (!is_half(a->q.dtype)) return refuse("q", "f16 or bf16");
  if (kv != a->v_blocks.dtype || (kv != a->q.dtype && kv != PAH_FP8_E4M3 && kv != PAH_FP8_E5M2))
    return refuse("k_blocks", "q's dtype or fp8, and v_blocks alike");
  if (!fits_copies(&a->k_blocks)) return refuse("k_blocks", "strides of whole 16 bytes within 64 GiB");
  if (!fits_copies(&a->v_blocks)) return refuse("v_blocks", "strides of whole 16 bytes within 64 GiB");
  if (!fits_words(&a->q)) return refuse("q", "even strides");
  if (a->softcap > MAX_SOFTCAP) return refuse("softcap", "at most 1000"); /* its tanh is exact to 1e-7 of the cap */
  struct shape h = shape_of(dev, a, s);
  if (h.warps < h.team) return refuse("q", "fewer rows on this device");
  int64_t queries = s->ragged ? s->total_q : s->B ? s->total_q / s->B : 0;
  int64_t groups =
      pah_up((queries < PAH_MAX_DECODE_QUERIES ? queries : PAH_MAX_DECODE_QUERIES) * s->group, h.rows) * s->Hkv * s->B;
  int64_t splits = a->num_splits > 0 ? a->num_splits : 1, reach = s->max_blocks * s->block_size;
  if (s->block_size > INT_MAX || s->num_blocks > INT_MAX || s->total_q > INT_MAX || reach > INT_MAX ||
      groups * splits > INT_MAX || groups * pah_up(reach + 1, 16) > INT_MAX)
    return refuse("block_table", "fewer than 2^31 blocks, tokens and pieces of work");
  return PAH_OK;
}

/* ---- Memory ---- */

/* At least `bytes` of an area. */
static int keep(struct pah_device *dev, struct pah_gpu_area *area, int64_t bytes) {
  if (area->bytes >= bytes) return PAH_OK;
  pah_gpu_drop(dev, area);
  int status = pah_device_alloc(dev, bytes, &area->data);
  if (!status) area->bytes = bytes;
  return status;
}

/* The same, of zeros. */
static int keep_zero(struct pah_device *dev, struct pah_gpu_area *area, int64_t bytes) {
  int status = keep(dev, area, bytes);
  if (status || area->zero) return status;
  void *zeros = calloc(1, (size_t)area->bytes);
  if (!zeros) return pah_fail(PAH_ENOMEM, "decode: no memory for %lld counters", (long long)area->bytes / 4);
  status = dev->ops->copy_in(dev, area->data, zeros, area->bytes);
  area->zero = !status;
  free(zeros);
  return status;
}

int pah_gpu_decode_areas(struct pah_device *dev, int64_t counters, int64_t floats, struct pah_attn_params *p) {
  struct pah_gpu_state *state = dev->state;
  int status = keep_zero(dev, &state->arrivals, 4 * counters);
  if (!status) status = keep(dev, &state->parts, 4 * floats);
  p->arrivals = state->arrivals.data;
  p->partial_out = state->parts.data;
  return status;
}

int pah_gpu_decode_call(struct pah_device *dev, const struct pah_gpu_call *call) {
  int status = pah_gpu_call(dev, call);
  if (status) ((struct pah_gpu_state *)dev->state)->arrivals.zero = 0; /* a launch that failed may have left some */
  return status;
}

/* ---- The launch ---- */

/* Whether the call asks for nothing that kernels/sm80/options.cuh leaves out with PLAIN. */
static int is_plain(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int scaled = a->k_descale.dtype != PAH_NONE || a->v_descale.dtype != PAH_NONE;
  return !s->ragged && a->tree_mask.dtype == PAH_NONE && a->sinks.dtype == PAH_NONE && a->softcap == 0 &&
         a->window_left < 0 && a->window_right < 0 && a->causal <= 1 && a->num_splits <= 0 &&
         (!scaled || pah_dtype_size(a->k_blocks.dtype) == 1);
}

/* Sizes that are constants of the kernel where they are the usual ones. A simulated device is not in a hurry, and its
 * compiler is slow. */
static int64_t known(const struct pah_device *dev, int plain, int64_t value, int64_t most) {
  int power = value > 0 && !(value & (value - 1));
  return plain && power && value <= most && !dev->ops->host_readable ? value : 0;
}

/* Bytes for the totals of all teams beside their rings (kernels/sm80/join.cuh); 0: they do not fit. */
static int64_t aside(const struct pah_device *dev, const struct shape *h, int64_t dv, int64_t group, int64_t queries) {
  const int64_t rows = queries == 1 && group && group < h->rows ? group : h->rows;
  const int64_t bytes = h->warps / h->team * rows * dv * 4, rings = h->warps * h->stages * h->slot;
  return rings + bytes <= pah_arch_limits(dev->info.arch)->shared_block - STATIC_SHARED ? bytes : 0;
}

static void define_all(struct pah_gpu_call *call, const struct pah_device *dev, const struct pah_attn *a,
                       const struct pah_attn_sizes *s, const struct shape *h, int64_t queries) {
  const int plain = is_plain(a, s);
  const int64_t group = known(dev, plain, s->group, 16), one = known(dev, plain, queries, 1);
  const int64_t room = aside(dev, h, s->Dv, group, one);
  call->shared = h->warps * h->stages * h->slot + room;
  const struct {
    const char *name;
    int64_t value;
  } numbers[] = {{"HEAD_DIM", s->D},      {"HEAD_DIM_V", s->Dv}, {"ROW_OCTETS", h->octets},
                 {"TEAM_WARPS", h->team}, {"WARPS", h->warps},   {"STAGES", h->stages},
                 {"PLAIN", plain},        {"GROUP", group},      {"BLOCK_SIZE", known(dev, plain, s->block_size, 256)},
                 {"QUERIES", one},        {"ASIDE", room > 0}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) pah_gpu_define(call, numbers[i].name, numbers[i].value);
  pah_gpu_define_type(call, "Q_T", a->q.dtype);
  pah_gpu_define_type(call, "KV_T", a->k_blocks.dtype);
  pah_gpu_define_type(call, "OUT_T", a->out.dtype);
}

/* Thread blocks that share each KV head of a sequence by spread.cu, 0 if decode.cu is to do it. It is for rows of one
 * warp without options. One sequence is shared evenly whatever its length is; of several, whose true lengths are not
 * known here, only such that each warp has few tiles at most. Sets the warps and slots of *h. */
static int64_t spread(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                      struct shape *h, int64_t queries) {
  const int64_t sms = dev->info.sms > 1 ? dev->info.sms : SIM_RUNS * s->Hkv * s->B, heads = s->Hkv * s->B;
  const int64_t keys = h->slot / (s->D + s->Dv) / pah_dtype_size(a->k_blocks.dtype);
  const int64_t tiles = pah_up(s->max_blocks * s->block_size, keys), each = pah_up(tiles * heads, sms);
  if (!is_plain(a, s) || h->team > 1 || queries * s->group > h->rows || s->B > 65535) return 0;
  if (each > (s->B == 1 ? INT_MAX : FEW_TILES)) return 0;
  if (h->warps > SPREAD_WARPS) h->warps = SPREAD_WARPS;
  const int64_t room = pah_arch_limits(dev->info.arch)->shared_block - STATIC_SHARED;
  h->stages = each > 2 * h->warps && 3 * h->warps * h->slot <= room ? 3 : 2;
  const int64_t most = sms / heads, used = pah_up(tiles, h->warps);
  return most < 1 ? 1 : most < used ? most : used < 1 ? 1 : used;
}

int pah_decode_sm80(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                    struct pah_attn_params *p) {
  struct shape h = shape_of(dev, a, s);
  const int64_t queries = s->ragged ? s->total_q : p->seqlen_q, share = spread(dev, a, s, &h, queries);
  /* One multiprocessor is a simulated one: it gets the runs of several, so that joining is simulated too. */
  int64_t runs = (dev->info.sms > 1 ? dev->info.sms : SIM_RUNS * s->Hkv) / s->Hkv;
  struct pah_gpu_call call = {.file = share ? "sm80/spread.cu" : "sm80/decode.cu",
                              .kernel = "decode",
                              .args = {p},
                              .problem = a,
                              .threads = 32 * h.warps,
                              .grid = {s->Hkv,
                                       share      ? share
                                       : runs < 1 ? 1
                                                  : runs,
                                       share ? s->B : 1}};
  define_all(&call, dev, a, s, &h, queries);
  p->num_splits = a->num_splits > 0 ? a->num_splits : 0;
  int64_t groups =
      pah_up((queries < PAH_MAX_DECODE_QUERIES ? queries : PAH_MAX_DECODE_QUERIES) * s->group, h.rows) * s->Hkv * s->B;
  int64_t parts = p->num_splits ? groups * p->num_splits : share ? groups * share : 2 * s->Hkv * call.grid[1];
  int status = pah_gpu_decode_areas(dev, groups, parts * h.rows * (s->Dv + 2), p);
  return status ? status : pah_gpu_decode_call(dev, &call);
}
