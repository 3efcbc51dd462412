/* cpu/decode/many_rows.h - decode of many rows that share a KV head, heads of its group times queries, by multiply-adds
 * of f32: bound by the core, not by memory. K and V of a tile are widened once for all rows. A vector of q is a quarter
 * as many rows times four elements, and four elements of K are loaded for all of its rows at once: one load of K or q
 * serves four multiply-adds, and K need not be transposed. The sums of a token are added up to a vector whose lanes are
 * rows, and P stays that way. For 16 rows (D=128) a token is 256 vector multiply-adds, 128 cycles at two a cycle.
 * Read next: many_softmax.h (between the products), tile.h (who calls). */
#ifndef PAH_CPU_DECODE_MANY_ROWS_H
#define PAH_CPU_DECODE_MANY_ROWS_H

#include "qk_pv.h"
#include "attention/attn.h"

/* DECODE_TILE: scores of a vector of rows, [DECODE_TOKENS][CELL_VECTOR]. DECODE_QUAD: elements that are multiplied at
 * once, and groups that the rows of a vector are in. A cell of products has DECODE_QUAD rows of sums and as many tokens
 * (q k) or vectors of elements (p v: DECODE_CHUNK elements) as have registers. DECODE_MANY_LD: floats from a widened
 * row of K to the next, a constant, so that a row is an offset in the instruction; two rows of cells take turns
 * (DECODE_MANY_WIDE floats, which is also room for a chunk of V), and lie so that a store does not have the lower 12
 * bits of the address of a load that follows: such loads wait, which took a third of the time of q k. */
enum {
  DECODE_TILE = DECODE_TOKENS * CELL_VECTOR,
  DECODE_QUAD = 4,
  DECODE_CELL_TOKENS = DECODE_SUMS / DECODE_QUAD,
  DECODE_CHUNK = DECODE_SUMS / DECODE_QUAD * CELL_VECTOR,
  DECODE_MANY_LD = PAH_MAX_D,
  DECODE_MANY_WIDE = 2 * DECODE_CELL_TOKENS * DECODE_MANY_LD,
};

/* Row n of q, in widen.h's order, into q of its KV head: [vectors of rows][ld / 4][4 groups][rows of a group][4]. */
static void decode_many_load_q(float *q, int64_t n, const float *row, int64_t ld) {
  q += n / CELL_VECTOR * CELL_VECTOR * ld + n % DECODE_QUAD * CELL_VECTOR;
  q += n % CELL_VECTOR / DECODE_QUAD * DECODE_QUAD;
  for (int64_t d = 0; d < ld; d += DECODE_QUAD, q += DECODE_QUAD * CELL_VECTOR)
    memcpy(q, row + d, DECODE_QUAD * sizeof *q);
}

/* K or V of a head, by value, so that nothing that is stored can change it: `skip` bytes from each row of head 0; the
 * head that comes next is `after` bytes on, 0 for the last. */
struct decode_many_rows {
  const char *const *row;
  int64_t skip, after, D, ld;
  const struct widen_table *table;
};

/* Where rows of K are widened, in turns: what is multiplied now, and what is next; `ready`: the head's first cell was
 * widened during the head before. */
struct decode_many_wide {
  float *now, *next;
  int ready;
};

/* What the products with a widened strip still have to be multiplied by. */
static inline float decode_many_factor(int dtype) {
#if defined(__AVX512BW__) && !WIDEN_TABLES
  return dtype == PAH_FP8_E4M3 ? 0x1p8f : 1.0f;
#else
  return (void)dtype, 1.0f;
#endif
}

/* A whole strip at `from` into registers and memory. */
static inline __attribute__((always_inline)) void
decode_many_widen(const char *from, int dtype, const struct widen_table *table, cell_vector *part, float *to) {
  const int wide = widen_vectors(dtype);
#if defined(__AVX512BW__) && !WIDEN_TABLES
  if (widen_is_fp8(dtype))
    widen_strip_by_memory(from, dtype, part);
  else
#endif
    widen_strip(from, dtype, table, part);
#pragma GCC unroll 4
  for (int w = 0; w < wide; w++) cell_store(to + w * CELL_VECTOR, part[w]);
}

/* `count` elements from `from` on, whole strips or not: nothing behind them is read, and what is there becomes 0. Not
 * while sums are in registers: memcpy would have them saved. */
