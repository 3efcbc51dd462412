/* wgmma.c - matrix instructions of a warpgroup: wgmma.mma_async with its fence, commit and wait.
 * The product is computed when it is issued, but the sums reach the caller's registers only at the wait of its warp;
 * until then they are NaN, and touching them is the finding wgmma-pending. Operands in shared memory are read by agents
 * of the warps, so that overwriting them before the wait is a race. Read next: wgmma_operand.c, matrix.c. */
#include "wgmma.h"

#include <stdlib.h>
#include <string.h>

#include "sim/abi_ptx.h"
#include "copy/async.h"
#include "matrix.h"

enum { WARPS = 4, ROWS = 64, LARGEST_N = 256, KEPT_GROUPS = 64 };

/* A set of sums on its way, from its first wgmma until the next one with the same registers after its landing. */
struct sums {
  struct sums *next;
  int n, form;                        /* form: enum matrix_sum */
  int words;                          /* registers of a thread: n / 2, of f16 half as many */
  float *registers[WARPS * SIM_WARP]; /* the first one of each thread */
  float **places[WARPS * SIM_WARP];   /* where they lie apart: all of them; else NULL */
  float value[ROWS][LARGEST_N];       /* words of columns [0, n): f32, s32, or two of f16 in one */
  int64_t group[WARPS];               /* that the last wgmma of these sums belongs to, as the warp counts */
  int flying[WARPS];
  int seen[WARPS]; /* value is what the registers held at the landing, or at the last wgmma.fence after it */
  const void *pc;
};

struct warpgroup {
  struct sums *sums;
  int64_t committed[WARPS];
  int fenced[WARPS]; /* has executed a wgmma.fence */
  struct wgmma_agents agents;
  uint32_t steps[KEPT_GROUPS][WGMMA_AGENTS]; /* of the agents, at the commit of group i % KEPT_GROUPS */
};
static struct warpgroup *groups; /* of all thread blocks that are alive */

struct operand {
  int kind, n, flags;
  float *d;
  float *const *places; /* of the sums, where they lie apart; else NULL */
  unsigned long long a_descriptor, b_descriptor;
  struct pah_sim_v4 a;
};

static int form_of(const struct operand *o) {
  return o->kind == PAH_SIM_MMA_S8 ? SUM_S32 : o->flags & PAH_SIM_WGMMA_F16_SUMS ? SUM_F16 : SUM_F32;
}

static int words_of(const struct operand *o) {
  return form_of(o) == SUM_F16 ? o->n / 4 : o->n / 2;
}

/* ---- Registers of a lane: sum i is row 16 * warp + g + 8 * (i / 2 % 2), column 8 * (i / 4) + 2 * t + i % 2; of f16
 * the two neighbours in a row share a register ---- */

/* Where the sums of a thread begin in its upper row; the lower one is 8 rows on. */
static float *first_sum(struct sums *s, int thread) {
  const int lane = thread % SIM_WARP, in_row = s->form == SUM_F16 ? lane % 4 : 2 * (lane % 4);
  return &s->value[16 * (thread / SIM_WARP) + lane / 4][in_row];
}

enum { LOWER = 8 * LARGEST_N };

static void put_sums(struct sums *s, int thread, const float *words) {
  float *sum = first_sum(s, thread);
  if (s->form == SUM_F16)
    for (int i = 0; i < s->words; i += 2, sum += 4) sum[0] = words[i], sum[LOWER] = words[i + 1];
  else
    for (int i = 0; i < s->words; i += 4, sum += 8) {
      memcpy(sum, words + i, 2 * sizeof *sum);
      memcpy(sum + LOWER, words + i + 2, 2 * sizeof *sum);
    }
}

static void get_sums(struct sums *s, int thread, float *words) {
  const float *sum = first_sum(s, thread);
  if (s->form == SUM_F16)
    for (int i = 0; i < s->words; i += 2, sum += 4) words[i] = sum[0], words[i + 1] = sum[LOWER];
  else
    for (int i = 0; i < s->words; i += 4, sum += 8) {
      memcpy(words + i, sum, 2 * sizeof *sum);
      memcpy(words + i + 2, sum + LOWER, 2 * sizeof *sum);
    }
}

