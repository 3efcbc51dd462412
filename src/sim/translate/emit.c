/* emit.c - see emit.h. A statement is written as a whole or, when it cannot be, as a call that makes a finding of it.
 * Read next: emit_special.c, rows.h. */
#include "emit.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "special_registers.h"

void ptx_emit_error(struct ptx_emit *e, const char *format, ...) {
  if (*e->error) return;
  va_list args;
  va_start(args, format);
  vsnprintf(e->error, sizeof e->error, format, args);
  va_end(args);
}

/* ---- Names ---- */

void ptx_add_symbol(struct ptx_emit *e, const char *name, const char *type, enum ptx_symbol_kind kind, int64_t range) {
  if (e->count == e->room) {
    const int room = e->room ? 2 * e->room : 32;
    struct ptx_symbol *more = realloc(e->symbols, (size_t)room * sizeof *more);
    if (!more) {
      e->pool->failed = 1;
      return;
    }
    e->symbols = more;
    e->room = room;
  }
  e->symbols[e->count++] = (struct ptx_symbol){name, type, kind, range, e->depth};
}

/* "%r12" of %r<20>. */
static int is_in_range(const struct ptx_symbol *s, const char *name) {
  const size_t n = strlen(s->name);
  if (s->range < 0 || strncmp(name, s->name, n) != 0 || !isdigit((unsigned char)name[n])) return 0;
  char *end;
  const long long i = strtoll(name + n, &end, 10);
  return !*end && i < s->range;
}

const struct ptx_symbol *ptx_symbol(const struct ptx_emit *e, const char *name) {
  for (int i = e->count - 1; i >= 0; i--)
    if ((e->symbols[i].range < 0 && !strcmp(e->symbols[i].name, name)) || is_in_range(&e->symbols[i], name))
      return &e->symbols[i];
  return NULL;
}

void ptx_emit_name(struct ptx_emit *e, const char *prefix, const char *name) {
  fputs(prefix, e->out);
  for (; *name; name++) {
    if (*name == '$' || *name == '%') /* "%out" and "out" are two names */
      fputs(*name == '$' ? "_S" : "_R", e->out);
    else if (isalnum((unsigned char)*name) || *name == '_')
      fputc(*name, e->out);
  }
}

int ptx_operand_number(const struct ptx_emit *e, const char *name) {
  if (e->operand_count < 0 || name[0] != '%') return -1;
  if (isdigit((unsigned char)name[1])) return atoi(name + 1);
  for (int i = 0; name[1] == '[' && i < e->operand_count; i++) {
    const char *own = e->operands[i].name;
    if (own && !strncmp(own, name + 2, strlen(own)) && !strcmp(name + 2 + strlen(own), "]")) return i;
  }
  return name[1] == '[' ? e->operand_count : -1;
}

static int emit_tuple_member(struct ptx_emit *e, const char *name) {
  for (const struct ptx_tuple *t = e->tuples; t; t = t->next)
    for (int i = 0; i < t->sums->count; i++)
      if (t->sums->items[i].name && !strcmp(t->sums->items[i].name, name))
        return fprintf(e->out, "pah_w%d[%d]", t->number, i), 1;
  return 0;
}

static void emit_symbol(struct ptx_emit *e, const char *name) {
  const struct ptx_symbol *s = ptx_symbol(e, name);
  if (!s) {
    ptx_emit_error(e, "\"%.80s\" is not declared", name);
  } else if (s->kind == PTX_REGISTER) {
    if (!emit_tuple_member(e, name)) ptx_emit_name(e, "x_", name);
  } else if (s->kind == PTX_FUNCTION) {
    ptx_emit_error(e, "the address of a function, %.80s, cannot be taken", name);
  } else {
    fputs(s->kind == PTX_SHARED ? "pah_sim_shared_address(" : "((uint64_t)", e->out);
    ptx_emit_name(e, s->kind == PTX_PARAMETER ? "&x_" : "x_", name);
    fputc(')', e->out);
  }
}

static void emit_named(struct ptx_emit *e, const char *name) {
  const int operand = ptx_operand_number(e, name);
  if (operand >= 0) {
    if (operand >= e->operand_count)
      ptx_emit_error(e, "%.40s is none of the %d operands", name, e->operand_count);
    else
      fprintf(e->out, "pah_x%d", operand);
    return;
  }
  for (const struct special_register *r = special_registers; r->name; r++) {
    if (strcmp(r->name, name) != 0) continue;
    ptx_emit_code(e, r->code);
    return;
  }
  emit_symbol(e, name);
}

/* ---- Operands ---- */

static void emit_value(struct ptx_emit *e, uint64_t value) {
  if ((int64_t)value < 0 && (int64_t)value >= INT32_MIN)
    fprintf(e->out, "(%lld)", (long long)value);
  else
    fprintf(e->out, value > UINT32_MAX ? "%lluull" : value > INT32_MAX ? "%lluu" : "%llu", (unsigned long long)value);
}