static inline __attribute__((always_inline)) void decode_many_widen_all(const char *from, int64_t count, int dtype,
                                                                        const struct widen_table *table, float *to) {
  const int64_t size = widen_size(dtype), strip = widen_vectors(dtype) * CELL_VECTOR;
  _Alignas(64) char padded[4 * CELL_VECTOR * 4];
  cell_vector part[4];
  for (; count >= strip; count -= strip, from += strip * size, to += strip)
    decode_many_widen(from, dtype, table, part, to);
  if (count <= 0) return;
  memset(padded, 0, sizeof padded);
  memcpy(padded, from, (size_t)(count * size));
  decode_many_widen(padded, dtype, table, part, to);
}

/* sum += a b. Written out because gcc 12 else lets the result overwrite a factor and copies registers: 7 copies for 16
 * multiply-adds, of five instructions that a core takes in a cycle. */
static inline __attribute__((always_inline)) void decode_many_add_product(cell_vector *sum, cell_vector a,
                                                                          cell_vector b) {
#if defined(__AVX512F__)
  __asm__("vfmadd231ps %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
#elif defined(__FMA__)
  __asm__("vfmadd231ps %2, %1, %0" : "+x"(*sum) : "x"(a), "x"(b));
#else
  *sum += a * b;
#endif
}

/* ---- Scores -------------------------------------------------------------------------------------------------- */

/* Four elements, as often as a vector has them. */
static inline __attribute__((always_inline)) cell_vector decode_many_repeat(const float *p) {
#if defined(__AVX512F__)
  return (cell_vector)_mm512_broadcast_f32x4(_mm_loadu_ps(p));
#elif defined(__AVX__)
  return (cell_vector)_mm256_broadcast_ps((const __m128 *)p);
#else
  return cell_load(p);
#endif
}

/* Lane 4 i + g: the sum of lanes 4 i to 4 i + 3 of v[g]. */
static inline __attribute__((always_inline)) cell_vector decode_many_add(const cell_vector *v) {
#if defined(__AVX512F__)
  return (cell_vector)decode_quads(v);
#elif defined(__AVX__)
  return (cell_vector)_mm256_hadd_ps(_mm256_hadd_ps((__m256)v[0], (__m256)v[1]),
                                     _mm256_hadd_ps((__m256)v[2], (__m256)v[3]));
#else
  return decode_add_lanes(v);
#endif
}

/* q k of a vector of rows with DECODE_CELL_TOKENS tokens, `key`. For each strip of K `lines` of prefetch, a constant,
 * and a strip of each row of `ahead`, `skip` bytes on, is widened to `next`: beside multiply-adds nothing waits for it.
 */
static inline __attribute__((always_inline)) void
decode_many_dot_cell(const float *q, const float *key, struct decode_many_rows k, float *p, int dtype, int lines,
                     struct decode_fetch *fetch, const char *const *ahead, int64_t skip, float *next) {
  const int64_t ld = k.ld, strip = widen_vectors(dtype) * CELL_VECTOR, size = widen_size(dtype);
  const int64_t whole = k.D / strip * strip;
  const float factor = decode_many_factor(dtype);
  cell_vector sum[DECODE_SUMS] = {{0}}, part[4];
  for (int64_t i = 0; ahead && whole < k.D && i < DECODE_CELL_TOKENS; i++)
    decode_many_widen_all(ahead[i] + skip + whole * size, k.D - whole, dtype, k.table,
                          next + i * DECODE_MANY_LD + whole);
  for (int64_t d = 0; d < ld; d += strip) {
    if (lines) decode_fetch_lines(fetch, lines);
    if (ahead && d + strip <= k.D)
#pragma GCC unroll 4
      for (int i = 0; i < DECODE_CELL_TOKENS; i++)
        decode_many_widen(ahead[i] + skip + d * size, dtype, k.table, part, next + i * DECODE_MANY_LD + d);
    for (int64_t e = d; e < d + strip; e += DECODE_QUAD, q += DECODE_QUAD * CELL_VECTOR) {
      cell_vector quad[DECODE_CELL_TOKENS];
#pragma GCC unroll 4
      for (int j = 0; j < DECODE_CELL_TOKENS; j++) quad[j] = decode_many_repeat(key + j * DECODE_MANY_LD + e);
#pragma GCC unroll 4
      for (int g = 0; g < DECODE_QUAD; g++) {
        cell_vector query = cell_load(q + g * CELL_VECTOR);
#pragma GCC unroll 4
        for (int j = 0; j < DECODE_CELL_TOKENS; j++) decode_many_add_product(sum + j * DECODE_QUAD + g, query, quad[j]);
      }
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < DECODE_CELL_TOKENS; j++)
    cell_store(p + j * CELL_VECTOR, decode_many_add(sum + j * DECODE_QUAD) * factor);
}

static inline __attribute__((always_inline)) void decode_many_dot_as(const float *q, int64_t rows,
                                                                     struct decode_many_rows k,
                                                                     struct decode_many_wide *wide, float *p, int dtype,
                                                                     struct decode_fetch *fetch) {
  const int64_t ld = k.ld, strip = widen_vectors(dtype) * CELL_VECTOR;
  const int lines = (int)decode_lines(strip * DECODE_CELL_TOKENS * widen_size(dtype)); /* as many as K has */
  float *now = wide->now, *next = wide->next;
  if (!wide->ready)
    for (int64_t i = 0; i < DECODE_CELL_TOKENS; i++)
      decode_many_widen_all(k.row[i] + k.skip, k.D, dtype, k.table, now + i * DECODE_MANY_LD);
  for (int64_t j = 0; j < DECODE_TOKENS; j += DECODE_CELL_TOKENS) {
    const int last = j + DECODE_CELL_TOKENS == DECODE_TOKENS;
    const char *const *ahead = !last ? k.row + j + DECODE_CELL_TOKENS : k.after ? k.row : NULL;
    float *to = p + j * CELL_VECTOR, *was = now;
    decode_many_dot_cell(q, now, k, to, dtype, lines, fetch, ahead, last ? k.skip + k.after : k.skip, next);
    for (int64_t n = CELL_VECTOR; n < rows; n += CELL_VECTOR)
      decode_many_dot_cell(q + n * ld, now, k, to + n * DECODE_TOKENS, dtype, 0, fetch, NULL, 0, NULL);
    now = next;
    next = was;
  }
  *wide = (struct decode_many_wide){now, next, 1};
}

/* q k of all rows of a KV head with DECODE_TOKENS rows of K: p[vector of rows] is [DECODE_TOKENS][CELL_VECTOR]. */
static __attribute__((noinline)) void decode_many_dot(const float *q, int64_t rows, struct decode_many_rows k,
                                                      struct decode_many_wide *wide, float *p, int dtype,
                                                      struct decode_fetch *fetch) {
  switch (dtype) {
  case PAH_F32: decode_many_dot_as(q, rows, k, wide, p, PAH_F32, fetch); break;
  case PAH_F16: decode_many_dot_as(q, rows, k, wide, p, PAH_F16, fetch); break;
  case PAH_BF16: decode_many_dot_as(q, rows, k, wide, p, PAH_BF16, fetch); break;
  case PAH_FP8_E4M3: decode_many_dot_as(q, rows, k, wide, p, PAH_FP8_E4M3, fetch); break;
  default: decode_many_dot_as(q, rows, k, wide, p, PAH_FP8_E5M2, fetch);
  }
}

/* ---- Values -------------------------------------------------------------------------------------------------- */

/* o += p v of DECODE_QUAD rows, whose p are lanes side by side, and `wide` vectors of elements from d on. The `first`
 * rows widen V, all others have it from memory. `lines` of prefetch for every eight tokens. */
static inline __attribute__((always_inline)) void decode_many_weigh_cell(const float *p, int64_t tokens,
                                                                         struct decode_many_rows v, int64_t d, int wide,
                                                                         float *value, float *o, int dtype, int first,
                                                                         int lines, struct decode_fetch *fetch) {
  const int strip = widen_vectors(dtype);
  const int64_t size = widen_size(dtype);
  const float factor = decode_many_factor(dtype);
  cell_vector sum[DECODE_SUMS];
#pragma GCC unroll 16
  for (int i = 0; i < DECODE_QUAD * wide; i++) {
    sum[i] = cell_load(o + i / wide * v.ld + d + i % wide * CELL_VECTOR);
    if (factor != 1.0f) sum[i] = (cell_vector){0}; /* o joins at the end */
  }
  for (int64_t j = 0; j < tokens; j++, p += CELL_VECTOR, value += DECODE_CHUNK) {
    cell_vector element[4];
    if (lines && j % 8 == 0) decode_fetch_lines(fetch, lines);
#pragma GCC unroll 4
    for (int w = 0; w < wide; w += strip)
      if (first)
        decode_many_widen(v.row[j] + v.skip + (d + w * CELL_VECTOR) * size, dtype, v.table, element + w,
                          value + w * CELL_VECTOR);
      else
        for (int i = w; i < w + strip; i++) element[i] = cell_load(value + i * CELL_VECTOR);
#pragma GCC unroll 4
    for (int n = 0; n < DECODE_QUAD; n++) {
      cell_vector weight = p[n] - (cell_vector){0}; /* in every lane */
#pragma GCC unroll 4
      for (int w = 0; w < wide; w++) decode_many_add_product(sum + n * wide + w, element[w], weight);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < DECODE_QUAD * wide; i++) {
    float *to = o + i / wide * v.ld + d + i % wide * CELL_VECTOR;
    if (factor != 1.0f) sum[i] = cell_load(to) + sum[i] * factor;
    cell_store(to, sum[i]);
  }
}

static inline __attribute__((always_inline)) void decode_many_weigh_rows(const float *p, int64_t tokens, int64_t rows,
                                                                         struct decode_many_rows v, int64_t d, int wide,
                                                                         float *value, float *o, int dtype,
                                                                         struct decode_fetch *fetch) {
  /* as many lines as V has, by the first vector of rows */
  const int lines = (int)decode_lines(8 * wide * DECODE_QUAD * widen_size(dtype));
  int64_t n = 0;
  if (d + wide * CELL_VECTOR <= v.D) {
    decode_many_weigh_cell(p, tokens, v, d, wide, value, o, dtype, 1, lines, fetch);
    n = DECODE_QUAD;
  } else {
    for (int64_t j = 0; j < tokens; j++)
      decode_many_widen_all(v.row[j] + v.skip + d * widen_size(dtype), v.D - d, dtype, v.table,
                            value + j * DECODE_CHUNK);
  }
  for (; n < rows; n += DECODE_QUAD) {
    const float *at = p + n / CELL_VECTOR * DECODE_TILE + n % CELL_VECTOR;
    if (n < CELL_VECTOR)
      decode_many_weigh_cell(at, tokens, v, d, wide, value, o + n * v.ld, dtype, 0, lines, fetch);
    else
      decode_many_weigh_cell(at, tokens, v, d, wide, value, o + n * v.ld, dtype, 0, 0, fetch);
  }
}

static inline __attribute__((always_inline)) void decode_many_weigh_as(const float *p, int64_t tokens, int64_t rows,
                                                                       struct decode_many_rows v, float *wide, float *o,
                                                                       int dtype, struct decode_fetch *fetch) {
  int64_t d = 0;
  for (; d + DECODE_CHUNK <= v.ld; d += DECODE_CHUNK)
    decode_many_weigh_rows(p, tokens, rows, v, d, DECODE_CHUNK / CELL_VECTOR, wide, o, dtype, fetch);
  if (widen_vectors(dtype) == 2 && d < v.ld) decode_many_weigh_rows(p, tokens, rows, v, d, 2, wide, o, dtype, fetch);
}

/* o[n] += p v of all rows of a KV head, ld floats apart, with `tokens` rows of V. There is room for rows up to a whole
 * vector of them. */
static __attribute__((noinline)) void decode_many_weigh(const float *p, int64_t tokens, int64_t rows,
                                                        struct decode_many_rows v, float *wide, float *o, int dtype,
                                                        struct decode_fetch *fetch) {
  switch (dtype) {
  case PAH_F32: decode_many_weigh_as(p, tokens, rows, v, wide, o, PAH_F32, fetch); break;
  case PAH_F16: decode_many_weigh_as(p, tokens, rows, v, wide, o, PAH_F16, fetch); break;
  case PAH_BF16: decode_many_weigh_as(p, tokens, rows, v, wide, o, PAH_BF16, fetch); break;
  case PAH_FP8_E4M3: decode_many_weigh_as(p, tokens, rows, v, wide, o, PAH_FP8_E4M3, fetch); break;
  default: decode_many_weigh_as(p, tokens, rows, v, wide, o, PAH_FP8_E5M2, fetch);
  }
}

#endif