/* What the registers of a thread hold: there, or gathered in `room`. */
static const float *held_by(const struct sums *s, int thread, float room[LARGEST_N / 2]) {
  if (!s->places[thread]) return s->registers[thread];
  for (int i = 0; i < s->words; i++) memcpy(&room[i], s->places[thread][i], sizeof *room);
  return room;
}

static void set_registers(const struct sums *s, int thread, const float *words) {
  if (!s->places[thread]) memcpy(s->registers[thread], words, (size_t)s->words * sizeof *words);
  for (int i = 0; i < s->words && s->places[thread]; i++) memcpy(s->places[thread][i], &words[i], sizeof *words);
}

static const float *poison(void) {
  static uint32_t words[LARGEST_N / 2];
  if (!words[0]) memset(words, 0xff, sizeof words);
  return (const float *)(const void *)words;
}

static int intact(const struct sums *s, int warp) {
  float room[LARGEST_N / 2];
  for (int thread = warp * SIM_WARP; thread < (warp + 1) * SIM_WARP; thread++)
    if (memcmp(held_by(s, thread, room), poison(), (size_t)s->words * sizeof *room) != 0) return 0;
  return 1;
}

static void land(struct sums *s, int warp, struct sim_thread *const threads[SIM_WARP]) {
  float words[LARGEST_N / 2];
  s->flying[warp] = 0;
  for (int lane = 0; lane < SIM_WARP; lane++) threads[lane]->flying_sums--;
  if (!intact(s, warp)) {
    sim_find(s->pc, "wgmma-pending", "the sums of this wgmma were written to before wgmma.wait_group");
    return; /* the registers may be something else by now */
  }
  for (int thread = warp * SIM_WARP; thread < (warp + 1) * SIM_WARP; thread++) {
    get_sums(s, thread, words);
    set_registers(s, thread, words);
  }
  s->seen[warp] = 1;
}

/* ---- Issue ---- */

static struct sums *sums_for(struct warpgroup *w, const struct sim_group_collective *c, int n) {
  for (struct sums *s = w->sums; s != NULL; s = s->next) {
    const struct operand *o = c->lanes[0];
    if (s->registers[0] == o->d && s->n == n && s->form == form_of(o)) return s;
  }
  struct sums *s = async_allocate(sizeof *s);
  s->n = n;
  s->form = form_of(c->lanes[0]);
  s->words = words_of(c->lanes[0]);
  s->next = w->sums;
  w->sums = s;
  return s;
}

/* The registers of the thread's sums are from now on those of the instruction. */
static void take_places(struct sums *s, int thread, const struct operand *o) {
  free(s->places[thread]);
  s->places[thread] = NULL;
  s->registers[thread] = o->d;
  if (!o->places) return;
  const size_t bytes = (size_t)(s->words) * sizeof *o->places;
  s->places[thread] = async_allocate(bytes);
  memcpy(s->places[thread], o->places, bytes);
}

/* Takes up what the warp holds in its registers; 1: they hold other values than before. */
static int take_registers(struct sums *s, int warp) {
  float room[LARGEST_N / 2], before[LARGEST_N / 2];
  int changed = 0;
  for (int thread = warp * SIM_WARP; thread < (warp + 1) * SIM_WARP; thread++) {
    const float *held = held_by(s, thread, room);
    get_sums(s, thread, before);
    if (!memcmp(before, held, (size_t)s->words * sizeof *held)) continue;
    changed = 1;
    put_sums(s, thread, held);
  }
  return changed;
}

