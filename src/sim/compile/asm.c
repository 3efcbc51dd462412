/* asm.c - inline PTX: an asm statement of a source, taken apart into its text and its operands, which
 * sim/translate/asm.c makes a C++ statement of. Read next: words.c, sim/translate/asm.c. */
#define _GNU_SOURCE
#include "device_source.h"

#include <stdlib.h>
#include <string.h>

#include "sim/translate/translate.h"

enum { MOST_OPERANDS = 256 };

struct statement {
  struct ptx_asm_operand operands[MOST_OPERANDS];
  int count, failed;
};

static int value_of(int c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : 16;
}

/* One character of a literal; `p` is at it. */
static const char *write_character(const char *p, FILE *to) {
  static const char letters[] = "ntrabfv", values[] = "\n\t\r\a\b\f\v";
  if (*p != '\\') return fputc(*p, to), p + 1;
  p++;
  const char *at = *p ? strchr(letters, *p) : NULL;
  if (at) return fputc(values[at - letters], to), p + 1;
  if (*p == '\n') return p + 1;
  int base = *p == 'x' ? 16 : 8, number = 0, digits = 0;
  if (*p == 'x') p++;
  while (value_of(*p) < base && (base == 16 || digits < 3)) number = number * base + value_of(*p++), digits++;
  if (digits) return fputc(number, to), p;
  return fputc(*p, to), p + 1;
}

/* The value of a string literal, raw or not. */
static void write_literal(const struct pah_token *token, FILE *to) {
  const char *p = token->at, *end = token->at + token->length;
  const char *quote = memchr(p, '"', token->length);
  if (!quote) return;
  if (quote > p && quote[-1] == 'R') {
    const char *open = memchr(quote, '(', (size_t)(end - quote));
    if (open) fwrite(open + 1, 1, (size_t)(end - (open - quote) - 1 - (open + 1)), to);
    return;
  }
  for (p = quote + 1; p < end - 1;) p = write_character(p, to);
}

/* The pieces of a literal from token *at on, joined; malloc'ed. *at becomes the token behind. */
static char *literal(const struct pah_token *list, int *at, int last) {
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  for (; *at < last && list[*at].kind == PAH_STRING; ++*at)
    if (f) write_literal(&list[*at], f);
  if (f) fclose(f);
  return text;
}

/* [name] "constraint" (expression), at token `at`; returns the one behind it. */
static int read_operand(struct sim_writer *w, const struct pah_side *side, int at, int last, int is_output,
                        struct statement *s) {
  const struct pah_token *list = side->tokens.list;
  char *name = NULL, *expression = NULL;
  size_t bytes;
  if (list[at].mark == '[') {
    name = strndup(list[at + 1].at, list[at + 1].length);
    at = pah_tokens_close(&side->tokens, at, last);
  }
  char *constraint = literal(list, &at, last);
  if (at < last && list[at].mark == '(' && s->count < MOST_OPERANDS) {
    int close = pah_tokens_close(&side->tokens, at, last);
    FILE *f = open_memstream(&expression, &bytes);
    if (f) sim_translate_tokens(w, at + 1, close - 1, f), fclose(f);
    s->operands[s->count++] = (struct ptx_asm_operand){
        .constraint = constraint, .expression = expression, .is_output = is_output, .name = name};
    s->failed |= !constraint || !expression;
    return close;
  }
  free(name);
  free(constraint);
  s->failed = 1;
  return last;
}

/* From the first colon on: outputs, inputs, and what is clobbered, which is not asked for. `::` is two of them. */
static void read_operands(struct sim_writer *w, const struct pah_side *side, int at, int last, struct statement *s) {
  const struct pah_token *list = side->tokens.list;
  int section = 0;
  while (at < last && section <= 2 && !s->failed) {
    if (list[at].mark == ':')
      section++, at++;
    else if (list[at].mark == 'S')
      section += 2, at++;
    else if (list[at].mark == ',')
      at++;
    else if (section == 1 || section == 2)
      at = read_operand(w, side, at, last, section == 1, s);
    else
      s->failed = 1;
  }
}

int sim_asm_end(const struct pah_side *side, int i, int last) {
  static const char *const words[] = {"volatile", "__volatile__", "__volatile", "inline", "__inline__"};
  const struct pah_token *list = side->tokens.list;
  if (!pah_token_is(&list[i], "asm") && !pah_token_is(&list[i], "__asm__") && !pah_token_is(&list[i], "__asm"))
    return 0;
  for (i++; i < last && list[i].kind == PAH_WORD; i++) {
    int known = 0;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) known |= pah_token_is(&list[i], words[k]);
    if (!known) return 0;
  }
  if (i + 1 >= last || list[i].mark != '(' || list[i + 1].kind != PAH_STRING) return 0;
  return pah_tokens_close(&side->tokens, i, last);
}

char *sim_asm(struct sim_writer *w, const struct pah_side *side, int i, int end) {
  const struct pah_token *list = side->tokens.list;
  struct statement *s = calloc(1, sizeof *s);
  while (list[i].mark != '(') i++;
  i++;
  char *text = literal(list, &i, end - 1), *code = NULL;
  int is_basic = i == end - 1;
  if (s && text && !is_basic) read_operands(w, side, i, end - 1, s);
  if (s && text && !s->failed) code = ptx_asm(text, s->operands, is_basic ? -1 : s->count);
  for (int k = 0; s && k < s->count; k++) {
    free((char *)s->operands[k].name);
    free((char *)s->operands[k].constraint);
    free((char *)s->operands[k].expression);
  }
  free(s);
  free(text);
  return code;
}
