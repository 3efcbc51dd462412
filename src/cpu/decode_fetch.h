/* cpu/decode_fetch.h - what decode will read next is prefetched into the second-level cache, a line for every line that
 * is read now: with a shuffled block table the processor's own prefetcher sees short runs only. Bursts would fill the
 * line buffers and stall the loads that the kernel waits for, so the lines are spread over the inner loops. They come
 * from two tokens by turns, half a tile apart: a Xeon's prefetcher of the second level starts after some eight lines of
 * a page and then runs up to twenty ahead (seen by timing single lines); in two pages at a time it has twice the time
 * to, and what it has brought holds a line buffer for a few cycles only. One stream 0.67 of linear bandwidth, two 0.74,
 * four no more than two. */
#ifndef PAH_CPU_DECODE_FETCH_H
#define PAH_CPU_DECODE_FETCH_H

#include <stdint.h>

/* Bytes by which rows of K are brought into the first level ahead of their use: their loads would else wait for a line
 * buffer, and the multiply-adds behind them fill the scheduler, so that no prefetch is issued meanwhile. 128 to 768
 * bytes are worth 0.02 to 0.03 of linear bandwidth, 1024 nothing; for V nothing was seen. */
enum { DECODE_AHEAD = 512 };

/* Runs of consecutive bytes: all heads of a token where they lie together, else one head of a token. */
struct decode_fetch {
  const char *const *row; /* [tokens]: head 0 */
  const char *at;         /* the next line of the stream whose turn it is; the other's is `gap` bytes from it */
  int64_t gap, left;      /* left: lines of the two current runs; 0 or less: nothing is left at all */
  int64_t bytes, tokens, half, token, stride, heads, head; /* the streams: tokens before `half` and those from it on */
};

static inline __attribute__((always_inline)) int64_t decode_lines(int64_t bytes) {
  return bytes < 64 ? 1 : bytes / 64;
}

/* The runs of f->token and of the token half a tile on; with an odd number of tokens the last is met twice. */
static void decode_fetch_start(struct decode_fetch *f) {
  int64_t other = f->token + f->half < f->tokens ? f->token + f->half : f->tokens - 1;
  f->at = f->row[f->token] + f->head * f->stride;
  f->gap = f->row[other] - f->row[f->token];
  f->left = 2 * ((f->bytes + 63) / 64);
}

static void decode_fetch_next(struct decode_fetch *f) {
  if (++f->token >= f->half) {
    f->token = 0;
    f->head++;
  }
  if (f->head < f->heads) decode_fetch_start(f);
}

/* Line n, a constant, of the next few; decode_fetch_done then says how many they were. */
static inline __attribute__((always_inline)) void decode_fetch_line(const struct decode_fetch *f, int64_t n) {
  __builtin_prefetch(f->at + (n % 2 ? f->gap : 0) + n / 2 * 64, 0, 2);
}

static inline __attribute__((always_inline)) void decode_fetch_done(struct decode_fetch *f, int64_t lines) {
  f->at += lines / 2 * 64;
  if (lines % 2) { /* the other stream's turn, which is as far as this one was */
    f->at += f->gap;
    f->gap = 64 - f->gap;
  }
  f->left -= lines;
  if (f->left <= 0) decode_fetch_next(f);
}

static inline __attribute__((always_inline)) void decode_fetch_lines(struct decode_fetch *f, int64_t lines) {
  if (f->left <= 0) return;
#pragma GCC unroll 8
  for (int64_t n = 0; n < lines; n++) decode_fetch_line(f, n);
  decode_fetch_done(f, lines);
}

#endif
