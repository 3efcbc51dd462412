/* meaning.c - makes conversions to integers and shifts give what PTX gives, where C++ leaves it open: text that is put
 * between the tokens of a source, so that types are the compiler's affair (sim/include/pah_sim/meaning.h). `(int)x`,
 * `static_cast<int>(x)`, `int(x)`, `int i = x;`, `a << n`, `a >>= n`; not a conversion that no word tells of, as in
 * `i = x;` of a variable declared elsewhere. And tells of atomics whose results nobody takes. Read next: words.c. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_source.h"

int sim_inserts_new(struct sim_inserts *inserts, const struct pah_side *side) {
  *inserts = (struct sim_inserts){.after = calloc((size_t)side->tokens.count + 1, sizeof *inserts->after)};
  return inserts->after != NULL;
}

void sim_inserts_free(struct sim_inserts *inserts, const struct pah_side *side) {
  for (int i = 0; inserts->after && i < side->tokens.count; i++) free(inserts->after[i]);
  free(inserts->after);
}

void sim_insert(struct sim_inserts *inserts, int token, const char *text) {
  char *had = inserts->after[token], *joined = NULL;
  if (asprintf(&joined, "%s%s", had ? had : "", text) < 0) {
    inserts->failed = 1;
    return;
  }
  inserts->after[token] = joined;
  free(had);
}

struct text {
  const struct pah_tokens *t;
  struct sim_inserts *inserts;
};

static int is_mark(const struct pah_tokens *t, int i, char mark) {
  return i >= 0 && i < t->count && t->list[i].mark == mark;
}

static int is_word(const struct pah_tokens *t, int i, const char *word) {
  return i >= 0 && i < t->count && pah_token_is(&t->list[i], word);
}

static int touches(const struct pah_tokens *t, int i) {
  return t->list[i].at + t->list[i].length == t->list[i + 1].at;
}

/* The end of the integer type whose words begin at i; i: there is none. */
static int type_end(const struct pah_tokens *t, int i) {
  static const char *const parts[] = {"unsigned", "signed", "int", "long", "short", "char"};
  static const char *const names[] = {"int8_t",   "int16_t",   "int32_t",  "int64_t", "uint8_t",
                                      "uint16_t", "uint32_t",  "uint64_t", "size_t",  "ptrdiff_t",
                                      "intptr_t", "uintptr_t", "uint",     "uchar",   "ushort"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++)
    if (is_word(t, i, names[k])) return i + 1;
  for (int more = 1; more;) {
    more = 0;
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
      if (is_word(t, i, parts[k])) more = 1;
    i += more;
  }
  return i;
}

static void add(struct text *x, int after, const char *before, int type, int type_last, const char *behind) {
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return;
  fputs(before, f);
  for (int i = type; i < type_last; i++)
    fprintf(f, "%s%.*s", i > type ? " " : "", (int)x->t->list[i].length, x->t->list[i].at);
  fputs(behind, f);
  fclose(f);
  sim_insert(x->inserts, after, text);
  free(text);
}

/* May an expression go on here, rather than a name, a type or a value end? */
static int begins_operand(const struct pah_tokens *t, int i) {
  static const char *const none[] = {"const",    "noexcept", "override", "volatile",      "final", "mutable",
                                     "requires", "throw",    "try",      "__attribute__", "asm"};
  const struct pah_token *token = &t->list[i];
  for (size_t k = 0; k < sizeof none / sizeof *none; k++)
    if (pah_token_is(token, none[k])) return 0;
  return token->kind == PAH_WORD || token->kind == PAH_NUMBER || (token->mark && strchr("(-+~!*&S", token->mark));
}

static int is_whole_number(const struct pah_token *token) {
  return token->kind == PAH_NUMBER && !memchr(token->at, '.', token->length) &&
         (!memchr(token->at, 'e', token->length) || (token->length > 1 && token->at[1] == 'x'));
}

/* Can what ends before token i be no function, class or value, so that brackets at i are a cast's or a group's? */
static int begins_expression(const struct pah_tokens *t, int i) {
  static const char *const words[] = {"return", "case", "else", "do", "throw", "and", "or", "not", "co_return"};
  if (i == 0) return 0;
  for (size_t k = 0; k < sizeof words / sizeof *words; k++)
    if (is_word(t, i - 1, words[k])) return 1;
  if (t->list[i - 1].kind == PAH_MARK && !t->list[i - 1].mark) return 1; /* && == and the like */
  return t->list[i - 1].mark && strchr("=([{,;?:+-*/%&|^!~<>", t->list[i - 1].mark);
}

static void cast(struct text *x, int i) {
  const struct pah_tokens *t = x->t;
  const int last = type_end(t, i + 1);
  if (!is_mark(t, i, '(') || last == i + 1 || !is_mark(t, last, ')')) return;
  if (!begins_expression(t, i) && !is_mark(t, i - 1, ')')) return; /* a cast of a cast */
  if (!begins_operand(t, last + 1) || is_whole_number(&t->list[last + 1])) return;
  add(x, last, "(::pah_sim_to<", i + 1, last, ">)");
}

static void static_cast_of(struct text *x, int i) {
  const struct pah_tokens *t = x->t;
  if (!is_word(t, i, "static_cast") || !is_mark(t, i + 1, '<')) return;
  int last = type_end(t, i + 2);
  const int is_own = last == i + 2; /* a name of a template's */
  if (is_own && t->list[last].kind == PAH_WORD) last++;
  if (last == i + 2 || !is_mark(t, last, '>') || !is_mark(t, last + 1, '(')) return;
  const int close = pah_tokens_close(t, last + 1, t->count);
  if (close <= last + 3 || is_mark(t, last + 2, '{')) return;
  add(x, last + 1, is_own ? "::pah_sim_as<" : "::pah_sim_to<", i + 2, last, ">(");
  sim_insert(x->inserts, close - 2, ")");
}