/* For a wgmma that adds to what the registers hold, when they are not on their way already. */
static void begin_sums(struct sums *s, const struct sim_group_collective *c, int warp) {
  int same_place = s->seen[warp];
  for (int thread = warp * SIM_WARP; thread < (warp + 1) * SIM_WARP; thread++) {
    const struct operand *o = c->lanes[thread];
    if (s->registers[thread] != o->d) same_place = 0;
    take_places(s, thread, o);
  }
  if (take_registers(s, warp) && same_place)
    sim_find(c->pc, "wgmma-not-fenced", "the sums were changed after the last wgmma.fence of warp %d of the warpgroup",
             warp);
}

static int operands_agree(const struct sim_group_collective *c) {
  const struct operand *first = c->lanes[0];
  for (int i = 1; i < WARPS * SIM_WARP; i++) {
    const struct operand *o = c->lanes[i];
    if (o->flags != first->flags || o->b_descriptor != first->b_descriptor ||
        (!(o->flags & PAH_SIM_WGMMA_REGISTERS) && o->a_descriptor != first->a_descriptor)) {
      sim_find(c->pc, "wgmma-operand",
               "wgmma: descriptors or flags of thread %d of the warpgroup differ from thread 0's", i);
      return 0;
    }
  }
  return 1;
}

static void read_operands(struct warpgroup *w, const struct sim_group_collective *c, double *a, double *b) {
  static uint32_t a_words[ROWS][MATRIX_WORDS], b_words[LARGEST_N][MATRIX_WORDS];
  const struct operand *o = c->lanes[0];
  const struct wgmma_source source = {o->kind, c->pc, c->threads};
  wgmma_agents_start(&w->agents, c->threads);
  if (o->flags & PAH_SIM_WGMMA_REGISTERS) {
    for (int thread = 0; thread < WARPS * SIM_WARP; thread++) {
      const struct operand *lane = c->lanes[thread];
      const int row = thread / SIM_WARP * 16 + thread % SIM_WARP / 4, t = thread % 4;
      for (int i = 0; i < 4; i++) a_words[row + 8 * (i % 2)][t + 4 * (i / 2)] = lane->a.r[i];
    }
  } else {
    for (int warp = 0; warp < WARPS; warp++)
      wgmma_read(&source, o->a_descriptor, (o->flags & PAH_SIM_WGMMA_TRANS_A) != 0, 16 * warp, 16,
                 w->agents.number[warp], a_words);
  }
  wgmma_read(&source, o->b_descriptor, (o->flags & PAH_SIM_WGMMA_TRANS_B) != 0, 0, o->n, w->agents.number[WARPS],
             b_words);
  matrix_widen(o->kind, 0, ROWS, (const uint32_t(*)[MATRIX_WORDS])a_words, a);
  matrix_widen(o->kind, 1, o->n, (const uint32_t(*)[MATRIX_WORDS])b_words, b);
  if (o->flags & PAH_SIM_WGMMA_UNSIGNED_A) matrix_make_unsigned(ROWS * matrix_depth(o->kind), a);
  if (o->flags & PAH_SIM_WGMMA_UNSIGNED_B) matrix_make_unsigned(o->n * matrix_depth(o->kind), b);
  if (!(o->flags & PAH_SIM_WGMMA_NEGATE_A) == !(o->flags & PAH_SIM_WGMMA_NEGATE_B)) return;
  for (int i = 0; i < ROWS * matrix_depth(o->kind); i++) a[i] = -a[i];
}

static void multiply(struct sums *s, const struct operand *o, int add, const double *a, const double *b) {
  for (int m = 0; m < ROWS && !add; m++) memset(s->value[m], 0, (size_t)s->n * sizeof **s->value);
  const struct matrix_sums out = {s->form, o->flags & PAH_SIM_WGMMA_SATFINITE, ROWS, s->n, LARGEST_N, s->value[0]};
  matrix_multiply_words(&out, matrix_depth(o->kind), a, b);
}

/* Are the registers of the thread those that hold poison already? */
static int is_settled(const struct sums *s, int thread, const struct operand *o) {
  return s->registers[thread] == o->d && !s->places[thread] && !o->places;
}

