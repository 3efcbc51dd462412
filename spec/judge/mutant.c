/* mutant.c - a plain paged attention kernel in f32, right when `mistake` is 0; every other number plants one mistake
 * that kernels have had. The specs of pah.judge want each refused, and its cause named. Shares nothing with pah:
 * compiled by itself, called through ffi.load. Read next: mutants.lua (the names of the numbers), mutants_spec.lua. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct problem { /* all sizes and strides in elements; sequences, heads, queries and keys from 0 */
  float *out, *lse, *q, *k, *v;
  const float *sinks;
  const int32_t *table, *lengths, *cu, *tree;
  int64_t q_stride[3], out_stride[3], lse_stride[3]; /* sequence, head, query */
  int64_t k_stride[3], v_stride[3];                  /* block, slot, head */
  int32_t B, H, Hkv, D, Dv, queries, block_size, width, num_blocks, causal, left, right, splits, tree_words;
  float scale, softcap, k_descale, v_descale;
};

enum {
  RIGHT,
  NO_CAUSAL,
  TOP_LEFT,
  CAUSAL_STRICT,
  CAUSAL_ONE_MORE,
  NO_WINDOW,
  LEFT_ONE_MORE,
  RIGHT_ONE_LESS,
  WINDOW_TOP_LEFT,
  NO_SOFTCAP,
  CAP_AFTER_MASK,
  CAP_BEFORE_SCALE,
  NO_SCALE,
  SCALE_TWICE,
  LSE_LOG2,
  LSE_NO_MAX,
  HEAD_MODULO,
  HEAD_ZERO,
  TAIL_READ,
  ONE_KEY_MORE,
  ONE_KEY_LESS,
  PARTIAL_BLOCK_LOST,
  TILE_SKIPPED,
  TILE_TWICE,
  SPLITS_AVERAGED,
  SINK_EVERY_SPLIT,
  NO_SINKS,
  SINK_SCALED,
  SINK_OTHER_HEAD,
  K_AND_V_EXCHANGED,
  NEXT_ROW,
  NO_TABLE,
  FIRST_LENGTH,
  NO_RESCALE,
  EMPTY_NAN,
  EMPTY_MEAN,
  NOT_DIVIDED,
  EXP2,
  NO_TREE,
  FIRST_TREE,
  NO_K_DESCALE,
  NO_V_DESCALE,
  V_ONE_ON,
  LAST_QUERY_UNWRITTEN,
  WRITES_BESIDE,
  WRITES_INPUT,
  ZERO_TIMES_NAN,
  NOISE,
  COARSE_SCORES,
  COARSE_WEIGHTS,
  BATCH_ORDER,
  CAP_ONCE_MORE,
  LAST_SPLIT_LOST,
  FIRST_BLOCK_ONLY
};

static int seen(const struct problem *p, int mistake, int b, int i, int j, int len_q, int len_k) {
  int past = len_k - len_q, at = i + past, window = at;
  if (p->tree && mistake != NO_TREE && j >= past) {
    int row = p->cu ? p->cu[b] + i : (mistake == FIRST_TREE ? 0 : b) * p->queries + i, bit = j - past;
    if (!((uint32_t)p->tree[row * p->tree_words + bit / 32] >> bit % 32 & 1)) return 0;
  }
  if (p->causal == 2 || (mistake == TOP_LEFT && p->causal)) at = window = i;
  if (mistake == WINDOW_TOP_LEFT) window = i;
  if (p->causal && mistake != NO_CAUSAL) {
    if (mistake == CAUSAL_STRICT ? j >= at : j > at + (mistake == CAUSAL_ONE_MORE)) return 0;
  }
  if (mistake == NO_WINDOW) return 1;
  if (p->left >= 0 && j < window - p->left - (mistake == LEFT_ONE_MORE)) return 0;
  if (p->right >= 0 && j > window + p->right - (mistake == RIGHT_ONE_LESS)) return 0;
  return 1;
}

/* bfloat16, truncated. Not inline: gcc 12 drops it from behind an `if` in score (phi-opt). */
__attribute__((noinline)) static float coarse(float x) {
  uint32_t word;
  memcpy(&word, &x, 4);
  word &= 0xffff0000u;
  memcpy(&x, &word, 4);
  return x;
}

static float score(const struct problem *p, int mistake, const float *q, const float *k) {
  float s = 0, c = p->softcap, scale = p->scale;
  if (mistake == NO_SCALE) scale = 1;
  if (mistake == SCALE_TWICE) scale *= scale;
  for (int d = 0; d < p->D; d++) s += q[d] * k[d];
  if (mistake != NO_K_DESCALE) s *= p->k_descale;
  if (mistake == CAP_BEFORE_SCALE && c > 0) return c * tanhf(s / c) * scale;
  s *= scale;
  if (mistake == COARSE_SCORES) s = coarse(s);
  if (c > 0 && mistake != NO_SOFTCAP) s = c * tanhf(s / c);
  if (c > 0 && mistake == CAP_ONCE_MORE) s = c * tanhf(s / c);
  return s;
}

