/* asm.c - see asm.h. The statement copies what goes in into variables of the operands' widths, runs the PTX in braces
 * of its own, and copies what comes out. Sums of wgmma are left where they are: they change after the statement. Read
 * next: emit.c. */
#define _GNU_SOURCE
#include "translate.h"

#include <stdlib.h>
#include <string.h>

#include "emit.h"

/* "%%" is "%", "%=" a number; all else stays. */
static char *plain_text(struct ptx_pool *pool, const char *text, int count) {
  char *copy = ptx_word(pool, text, strlen(text)), *to = copy;
  if (count < 0 || pool->failed) return copy;
  for (const char *at = text; *at; at++) {
    if (at[0] == '%' && (at[1] == '%' || at[1] == '=')) at++;
    *to++ = *at == '=' && at > text && at[-1] == '%' ? '0' : *at;
  }
  *to = 0;
  return copy;
}

static char kind_of(const struct ptx_asm_operand *o) {
  return o->constraint[strspn(o->constraint, "=+&")];
}

static const char *type_of(const struct ptx_asm_operand *operands, const struct ptx_asm_operand *o) {
  const char kind = kind_of(o);
  if (kind >= '0' && kind <= '9') return type_of(operands, &operands[kind - '0']);
  return kind == 'h'                  ? "uint16_t"
         : kind == 'l' || kind == 'd' ? "uint64_t"
         : kind == 'b'                ? "bool"
         : kind == 'q'                ? "unsigned __int128"
                                      : "uint32_t";
}

/* Does wgmma have it among its sums? */
static int is_sum(const struct ptx_emit *e, int number) {
  const struct ptx_body *body = e->body;
  for (int i = 0; i < body->count; i++) {
    const struct ptx_statement *s = &body->statements[i];
    if (s->kind != PTX_INSTRUCTION || strncmp(s->word, "wgmma.mma_async", 15) != 0 || !s->count) continue;
    for (int j = 0; j < s->operands[0].count; j++) {
      const char *name = s->operands[0].items[j].name;
      if (name && ptx_operand_number(e, name) == number) return 1;
    }
  }
  return 0;
}

/* An empty text keeps a compiler from moving things, and touches nothing; but "0" still makes it a copy. */
static int does_nothing(const struct ptx_body *body, const struct ptx_asm_operand *operands, int count) {
  for (int i = 0; i < count; i++)
    if (kind_of(&operands[i]) >= '0' && kind_of(&operands[i]) <= '9') return 0;
  return !body->count;
}

static void copy_in(struct ptx_emit *e) {
  for (int i = 0; i < e->operand_count; i++) {
    const struct ptx_asm_operand *o = &e->operands[i];
    const char *type = type_of(e->operands, o);
    const int is_in = !o->is_output || strchr(o->constraint, '+');
    if (is_sum(e, i)) continue;
    if (strchr("ni", kind_of(o)))
      fprintf(e->out, " const auto pah_x%d = (%s);", i, o->expression);
    else if (is_in)
      fprintf(e->out, " %s pah_x%d = pah_ptx::i_in<%s>(%s);", type, i, type, o->expression);
    else
      fprintf(e->out, " %s pah_x%d = (%s)-1;", type, i, type);
  }
}

/* What is tied to an output ("0") begins as its input. */
static void tie(struct ptx_emit *e) {
  for (int i = 0; i < e->operand_count; i++) {
    const char kind = kind_of(&e->operands[i]);
    if (kind >= '0' && kind <= '9') fprintf(e->out, " pah_x%c = pah_x%d;", kind, i);
  }
}

static void copy_out(struct ptx_emit *e) {
  for (int i = 0; i < e->operand_count; i++)
    if (e->operands[i].is_output && !is_sum(e, i))
      fprintf(e->out, " pah_ptx::i_out(%s, pah_x%d);", e->operands[i].expression, i);
}

static void write_quoted(FILE *f, const char *text) {
  for (; *text; text++) fprintf(f, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text == '\n' ? ' ' : *text);
}

static void refuse(FILE *f, const char *line_of, int line, const char *what) {
  const char *at = line_of;
  for (int i = 1; i < line && strchr(at, '\n'); i++) at = strchr(at, '\n') + 1;
  at += strspn(at, " \t");
  char *words;
  if (asprintf(&words, "inline PTX, line %d (\"%.*s\"): %s", line, (int)strcspn(at, "\n"), at, what) < 0) return;
  fputs("pah_ptx::i_bad_ptx(\"", f);
  write_quoted(f, words);
  fputs("\")", f);
  free(words);
}

static int check_operands(struct ptx_lexer *x, const struct ptx_asm_operand *operands, int count) {
  for (int i = 0; i < count; i++) {
    const char kind = kind_of(&operands[i]);
    const int is_tied = kind >= '0' && kind <= '9' && kind - '0' < count && kind - '0' < i;
    if (!is_tied && !(kind && strchr("rlhfdnibq", kind)))
      ptx_fail(x, "the constraint of operand %d is \"%.20s\", must be of r, l, h, f, d, n, b, q", i,
               operands[i].constraint);
  }
  return !x->error[0];
}

char *ptx_asm(const char *text, const struct ptx_asm_operand *operands, int count) {
  struct ptx_pool pool = {NULL, 0};
  struct ptx_lexer x;
  struct ptx_body body = {NULL, 0, 0, 0};
  char *result = NULL, *inner = NULL;
  size_t bytes, inner_bytes;
  const char *plain = plain_text(&pool, text, count);
  ptx_lexer_open(&x, &pool, plain);
  ptx_parse_body(&x, &body, 1, NULL, NULL);
  FILE *f = open_memstream(&result, &bytes), *g = open_memstream(&inner, &inner_bytes);
  struct ptx_emit e = {
      .out = g, .pool = &pool, .body = &body, .operands = operands, .operand_count = count, .is_sum = is_sum};
  if (g && does_nothing(&body, operands, count)) {
    fputs("((void)0)", g);
  } else if (f && g && check_operands(&x, operands, count)) {
    fputs("({", g);
    copy_in(&e);
    tie(&e);
    fputs(" { uint32_t pah_cc = 0, pah_no_cc = 0; (void)pah_cc; (void)pah_no_cc;", g);
    ptx_emit_body(&e, &body);
    fputs(" }", g);
    copy_out(&e);
    fputs(" })", g);
  }
  if (g) fclose(g);
  const int is_bad = x.error[0] || e.error[0];
  if (f && is_bad)
    refuse(f, plain, x.error[0] ? x.error_line : e.error_line, x.error[0] ? x.error : e.error);
  else if (f && inner)
    fputs(inner, f);
  if (f) fclose(f);
  if (pool.failed || body.failed || !g || !f) {
    free(result);
    result = NULL;
  }
  free(inner);
  free(e.symbols);
  free(body.statements);
  ptx_pool_free(&pool);
  return result;
}
