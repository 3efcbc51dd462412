/* lexer.c - see lexer.h. Comments of both kinds are passed over; numbers are read as the PTX ISA writes them.
 * Read next: parser.c. */
#include "lexer.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Memory ---- */

enum { CHUNK = PTX_LARGEST };

struct ptx_chunk {
  struct ptx_chunk *next;
  size_t used, room;
  _Alignas(16) char bytes[];
};

void *ptx_new(struct ptx_pool *pool, size_t bytes) {
  static _Alignas(16) char nowhere[CHUNK];
  bytes = (bytes + 15) & ~(size_t)15;
  if (!pool->failed && (!pool->chunks || bytes > pool->chunks->room - pool->chunks->used)) {
    const size_t room = bytes > CHUNK ? bytes : CHUNK;
    struct ptx_chunk *fresh = calloc(1, sizeof *fresh + room);
    if (fresh) {
      fresh->next = pool->chunks;
      fresh->room = room;
      pool->chunks = fresh;
    } else {
      pool->failed = 1;
    }
  }
  if (pool->failed) return memset(nowhere, 0, CHUNK);
  void *p = pool->chunks->bytes + pool->chunks->used;
  pool->chunks->used += bytes;
  return p;
}

char *ptx_word(struct ptx_pool *pool, const char *text, size_t length) {
  char *copy = ptx_new(pool, length + 1);
  if (!pool->failed) memcpy(copy, text, length);
  return copy;
}

void ptx_pool_free(struct ptx_pool *pool) {
  while (pool->chunks) {
    struct ptx_chunk *first = pool->chunks;
    pool->chunks = first->next;
    free(first);
  }
}

/* ---- Errors ---- */

void ptx_fail(struct ptx_lexer *x, const char *format, ...) {
  if (x->error[0]) return;
  va_list args;
  va_start(args, format);
  vsnprintf(x->error, sizeof x->error, format, args);
  va_end(args);
  x->error_line = x->token.line;
  x->at += strlen(x->at);
  x->token.kind = PTX_END;
}

const char *ptx_token_text(const struct ptx_lexer *x) {
  return x->token.kind == PTX_END ? "the end" : x->token.text;
}

/* ---- Tokens ---- */

static void skip_blanks(struct ptx_lexer *x) {
  for (;; x->at++) {
    if (*x->at == '\n') x->line++;
    if (isspace((unsigned char)*x->at)) continue;
    if (x->at[0] == '/' && x->at[1] == '/') {
      x->at += strcspn(x->at, "\n") - 1;
      continue;
    }
    if (x->at[0] != '/' || x->at[1] != '*') return;
    const char *end = strstr(x->at + 2, "*/");
    if (!end) return;
    for (; x->at < end + 1; x->at++)
      if (*x->at == '\n') x->line++;
  }
}

static int is_word(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.';
}

/* A word: "a::b" belongs together, "a:" does not. A name of an operand in an asm statement is "%[name]". */
static size_t word_length(const char *at) {
  size_t n = 0;
  if (at[0] == '%' && at[1] == '[') return strcspn(at, "]\n") + (strchr(at, ']') != NULL);
  while (is_word(at[n]) || (at[n] == ':' && at[n + 1] == ':' && is_word(at[n + 2])) ||
         (n && at[n] == ':' && at[n - 1] == ':' && is_word(at[n + 1])))
    n++;
  return n;
}

static size_t read_bits(struct ptx_token *t, const char *at) {
  const int wide = tolower((unsigned char)at[1]) == 'd';
  size_t n = strspn(at + 2, "0123456789abcdefABCDEF");
  t->kind = wide ? PTX_FLOAT64 : PTX_FLOAT32;
  t->value = strtoull(at + 2, NULL, 16);
  return n == (wide ? 16 : 8) ? n + 2 : 0;
}

static size_t read_number(struct ptx_token *t, const char *at) {
  const int second = at[0] == '0' ? tolower((unsigned char)at[1]) : 0;
  if (second == 'f' || second == 'd') return read_bits(t, at);
  char *end;
  t->kind = PTX_NUMBER;
  if (second == 'b')
    t->value = strtoull(at + 2, &end, 2);
  else
    t->value = strtoull(at, &end, 0);
  if (second != 'x' && (*end == '.' || *end == 'e' || *end == 'E')) {
    const double real = strtod(at, &end);
    memcpy(&t->value, &real, sizeof real);
    t->kind = PTX_FLOAT64;
  }
  return (size_t)(end - at) + (*end == 'U' || *end == 'u');
}

void ptx_next(struct ptx_lexer *x) {
  struct ptx_token *t = &x->token;
  if (x->error[0]) return;
  skip_blanks(x);
  const char *at = x->at;
  size_t n = 1;
  *t = (struct ptx_token){.kind = PTX_MARK, .line = x->line};
  if (!*at) {
    t->kind = PTX_END;
    return;
  }
  if (isdigit((unsigned char)*at)) {
    n = read_number(t, at);
  } else if (is_word(*at)) {
    t->kind = PTX_WORD;
    n = word_length(at);
  } else if (*at == '"') {
    t->kind = PTX_STRING;
    n = 1 + strcspn(at + 1, "\"\n") + 1;
  } else if (!strchr("{}[](),;:@!|+-*=<>", *at)) {
    n = 0;
  }
  if (!n) {
    ptx_fail(x, "is \"%.20s\", must be PTX", at);
    return;
  }
  t->text = t->kind == PTX_STRING ? ptx_word(x->pool, at + 1, n - 2) : ptx_word(x->pool, at, n);
  x->at += n <= strlen(at) ? n : strlen(at);
}

void ptx_lexer_open(struct ptx_lexer *x, struct ptx_pool *pool, const char *text) {
  *x = (struct ptx_lexer){.pool = pool, .at = text, .line = 1};
  ptx_next(x);
}

int ptx_is(const struct ptx_lexer *x, const char *text) {
  return (x->token.kind == PTX_WORD || x->token.kind == PTX_MARK) && !strcmp(x->token.text, text);
}

int ptx_take(struct ptx_lexer *x, const char *text) {
  if (!ptx_is(x, text)) return 0;
  ptx_next(x);
  return 1;
}

void ptx_want(struct ptx_lexer *x, const char *text) {
  if (!ptx_take(x, text)) ptx_fail(x, "is \"%.60s\", must be \"%s\"", ptx_token_text(x), text);
}
