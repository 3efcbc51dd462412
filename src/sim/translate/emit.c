/* emit.c - see emit.h. A statement is written as a whole or, when it cannot be, as a call that makes a finding of it.
 * Read next: operand.c, emit_special.c, rows.h. */
#include "emit.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void ptx_emit_error(struct ptx_emit *e, const char *format, ...) {
  if (*e->error) return;
  va_list args;
  va_start(args, format);
  vsnprintf(e->error, sizeof e->error, format, args);
  va_end(args);
}

/* ---- Instructions ---- */

static void emit_elements(struct ptx_emit *e, const struct ptx_operand *o) {
  if (o->kind != PTX_VECTOR) {
    ptx_emit_operand(e, o);
    return;
  }
  if (o->count > 4) ptx_emit_error(e, "a vector has %d registers, must have at most 4", o->count);
  for (int i = 0; i < o->count; i++) {
    if (i) fputs(", ", e->out);
    ptx_emit_operand(e, &o->items[i]);
  }
}

/* One $ of a row's text; returns what follows it. */
static const char *emit_place(struct ptx_emit *e, const struct ptx_statement *s, const struct ptx_match *m,
                              const char *at) {
  char type[24];
  switch (*at) {
  case 'T':
  case 'U':
    if (!m->types[*at == 'U']) ptx_emit_error(e, "%.80s lacks a type", s->word);
    snprintf(type, sizeof type, "t_%s", m->types[*at == 'U'] ? m->types[*at == 'U'] : "b32");
    ptx_emit_code(e, type);
    return at + 1;
  case 'F':
    fputs("(unsigned)(", e->out);
    ptx_emit_code(e, m->flags);
    fputc(')', e->out);
    return at + 1;
  case 'W':
  case 'X': ptx_emit_code(e, m->choices[*at == 'X']); return at + 1;
  case 'v': emit_elements(e, &s->operands[at[1] - '0']); return at + 2;
  case 'a': ptx_emit_address(e, &s->operands[at[1] - '0']); return at + 2;
  case 'g': ptx_emit_pointer(e, &s->operands[at[1] - '0'], NULL); return at + 2;
  case 'p': ptx_emit_pointer(e, &s->operands[at[1] - '0'], m); return at + 2;
  case 's':
    fputs(m->is_shared ? "((uint32_t)" : "pah_sim_shared_address((void *)", e->out);
    ptx_emit_address(e, &s->operands[at[1] - '0']);
    fputc(')', e->out);
    return at + 2;
  default: ptx_emit_operand(e, &s->operands[*at - '0']); return at + 1;
  }
}

static void emit_row(struct ptx_emit *e, const struct ptx_statement *s, const struct ptx_match *m) {
  const char *at = m->row->text;
  if (*at == '=') {
    at++;
    if (*at == '{' && s->operands[0].kind != PTX_VECTOR)
      ptx_emit_error(e, "the result of %.80s is a vector: {a, b}", s->word);
    at += *at == '{';
    ptx_emit_begin(e, &s->operands[0]);
  }
  while (*at) {
    const char *place = strchr(at, '$');
    char piece[160];
    snprintf(piece, sizeof piece, "%.*s", place ? (int)(place - at) : (int)strlen(at), at);
    ptx_emit_code(e, piece);
    at = place ? emit_place(e, s, m, place + 1) : at + strlen(at);
  }
  if (m->row->text[0] == '=')
    ptx_emit_end(e, &s->operands[0]);
  else
    fputc(';', e->out);
}

static void emit_finding(struct ptx_emit *e, const char *before, const char *what) {
  fprintf(e->out, "pah_sim_unsupported(\"%s", before);
  for (; *what; what++) {
    if (*what == '"' || *what == '\\') fputc('\\', e->out);
    fputc(isprint((unsigned char)*what) ? *what : ' ', e->out);
  }
  fputs("\");", e->out);
}

static const char *called_name(const struct ptx_statement *s) {
  const int has_result = s->count && s->operands[0].kind == PTX_VECTOR;
  const struct ptx_operand *o = has_result < s->count ? &s->operands[has_result] : NULL;
  return o && o->name ? o->name : "a function";
}

