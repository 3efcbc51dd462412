/* attention.c - the four operations on cuda and sim: which kernel file, which defines, which grid.
 * Promises: what the kernels do not support is refused by name before anything is launched.
 * Read next: forward_sm90.c; kernels/naive/forward.cu, kernels/naive/decode.cu, kernels/naive/backward.cuh; tiles.c. */
#include <limits.h>
#include <string.h>

#include "attention/attn_check.h"
#include "fast/fast_kernels.h"
#include "error.h"
#include "gpu.h"
#include "occupancy.h"
#include "params.h"

struct job {
  struct pah_device *dev;
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  struct pah_attn_params p;
};

static void begin(struct pah_gpu_call *call, const struct job *j, const char *file, const char *kernel) {
  memset(call, 0, sizeof *call);
  call->file = file;
  call->kernel = kernel;
  call->args[0] = &j->p;
  call->problem = j->a;
}

static void set_grid(struct pah_gpu_call *call, int64_t x, int64_t y, int64_t z) {
  call->grid[0] = x;
  call->grid[1] = y;
  call->grid[2] = z;
}

static void define_dims(struct pah_gpu_call *call, const struct job *j) {
  pah_gpu_define(call, "HEAD_DIM", j->s.D);
  pah_gpu_define(call, "HEAD_DIM_V", j->s.Dv);
}

/* The default tile, with the sizes that the call gives instead. */
static struct pah_tile tile_of(const struct job *j, int op) {
  int64_t shared = pah_arch_limits(j->dev->info.arch)->shared_block;
  struct pah_tile tile = pah_gpu_tile(op, j->a->q.dtype, j->s.D, j->s.Dv, shared);
  if (j->a->block_m) tile.block_m = j->a->block_m;
  if (j->a->block_n) tile.block_n = j->a->block_n;
  return tile;
}

/* ---- Forward ---- */

static int forward(struct job *j) {
  const struct pah_attn *a = j->a;
  struct pah_tile tile = tile_of(j, PAH_FWD), *t = &tile;
  struct pah_gpu_call call;
  begin(&call, j, "naive/forward.cu", "forward");
  define_dims(&call, j);
  pah_gpu_define(&call, "BLOCK_M", t->block_m);
  pah_gpu_define(&call, "BLOCK_N", t->block_n);
  pah_gpu_define_type(&call, "Q_T", a->q.dtype);
  pah_gpu_define_type(&call, "KV_T", a->k_blocks.dtype);
  pah_gpu_define_type(&call, "OUT_T", a->out.dtype);
  call.threads = 128;
  call.shared = pah_gpu_tile_bytes(t, j->s.D, j->s.Dv);
  set_grid(&call, pah_up(j->p.seqlen_q, t->block_m), j->s.H, j->s.B);
  return pah_gpu_call(j->dev, &call);
}

/* ---- Decode ---- */

/* What the call says (attn_check.c has looked at it), else enough thread blocks to fill the device twice, but parts of
 * 256 tokens at least. */
static int64_t choose_splits(const struct job *j) {
  if (j->a->num_splits > 0) return j->a->num_splits;
  int64_t blocks = j->s.B * j->s.H, wanted = 2 * j->dev->info.sms * 4,
          longest = pah_up(j->s.max_blocks * j->s.block_size, 256), splits = blocks ? pah_up(wanted, blocks) : 1;
  if (splits > longest) splits = longest;
  return splits < 1 ? 1 : splits > 1024 ? 1024 : splits;
}

/* The most queries that a sequence can have, of those that the grid has to reach. */
static int64_t most_queries(const struct job *j) {
  int64_t most = j->s.ragged ? j->s.total_q : j->p.seqlen_q;
  return most < PAH_MAX_DECODE_QUERIES ? most : PAH_MAX_DECODE_QUERIES;
}

static int combine(struct job *j) {
  struct pah_gpu_call call;
  begin(&call, j, "naive/combine.cu", "combine");
  pah_gpu_define(&call, "HEAD_DIM_V", j->s.Dv);
  pah_gpu_define_type(&call, "OUT_T", j->a->out.dtype);
  call.threads = j->s.Dv;
  set_grid(&call, j->s.H, most_queries(j), j->s.B);
  return pah_gpu_call(j->dev, &call);
}