/* int(x) */
static void called_type(struct text *x, int i) {
  const struct pah_tokens *t = x->t;
  const int last = type_end(t, i);
  if (last != i + 1 || !is_mark(t, last, '(') || !begins_expression(t, i) || is_mark(t, i - 1, ';')) return;
  if (is_mark(t, i - 1, '{') || is_mark(t, i - 1, '<') || is_mark(t, i - 1, '>')) return;
  const int close = pah_tokens_close(t, last, t->count), inner = type_end(t, last + 1);
  if (close <= last + 2 || (inner > last + 1 && !is_mark(t, inner, '(')) || is_mark(t, last + 1, '*')) return;
  if (is_mark(t, last + 1, '&') || !touches(t, i) || is_mark(t, close, '(') || is_mark(t, close, '[')) return;
  if (is_word(t, last + 1, "const") || is_word(t, last + 1, "float") || is_word(t, last + 1, "void")) return;
  if (is_whole_number(&t->list[last + 1]) && close == last + 3) return;
  add(x, last, "::pah_sim_to<", i, last, ">(");
  sim_insert(x->inserts, close - 2, ")");
}

/* int i = x; */
static void declaration(struct text *x, int i) {
  const struct pah_tokens *t = x->t;
  const int last = type_end(t, i), value = last + 2;
  if (last == i || t->list[last].kind != PAH_WORD || !is_mark(t, last + 1, '=') || is_mark(t, value, '{')) return;
  int before = i - 1;
  while (is_word(t, before, "const")) before--;
  if (before < 0 || !t->list[before].mark || !strchr(";{}(", t->list[before].mark)) return; /* <const int n = 1> */
  int end = value;
  for (; end < t->count && !is_mark(t, end, ';'); end++) {
    const char mark = t->list[end].mark;
    if (mark == '(' || mark == '[' || mark == '{') end = pah_tokens_close(t, end, t->count) - 1;
    if (mark == ',' || mark == ')' || mark == '}') return;
  }
  if (end == value + 1 && is_whole_number(&t->list[value])) return;
  add(x, last + 1, " ::pah_sim_to<", i, last, ">(");
  sim_insert(x->inserts, end - 1, ")");
}

/* Are the two > at i those of template arguments? Those that begin before them in the same statement tell. */
static int closes_templates(const struct pah_tokens *t, int i) {
  int depth = 0;
  for (int k = i - 1; k >= 0; k--) {
    const char mark = t->list[k].mark;
    if (mark == ')' || mark == ']') depth++;
    if (mark == '(' || mark == '[') depth--;
    if (depth < 0 || (!depth && (mark == ';' || mark == '{' || mark == '}'))) return 0;
    if (mark == '<' && !depth && pah_tokens_close(t, k, t->count) > i) return 1;
  }
  return 0;
}

static void shift(struct text *x, int i) {
  const struct pah_tokens *t = x->t;
  const char mark = t->list[i].mark;
  const struct pah_token *next = &t->list[i + 1];
  if ((mark != '<' && mark != '>') || i + 2 >= t->count || !touches(t, i) || *next->at != mark) return;
  if (is_mark(t, i - 1, mark) && touches(t, i - 1)) return;
  if (is_mark(t, i + 2, mark) && touches(t, i + 1)) return; /* <<< >>> */
  if (is_word(t, i - 1, "operator") || is_mark(t, i + 2, ')') || is_mark(t, i + 2, ',')) return;
  if (mark == '>' && closes_templates(t, i)) return;
  if (next->length == 2) {
    sim_insert(x->inserts, i + 1, " ::pah_sim_by = ");
    return;
  }
  const int is_plain =
      is_whole_number(&t->list[i + 2]) && t->list[i + 3].mark && strchr(");,]}|&^<>", t->list[i + 3].mark);
  if (is_plain && strtoull(t->list[i + 2].at, NULL, 0) < 32) return;
  sim_insert(x->inserts, i + 1, mark == '<' ? " ::pah_sim_by << " : " ::pah_sim_by >> ");
}

/* `atomicAdd(p, 1);` whose result nobody takes is a reduction, which has seen nothing of the others. */
static void reduction(struct text *x, int i) {
  const struct pah_tokens *t = x->t;
  const struct pah_token *token = &t->list[i];
  if (token->kind != PAH_WORD || token->length < 9 || memcmp(token->at, "atomic", 6) || !is_mark(t, i + 1, '(')) return;
  const char before = t->list[i - 1].mark;
  if (!(before && strchr(";{})", before)) && !is_word(t, i - 1, "else")) return;
  const int close = pah_tokens_close(t, i + 1, t->count);
  if (is_mark(t, close, ';')) sim_insert(x->inserts, i - 1, " ::pah_sim_reduces(), ");
}

void sim_insert_meaning(const struct pah_side *side, struct sim_inserts *inserts) {
  struct text x = {&side->tokens, inserts};
  for (int i = 1; i + 4 < side->tokens.count; i++) {
    if (side->gone[i]) continue;
    cast(&x, i);
    static_cast_of(&x, i);
    called_type(&x, i);
    declaration(&x, i);
    shift(&x, i);
  }
  sim_insert_values(side, inserts);
}

void sim_insert_reductions(const struct pah_side *side, struct sim_inserts *inserts) {
  struct text x = {&side->tokens, inserts};
  for (int i = 1; i < side->tokens.count; i++)
    if (!side->gone[i]) reduction(&x, i);
}
