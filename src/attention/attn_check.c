/* attn_check.c - every rule of an attention call but the contents of its integer tensors (attn_contents.c).
 * Order: which tensors there are, each by itself, options, dtypes, shapes (attn_shapes.c), layout, overlap,
 * contents. Read next: tensor/check.h (the rules of one tensor). */
#include "attn_call.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "tensor/tensor.h"

/* ---- Which operation takes which tensor ------------------------------------------------------------------ */

enum role { NONE, MAY, MUST, RESULT };

static const struct {
  const char *name;
  size_t offset;
  unsigned char role[PAH_OP_COUNT]; /* fwd, fwd_fp8, bwd, decode */
} fields[FIELD_COUNT] = {
#define FIELD(name, ...)                                                                                               \
  {                                                                                                                    \
#name, offsetof(struct pah_attn, name), {                                                                          \
      __VA_ARGS__                                                                                                      \
    }                                                                                                                  \
  }
    [Q] = FIELD(q, MUST, MUST, MUST, MUST),
    [K] = FIELD(k_blocks, MUST, MUST, MUST, MUST),
    [V] = FIELD(v_blocks, MUST, MUST, MUST, MUST),
    [TABLE] = FIELD(block_table, MUST, MUST, MUST, MUST),
    [CU] = FIELD(cu_seqlens_q, MAY, MAY, MAY, MAY),
    [USED] = FIELD(seqused_k, MAY, MAY, MAY, MAY),
    [TREE] = FIELD(tree_mask, MAY, NONE, NONE, MAY),
    [SINKS] = FIELD(sinks, MAY, MAY, MAY, MAY),
    [Q_DESCALE] = FIELD(q_descale, NONE, MAY, NONE, NONE),
    [K_DESCALE] = FIELD(k_descale, NONE, MAY, NONE, MAY),
    [V_DESCALE] = FIELD(v_descale, NONE, MAY, NONE, MAY),
    [OUT] = FIELD(out, RESULT, RESULT, MUST, RESULT),
    [LSE] = FIELD(lse, RESULT, RESULT, MUST, RESULT),
    [DOUT] = FIELD(dout, NONE, NONE, MUST, NONE),
    [DQ] = FIELD(dq, NONE, NONE, RESULT, NONE),
    [DK] = FIELD(dk_blocks, NONE, NONE, RESULT, NONE),
    [DV] = FIELD(dv_blocks, NONE, NONE, RESULT, NONE),
    [DSINKS] = FIELD(dsinks, NONE, NONE, RESULT, NONE),
#undef FIELD
};

static const char *const op_names[PAH_OP_COUNT] = {"fwd", "fwd_fp8", "bwd", "decode"};

const char *pah_op_name(int op) {
  return op >= 0 && op < PAH_OP_COUNT ? op_names[op] : NULL;
}

static int is_result(const struct check *c, int f) {
  return fields[f].role[c->op] == RESULT;
}

static int check_presence(struct check *c) {
  for (int f = 0; f < FIELD_COUNT; f++) {
    const struct pah_tensor *t = (const struct pah_tensor *)((const char *)c->a + fields[f].offset);
    int role = fields[f].role[c->op], present = pah_present(t);
    int ignored = c->reference && c->op == PAH_BWD && (f == OUT || f == LSE);
    if (f == DSINKS && role == RESULT && !pah_present(&c->a->sinks)) {
      if (present) return pah_fail(PAH_EINVAL, "dsinks: is given, but sinks is not");
      continue;
    }
    c->args[f] = (struct pah_arg){fields[f].name, present && !ignored ? t : NULL};
    if (ignored) continue;
    if (present && role == NONE)
      return pah_fail(PAH_EINVAL, "%s: is given, but %s does not take it", fields[f].name, op_names[c->op]);
    if (!present && (role == MUST || (role == RESULT && !c->inputs_only)))
      return pah_fail(PAH_EINVAL, "%s: is missing, must be given to %s", fields[f].name, op_names[c->op]);
  }
  return PAH_OK;
}

/* ---- Options --------------------------------------------------------------------------------------------- */

static int check_scales(const struct check *c) {
  const struct pah_attn *a = c->a;
  if (isinf(a->softmax_scale))
    return pah_fail(PAH_EINVAL, "softmax_scale: is %g, must be finite, or NaN for 1/sqrt(head_dim)",
                    (double)a->softmax_scale);
  /* Beyond, 1/c or c log2(e) leaves the range of f32, and 0 times infinity would be NaN. */
  if (a->softcap != 0 && !(a->softcap >= 1e-30f && a->softcap <= 1e30f))
    return pah_fail(PAH_EINVAL, "softcap: is %g, must be 0 (off) or from 1e-30 to 1e30", (double)a->softcap);
  if (c->op == PAH_FWD_FP8 && (!(a->o_scale > 0) || isinf(a->o_scale)))
    return pah_fail(PAH_EINVAL, "o_scale: is %g, must be finite and above 0", (double)a->o_scale);
  return PAH_OK;
}