static int decode(struct job *j) {
  const struct pah_attn *a = j->a;
  j->p.num_splits = (int)choose_splits(j);
  struct pah_gpu_call call;
  begin(&call, j, "naive/decode.cu", "decode");
  define_dims(&call, j);
  pah_gpu_define_type(&call, "Q_T", a->q.dtype);
  pah_gpu_define_type(&call, "KV_T", a->k_blocks.dtype);
  pah_gpu_define_type(&call, "OUT_T", a->out.dtype);
  call.threads = 128;
  set_grid(&call, j->p.num_splits, j->s.H, j->s.B);
  if (j->p.num_splits == 1) return pah_gpu_call(j->dev, &call);

  int64_t parts = j->p.num_splits * j->s.total_q * j->s.H, bytes = parts * (j->s.Dv + 1) * 4;
  void *scratch;
  int status = pah_gpu_scratch(j->dev, bytes, &scratch);
  if (status) return status;
  j->p.partial_out = scratch;
  j->p.partial_lse = j->p.partial_out + parts * j->s.Dv;
  status = pah_gpu_call(j->dev, &call);
  if (!status) status = combine(j);
  pah_gpu_scratch_done(j->dev);
  return status;
}

/* ---- Backward ---- */

static int backward_part(struct job *j, const char *file, const char *kernel, const struct pah_tile *t, int64_t x,
                         int64_t y, int64_t z) {
  struct pah_gpu_call call;
  begin(&call, j, file, kernel);
  define_dims(&call, j);
  pah_gpu_define(&call, "BLOCK_M", t->block_m);
  pah_gpu_define(&call, "BLOCK_N", t->block_n);
  pah_gpu_define_type(&call, "IO_T", j->a->q.dtype);
  call.threads = 128;
  call.shared = pah_gpu_tile_bytes(t, j->s.D, j->s.Dv);
  set_grid(&call, x, y, z);
  return pah_gpu_call(j->dev, &call);
}

static int backward_sinks(struct job *j) {
  struct pah_gpu_call call;
  begin(&call, j, "naive/backward_dsinks.cu", "backward_dsinks");
  call.threads = 128;
  set_grid(&call, j->s.H, 1, 1);
  return pah_gpu_call(j->dev, &call);
}

static int backward_naive(struct job *j) {
  struct pah_tile tile = tile_of(j, PAH_BWD), *t = &tile;
  int64_t bytes = 4 * j->s.H * (j->s.total_q ? j->s.total_q : 1);
  void *delta;
  int status = pah_gpu_scratch(j->dev, bytes, &delta);
  if (status) return status;
  /* Rows of delta: [B, H, Sq], or [H, total_q] when ragged. */
  int64_t per_sequence = j->s.ragged ? j->s.total_q : j->p.seqlen_q;
  j->p.delta = (struct pah_rows){delta, j->s.ragged ? 0 : j->s.H * per_sequence, per_sequence, 1};
  if (j->s.total_q)
    status =
        backward_part(j, "naive/backward_dq.cu", "backward_dq", t, pah_up(j->p.seqlen_q, t->block_m), j->s.H, j->s.B);
  if (!status && j->s.num_blocks)
    status = backward_part(j, "naive/backward_dkv.cu", "backward_dkv", t, j->s.num_blocks, j->s.Hkv,
                           pah_up(j->s.block_size, t->block_n));
  return status;
}

/* ---- The slot ---- */

/* What the naive kernels do not do. */
static int check_naive(const struct job *j, int op) {
  const struct pah_attn *a = j->a;
  const struct pah_attn_sizes *s = &j->s;
  if (a->k_blocks.dtype != a->v_blocks.dtype)
    return pah_fail(PAH_EUNSUPPORTED, "v_blocks: dtype is %s, must be that of k_blocks (%s) for the naive kernels",
                    pah_dtype_name(a->v_blocks.dtype), pah_dtype_name(a->k_blocks.dtype));
  int64_t z = op == PAH_BWD ? pah_up(s->block_size, tile_of(j, PAH_BWD).block_n) : 0;
  int64_t reach = s->max_blocks * s->block_size;
  int open = a->seqused_k.dtype == PAH_NONE && a->seqlen_k < 0; /* every sequence has `reach` keys */
  if (s->B > 65535 || s->H > 65535 || z > 65535 || s->num_blocks > INT_MAX || s->total_q > INT_MAX ||
      s->block_size > INT_MAX || (open && reach > INT_MAX))
    return pah_fail(PAH_EUNSUPPORTED,
                    "q: the naive kernels take at most 65535 sequences and heads, and 2^31-1 queries, "
                    "blocks, and tokens of a sequence");
  return PAH_OK;
}

