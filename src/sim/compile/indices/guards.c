/* guards.c - local arrays that are reached by pointers. `p[i]` of a pointer into one, or of a parameter that gets one,
 * is checked where it stands, against what the compiler knows to lie behind p (pah_sim_at): that costs nothing where it
 * is known while compiling. What such pointers do besides - they move, go to functions that the compiler may leave as
 * they are - it cannot follow; then the array stands between memory that is nobody's (pah_sim_local).
 * Read next: locals.c, sim/include/pah_sim/meaning.h, sim/check/locals.c. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

enum { DEEPEST = 4 }; /* pointers made of pointers */

/* What is followed: a pointer made of the array. */
struct chase {
  int last;      /* where the array's scope ends */
  int depth;     /* of pointers made of pointers */
  int is_member; /* the array is a member of a class, and the pointer may not leave it for the next one */
  int is_sure;   /* it is a pointer; else a member may be a number */
};
static int leads_away(const struct sim_reader *r, int first, int end, struct chase c);

/* Words with brackets behind them that are no calls. */
static const char *const no_calls[] = {"if",       "while",  "for", "switch",   "sizeof",
                                       "decltype", "return", "asm", "volatile", NULL};

static struct chase deeper(struct chase c) {
  c.depth++;
  return c;
}

static int is_unary(const struct sim_reader *r, int i, char mark) {
  return mark_at(r, i) == mark && !sim_is_operand_end(r, i - 1);
}

/* Is what the brackets at open hold the type of a cast to a pointer? */
static int is_pointer_cast(const struct sim_reader *r, int open, int close) {
  return mark_at(r, close - 1) == '*' && !sim_is_operand_end(r, open - 1);
}

/* ---- Subscripts ---- */

/* The subscript whose bracket is at `open`, of the pointer that the tokens [first, open) are. */
static void check_subscript(const struct sim_reader *r, int first, int open, int is_member) {
  const int close = pah_tokens_close(r->t, open, r->t->count) - 1;
  const char *there = r->inserts->after[open];
  char *text = NULL;
  size_t bytes;
  if (there && strstr(there, "pah_sim_at(")) return;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return;
  for (int pass = 0; pass < 2; pass++) {
    if (pass)
      fprintf(f, ", %d), sizeof(*(", is_member);
    else
      fputs(", __builtin_object_size(", f);
    for (int i = first; i < open; i++) fprintf(f, " %.*s", (int)r->t->list[i].length, r->t->list[i].at);
  }
  fputs(")))", f);
  fclose(f);
  sim_insert(r->inserts, open, " ::pah_sim_at(");
  sim_insert(r->inserts, close - 1, text);
  free(text);
}

static int is_number(const struct sim_reader *r, int open) {
  return r->t->list[open + 1].kind == PAH_NUMBER && mark_at(r, open + 2) == ']';
}

/* Looks at what is done with a pointer of this name. 1: it moves, or goes where it cannot be seen; with `is_far` any
 * subscript is that, since its function may stand alone. */
static int follow(const struct sim_reader *r, int name, int from, int is_far, struct chase c) {
  int away = 0;
  if (c.depth > DEEPEST) return 1;
  c.is_sure = 1;
  for (int i = is_mentioned(r, name, from, c.last); i; i = is_mentioned(r, name, i + 1, c.last)) {
    const char next = mark_at(r, i + 1);
    const int before = is_unary(r, i - 1, '+') || is_unary(r, i - 1, '-');
    if (next == '[' && is_number(r, i + 1)) continue;
    if (next == '[') {
      check_subscript(r, i, i + 1, c.is_member);
      away |= is_far;
    } else if (((next == '+' || next == '-') && (mark_at(r, i + 2) == next || mark_at(r, i + 2) == '=')) ||
               (before && mark_at(r, i - 2) == mark_at(r, i - 1))) {
      away = 1;
    } else if (next != '=') {
      away |= leads_away(r, i, i + 1, deeper(c));
    }
  }
  return away;
}

/* ---- Calls ---- */

/* The tokens of the k-th parameter of those in the brackets at `open`; 0: there is none. */
static int parameter(const struct sim_reader *r, int open, int k, int *first, int *end) {
  const int close = pah_tokens_close(r->t, open, r->t->count) - 1;
  int at = open + 1;
  for (;; k--) {
    *first = at;
    while (at < close && mark_at(r, at) != ',') {
      const char mark = mark_at(r, at);
      at = mark && strchr("([{<", mark) ? pah_tokens_close(r->t, at, close) : at + 1;
    }
    *end = at;
    if (!k) return *first < close;
    if (at >= close) return 0;
    at++;
  }
}