struct state { /* an online softmax over keys one by one */
  float top, sum, *out;
};

static void take(const struct problem *p, int mistake, struct state *s, float x, const float *v, float times) {
  float top = fmaxf(s->top, x);
  if (top == -INFINITY) return;
  float shrink = expf(s->top - top), w = (mistake == EXP2 ? exp2f(x - top) : expf(x - top)) * times;
  if (mistake == EXP2) shrink = exp2f(s->top - top);
  if (mistake == COARSE_WEIGHTS) w = coarse(w);
  s->sum = s->sum * shrink + w;
  if (mistake == NO_RESCALE && s->top > -INFINITY) shrink = 1;
  for (int d = 0; d < p->Dv; d++) s->out[d] = s->out[d] * shrink + w * v[d];
  s->top = top;
}

static const float *at(const struct problem *p, int mistake, const float *pool, const int64_t *stride, int b, int j,
                       int g) {
  int row = mistake == NEXT_ROW ? (b + 1) % p->B : b, n = j / p->block_size;
  if (mistake == FIRST_BLOCK_ONLY) n = 0;
  int block = mistake == NO_TABLE ? n % p->num_blocks : p->table[row * p->width + n];
  if (block < 0 || block >= p->num_blocks) block = 0; /* never out of the pool, whatever the mistake */
  return pool + block * stride[0] + j % p->block_size * stride[1] + g * stride[2];
}

static int keys_of(const struct problem *p, int mistake, int b) {
  int n = p->lengths[b], size = p->block_size, all = (n + size - 1) / size * size;
  if (mistake == FIRST_LENGTH) n = p->lengths[0];
  if (mistake == TAIL_READ || mistake == ZERO_TIMES_NAN) n = all;
  if (mistake == ONE_KEY_MORE && n > 0) n++;
  if (mistake == ONE_KEY_LESS && n > 0) n--;
  if (mistake == PARTIAL_BLOCK_LOST) n = n / size * size;
  return n;
}

static void keys(const struct problem *p, int mistake, int b, int h, int i, int from, int to, struct state *s) {
  int len_k = p->lengths[b], len_q = p->cu ? p->cu[b + 1] - p->cu[b] : p->queries;
  int g = mistake == HEAD_MODULO ? h % p->Hkv : mistake == HEAD_ZERO ? 0 : h / (p->H / p->Hkv);
  const float *q =
      p->q + (p->cu ? (p->cu[b] + i) * p->q_stride[0] : b * p->q_stride[0] + i * p->q_stride[2]) + h * p->q_stride[1];
  for (int j = from; j < to; j++) {
    const float *k = at(p, mistake, p->k, p->k_stride, b, j, g), *v = at(p, mistake, p->v, p->v_stride, b, j, g);
    if (mistake == V_ONE_ON && j + 1 < len_k) v = at(p, mistake, p->v, p->v_stride, b, j + 1, g);
    if (mistake == K_AND_V_EXCHANGED) {
      const float *x = k;
      k = v, v = x;
    }
    if (mistake == TILE_SKIPPED && j / 16 == 1) continue;
    float times = mistake == TILE_TWICE && j / 32 == 0 ? 2 : 1;
    if (mistake == ZERO_TIMES_NAN && j >= len_k) {
      for (int d = 0; d < p->Dv; d++) s->out[d] += 0 * v[d];
      continue;
    }
    if (seen(p, mistake, b, i, j, len_q, len_k))
      take(p, mistake, s, score(p, mistake, q, k), v, times);
    else if (mistake == CAP_AFTER_MASK && p->softcap > 0)
      take(p, mistake, s, -p->softcap, v, times);
    else if (mistake == EMPTY_MEAN)
      take(p, mistake, s, -1e30f, v, times);
  }
}

