/* lexer.h - PTX text as tokens, and the memory that a translation lives in. A word is all that belongs together:
 * "ld.shared::cta.v4.u32", "%tid.x", "$L__BB0_2", ".reg". Lines are counted; the first error is kept and ends the
 * text, so that what calls need not look after every step. Read next: parser.h. */
#ifndef PAH_PTX_LEXER_H
#define PAH_PTX_LEXER_H

#include <stddef.h>
#include <stdint.h>

enum ptx_token_kind {
  PTX_END,
  PTX_WORD,
  PTX_NUMBER, /* an integer, in `value` */
  PTX_FLOAT32,
  PTX_FLOAT64, /* 0f3F800000, 0d..., 1.5: the bits, in `value` */
  PTX_STRING,
  PTX_MARK /* one of { } [ ] ( ) , ; : @ ! | + - * = < > */
};

struct ptx_token {
  enum ptx_token_kind kind;
  int line;
  const char *text; /* of the pool; of a mark one character */
  uint64_t value;
};

/* Memory that is all freed at once. */
struct ptx_pool {
  struct ptx_chunk *chunks;
  int failed; /* no memory was left: at most PTX_LARGEST bytes may be touched, to no use */
};
void *ptx_new(struct ptx_pool *pool, size_t bytes); /* zeros; never NULL, but see `failed` */
char *ptx_word(struct ptx_pool *pool, const char *text, size_t length);
void ptx_pool_free(struct ptx_pool *pool);
enum { PTX_LARGEST = 1 << 16 };

struct ptx_lexer {
  struct ptx_pool *pool;
  const char *at;
  int line;
  struct ptx_token token; /* the current one */
  char error[240];        /* "" or "line: what is wrong" */
  int error_line;
};

void ptx_lexer_open(struct ptx_lexer *x, struct ptx_pool *pool, const char *text);
void ptx_next(struct ptx_lexer *x);
void ptx_fail(struct ptx_lexer *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The current token is this word or mark. ptx_take also goes on, ptx_want makes it an error if it is not. */
int ptx_is(const struct ptx_lexer *x, const char *text);
int ptx_take(struct ptx_lexer *x, const char *text);
void ptx_want(struct ptx_lexer *x, const char *text);
const char *ptx_token_text(const struct ptx_lexer *x); /* for messages */

#endif