/* The same parameter gets the pointer; the body is that of brackets [open, close). */
static int arrives(const struct sim_reader *r, int parameters, int open, int close, int k, int is_far, struct chase c) {
  int first, end, name = 0, is_pointer = 0;
  if (!parameter(r, parameters, k, &first, &end)) return 0;
  for (int i = first; i < end && mark_at(r, i) != '='; i++) {
    if (mark_at(r, i) == '&') return 0; /* a reference knows the size of its array */
    is_pointer |= mark_at(r, i) == '*' || mark_at(r, i) == '[';
    if (mark_at(r, i) == '[') break;
    if (is_name(r, i)) name = i;
  }
  if (!name) return 0;
  for (int i = is_mentioned(r, name, open, close); i && !is_pointer; i = is_mentioned(r, name, i + 1, close))
    is_pointer = mark_at(r, i + 1) == '[' || is_unary(r, i - 1, '*');
  c.last = close;
  c.is_member = 0; /* others may come with whole classes */
  return is_pointer && follow(r, name, open, is_far, c);
}

static int is_inlined(const struct sim_reader *r, const struct pah_item *item) {
  for (int i = item->first; i < item->parameters; i++)
    if (is(r, i, "__forceinline__") || is(r, i, "always_inline")) return 1;
  return 0;
}

static int is_of_library(const struct sim_reader *r, const struct pah_item *item) {
  static const char *const names[] = {"ptx", "cub", "cuda", "cute", "cutlass"};
  for (int i = item->parent; i >= 0; i = r->side->items.list[i].parent)
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
      if (is(r, r->side->items.list[i].name, names[k])) return 1;
  return 0;
}

/* The brackets of the parameters of the lambda that a variable of this name is set to; 0: there is none. */
static int lambda(const struct sim_reader *r, int name, int last) {
  for (int i = last; i > 0; i--) {
    if (!is_name(r, i) || !same(r, i, name) || mark_at(r, i + 1) != '=' || mark_at(r, i + 2) != '[') continue;
    const int open = pah_tokens_close(r->t, i + 2, r->t->count);
    return mark_at(r, open) == '(' ? open : 0;
  }
  return 0;
}

/* A function of this name gets a pointer into the array as its k-th argument. */
static int goes_to(const struct sim_reader *r, int callee, int k, struct chase c) {
  int away = 0;
  const int parameters = lambda(r, callee, callee);
  int body = parameters ? pah_tokens_close(r->t, parameters, r->t->count) : 0;
  while (body && mark_at(r, body) != '{' && mark_at(r, body) != ';') body++;
  if (body) return arrives(r, parameters, body, pah_tokens_close(r->t, body, r->t->count), k, 0, c);
  for (int n = 0; n < r->side->items.count; n++) {
    const struct pah_item *item = &r->side->items.list[n];
    if (item->kind != PAH_FUNCTION || item->name < 0 || !same(r, item->name, callee) || !item->open) continue;
    if (!is_of_library(r, item))
      away |= arrives(r, item->parameters, item->open, item->close, k, !is_inlined(r, item), c);
  }
  return away;
}

/* memcpy and the like: their hooks know the size of the array only where it is guarded. */
static int is_sized_copy(const struct sim_reader *r, int callee) {
  static const char *const words[] = {"memcpy", "memset", "memmove", NULL};
  const int is_copy = is_any(r, callee, words);
  int comma = 0;
  const int close = pah_tokens_close(r->t, callee + 1, r->t->count) - 1;
  for (int i = callee + 2; i < close && is_copy; i++) {
    if (mark_at(r, i) == ',') comma = i;
    if (mark_at(r, i) == '(' || mark_at(r, i) == '[') i = pah_tokens_close(r->t, i, close) - 1;
  }
  return is_copy && !is(r, comma + 1, "sizeof") && r->t->list[comma + 1].kind != PAH_NUMBER;
}

/* ---- Where a pointer goes ---- */