/* The registers of the whole warpgroup hold poison until the landing; those of the warps in `settled` do already. */
static void take_off(struct warpgroup *w, struct sums *s, const struct sim_group_collective *c, unsigned settled) {
  for (int thread = 0; thread < WARPS * SIM_WARP; thread++) {
    const struct operand *o = c->lanes[thread];
    if (settled >> thread / SIM_WARP & 1 && is_settled(s, thread, o)) continue;
    take_places(s, thread, o);
    set_registers(s, thread, poison());
    if (!o->places) sim_local_set(c->threads[thread], o->d, (uint32_t)((size_t)s->words * sizeof(float)));
    for (int i = 0; i < s->words && o->places; i++)
      sim_local_set(c->threads[thread], s->places[thread][i], sizeof(float));
    c->threads[thread]->flying_sums += !s->flying[thread / SIM_WARP];
  }
  for (int warp = 0; warp < WARPS; warp++) {
    s->flying[warp] = 1;
    s->group[warp] = w->committed[warp];
  }
  s->pc = c->pc;
}

static void run_wgmma(struct sim_group_collective *c) {
  static double a[ROWS * 32], b[LARGEST_N * 32];
  struct warpgroup *w = &groups[c->warpgroup];
  const struct operand *o = c->lanes[0];
  const int add = (o->flags & PAH_SIM_WGMMA_ADD) != 0;
  if (!operands_agree(c)) return;
  for (int warp = 0; warp < WARPS; warp++) {
    if (!w->fenced[warp]) {
      sim_find(c->pc, "wgmma-not-fenced", "wgmma: no wgmma.fence before the first one of warp %d of the warpgroup",
               warp);
      w->fenced[warp] = 1;
    }
  }
  struct sums *s = sums_for(w, c, o->n);
  unsigned settled = 0;
  for (int warp = 0; warp < WARPS; warp++) {
    if (s->flying[warp] && intact(s, warp))
      settled |= 1u << warp;
    else if (s->flying[warp])
      sim_find(c->pc, "wgmma-pending", "the sums were written to between two wgmma, before wgmma.wait_group");
    if (add && !s->flying[warp]) begin_sums(s, c, warp);
  }
  read_operands(w, c, a, b);
  multiply(s, o, add, a, b);
  take_off(w, s, c, settled);
  sim_counters()->mma_flops += 2LL * ROWS * o->n * matrix_depth(o->kind);
}

static void issue(struct operand *o, const void *pc) {
  static const char *const names[] = {"wgmma.bf16", "wgmma.f16",       "wgmma.f16.f16",   "wgmma.tf32", "wgmma.e4m3",
                                      "wgmma.e5m2", "wgmma.e4m3.e5m2", "wgmma.e5m2.e4m3", "wgmma.s8"};
  sim_group_collective(names[o->kind], o, run_wgmma, pc);
}

void pah_sim_wgmma(int kind_and_n, int flags, float *d, unsigned long long a_descriptor,
                   unsigned long long b_descriptor, struct pah_sim_v4 a) {
  struct operand o = {kind_and_n % 16, kind_and_n / 16, flags, d, NULL, a_descriptor, b_descriptor, a};
  issue(&o, __builtin_return_address(0));
}

void pah_sim_wgmma_at(int kind_and_n, int flags, float *const *d, unsigned long long a_descriptor,
                      unsigned long long b_descriptor, struct pah_sim_v4 a) {
  struct operand o = {kind_and_n % 16, kind_and_n / 16, flags, d[0], NULL, a_descriptor, b_descriptor, a};
  for (int i = 1; i < words_of(&o); i++)
    if (d[i] != d[0] + i) o.places = d;
  issue(&o, __builtin_return_address(0));
}

/* ---- Fence, commit, wait: each by a warp ---- */

/* What the registers hold now may be added to; what changes in them later needs another fence. */
static void run_fence(struct sim_collective *c) {
  sim_whole_warp(c);
  struct warpgroup *w = &groups[c->team / WARPS];
  const int warp = c->warp % WARPS;
  w->fenced[warp] = 1;
  for (struct sums *s = w->sums; s != NULL; s = s->next) {
    if (s->seen[warp] && !s->flying[warp]) take_registers(s, warp);
  }
}

