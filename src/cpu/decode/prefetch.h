/* cpu/decode/prefetch.h - what decode will read next is prefetched into the second-level cache, a line for every line
 * that is read now: with a shuffled block table the processor's own prefetcher sees short runs only. Bursts would fill
 * the line buffers and stall the loads that the kernel waits for, so the lines are spread over the inner loops. They
 * come from several runs interleaved: a Xeon's prefetcher of the second level starts after some eight lines of a page
 * and then runs up to twenty ahead (seen by timing single lines); it then has more time to, and the first line of a
 * page, for which addresses are translated, holds up one run only. What it has brought holds a line buffer for a few
 * cycles. */
#ifndef PAH_CPU_DECODE_PREFETCH_H
#define PAH_CPU_DECODE_PREFETCH_H

#include <stdint.h>

/* DECODE_SLOTS: lines of a round, of two runs or of as many runs as slots. With blocks of 8 tokens or more two runs are
 * best (of linear read bandwidth, bf16, blocks of 16: one 0.67, two 0.74, eight 0.72), with smaller ones eight (blocks
 * of 1: two 0.51, four 0.55, eight 0.60).
 * DECODE_AHEAD: bytes by which rows of K are brought into the first level ahead of their use: their loads would else
 * wait for a line buffer, and the multiply-adds behind them fill the scheduler, so that no prefetch is issued
 * meanwhile. 128 to 768 are worth 0.02 to 0.03 of linear bandwidth, 1024 nothing; for V nothing was seen. */
enum { DECODE_SLOTS = 8, DECODE_SMALL_BLOCK = 7, DECODE_AHEAD = 512 };

/* Runs of consecutive bytes: all heads of a token where they lie together, else one head of a token. */
struct decode_fetch {
  const char *slot[DECODE_SLOTS]; /* where lines are prefetched, interleaved; a round goes on by `step` bytes */
  uint64_t line, lines;           /* of the current runs, done and in all; lines 0: nothing is left at all */
  const char *const *row;         /* [tokens]: head 0 */
  int64_t step, bytes, tokens, part, token, stride, heads, head;
};

static inline __attribute__((always_inline)) int64_t decode_lines(int64_t bytes) {
  return bytes < 64 ? 1 : bytes / 64;
}

/* Slots for `runs`, a constant, of them: the current token's and those of `part`, 2 part, ... tokens on. The last token
 * stands in for those that the tile does not have. */
static inline __attribute__((always_inline)) void decode_fetch_runs(struct decode_fetch *f, int64_t runs) {
#pragma GCC unroll 8
  for (int64_t n = 0; n < DECODE_SLOTS; n++) {
    int64_t token = f->token + n % runs * f->part;
    f->slot[n] = f->row[token < f->tokens ? token : f->tokens - 1] + f->head * f->stride + n / runs * 64;
  }
  f->line = 0;
}

static void decode_fetch_start(struct decode_fetch *f) {
  if (f->step > 64)
    decode_fetch_runs(f, 2);
  else
    decode_fetch_runs(f, DECODE_SLOTS);
}

/* f's rows, runs and bytes are set; it starts with the first of them. */
static void decode_fetch_begin(struct decode_fetch *f, int64_t block_size) {
  const int64_t runs = block_size > DECODE_SMALL_BLOCK ? 2 : DECODE_SLOTS;
  if (!f->tokens) return;
  f->step = DECODE_SLOTS / runs * 64;
  f->part = (f->tokens + runs - 1) / runs;
  f->lines = (uint64_t)((f->bytes + f->step - 1) / f->step * DECODE_SLOTS);
  decode_fetch_start(f);
}

static void decode_fetch_next(struct decode_fetch *f) {
  if (++f->token >= f->part) {
    f->token = 0;
    f->head++;
  }
  if (f->head < f->heads)
    decode_fetch_start(f);
  else
    f->lines = 0;
}

/* Line n of the next `lines`, both constants, a power of two and DECODE_SLOTS at most; decode_fetch_done goes on. */
static inline __attribute__((always_inline)) void decode_fetch_line(const struct decode_fetch *f, int64_t n,
                                                                    int64_t lines) {
  uint64_t first = lines < DECODE_SLOTS ? f->line % DECODE_SLOTS & ~(uint64_t)(lines - 1) : 0;
  __builtin_prefetch(f->slot[first + (uint64_t)n] + (int64_t)(f->line / DECODE_SLOTS) * f->step, 0, 2);
}

static inline __attribute__((always_inline)) void decode_fetch_done(struct decode_fetch *f, int64_t lines) {
  f->line += (uint64_t)lines;
  if (f->line >= f->lines) decode_fetch_next(f);
}

static inline __attribute__((always_inline)) void decode_fetch_lines(struct decode_fetch *f, int64_t lines) {
  if (!f->lines) return;
#pragma GCC unroll 8
  for (int64_t n = 0; n < lines; n++) decode_fetch_line(f, n, lines);
  decode_fetch_done(f, lines);
}

#endif