static int is_cast_word(const struct sim_reader *r, int open) {
  static const char *const words[] = {"reinterpret_cast", "static_cast", "const_cast", NULL};
  const int word = sim_before_arguments(r, open - 1);
  return mark_at(r, open - 1) == '>' && is_any(r, word, words) ? word : 0;
}

/* Has what is looked at, a pointer, been moved by a number that may be too large? */
static int is_moved(const struct sim_reader *r, int first, int end) {
  for (int i = first; i < end; i++)
    if (mark_at(r, i) == '+' || mark_at(r, i) == '-' || (mark_at(r, i) == '[' && !is_number(r, i))) return 1;
  return 0;
}

/* Does the value from token i on add something to a pointer? */
static int has_sum(const struct sim_reader *r, int i) {
  for (; i < r->t->count && mark_at(r, i) != ';' && mark_at(r, i) != ','; i++) {
    if (mark_at(r, i) == '[' || mark_at(r, i) == '(') i = pah_tokens_close(r->t, i, r->t->count) - 1;
    if (mark_at(r, i) == '+' || mark_at(r, i) == '-') return 1;
  }
  return 0;
}

/* What is in brackets that are open at `open` and hold a pointer into the array as their k-th part. */
static int in_brackets(const struct sim_reader *r, int open, int k, struct chase c) {
  if (is_any(r, open - 1, no_calls)) return 0;
  const int end = pah_tokens_close(r->t, open, r->t->count), cast = is_cast_word(r, open);
  const int callee = sim_before_arguments(r, open - 1);
  if (!cast && is_name(r, callee)) return is_sized_copy(r, callee) || goes_to(r, callee, k, deeper(c));
  if (!cast && sim_is_operand_end(r, open - 1)) return 0;
  const int first = cast ? cast : open;
  c.is_sure |= cast != 0;
  if (mark_at(r, end) == '[' && c.is_sure)
    return check_subscript(r, first, end, c.is_member), is_moved(r, open + 1, end - 1);
  return leads_away(r, first, end, deeper(c));
}

/* The variable that is set by the `=` at i: `float *p =`, `auto p =`, `float (*p)[4] =`, `p =`. 0: it is no pointer. */
static int target(const struct sim_reader *r, int i, int is_sure) {
  int name = i - 1;
  if (mark_at(r, name) == ']') name = sim_opening(r, name) - 1;
  if (mark_at(r, name) == ')' && is_name(r, name - 1) && mark_at(r, name - 2) == '*') name--;
  if (!is_name(r, name)) return 0;
  return is_sure || mark_at(r, name - 1) == '*' || is(r, name - 1, "auto") ? name : 0;
}

/* The tokens [first, end) are a pointer into the array. */
static int leads_away(const struct sim_reader *r, int first, int end, struct chase c) {
  if (c.depth > DEEPEST) return 1;
  int commas = 0, i = first - 1;
  while (mark_at(r, i) == ')' && is_pointer_cast(r, sim_opening(r, i), i)) i = sim_opening(r, i) - 1, c.is_sure = 1;
  if (is_unary(r, i, '*')) return is_moved(r, first, end);
  for (; i > 0; i--) {
    const char mark = mark_at(r, i);
    if (mark == ')' || mark == ']') {
      i = sim_opening(r, i);
    } else if (mark == '(') {
      return in_brackets(r, i, commas, c);
    } else if (mark == ',') {
      commas++;
    } else if (mark == '=') {
      const int name = commas ? 0 : target(r, i, c.is_sure);
      return name ? follow(r, name, i + 1, has_sum(r, i + 1), deeper(c)) : commas && c.is_sure;
    } else if (mark && strchr("[;{}<", mark)) {
      return mark == '{' && mark_at(r, i - 1) == '=' && c.is_sure; /* one of several pointers */
    }
  }
  return 0;
}

/* `T &x = v[1];`: the reference is looked at in the place of the element. */
static int of_reference(const struct sim_reader *r, int i, struct chase c) {
  int away = 0;
  if (mark_at(r, i - 1) != '=' || !is_name(r, i - 2) || mark_at(r, i - 3) != '&') return 0;
  for (int k = is_mentioned(r, i - 2, i, c.last); k; k = is_mentioned(r, i - 2, k + 1, c.last))
    if (is_unary(r, k - 1, '&')) away |= leads_away(r, k - 1, k + 1, c);
  return away;
}