static void emit_instruction(struct ptx_emit *e, const struct ptx_statement *s) {
  struct ptx_match m;
  char *text = NULL;
  size_t bytes;
  FILE *out = e->out, *own = open_memstream(&text, &bytes);
  if (!own) {
    e->pool->failed = 1;
    return;
  }
  e->out = own;
  int known = ptx_find(s->word, s->count, &m);
  if (known && m.row->text[0] == '*')
    known = ptx_emit_special(e, s, &m);
  else if (known)
    emit_row(e, s, &m);
  fclose(own);
  e->out = out;
  if (s->guard) {
    const struct ptx_operand guard = {.kind = PTX_NAME, .name = s->guard, .inverted = s->guard_inverted};
    fputs("if (", out);
    ptx_emit_operand(e, &guard);
    fputs(") { ", out);
  }
  if (!known && !strncmp(s->word, "call", 4))
    emit_finding(e, "a call, in PTX, of ", called_name(s));
  else if (!known)
    emit_finding(e, "the PTX instruction ", s->word);
  else
    fputs(text ? text : "", out);
  if (s->guard) fputs(" }", out);
  free(text);
}

/* ---- Statements ---- */

static int is_label(const struct ptx_body *body, int i) {
  return body->statements[i].kind == PTX_LABEL && !(i + 1 < body->count && body->statements[i + 1].kind == PTX_TARGETS);
}

/* The label stands in the { } of statement `from`, or in one around it. */
static int is_seen(const struct ptx_body *body, int label, int from) {
  const int step = label < from ? 1 : -1;
  int depth = 0;
  for (int i = label; i != from && depth >= 0; i += step) {
    const int kind = body->statements[i].kind;
    depth += step * ((kind == PTX_OPEN) - (kind == PTX_CLOSE));
  }
  return depth >= 0;
}

void ptx_emit_label(struct ptx_emit *e, const char *name) {
  const struct ptx_body *b = e->body;
  int seen = 0;
  for (int i = 0; i < b->count; i++)
    seen |= is_label(b, i) && !strcmp(b->statements[i].word, name) && is_seen(b, i, e->at);
  if (!seen) ptx_emit_error(e, "the label %.80s is not there", name);
  ptx_emit_name(e, "L_", name);
}

/* Labels belong to the { } that they stand in. */
static void emit_labels(struct ptx_emit *e, const struct ptx_body *body, int from) {
  int depth = 0;
  for (int i = from; i < body->count && depth >= 0; i++) {
    const struct ptx_statement *s = &body->statements[i];
    depth += (s->kind == PTX_OPEN) - (s->kind == PTX_CLOSE);
    if (!is_label(body, i) || depth) continue;
    for (int j = i - 1; j >= from; j--)
      if (is_label(body, j) && !strcmp(body->statements[j].word, s->word) && is_seen(body, j, i) && is_seen(body, i, j))
        ptx_emit_error(e, "the label %.80s is there twice", s->word);
    ptx_emit_name(e, "__label__ L_", s->word);
    fputs("; ", e->out);
  }
}

static void emit_line(struct ptx_emit *e, const struct ptx_statement *s) {
  if (!e->tracks_lines) {
    fputc(' ', e->out);
    return;
  }
  if (s->file)
    fprintf(e->out, "\n#line %d \"%s\"\n", s->file_line, s->file);
  else
    fprintf(e->out, "\n#line %d \"%s\"\n", s->line, e->path);
}

static void emit_statement(struct ptx_emit *e, const struct ptx_body *body, int i) {
  const struct ptx_statement *s = &body->statements[i];
  if (s->kind != PTX_DECLARATION) e->is_fresh = s->kind == PTX_OPEN;
  e->at = i;
  switch (s->kind) {
  case PTX_OPEN:
    e->depth++;
    fputs(" {", e->out);
    emit_labels(e, body, i + 1);
    break;
  case PTX_CLOSE:
    e->depth--;
    while (e->count && e->symbols[e->count - 1].depth > e->depth) e->count--;
    fputs(" }", e->out);
    break;
  case PTX_LABEL:
    if (!is_label(body, i)) break;
    ptx_emit_name(e, " L_", s->word);
    fputs(": ;", e->out);
    break;
  case PTX_DECLARATION: ptx_declare(e, s->declaration); break;
  case PTX_TARGETS: break;
  case PTX_INSTRUCTION:
    emit_line(e, s);
    emit_instruction(e, s);
    break;
  }
  if (*e->error && !e->error_line) e->error_line = s->line;
}

void ptx_emit_body(struct ptx_emit *e, const struct ptx_body *body) {
  e->body = body;
  e->is_fresh = 1;
  fputs(" {", e->out);
  emit_labels(e, body, 0);
  for (int i = 0; i < body->count; i++) emit_statement(e, body, i);
  fputs(" }", e->out);
}
