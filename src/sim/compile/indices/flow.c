/* flow.c - where the value of an expression goes, read from the tokens around it: into an address (a subscript, a sum
 * with a pointer), into a variable, a parameter, what a function returns, or nowhere that matters here: a comparison,
 * a condition, a number of floating point, the low bits that `&` leaves, which are right however a sum has wrapped.
 * Names stand for all variables that are called so in a function. Read next: names.c, indices.c. */
#include <stdlib.h>

#include "flow.h"

struct place { /* of a value: its tokens, in a function */
  struct flows *f;
  const struct sim_reader *r;
  int item, source;
  int first, end;
  int hash, hash_end; /* see struct flow */
};

static void add(const struct place *p, int to) {
  sim_add_flow(p->f, &(struct flow){p->source, to, p->item, p->hash, p->hash_end});
}

static struct name *name_of(const struct place *p, int token) {
  const char before = mark_at(p->r, token - 1);
  const int is_member = before == '.' || before == 'A';
  return sim_name_at(p->f, is_member ? NAME_MEMBER : p->item, p->r->t->list[token].word);
}

/* ---- Into what: a variable, a call, a list in braces, what a function returns ---- */

void sim_flow_to(struct flows *f, int item, int source, int last, int hash, int hash_end) {
  const struct place p = {f, f->r, item, source, last, last + 1, hash, hash_end};
  while (mark_at(f->r, last) == ']') last = sim_opening(f->r, last) - 1;
  if (!is_name(f->r, last)) return;
  const int is_element = last != p.first;
  const struct name *n = name_of(&p, last);
  const char before = mark_at(f->r, last - 1);
  if (n->is & NAME_FLOAT) return;
  if (n->is & NAME_POINTER && !is_element) {
    add(&p, ADDRESS);
    return;
  }
  add(&p, sim_name(f, before == '.' || before == 'A' ? NAME_MEMBER : item, f->r->t->list[last].word));
}

/* The k-th parameter of the brackets at `open`, of a function with its names in `scope`. */
static void to_parameter(const struct place *p, int scope, int open, int k) {
  const struct sim_reader *r = p->r;
  const int close = pah_tokens_close(r->t, open, r->t->count) - 1;
  int at = open + 1, name = 0;
  for (; k > 0 && at < close; at++) {
    if (mark_at(r, at) && strchr("([{<", mark_at(r, at))) at = pah_tokens_close(r->t, at, close) - 1;
    k -= mark_at(r, at) == ',';
  }
  for (; at < close && mark_at(r, at) != ',' && mark_at(r, at) != '='; at++) {
    if (mark_at(r, at) == '<') at = pah_tokens_close(r->t, at, close) - 1;
    if (is_name(r, at)) name = at;
  }
  if (name && !(sim_name_at(p->f, scope, r->t->list[name].word)->is & NAME_FLOAT))
    add(p, sim_name(p->f, scope, r->t->list[name].word));
}

/* Functions of this name, or a lambda that it is set to. 0: there is none in the source. */
static int to_function(const struct place *p, int callee, int k) {
  const struct sim_reader *r = p->r;
  int found = 0;
  for (int i = callee; i > p->r->side->items.list[p->item].open; i--) {
    if (!is_name(r, i) || !same(r, i, callee) || mark_at(r, i + 1) != '=' || mark_at(r, i + 2) != '[') continue;
    const int open = pah_tokens_close(r->t, i + 2, r->t->count);
    if (mark_at(r, open) == '(') to_parameter(p, p->item, open, k);
    return 1;
  }
  for (int n = 0; n < r->side->items.count; n++) {
    const struct pah_item *item = &r->side->items.list[n];
    if (item->kind != PAH_FUNCTION || item->name < 0 || !item->open || !same(r, item->name, callee)) continue;
    to_parameter(p, n, item->parameters, k);
    found = 1;
  }
  return found;
}

/* What `return` at i leaves: the function's value, or that of a lambda. */
static void to_result(const struct place *p, int i) {
  const struct sim_reader *r = p->r;
  const struct pah_item *item = &r->side->items.list[p->item];
  int depth = 0, at = i;
  for (; at > item->open; at--) {
    if (mark_at(r, at) == '}') depth++;
    if (mark_at(r, at) != '{' || --depth >= 0) continue;
    depth = 0;
    int head = at - 1;
    while (head > item->open && mark_at(r, head) != ')' && mark_at(r, head) != ']' &&
           !strchr(";{}", mark_at(r, head) ? mark_at(r, head) : '?'))
      head--;
    const int list = mark_at(r, head) == ')' ? sim_opening(r, head) - 1 : head;
    const int open = mark_at(r, list) == ']' ? sim_opening(r, list) : 0;
    if (open && mark_at(r, open - 1) == '=' && is_name(r, open - 2)) {
      add(p, sim_name(p->f, p->item, r->t->list[open - 2].word));
      return;
    }
  }
  if (item->name < 0) return;
  const struct name *own = sim_name_at(p->f, NAME_FUNCTION, r->t->list[item->name].word);
  if (own->is & NAME_POINTER) add(p, ADDRESS);
  if (!(own->is & (NAME_FLOAT | NAME_POINTER))) add(p, sim_name(p->f, NAME_FUNCTION, r->t->list[item->name].word));
}