/* The contents of the tables where the host cannot read them: a kernel that is launched before those of the call. */
static int check_contents(struct job *j) {
  if (!pah_gpu_checks(j->dev)) return PAH_OK;
  int status = pah_gpu_check_open(j->dev, &j->p.verdict, &j->p.ticket);
  return status ? status : pah_gpu_check_launch(j->dev, "check_attention", j->s.B, &j->p);
}

/* The kernels that are fast at what they take, by the names of attention/kernels.h; naive takes the rest. */
struct fast_kernel {
  const char *name;
  int op;
  pah_gpu_takes *takes;
  pah_gpu_run *run;
  pah_gpu_pays *pays; /* not asked of what is named; NULL: always */
};
static const struct fast_kernel fast_kernels[] = {
    {"split-kv", PAH_FWD, pah_forward_split_takes, pah_forward_split, pah_forward_split_pays},
    {"sm90", PAH_FWD, pah_forward_sm90_takes, pah_forward_sm90, NULL},
    {"sm90", PAH_FWD_FP8, pah_forward_sm90_takes, pah_forward_sm90, NULL},
    {"sm80", PAH_FWD, pah_forward_sm80_takes, pah_forward_sm80, NULL},
    {"sm80", PAH_FWD_FP8, pah_forward_sm80_takes, pah_forward_sm80, NULL},
    {"simt", PAH_FWD, pah_forward_simt_takes, pah_forward_simt, NULL},
    {"tf32", PAH_FWD, pah_forward_tf32_takes, pah_forward_tf32, pah_forward_tf32_pays},
    {"sm90", PAH_BWD, pah_backward_sm90_takes, pah_backward_sm90, NULL},
    {"sm80", PAH_BWD, pah_backward_sm80_takes, pah_backward_sm80, NULL},
    {"mla", PAH_DECODE, pah_decode_mla_takes, pah_decode_mla, NULL},
    {"sm80", PAH_DECODE, pah_decode_sm80_takes, pah_decode_sm80, NULL},
};

/* The first that takes the call, or the one that it names; *chosen stays NULL for naive. */
static int choose(const struct job *j, int op, const struct fast_kernel **chosen) {
  const char *name = j->a->kernel;
  for (size_t i = 0; i < sizeof fast_kernels / sizeof *fast_kernels; i++) {
    const struct fast_kernel *f = &fast_kernels[i];
    if (f->op != op || (name && strcmp(name, f->name) != 0)) continue;
    if (!name && f->pays && !f->pays(j->dev, j->a, &j->s)) continue;
    int status = f->takes(j->dev, j->a, &j->s);
    if (!status) *chosen = f;
    if (!status || name) return status;
  }
  return check_naive(j, op);
}

static int backward(struct job *j, const struct fast_kernel *fast) {
  int status = fast ? fast->run(j->dev, j->a, &j->s, &j->p) : backward_naive(j);
  if (!status && j->p.dsinks) status = backward_sinks(j);
  pah_gpu_scratch_done(j->dev);
  return status;
}

int pah_gpu_attention(struct pah_device *dev, int op, const struct pah_attn *a) {
  struct job j = {.dev = dev, .a = a, .s = pah_attn_sizes(a)};
  const struct fast_kernel *fast = NULL;
  int status = choose(&j, op, &fast);
  if (status) return status;
  pah_gpu_params(a, &j.s, &j.p);
  if (op == PAH_DECODE) j.p.most_queries = PAH_MAX_DECODE_QUERIES;
  if (j.s.B) status = check_contents(&j);
  if (status) return status;
  if (op == PAH_BWD) return backward(&j, fast);
  if (!j.s.B || !j.s.total_q) return PAH_OK; /* nothing to compute */
  if (fast) return fast->run(dev, a, &j.s, &j.p);
  return op == PAH_DECODE ? decode(&j) : forward(&j);
}
