/* locals.c - local variables that are declared without a value: where it cannot be seen that one is set before it is
 * used, it is put before the checker (pah_sim_unset), so that reading it is found. The compiler keeps such a variable
 * in memory, which costs time; so those that the next statement sets, arrays that a loop over all of their elements
 * sets, and those of namespaces ptx, cub and cuda are left alone. Arrays that are overrun by pointers (guards.c) are
 * treated alike. Read next: guards.c, meaning.c, sim/check/locals.c. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "indices/reader.h"

/* ---- Declarations ---- */

static int is_built_in(const struct sim_reader *r, int i) {
  static const char *const words[] = {"unsigned", "signed", "int",     "long",     "short",    "char",   "float",
                                      "double",   "bool",   "uint8_t", "uint16_t", "uint32_t", "int8_t", "int16_t",
                                      "int32_t",  "size_t", "int64_t", "uint64_t", "half",     "__half", NULL};
  return is_any(r, i, words);
}

static int is_keyword(const struct sim_reader *r, int i) {
  static const char *const words[] = {
      "return",   "goto",      "using",        "typedef",      "extern",     "static",        "case",     "default",
      "delete",   "throw",     "break",        "continue",     "struct",     "class",         "enum",     "union",
      "if",       "else",      "for",          "while",        "do",         "switch",        "new",      "sizeof",
      "volatile", "constexpr", "const",        "thread_local", "__shared__", "auto",          "template", "namespace",
      "friend",   "asm",       "operator",     "public",       "private",    "static_assert", "try",      "register",
      "typename", "decltype",  "__constant__", "__device__",   "mutable",    "inline",        "void",     NULL};
  return is_any(r, i, words);
}

/* Past the type that begins at i; i: there is none. */
static int type_end(const struct sim_reader *r, int i) {
  int at = i;
  while (is_built_in(r, at)) at++;
  if (at > i) return at;
  if (!is_name(r, at) || is_keyword(r, at)) return i;
  for (at++; mark_at(r, at) == 'S' && is_name(r, at + 1); at += 2) continue;
  if (mark_at(r, at) == '<') {
    const int close = pah_tokens_close(r->t, at, r->t->count);
    if (mark_at(r, close - 1) != '>') return i;
    at = close;
  }
  return at;
}

/* Past the class that is declared at i, which has a body: `struct S { ... } s;`. */
static int class_end(const struct sim_reader *r, int i, int last) {
  const int open = i + 1 + is_name(r, i + 1);
  return mark_at(r, open) == '{' ? pah_tokens_close(r->t, open, last) : i;
}

/* ---- Is it set before it is used? ---- */

/* The call whose arguments hold token i is of a function of namespace ptx. */
static int is_given_to_ptx(const struct sim_reader *r, int i) {
  int depth = 0;
  for (int at = i - 1; at > 0 && mark_at(r, at) != ';' && mark_at(r, at) != '}'; at--) {
    const char mark = mark_at(r, at);
    if (mark == ')' || mark == ']') depth++;
    if (mark != '(' && mark != '[') continue;
    if (--depth >= 0) continue;
    int name = at - 1;
    if (mark == '[' || !is_name(r, name)) {
      depth = 0;
      continue;
    }
    if (mark_at(r, name - 1) == 'S' && is(r, name - 2, "ptx")) return 1;
    for (int k = 0; k < r->side->items.count; k++) {
      const struct pah_item *item = &r->side->items.list[k];
      if (item->kind != PAH_FUNCTION || item->name < 0 || r->t->list[item->name].word != r->t->list[name].word)
        continue;
      const int scope = item->parent >= 0 ? r->side->items.list[item->parent].name : -1;
      if (scope >= 0 && is(r, scope, "ptx")) return 1;
    }
    return 0;
  }
  return 0;
}

static int statement_end(const struct sim_reader *r, int i, int last) {
  for (; i < last && mark_at(r, i) != ';'; i++)
    if (mark_at(r, i) && strchr("([{", mark_at(r, i))) i = pah_tokens_close(r->t, i, last) - 1;
  return i;
}

/* Depth of braces and brackets from the declaration to the token. */
static int depth_between(const struct sim_reader *r, int from, int to) {
  int depth = 0;
  for (int i = from; i < to; i++) {
    const char mark = mark_at(r, i);
    if (mark && strchr("({[", mark)) depth++;
    if (mark && strchr(")}]", mark)) depth--;
  }
  return depth;
}

static int is_set_at_once(const struct sim_reader *r, int name, int from, int mention, int last) {
  const int in_for = mark_at(r, mention - 1) == '(' && is(r, mention - 2, "for");
  if (mark_at(r, mention + 1) != '=' || (!begins_statement(r, mention) && !in_for)) return 0;
  if (depth_between(r, from, mention) != in_for) return 0;
  return !is_mentioned(r, name, mention + 1, statement_end(r, mention, last));
}

