/* reader.c - what stands before a token: the bracket that it closes, template arguments, an operand. Read next: flow.c,
 * guards.c. */
#include "reader.h"

int sim_opening(const struct sim_reader *r, int i) {
  int depth = 0;
  for (; i > 0; i--) {
    const char mark = mark_at(r, i);
    if (mark && strchr(")]}", mark)) depth++;
    if (mark && strchr("([{", mark) && !--depth) return i;
  }
  return 0;
}

int sim_before_arguments(const struct sim_reader *r, int i) {
  if (mark_at(r, i) != '>') return i;
  int depth = 0;
  for (; i > 0; i--) {
    if (mark_at(r, i) == '>') depth++;
    if (mark_at(r, i) == '<' && !--depth) return i - 1;
    if (mark_at(r, i) && strchr(";{}", mark_at(r, i))) return 0;
  }
  return 0;
}

/* Does the bracket at i close what follows if, for and the like? */
static int is_head(const struct sim_reader *r, int i) {
  const int word = sim_opening(r, i) - 1;
  return is(r, word, "if") || is(r, word, "for") || is(r, word, "while") || is(r, word, "switch");
}

int sim_is_operand_end(const struct sim_reader *r, int i) {
  static const char *const words[] = {"return", "case", "else", "do", "throw", NULL};
  if (i < 0 || i >= r->t->count || is_any(r, i, words) || (mark_at(r, i) == ')' && is_head(r, i))) return 0;
  return r->t->list[i].kind == PAH_WORD || r->t->list[i].kind == PAH_NUMBER || mark_at(r, i) == ')' ||
         mark_at(r, i) == ']';
}
