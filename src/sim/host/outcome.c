/* outcome.c - a launch that has read what nobody had written is run again with other values there in the place of NaN.
 * If memory and findings are the same each time, the read has had no consequence: it was masked afterwards, or was
 * padding. A byte that is a copy of the filler is no consequence either, but its place stays one that nobody has
 * written, and who reads it next is looked at. When something differs, one run for each read tells which of them did
 * it. Read next: check/kept.h (how memory becomes again what it was), launch.c. */
#define _GNU_SOURCE
#include "outcome.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Words of bytes that are alike. The first is a number that sums change (12.1, NaN becomes NaN): what still has its
 * bytes is a copy. The others are larger and smaller than what kernels compare with, and an index, or false. */
enum { FIRST = 0x41, SUSPECTS = 8 }; /* reads that are tried one by one */
static const uint8_t fillers[] = {FIRST, 0x7a, 0, 0xfa};

struct page { /* as the launch has left it */
  uint64_t number;
  uint8_t data[SIM_PAGE], state[SIM_PAGE_WORDS];
  uint8_t copied[SIM_PAGE_WORDS]; /* bytes that hold a copy of the filler */
};
struct outcome {
  const struct sim_job *job;
  struct sim_result *result;
  struct page *pages[2]; /* of each space that is kept, ascending */
  uint64_t count[2];
  sim_runner *run;
  void *data;
};
enum difference { SAME, COPIES, DIFFERENT };

static int by_number(const void *a, const void *b) {
  const uint64_t x = ((const struct page *)a)->number, y = ((const struct page *)b)->number;
  return x < y ? -1 : x > y;
}

static uint64_t bytes_of(const struct sim_kept_space *s, uint64_t page) {
  const uint64_t left = s->bytes - page * SIM_PAGE;
  return left < SIM_PAGE ? left : SIM_PAGE;
}

/* ---- Memory as the launch has left it ---- */

static int save(struct outcome *o) {
  for (int i = 0; i < 2; i++) {
    const struct sim_kept_space *s = &o->job->kept->spaces[i];
    o->count[i] = s->listed;
    o->pages[i] = calloc(s->listed + 1, sizeof *o->pages[i]);
    if (!o->pages[i]) return 0;
    for (uint64_t j = 0; j < s->listed; j++) {
      struct page *p = &o->pages[i][j];
      p->number = s->list[j];
      memcpy(p->data, s->base + p->number * SIM_PAGE, bytes_of(s, p->number));
      if (s->state)
        memcpy(p->state, s->state + p->number * SIM_PAGE_WORDS, SIM_PAGE_WORDS);
      else
        memset(p->state, SIM_INITIALISED | SIM_ADDRESSABLE, SIM_PAGE_WORDS);
    }
    qsort(o->pages[i], s->listed, sizeof *o->pages[i], by_number);
  }
  return 1;
}

static void put_back(const struct outcome *o) {
  for (int i = 0; i < 2; i++) {
    const struct sim_kept_space *s = &o->job->kept->spaces[i];
    for (uint64_t j = 0; j < o->count[i]; j++) {
      const struct page *p = &o->pages[i][j];
      memcpy(s->base + p->number * SIM_PAGE, p->data, bytes_of(s, p->number));
      if (!s->state) continue;
      for (int w = 0; w < SIM_PAGE_WORDS; w++)
        s->state[p->number * SIM_PAGE_WORDS + (uint64_t)w] = p->state[w] & (uint8_t)~p->copied[w];
    }
  }
}

static void drop(struct outcome *o) {
  for (int i = 0; i < 2; i++) free(o->pages[i]);
}

/* ---- Is it the same? ---- */

/* A byte as it was left, and as it is now. */
static enum difference byte_difference(int was_written, uint8_t was, int is_written, uint8_t is, uint8_t filler) {
  if (!was_written && !is_written) return SAME;
  if (was_written != is_written) return DIFFERENT;
  return was == is ? SAME : was == 0xff && is == filler ? COPIES : DIFFERENT;
}

/* `p`: NULL if the launch itself has not written to the page: then it is what is kept of it. */
static enum difference page_difference(const struct sim_kept_space *s, uint64_t number, struct page *p,
                                       uint8_t filler) {
  enum difference all = SAME;
  const uint8_t *data = p ? p->data : s->copy + number * SIM_PAGE, *now = s->base + number * SIM_PAGE;
  const uint64_t bytes = bytes_of(s, number);
  for (uint64_t i = 0; i < bytes && all != DIFFERENT; i++) {
    const uint64_t word = number * SIM_PAGE_WORDS + i / WORD_BYTES, bit = i % WORD_BYTES;
    const uint8_t was = p ? p->state[i / WORD_BYTES] : s->state ? s->copy_of_states[word] : SIM_INITIALISED;
    if (p && filler != FIRST && p->copied[i / WORD_BYTES] >> bit & 1) continue;
    const int is_written = s->state ? s->state[word] >> bit & 1 : 1;
    enum difference d = byte_difference(was >> bit & 1, data[i], is_written, now[i], filler);
    if (d == COPIES && (!p || !s->state || filler != FIRST)) d = DIFFERENT;
    if (d == COPIES) p->copied[i / WORD_BYTES] |= (uint8_t)(1u << bit);
    if (d > all) all = d;
  }
  return all;
}