/* A size that the naive kernels' threads can share out: 8, 16, 32, 64 or 128. */
static int check_tile_size(const char *name, int32_t size) {
  if (!size || (size >= 8 && size <= 128 && !(size & (size - 1)))) return PAH_OK;
  return pah_fail(PAH_EINVAL, "%s: is %d, must be 8, 16, 32, 64 or 128, or 0 for the default", name, size);
}

static int check_tile(const struct check *c) {
  const char *name = c->a->block_m ? "block_m" : "block_n";
  if (c->op == PAH_DECODE || c->reference)
    return pah_fail(PAH_EINVAL, "%s: is given, but %s has no tiles", name, c->reference ? "the reference" : "decode");
  if (!c->a->q.device->ops->compile)
    return pah_fail(PAH_EUNSUPPORTED, "%s: is given, but the kernels of %s have no tiles to choose", name,
                    c->a->q.device->info.name);
  int status = check_tile_size("block_m", c->a->block_m);
  return status ? status : check_tile_size("block_n", c->a->block_n);
}

static int check_options(const struct check *c) {
  const struct pah_attn *a = c->a;
  int status = check_range("causal", a->causal, 0, PAH_CAUSAL_TOP_LEFT, "one of enum pah_causal, 0 to 2");
  if (!status) status = check_range("window_left", a->window_left, -1, INT32_MAX, "-1 (no limit) or more");
  if (!status) status = check_range("window_right", a->window_right, -1, INT32_MAX, "-1 (no limit) or more");
  if (!status && c->op == PAH_DECODE) status = check_range("num_splits", a->num_splits, 0, 4096, "0 (chosen) to 4096");
  if (!status && c->op != PAH_DECODE) status = check_range("num_splits", a->num_splits, 0, 0, "0: only decode splits");
  if (!status) status = check_range("seqlen_k", a->seqlen_k, -1, INT32_MAX, "-1 (the table's reach) to 2^31 - 1");
  if (!status) status = check_scales(c);
  if (!status && (a->block_m || a->block_n)) status = check_tile(c);
  if (!status && c->args[TREE].t && (a->causal || a->window_left >= 0 || a->window_right >= 0))
    status =
        pah_fail(PAH_EINVAL, "tree_mask: is given with %s, must be the only mask", a->causal ? "causal" : "window");
  if (status) return status;
  if (!c->reference && a->intermediate != PAH_NONE)
    return pah_fail(PAH_EINVAL, "intermediate: is given, but only the reference takes it");
  unsigned rounded = 1u << PAH_NONE | PAH_REAL_DTYPES | PAH_FP8_DTYPES;
  if (a->intermediate < 0 || a->intermediate > PAH_TF32 || !((rounded | 1u << PAH_TF32) >> a->intermediate & 1))
    return pah_fail(PAH_EINVAL, "intermediate: is %d, must be a dtype of 32 bits or fewer", a->intermediate);
  if (a->out_dtype < 0 || a->out_dtype >= PAH_DTYPE_COUNT || !(rounded >> a->out_dtype & 1) ||
      (a->out_dtype != PAH_NONE && c->op != PAH_FWD_FP8))
    return pah_fail(PAH_EINVAL, "out_dtype: is %s, must be a dtype that fwd_fp8 writes, and only there",
                    pah_dtype_name(a->out_dtype) ? pah_dtype_name(a->out_dtype) : "no dtype");
  return PAH_OK;
}

/* The kernels' names of this operation on this device: " flash split-kv"; the number of them. */
static int kernel_names(const char *kind, const char *op, char *text, size_t bytes) {
  int count = 0;
  size_t at = 0;
  text[0] = 0;
  for (int64_t i = 0; pah_kernel_at(i); i++) {
    const struct pah_kernel *k = pah_kernel_at(i);
    if (strcmp(k->device, kind) != 0 || strcmp(k->op, op) != 0 || at >= bytes) continue;
    at += (size_t)snprintf(text + at, bytes - at, "%s\"%s\"", count++ ? " or " : "", k->name);
  }
  return count;
}

static int check_kernel(const struct check *c) {
  const struct pah_device_ops *ops = c->a->q.device->ops;
  const char *op = op_names[c->op], *name = c->a->kernel;
  for (int64_t i = 0; pah_kernel_at(i); i++) {
    const struct pah_kernel *k = pah_kernel_at(i);
    if (!strcmp(k->device, ops->kind) && !strcmp(k->op, op) && (!name || !strcmp(k->name, name)) && ops->attention)
      return PAH_OK;
  }
  char names[256];
  if (!kernel_names(ops->kind, op, names, sizeof names) || !ops->attention)
    return pah_fail(PAH_EUNSUPPORTED, "%s: device %s has no kernel for it", op, c->a->q.device->info.name);
  return pah_fail(PAH_EINVAL, "kernel: \"%.64s\" is not one of %s on %s, must be %s", name, op, ops->kind, names);
}

/* ---- Dtypes ---------------------------------------------------------------------------------------------- */