static void run_commit(struct sim_collective *c) {
  sim_whole_warp(c);
  struct warpgroup *w = &groups[c->team / WARPS];
  const int64_t group = w->committed[c->warp % WARPS]++;
  memcpy(w->steps[group % KEPT_GROUPS], w->agents.step, sizeof w->agents.step);
}

struct wait_operand {
  int groups;
};

static void run_wait(struct sim_collective *c) {
  sim_whole_warp(c);
  struct warpgroup *w = &groups[c->team / WARPS];
  const int warp = c->warp % WARPS;
  const int64_t last = w->committed[warp] - ((const struct wait_operand *)c->lanes[0])->groups;
  for (struct sums *s = w->sums; s != NULL; s = s->next) {
    if (s->flying[warp] && s->group[warp] < last) land(s, warp, c->threads);
  }
  if (last > 0 && w->agents.started) wgmma_agents_join(&w->agents, w->steps[(last - 1) % KEPT_GROUPS], c->threads);
}

void pah_sim_wgmma_fence(void) {
  sim_collective("wgmma.fence", 0xffffffff, NULL, run_fence, __builtin_return_address(0));
}

void pah_sim_wgmma_commit(void) {
  sim_collective("wgmma.commit_group", 0xffffffff, NULL, run_commit, __builtin_return_address(0));
}

void pah_sim_wgmma_wait(int groups_left) {
  struct wait_operand o = {groups_left};
  sim_collective("wgmma.wait_group", 0xffffffff, &o, run_wait, __builtin_return_address(0));
}

void pah_sim_setmaxnreg(int increase, int count) {
  if (count < 24 || count > 256 || count % 8 != 0)
    sim_find(__builtin_return_address(0), "bad-operand", "setmaxnreg.%s: is %d, must be a multiple of 8 from 24 to 256",
             increase ? "inc" : "dec", count);
}

/* ---- Life of a thread block ---- */

static int is_among(const struct sums *s, int thread, const char *p) {
  const char *first = (const char *)s->registers[thread];
  if (!s->places[thread]) return p >= first && p < first + (size_t)(s->words) * sizeof(float);
  for (int i = 0; i < s->words; i++) {
    const char *place = (const char *)s->places[thread][i];
    if (p >= place && p < place + sizeof(float)) return 1;
  }
  return 0;
}

void sim_wgmma_touched(const struct sim_thread *t, const void *p, const void *pc) {
  for (const struct sums *s = groups[t->team / WARPS].sums; s != NULL; s = s->next) {
    const int thread = t->id % (WARPS * SIM_WARP);
    if (!s->flying[t->warp % WARPS] || !is_among(s, thread, p)) continue;
    sim_find(pc, "wgmma-pending", "the sums of a wgmma are touched before wgmma.wait_group");
    return;
  }
}

void wgmma_begin(void) {
  if (!groups) groups = async_allocate((size_t)(sim_all_teams() / WARPS) * sizeof *groups);
  for (int i = 0; i < sim_all_teams() / WARPS; i++) {
    struct warpgroup *w = &groups[i];
    memset(w->committed, 0, sizeof w->committed);
    memset(w->fenced, 0, sizeof w->fenced);
    w->agents.started = 0;
  }
}

void wgmma_block_end(void) {
  const int first = (sim_self()->team - sim_self()->warp) / WARPS,
            last = first + sim_block_threads() / (WARPS * SIM_WARP);
  for (int i = first; i < last; i++) {
    while (groups[i].sums != NULL) {
      struct sums *s = groups[i].sums;
      groups[i].sums = s->next;
      if (s->flying[0] || s->flying[1] || s->flying[2] || s->flying[3])
        sim_find(s->pc, "wgmma-pending", "the thread block ended before wgmma.wait_group for the sums of this wgmma");
      for (int thread = 0; thread < WARPS * SIM_WARP; thread++) free(s->places[thread]);
      free(s);
    }
  }
}