static enum difference memory_difference(const struct outcome *o, uint8_t filler) {
  enum difference all = SAME;
  for (int i = 0; i < 2; i++) {
    const struct sim_kept_space *s = &o->job->kept->spaces[i];
    for (uint64_t j = 0; j < s->listed && all != DIFFERENT; j++) {
      struct page *p = bsearch(&(struct page){.number = s->list[j]}, o->pages[i], o->count[i], sizeof *p, by_number);
      const enum difference d = page_difference(s, s->list[j], p, filler);
      if (d > all) all = d;
    }
    for (uint64_t j = 0; j < o->count[i] && all != DIFFERENT; j++) /* pages that were not written to this time */
      if (!s->is_kept[o->pages[i][j].number] &&
          page_difference(s, o->pages[i][j].number, &o->pages[i][j], filler) == DIFFERENT)
        all = DIFFERENT;
  }
  return all;
}

static int has(const struct sim_result *r, const struct sim_finding *f) {
  for (int i = 0; i < r->finding_count; i++)
    if (r->findings[i].pc == f->pc && !strcmp(r->findings[i].code, f->code)) return 1;
  return 0;
}

static int is_unwritten(const struct sim_finding *f) {
  return f->unwritten != 0;
}

/* Has one of them a finding that the other has not? What is read of unwritten memory is no finding yet. */
static int findings_differ(const struct sim_result *a, const struct sim_result *b) {
  for (int i = 0; i < a->finding_count; i++)
    if (!is_unwritten(&a->findings[i]) && !has(b, &a->findings[i])) return 1;
  for (int i = 0; i < b->finding_count; i++)
    if (!is_unwritten(&b->findings[i]) && !has(a, &b->findings[i])) return 1;
  return 0;
}

/* ---- Running it again ---- */

static enum difference try_filler(const struct outcome *o, uint8_t byte, const void *pc) {
  const struct sim_filler filler = {byte, pc};
  struct sim_job job = *o->job;
  job.again = 1;
  job.filler = &filler;
  sim_kept_restore(job.kept);
  sim_kept_forget(job.kept);
  sim_result = mmap(NULL, sizeof *sim_result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  enum difference d = DIFFERENT;
  if (sim_result != MAP_FAILED) {
    if (o->run(o->data, &job) && !findings_differ(o->result, sim_result)) d = memory_difference(o, byte);
    munmap(sim_result, sizeof *sim_result);
  }
  sim_result = o->result;
  return d;
}

/* A copy of what nobody has written is a finding when it comes from shared memory, which ends with the thread block, or
 * from a tensor of which nothing has been written; not when it is a part of what is moved as a whole. */
static int tells_copies(const struct outcome *o, const struct sim_finding *f) {
  const struct sim_arena *arena = o->job->arena;
  if (f->unwritten & SIM_UNWRITTEN_SHARED) return 1;
  if (!(f->unwritten & SIM_UNWRITTEN_GLOBAL)) return 0;
  const struct sim_allocation *m = f->address ? sim_arena_find(arena, f->address) : NULL;
  for (uint64_t w = 0; m && w < (m->bytes + WORD_BYTES - 1) / WORD_BYTES; w++)
    if (arena->state[m->start / WORD_BYTES + w] & SIM_INITIALISED) return 0;
  return 1;
}

static void keep_findings(struct sim_result *r, const char *told) {
  int kept = 0;
  for (int i = 0; i < r->finding_count; i++)
    if (!is_unwritten(&r->findings[i]) || told[i]) r->findings[kept++] = r->findings[i];
  r->finding_count = kept;
}

/* Which of the reads has done what all together have? If none has alone, all are told. */
static void find_culprits(const struct outcome *o, uint8_t filler, enum difference all, const char *copies,
                          char *told) {
  const struct sim_result *r = o->result;
  int suspects = 0, culprits = 0;
  for (int i = 0; i < r->finding_count; i++) suspects += is_unwritten(&r->findings[i]);
  for (int i = 0; i < r->finding_count; i++) {
    if (!is_unwritten(&r->findings[i]) || (all == COPIES && !copies[i])) continue;
    if (suspects == 1 || suspects > SUSPECTS) {
      told[i] = 1;
    } else {
      const enum difference d = try_filler(o, filler, r->findings[i].pc);
      told[i] = d == DIFFERENT || (d == COPIES && copies[i]);
    }
    culprits += told[i];
  }
  for (int i = 0; i < r->finding_count && !culprits && all == DIFFERENT; i++) told[i] = 1;
}

static void judge(struct outcome *o) {
  char told[SIM_MAX_FINDINGS] = {0}, copies[SIM_MAX_FINDINGS] = {0};
  struct sim_result *r = o->result;
  int some_copies = 0;
  for (int i = 0; i < r->finding_count; i++)
    if (is_unwritten(&r->findings[i])) some_copies |= copies[i] = (char)tells_copies(o, &r->findings[i]);
  for (size_t i = 0; i < sizeof fillers; i++) {
    const enum difference d = try_filler(o, fillers[i], NULL);
    if (d == SAME || (d == COPIES && !some_copies)) continue;
    for (int s = 0; s < 2; s++)
      for (uint64_t j = 0; j < o->count[s] && d == DIFFERENT; j++)
        memset(o->pages[s][j].copied, 0, SIM_PAGE_WORDS); /* not all have been looked at */
    find_culprits(o, fillers[i], d, copies, told);
    if (d == DIFFERENT) break;
  }
  keep_findings(r, told);
}

void sim_judge_unwritten(const struct sim_job *job, sim_runner *run, void *data) {
  struct outcome o = {.job = job, .result = sim_result, .run = run, .data = data};
  int some = 0;
  for (int i = 0; i < sim_result->finding_count; i++) some |= is_unwritten(&sim_result->findings[i]);
  if (!some) return;
  if (save(&o)) {
    judge(&o);
    sim_kept_restore(job->kept);
    put_back(&o);
  }
  drop(&o);
}