/* Parts by themselves, then together. */
static void row(const struct problem *p, int mistake, int b, int h, int i, float *out, float *lse) {
  int n = keys_of(p, mistake, b), parts = p->splits > 0 ? p->splits : mistake == SPLITS_AVERAGED ? 4 : 1;
  int chunk = (n + parts - 1) / parts, used = 0;
  float *part = calloc((size_t)p->Dv, sizeof *part), top = -INFINITY, sum = 0, sink = -INFINITY;
  if (p->sinks && mistake != NO_SINKS) sink = p->sinks[mistake == SINK_OTHER_HEAD ? (h + 1) % p->H : h];
  if (mistake == SINK_SCALED) sink *= p->scale;
  for (int d = 0; d < p->Dv; d++) out[d] = 0;
  for (int s = 0; s < parts; s++) {
    int from = s * chunk, to = from + chunk < n ? from + chunk : n;
    if (mistake == LAST_SPLIT_LOST && parts > 1 && to == n) continue;
    struct state x = {-INFINITY, 0, part};
    for (int d = 0; d < p->Dv; d++) part[d] = 0;
    if (from < to) keys(p, mistake, b, h, i, from, to, &x);
    int alone = sink > -INFINITY && (mistake == SINK_EVERY_SPLIT ? 1 : s == 0);
    if (alone) {
      float raised = fmaxf(x.top, sink), shrink = x.top > -INFINITY ? expf(x.top - raised) : 0;
      x.sum = x.sum * shrink + (sink == INFINITY ? 1 : expf(sink - raised));
      for (int d = 0; d < p->Dv; d++) part[d] = sink == INFINITY ? 0 : part[d] * shrink;
      x.top = raised;
    }
    if (x.sum == 0) {
      for (int d = 0; d < p->Dv; d++) out[d] += part[d]; /* 0, or the NaN of a mistake */
      continue;
    }
    used++;
    if (mistake == SPLITS_AVERAGED) {
      for (int d = 0; d < p->Dv; d++) part[d] /= x.sum, out[d] = (out[d] * (used - 1) + part[d]) / used;
    } else {
      float raised = fmaxf(top, x.top), old = top == raised ? 1 : top > -INFINITY ? expf(top - raised) : 0;
      float new = x.top == raised ? 1 : expf(x.top - raised);
      for (int d = 0; d < p->Dv; d++) out[d] = out[d] * old + part[d] * new;
      sum = sum * old + x.sum * new, top = raised;
      continue;
    }
    float raised = fmaxf(top, x.top), old = top > -INFINITY ? expf(top - raised) : 0;
    sum = sum * old + x.sum * expf(x.top - raised), top = raised;
  }
  if (mistake != SPLITS_AVERAGED && mistake != NOT_DIVIDED)
    for (int d = 0; d < p->Dv; d++)
      if (sum > 0 || mistake == EMPTY_NAN) out[d] /= sum;
  float v_descale = mistake == NO_V_DESCALE ? 1 : p->v_descale;
  for (int d = 0; d < p->Dv; d++) out[d] *= v_descale;
  *lse = sum > 0 || mistake == EMPTY_NAN ? top + logf(sum) : -INFINITY;
  if (mistake == LSE_LOG2) *lse /= 0.69314718f;
  if (mistake == LSE_NO_MAX && sum > 0) *lse -= top;
  free(part);
}

/* What concerns whole results. */
static void afterwards(const struct problem *p, int mistake, float *out, int b, int h, int i) {
  uint32_t state = (uint32_t)(b * 7919 + h * 104729 + i * 31 + 1);
  for (int d = 0; d < p->Dv; d++) {
    state = state * 1664525u + 1013904223u;
    if (mistake == NOISE) out[d] *= 1 + 1e-2f * ((float)(state >> 8) / 8388608.0f - 1);
    if (mistake == BATCH_ORDER) out[d] *= 1 + 1e-7f * (float)(p->B - 1);
  }
}

void attend(const struct problem *p, int mistake) {
  float *out = malloc((size_t)p->Dv * sizeof *out), lse;
  for (int b = 0; b < p->B; b++)
    for (int h = 0; h < p->H; h++) {
      int len_q = p->cu ? p->cu[b + 1] - p->cu[b] : p->queries;
      for (int i = 0; i < len_q; i++) {
        row(p, mistake, b, h, i, out, &lse);
        afterwards(p, mistake, out, b, h, i);
        if (mistake == LAST_QUERY_UNWRITTEN && i == len_q - 1 && h == p->H - 1) continue;
        int64_t r = p->cu ? p->cu[b] + i : 0;
        float *to = p->out + (p->cu ? r * p->out_stride[0] : b * p->out_stride[0] + i * p->out_stride[2]) +
                    h * p->out_stride[1];
        for (int d = 0; d < p->Dv; d++) to[d] = out[d];
        if (mistake == WRITES_BESIDE && b == p->B - 1 && h == p->H - 1 && i == len_q - 1) to[p->Dv] = 1;
        p->lse[p->cu ? h * p->lse_stride[0] + r * p->lse_stride[1]
                     : b * p->lse_stride[0] + h * p->lse_stride[1] + i * p->lse_stride[2]] = lse;
      }
    }
  if (mistake == WRITES_INPUT && p->B > 0 && p->H > 0) p->q[0] += 1;
  free(out);
}
