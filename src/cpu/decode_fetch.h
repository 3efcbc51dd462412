/* cpu/decode_fetch.h - what decode will read next is prefetched into the second-level cache, a line for every line that
 * is read now: with a shuffled block table the processor's own prefetcher sees short runs only. Bursts would fill the
 * line buffers and stall the loads that the kernel waits for, so the lines are spread over the inner loops. */
#ifndef PAH_CPU_DECODE_FETCH_H
#define PAH_CPU_DECODE_FETCH_H

#include <stdint.h>

/* Runs of consecutive bytes: all heads of a token where they lie together, else one head of a token. */
struct decode_fetch {
  const char *const *row; /* [tokens]: head 0 */
  const char *at, *end;   /* of the current run */
  int64_t bytes, tokens, token, stride, heads, head;
};

static inline __attribute__((always_inline)) int64_t decode_lines(int64_t bytes) {
  return bytes < 64 ? 1 : bytes / 64;
}

static void decode_fetch_next(struct decode_fetch *f) {
  if (++f->token >= f->tokens) {
    f->token = 0;
    f->head++;
  }
  if (f->head >= f->heads) {
    f->tokens = 0;
    return;
  }
  f->at = f->row[f->token] + f->head * f->stride;
  f->end = f->at + f->bytes;
}

static inline __attribute__((always_inline)) void decode_fetch_lines(struct decode_fetch *f, int64_t lines) {
  if (!f->tokens) return;
#pragma GCC unroll 8
  for (int64_t n = 0; n < lines; n++) __builtin_prefetch(f->at + n * 64, 0, 2);
  f->at += lines * 64;
  if (f->at >= f->end) decode_fetch_next(f);
}

#endif