/* ---- The level of brackets that a value stands in ---- */

struct level {
  int left, right; /* the tokens between which the expression stands: its end on the left, and on the right */
  int arguments;   /* commas before it */
  int equals;      /* token of the = that takes it; 0: none */
  int gone;        /* the value goes nowhere */
};

static int is_operator(const struct sim_reader *r, int i, const char *text) {
  return r->t->list[i].kind == PAH_MARK && !r->t->list[i].mark && pah_token_is(&r->t->list[i], text);
}

static int is_logical(const struct sim_reader *r, int i) {
  return is_operator(r, i, "&&") || is_operator(r, i, "||");
}

static int is_shift(const struct sim_reader *r, int i) {
  const char mark = mark_at(r, i);
  return (mark == '<' || mark == '>') && mark_at(r, i + 1) == mark && r->t->list[i].at + 1 == r->t->list[i + 1].at;
}

static int is_comparison(const struct sim_reader *r, int i) {
  static const char *const words[] = {"==", "!=", "<=", ">=", NULL};
  for (int k = 0; words[k]; k++)
    if (is_operator(r, i, words[k])) return 1;
  const char mark = mark_at(r, i);
  if (mark != '<' && mark != '>') return 0;
  return !is_shift(r, i) && !is_shift(r, i - 1) &&
         (mark == '>' || mark_at(r, pah_tokens_close(r->t, i, r->t->count) - 1) != '>');
}

/* The other side of a comparison: its names are counted as what they are compared with. */
static void compared(const struct place *p, int i, int step) {
  const struct sim_reader *r = p->r;
  if (is_operator(r, i, "==") || is_operator(r, i, "!=")) return;
  for (int at = i + step; at > 0 && at < r->t->count; at += step) {
    const char mark = mark_at(r, at);
    if ((mark && strchr(";{},?:", mark)) || is_logical(r, at)) return;
    if (mark && strchr(step > 0 ? ")]" : "([", mark)) return;
    if (mark && strchr(step > 0 ? "([" : ")]", mark))
      at = step > 0 ? pah_tokens_close(r->t, at, r->t->count) - 1 : sim_opening(r, at);
    else if (is_name(r, at) && mark_at(r, at + 1) != '(' && mark_at(r, at + 1) != '[')
      add(p, (int)(name_of(p, at) - p->f->names));
  }
}

static int is_fraction(const struct sim_reader *r, int i) {
  const struct pah_token *t = &r->t->list[i];
  return t->kind == PAH_NUMBER && memchr(t->at, '.', t->length) != NULL;
}

/* A pointer, or an address, among the terms of a sum. */
static int is_address(const struct place *p, int i) {
  const struct sim_reader *r = p->r;
  if (mark_at(r, i) == '&' && !sim_is_operand_end(r, i - 1)) return 1;
  if (is(r, i, "reinterpret_cast")) return 1;
  if (!is_name(r, i) || !(name_of(p, i)->is & NAME_POINTER)) return 0;
  const char next = mark_at(r, i + 1);
  const int is_value = mark_at(r, i - 1) == '*' && !sim_is_operand_end(r, i - 2);
  return !is_value && next != '[' && next != '.' && next != 'A' && next != '(';
}

static void look_left(struct place *p, struct level *l) {
  const struct sim_reader *r = p->r;
  int i = p->first - 1, passed = 0, product = 1;
  for (; i > 0; i--) {
    const char mark = mark_at(r, i);
    if (mark == ')' || mark == ']' || mark == '}') {
      if (mark == '}' && mark_at(r, i + 1) != ',') break;
      i = sim_opening(r, i);
      continue;
    }
    if ((mark && strchr("([{;", mark)) || is(r, i, "return")) break;
    if (mark == ',') l->arguments++;
    if (l->arguments) continue;
    if (mark == '=') {
      l->equals = i;
      break;
    }
    if (mark == '?' || mark == ':') passed = 1;
    if (passed) continue;
    if (is_logical(r, i) || is(r, i, "case")) l->gone = 1;
    if (is_comparison(r, i)) l->gone = 1, compared(p, i, -1);
    if (mark == '&' && sim_is_operand_end(r, i - 1)) l->gone = 1;
    if (product && is_fraction(r, i)) l->gone = 1;
    if (mark && strchr("+-", mark)) product = 0;
    if (is_address(p, i) && !l->gone) add(p, ADDRESS);
  }
  l->left = i;
}