void ptx_emit_operand(struct ptx_emit *e, const struct ptx_operand *o) {
  if (o->kind == PTX_INTEGER) {
    emit_value(e, o->value);
  } else if (o->kind == PTX_BITS32) {
    fprintf(e->out, "0x%llxu", (unsigned long long)o->value);
  } else if (o->kind == PTX_BITS64) {
    ptx_emit_code(e, "i_real{");
    fprintf(e->out, "0x%llxull}", (unsigned long long)o->value);
  } else if (o->kind == PTX_NAME) {
    if (o->inverted) fputc('!', e->out);
    if (o->value) fputc('(', e->out);
    emit_named(e, o->name);
    if (o->value) fprintf(e->out, " + (%lld))", (long long)o->value);
  } else if (o->kind == PTX_VECTOR && o->count == 1) {
    ptx_emit_operand(e, o->items);
  } else {
    ptx_emit_error(e, "an operand is %s, must be a register or a number",
                   o->kind == PTX_ADDRESS ? "an address" : "a vector");
  }
}

void ptx_emit_address(struct ptx_emit *e, const struct ptx_operand *o) {
  if (o->kind != PTX_ADDRESS) {
    ptx_emit_error(e, "an operand is no address, must be one: [a]");
    return;
  }
  fputc('(', e->out);
  if (o->name) emit_named(e, o->name);
  if (o->plus) {
    fputs(" + ", e->out);
    emit_named(e, o->plus);
  }
  if (!o->name)
    emit_value(e, o->value);
  else if (o->value)
    fprintf(e->out, " + (%lld)", (long long)o->value);
  fputc(')', e->out);
}

void ptx_emit_pointer(struct ptx_emit *e, const struct ptx_operand *o, const struct ptx_match *m) {
  fputs(m && m->is_shared  ? "pah_sim_shared_pointer("
        : m && m->is_local ? "pah_ptx::i_local("
                           : "((void *)(uint64_t)",
        e->out);
  ptx_emit_address(e, o);
  fputc(')', e->out);
}

void ptx_emit_code(struct ptx_emit *e, const char *code) {
  for (const char *at = code; *at; at++) {
    const int begins = at == code || !(isalnum((unsigned char)at[-1]) || at[-1] == '_' || at[-1] == ':');
    if (begins && strchr("imtw", *at) && at[1] == '_') fputs("pah_ptx::", e->out);
    fputc(*at, e->out);
  }
}

/* ---- Results ---- */

static int is_sink(const struct ptx_operand *o) {
  return o->kind == PTX_NAME && !strcmp(o->name, "_");
}

/* {a, b} and d|p take the parts r[0], r[1] of what the expression gives. */
static void emit_part(struct ptx_emit *e, const struct ptx_operand *to, int i) {
  if (is_sink(to)) return;
  fputc(' ', e->out);
  ptx_emit_operand(e, to);
  fprintf(e->out, " = pah_v.r[%d];", i);
}

void ptx_emit_begin(struct ptx_emit *e, const struct ptx_operand *to) {
  if (to->kind == PTX_VECTOR || to->second) {
    fputs("{ const auto pah_v = ", e->out);
  } else if (is_sink(to)) {
    fputs("(void)(", e->out);
  } else {
    ptx_emit_operand(e, to);
    fputs(" = ", e->out);
  }
}

void ptx_emit_end(struct ptx_emit *e, const struct ptx_operand *to) {
  if (to->kind == PTX_VECTOR) {
    fputc(';', e->out);
    if (to->count == 1) { /* {a} takes the whole of what has no parts */
      fputc(' ', e->out);
      ptx_emit_operand(e, to);
      fputs(" = pah_ptx::i_only(pah_v);", e->out);
    }
    for (int i = 0; i < to->count && to->count > 1; i++) emit_part(e, &to->items[i], i);
    fputs(" }", e->out);
  } else if (to->second) {
    struct ptx_operand first = *to;
    first.second = NULL;
    fputc(';', e->out);
    emit_part(e, &first, 0);
    emit_part(e, to->second, 1);
    fputs(" }", e->out);
  } else {
    fputs(is_sink(to) ? ");" : ";", e->out);
  }
}

/* ---- Instructions ---- */

static void emit_elements(struct ptx_emit *e, const struct ptx_operand *o) {
  if (o->kind != PTX_VECTOR) {
    ptx_emit_operand(e, o);
    return;
  }
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
    ptx_emit_begin(e, &s->operands[0]);
    at++;
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

/* Labels belong to the { } that they stand in. */
static void emit_labels(struct ptx_emit *e, const struct ptx_body *body, int from) {
  int depth = 0;
  for (int i = from; i < body->count && depth >= 0; i++) {
    const struct ptx_statement *s = &body->statements[i];
    depth += (s->kind == PTX_OPEN) - (s->kind == PTX_CLOSE);
    if (s->kind != PTX_LABEL || depth) continue;
    if (i + 1 < body->count && body->statements[i + 1].kind == PTX_TARGETS) continue;
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
  const int is_table = i + 1 < body->count && body->statements[i + 1].kind == PTX_TARGETS;
  if (s->kind != PTX_DECLARATION) e->is_fresh = s->kind == PTX_OPEN;
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
    if (is_table) break;
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