static int check_result_dtypes(const struct check *c) {
  unsigned as_q = 1u << c->a->q.dtype, f32 = 1u << PAH_F32, f64 = 1u << PAH_F64;
  int status = PAH_OK;
  for (int f = OUT; f < FIELD_COUNT && !status; f++) {
    if (!c->args[f].t) continue;
    if (c->reference && is_result(c, f))
      status = pah_check_dtype(c->args[f], f64, " for a result of the reference");
    else if (f == LSE || f == DSINKS)
      status = pah_check_dtype(c->args[f], f32, "");
    else if (f == OUT && c->op == PAH_FWD_FP8)
      status = c->a->out_dtype ? pah_check_dtype(c->args[f], 1u << c->a->out_dtype, ", as out_dtype says")
                               : pah_check_dtype(c->args[f], PAH_REAL_DTYPES | PAH_FP8_DTYPES, "");
    else
      status = pah_check_dtype(c->args[f], as_q, ", as q");
  }
  return status;
}

static int check_dtypes(const struct check *c) {
  int fp8_cache = c->op == PAH_FWD_FP8 || c->op == PAH_DECODE;
  unsigned q = PAH_REAL_DTYPES | (c->op == PAH_FWD_FP8 ? (unsigned)PAH_FP8_DTYPES : 0);
  int status = pah_check_dtype(c->args[Q], q, "");
  if (status) return status;
  unsigned cache = 1u << c->a->q.dtype | (fp8_cache ? (unsigned)PAH_FP8_DTYPES : 0);
  status = pah_check_dtype(c->args[K], cache, fp8_cache ? " (that of q, or fp8)" : ", as q");
  if (!status) status = pah_check_dtype(c->args[V], 1u << c->a->k_blocks.dtype, ", as k_blocks");
  for (int f = TABLE; f <= TREE && !status; f++)
    if (c->args[f].t) status = pah_check_dtype(c->args[f], 1u << PAH_I32, "");
  for (int f = SINKS; f <= V_DESCALE && !status; f++)
    if (c->args[f].t) status = pah_check_dtype(c->args[f], 1u << PAH_F32, "");
  return status ? status : check_result_dtypes(c);
}

/* ---- Layout ---------------------------------------------------------------------------------------------- */

static int check_layout(const struct check *c) {
  const int vectors[] = {Q, K, V, TREE, OUT, DOUT, DQ, DK, DV};
  int status = PAH_OK;
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors && !status; i++)
    if (c->args[vectors[i]].t) status = pah_check_unit_stride(c->args[vectors[i]]);
  if (status) return status;
  struct pah_arg results[FIELD_COUNT], others[FIELD_COUNT];
  int result_count = 0, other_count = 0;
  for (int f = 0; f < FIELD_COUNT; f++) {
    if (!c->args[f].t) continue;
    if (is_result(c, f))
      results[result_count++] = c->args[f];
    else
      others[other_count++] = c->args[f];
  }
  return pah_check_results(results, result_count, others, other_count);
}

/* ---- All of it ------------------------------------------------------------------------------------------- */

/* All rules that need no contents of tensors. */
static int check_call(struct check *c) {
  if (!pah_op_name(c->op))
    return pah_fail(PAH_EINVAL, "op: is %d, must be one of enum pah_op, 0 to %d", c->op, PAH_OP_COUNT - 1);
  if (!c->a) return pah_fail(PAH_EINVAL, "a: is NULL, must be a struct pah_attn");
  int status = check_presence(c);
  for (int f = 0; f < FIELD_COUNT && !status; f++)
    if (c->args[f].t) status = pah_check_tensor(c->args[f], c->args[Q]);
  if (!status) status = check_options(c);
  if (!status && c->reference && !c->a->q.device->info.host_memory)
    status =
        pah_fail(PAH_EUNSUPPORTED, "q: is on %s, must be in host memory for the reference", c->a->q.device->info.name);
  if (!status) status = check_dtypes(c);
  if (!status) status = pah_attn_check_shapes(c);
  if (!status) status = check_layout(c);
  if (!status && !c->reference) status = check_kernel(c);
  int64_t reach = c->s.max_blocks * c->s.block_size;
  if (!status && !c->args[USED].t && c->s.B && c->a->seqlen_k > reach)
    status = pah_fail(PAH_EINVAL, "seqlen_k: %lld is more than the table's reach of %lld tokens",
                      (long long)c->a->seqlen_k, (long long)reach);
  return status;
}

int pah_attn_check(int op, const struct pah_attn *a, int reference) {
  struct check c = {.op = op, .a = a, .reference = reference};
  int status = check_call(&c);
  if (status) return status;
  struct pah_device *dev = a->q.device;
  return dev->info.host_memory || dev->ops->host_readable ? pah_attn_check_contents(op, a, &c.s) : PAH_OK;
}

int pah_attn_check_inputs(int op, const struct pah_attn *a, int reference) {
  struct check c = {.op = op, .a = a, .reference = reference, .inputs_only = 1};
  return check_call(&c);
}