/* `for (int I = 0; I < DIM; I++) {`, which ends before token i and whose I is the word at `index`, DIM the tokens from
 * `dim` on: the token of its `for`; 0: it is something else. */
static int loop_before(const struct sim_reader *r, int i, int index, int dim) {
  const int dims = pah_tokens_close(r->t, dim, r->t->count) - dim - 2;
  int at = mark_at(r, i - 1) == '{' ? i - 2 : i - 1;
  if (mark_at(r, at) != ')') return 0;
  const int before = mark_at(r, at - 1) == '+'; /* I++ */
  const int counted = before ? at - 3 : at - 1, first = before ? counted : counted - 2;
  if (!same(r, counted, index) || mark_at(r, before ? at - 2 : at - 3) != '+') return 0;
  at = first - 1;
  if (mark_at(r, at) != ';') return 0;
  for (int k = dims - 1; k >= 0; k--)
    if (!same(r, --at, dim + 1 + k)) return 0;
  if (mark_at(r, at - 1) != '<' || !same(r, at - 2, index) || mark_at(r, at - 3) != ';') return 0;
  if (!is(r, at - 4, "0") || mark_at(r, at - 5) != '=' || !same(r, at - 6, index)) return 0;
  for (at -= 7; is_built_in(r, at); at--) continue;
  return mark_at(r, at) == '(' && is(r, at - 1, "for") ? at - 1 : 0;
}

static int is_set_by_loops(const struct sim_reader *r, int name, int from, int mention) {
  int indices[4], dims[4], count = 0, at = mention + 1, dim = name + 1;
  for (; count < 4 && mark_at(r, at) == '[' && mark_at(r, dim) == '['; count++) {
    if (mark_at(r, at + 2) != ']') return 0;
    indices[count] = at + 1;
    dims[count] = dim;
    at += 3;
    dim = pah_tokens_close(r->t, dim, r->t->count);
  }
  if (!count || mark_at(r, at) != '=' || mark_at(r, dim) == '[') return 0;
  int start = mention;
  while (count-- > 0)
    if (!(start = loop_before(r, start, indices[count], dims[count]))) return 0;
  return begins_statement(r, start) && !depth_between(r, from, start);
}

/* Are all that is named of it its members? */
static int is_used_in_parts(const struct sim_reader *r, int name, int from, int last) {
  for (int i = is_mentioned(r, name, from, last); i; i = is_mentioned(r, name, i + 1, last))
    if (mark_at(r, i + 1) != '.') return 0;
  return 1;
}

/* Need the checker know of it, if nobody has set it? */
static int may_be_unset(const struct sim_reader *r, int name, int end, int last, int mention) {
  if (is_given_to_ptx(r, mention)) return 0;
  const int is_given =
      mark_at(r, mention - 1) == '&' && strchr("(,", mark_at(r, mention - 2) ? mark_at(r, mention - 2) : '?');
  if (is_given && !sim_is_given_to_device(r, mention)) return 0;
  return !is_set_at_once(r, name, end + 1, mention, last) && !is_set_by_loops(r, name, end + 1, mention);
}

/* Those of one statement: its type, the names, and where what belongs to each ends. */
struct declared {
  int type, type_last, end, count;
  int names[32], ends[32], has_value[32];
};

static void write_type(const struct sim_reader *r, const struct declared *d, FILE *to) {
  for (int i = d->type; i < d->type_last; i++) fprintf(to, "%.*s ", (int)r->t->list[i].length, r->t->list[i].at);
}

/* Where the rest of the statement names the variable already, the statement is cut in two there. */
static void watch(const struct sim_reader *r, const struct declared *d, int k, int last) {
  const int name = d->names[k], cut = is_mentioned(r, name, d->ends[k], d->end) > 0;
  const int from = cut ? d->ends[k] : d->end + 1, mention = is_mentioned(r, name, from, last);
  if (!mention || is_mentioned(r, name, name + 1, d->ends[k]) || (cut && !is_built_in(r, d->type))) return;
  const int unset = !d->has_value[k] && may_be_unset(r, name, from - 1, last, mention);
  if (!sim_guard_pointers(r, name, from, last) && !unset) return;
  const struct pah_token *word = &r->t->list[name];
  const int n = (int)word->length;
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return;
  fprintf(f, "%s ::pah_sim_local<decltype(%.*s_pah_cell), %d, %d, %d> pah_local_%d(%.*s_pah_cell);", cut ? ";" : "", n,
          word->at, unset, unset && is_used_in_parts(r, name, from, last), d->has_value[k], name, n, word->at);
  fprintf(f, " decltype(%.*s_pah_cell) &%.*s = *pah_local_%d.place();", n, word->at, n, word->at, name);
  if (cut) write_type(r, d, f);
  if (cut) fprintf(f, "pah_cut_%d", name);
  fclose(f);
  sim_insert(r->inserts, name, "_pah_cell");
  sim_insert(r->inserts, cut ? d->ends[k] - 1 : d->end, text);
  free(text);
}