static void look_right(struct place *p, struct level *l) {
  const struct sim_reader *r = p->r;
  int i = p->end, product = !(mark_at(r, p->first) && strchr("+-", mark_at(r, p->first)));
  for (; i < r->t->count; i++) {
    const char mark = mark_at(r, i);
    if (mark && strchr(")]};,:", mark)) break;
    if (is_address(p, i) && !l->gone) add(p, ADDRESS);
    if (mark == '?' || mark == '=' || is_logical(r, i)) l->gone = 1;
    if (is_comparison(r, i)) {
      l->gone = 1;
      compared(p, i, 1);
    }
    if (l->gone) break;
    const int masks = mark == '&' && mark_at(r, i + 1) != '~' && mark_at(r, i + 1) != '-';
    if (masks && sim_is_operand_end(r, i - 1)) l->gone = 1;
    if (product && is_fraction(r, i)) l->gone = 1;
    if (((mark == '%' && product) || (is_shift(r, i) && mark == '>')) && !p->hash_end)
      p->hash = p->first, p->hash_end = i;
    if (mark && strchr("+-", mark)) product = 0;
    if (mark == '(' || mark == '[' || mark == '{') i = pah_tokens_close(r->t, i, r->t->count) - 1;
  }
  l->right = i;
}

/* ---- Outwards ---- */

/* In the brackets that are open at l.left. 1: p is what they are, and is looked at further. */
static int leave_brackets(struct place *p, const struct level *l) {
  static const char *const heads[] = {"if", "while", "for", "switch", "sizeof", "decltype", "alignof", NULL};
  static const char *const none[] = {"printf", "assert", "__builtin_expect", "__syncthreads", NULL};
  const struct sim_reader *r = p->r;
  const int open = l->left, callee = sim_before_arguments(r, open - 1);
  if (is_any(r, open - 1, heads) || is_any(r, callee, none)) return 0;
  p->first = open;
  p->end = pah_tokens_close(r->t, open, r->t->count);
  if (is(r, callee, "asm") || is(r, callee, "volatile")) return add(p, ADDRESS), 0;
  if (!is_name(r, callee) || is(r, callee, "return")) return 1;
  if (is(r, callee, "reinterpret_cast")) return add(p, ADDRESS), 0;
  if (to_function(p, callee, l->arguments)) return 0;
  if (is_name(r, callee - 1) && !is(r, callee - 1, "return")) { /* int at(i * n); */
    sim_flow_to(p->f, p->item, p->source, callee, p->hash, p->hash_end);
    return 0;
  }
  p->first = callee;
  while (mark_at(r, p->first - 1) == 'S' && is_name(r, p->first - 2)) p->first -= 2;
  return 1;
}

static int leave_braces(struct place *p, const struct level *l) {
  const struct sim_reader *r = p->r;
  const int open = l->left, type = sim_before_arguments(r, open - 1);
  if (!(mark_at(r, type) && strchr("=,{(", mark_at(r, type))) && !is_name(r, type)) return 0;
  if (is(r, type, "else") || is(r, type, "do")) return 0;
  p->first = open;
  p->end = pah_tokens_close(r->t, open, r->t->count);
  if (is_name(r, type) && is_name(r, type - 1) && !is(r, type, "return") && !is(r, type - 1, "return")) {
    sim_flow_to(p->f, p->item, p->source, type, p->hash, p->hash_end);
    return 0;
  }
  if (is_name(r, type) && !is(r, type, "return")) p->first = type;
  return 1;
}

void sim_follow(struct flows *f, int item, int source, int first, int end) {
  struct place p = {f, f->r, item, source, first, end, 0, 0};
  for (int out = 0; out < 32; out++) {
    struct level l = {0};
    look_left(&p, &l);
    look_right(&p, &l);
    if (l.gone) return;
    if (l.equals) {
      int last = l.equals - 1;
      if (mark_at(f->r, last) && strchr("+-*/%|^", mark_at(f->r, last))) last--;
      if (mark_at(f->r, last) != '&') sim_flow_to(f, item, source, last, p.hash, p.hash_end);
      return;
    }
    const char mark = mark_at(f->r, l.left);
    if (is(f->r, l.left, "return")) {
      to_result(&p, l.left);
      return;
    }
    if (mark == '[') {
      if (sim_is_operand_end(f->r, l.left - 1)) add(&p, ADDRESS);
      return;
    }
    if (mark == '(' ? !leave_brackets(&p, &l) : mark != '{' || !leave_braces(&p, &l)) return;
  }
}