int sim_guard_pointers(const struct sim_reader *r, int name, int from, int last) {
  int dims = 0, away = 0;
  for (int i = name + 1; mark_at(r, i) == '['; i = pah_tokens_close(r->t, i, last)) dims++;
  for (int i = is_mentioned(r, name, from, last); i; i = is_mentioned(r, name, i + 1, last)) {
    int end = i + 1, subscripts = 0;
    for (; mark_at(r, end) == '['; subscripts++) end = pah_tokens_close(r->t, end, last);
    const int address = is_unary(r, i - 1, '&'), is_member = mark_at(r, end) == '.' && is_name(r, end + 1);
    while (mark_at(r, end) == '.' && is_name(r, end + 1)) end += 2;
    if (is_member && (mark_at(r, end) == '(' || mark_at(r, end) == '<')) continue;
    const struct chase c = {last, 0, is_member && !address && mark_at(r, end) != '[', !is_member || address};
    while (mark_at(r, end) == '[') end = pah_tokens_close(r->t, end, last);
    if (address || subscripts < dims || c.is_member)
      away |= leads_away(r, address ? i - 1 : i, end, c);
    else if (dims)
      away |= of_reference(r, i, c);
  }
  return away;
}

/* ---- References ---- */

static int is_of_call(const struct sim_reader *r, int i) {
  for (; i > 0; i--) {
    if (mark_at(r, i) == ')' || mark_at(r, i) == ']') i = sim_opening(r, i);
    if (mark_at(r, i) && strchr("([{;}", mark_at(r, i))) break;
  }
  if (is_any(r, i - 1, no_calls)) return 0;
  return mark_at(r, i) == '(' && is_name(r, i - 1);
}

/* `x[i]` is bound to a reference, or may be: what a function returns, `T &y = x[i];`, an argument. */
static int is_bound(const struct sim_reader *r, const struct pah_item *item, int first, int end) {
  const char before = mark_at(r, first - 1), after = mark_at(r, end);
  if ((after == '+' || after == '-') && mark_at(r, end + 1) == after) return 1; /* clang takes x[i]++ for that */
  if (before == '=') return after == ';' && is_name(r, first - 2) && mark_at(r, first - 3) == '&';
  if (is(r, first - 1, "return")) {
    for (int i = item->first; i < item->name; i++)
      if (mark_at(r, i) == '&' && after == ';') return 1;
    return 0;
  }
  return (before == '(' || before == ',') && (after == ')' || after == ',') && is_of_call(r, first - 1);
}

static void bind(const struct sim_reader *r, const struct pah_item *item, int open) {
  int first = open - 1;
  if (!is_name(r, first)) return;
  while ((mark_at(r, first - 1) == '.' || mark_at(r, first - 1) == 'A') && is_name(r, first - 2)) first -= 2;
  const int close = pah_tokens_close(r->t, open, r->t->count) - 1;
  char *text = NULL;
  size_t bytes;
  if (!is_bound(r, item, first, close + 1) || is_number(r, open)) return;
  if (r->inserts->after[open] && strstr(r->inserts->after[open], "pah_sim_at(")) return; /* a pointer */
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return;
  fputs(" ::pah_sim_last<decltype(", f);
  for (int i = first; i < open; i++) fprintf(f, "%.*s", (int)r->t->list[i].length, r->t->list[i].at);
  fputs(")>(", f);
  fclose(f);
  sim_insert(r->inserts, open, text);
  sim_insert(r->inserts, close - 1, ")");
  free(text);
}

void sim_insert_bound(const struct sim_reader *r, const struct pah_item *item) {
  for (int i = item->open; i < item->close; i++)
    if (mark_at(r, i) == '[' && !r->side->gone[i]) bind(r, item, i);
}

int sim_is_given_to_device(const struct sim_reader *r, int i) {
  int depth = 0;
  for (i--; i > 0 && !(mark_at(r, i) && strchr(";{}", mark_at(r, i))); i--) {
    depth += mark_at(r, i) == ')';
    if (mark_at(r, i) == '(' && --depth < 0) break;
  }
  for (int n = 0; n < r->side->items.count && is_name(r, i - 1); n++) {
    const struct pah_item *item = &r->side->items.list[n];
    if (item->kind != PAH_FUNCTION || item->name < 0 || !same(r, item->name, i - 1) || !item->open) continue;
    if (!is_of_library(r, item)) return 1;
  }
  return 0;
}