/* The declaration that may begin at i, in a block that ends at `last`. */
static void declaration(const struct sim_reader *r, int i, int last) {
  if ((is(r, i, "alignas") || is(r, i, "__align__")) && mark_at(r, i + 1) == '(')
    i = pah_tokens_close(r->t, i + 1, last);
  const int is_shared = is(r, i, "__shared__");
  if (is_shared || is(r, i, "const")) i++;
  int at = is(r, i, "struct") ? class_end(r, i, last) : type_end(r, i);
  struct declared d = {.type = i, .type_last = at};
  const int is_own = at == i || !is_built_in(r, i);
  if (at == i) return;
  while (d.count < 32) {
    if (mark_at(r, at) == '*' && is_own) return;
    while (mark_at(r, at) == '*') at++;
    if (!is_name(r, at) || is_keyword(r, at)) return;
    const int name = at++, k = d.count++;
    while (mark_at(r, at) == '[') at = pah_tokens_close(r->t, at, last);
    d.has_value[k] = mark_at(r, at) != ',' && mark_at(r, at) != ';';
    if (d.has_value[k] && mark_at(r, at) != '=' && mark_at(r, at) != '{') return;
    while (at < last && mark_at(r, at) != ',' && mark_at(r, at) != ';')
      at = mark_at(r, at) && strchr("([{<", mark_at(r, at)) ? pah_tokens_close(r->t, at, last) : at + 1;
    d.names[k] = name;
    d.ends[k] = at;
    if (mark_at(r, at) == ';') break;
    at++;
  }
  d.end = at;
  for (int k = 0; k < d.count && at < last; k++)
    if (is_shared)
      sim_guard_pointers(r, d.names[k], at + 1, last);
    else
      watch(r, &d, k, last);
}

/* ---- Bodies ---- */

/* Is what the bracket at i opens a sequence of statements, where a variable with a destructor may stand? */
static int is_block(const struct sim_reader *r, int i) {
  static const char *const words[] = {"else", "do", "const", "mutable", NULL};
  if (is_any(r, i - 1, words)) return 1;
  if (strchr(";{}:]", mark_at(r, i - 1) ? mark_at(r, i - 1) : '?')) return 1;
  if (mark_at(r, i - 1) != ')') return 0;
  return !is(r, sim_opening(r, i - 1) - 1, "switch");
}

static void block(const struct sim_reader *r, int open) {
  const int last = pah_tokens_close(r->t, open, r->t->count) - 1, goes_on = is_block(r, open);
  for (int i = open + 1; i < last; i++) {
    if (goes_on && begins_statement(r, i)) declaration(r, i, last);
    if (mark_at(r, i) == '{') {
      block(r, i);
      i = pah_tokens_close(r->t, i, last) - 1;
    }
  }
}

static int is_simple(const struct sim_reader *r, const struct pah_item *item) {
  for (int i = item->open; i < item->close; i++)
    if (is(r, i, "goto") || is(r, i, "setjmp")) return 0;
  return !(item->flags & PAH_IS_CONSTANT);
}

/* The toolkit's own libraries return variables that they have not set where nobody looks at them. */
static int is_of_library(const struct sim_reader *r, const struct pah_item *item) {
  static const char *const names[] = {"ptx", "cub", "cuda"};
  for (int i = item->parent; i >= 0; i = r->side->items.list[i].parent)
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
      if (is(r, r->side->items.list[i].name, names[k])) return 1;
  return 0;
}

/* Those of the first pass come first where both have something to say of a token. */
void sim_insert_locals(const struct pah_side *side, struct sim_inserts *inserts) {
  const struct sim_reader r = {side, &side->tokens, inserts};
  for (int i = 0; i < side->items.count; i++) {
    const struct pah_item *item = &side->items.list[i];
    if (item->kind != PAH_FUNCTION || !(item->flags & PAH_HAS_BODY) || !side->kept[i] || !item->open) continue;
    if (side->gone[item->open] || is_of_library(&r, item) || !is_simple(&r, item)) continue;
    block(&r, item->open);
  }
  for (int i = 0; i < side->items.count; i++) {
    const struct pah_item *item = &side->items.list[i];
    const int is_seen = item->kind == PAH_FUNCTION && side->kept[i] && item->open && !side->gone[item->open];
    if (is_seen && !is_of_library(&r, item)) sim_insert_bound(&r, item);
  }
  sim_insert_reductions(side, inserts);
}
