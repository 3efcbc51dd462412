/* names.c - the names of a source and what their declarations say: pointers and arrays, floating-point numbers.
 * A name of a function is known by the function and the word, a member by the word alone. Read next: flow.c. */
#include <stdlib.h>

#include "flow.h"

static uint32_t slot_of(const struct flows *f, int scope, uint32_t word) {
  const uint64_t mixed = ((uint64_t)(uint32_t)scope << 32 | word) * 0x9e3779b97f4a7c15u;
  return (uint32_t)(mixed >> 40) & (uint32_t)(f->bucket_count - 1);
}

static int grow(struct flows *f) {
  const int room = f->name_room ? 2 * f->name_room : 1024;
  struct name *names = realloc(f->names, (size_t)room * sizeof *names);
  if (names) f->names = names;
  int *buckets = realloc(f->buckets, (size_t)(2 * room) * sizeof *buckets);
  if (buckets) f->buckets = buckets;
  if (!names || !buckets) return f->failed = 1, 0;
  f->name_room = room;
  f->bucket_count = 2 * room;
  for (int i = 0; i < f->bucket_count; i++) buckets[i] = -1;
  for (int i = 0; i < f->name_count; i++) {
    uint32_t at = slot_of(f, names[i].scope, names[i].word);
    while (buckets[at] >= 0) at = (at + 1) & (uint32_t)(f->bucket_count - 1);
    buckets[at] = i;
  }
  return 1;
}

int sim_name(struct flows *f, int scope, uint32_t word) {
  if (f->name_count == f->name_room && !grow(f)) return -1;
  uint32_t at = slot_of(f, scope, word);
  for (; f->buckets[at] >= 0; at = (at + 1) & (uint32_t)(f->bucket_count - 1)) {
    const struct name *n = &f->names[f->buckets[at]];
    if (n->scope == scope && n->word == word) return f->buckets[at];
  }
  f->names[f->name_count] = (struct name){scope, word, 0};
  return f->buckets[at] = f->name_count++;
}

struct name *sim_name_at(struct flows *f, int scope, uint32_t word) {
  static struct name none;
  const int i = sim_name(f, scope, word);
  return i < 0 ? (none = (struct name){0}, &none) : &f->names[i];
}

void sim_add_flow(struct flows *f, const struct flow *flow) {
  if (f->count == f->room) {
    const int room = f->room ? 2 * f->room : 4096;
    struct flow *list = realloc(f->list, (size_t)room * sizeof *list);
    if (!list) {
      f->failed = 1;
      return;
    }
    f->list = list;
    f->room = room;
  }
  f->list[f->count++] = *flow;
}

/* ---- Declarations ---- */

static int is_floating(const struct sim_reader *r, int i) {
  static const char *const words[] = {"float", "double", "half", "__half", "__nv_bfloat16", NULL};
  return is_any(r, i, words);
}

/* May the word at i be the last one of a type, before a name? */
static int is_type(const struct sim_reader *r, int i) {
  static const char *const none[] = {"return", "case", "else", "goto", "new", "delete", "throw", "sizeof", NULL};
  return (is_name(r, i) && !is_any(r, i, none)) || mark_at(r, i) == '>';
}

/* Does the type whose last word is at i begin a statement, a parameter, or follow words that do? */
static int begins_type(const struct sim_reader *r, int i) {
  static const char *const words[] = {"const",  "volatile", "unsigned", "signed",    "long",   "__shared__",
                                      "static", "typename", "auto",     "constexpr", "extern", NULL};
  i = sim_before_arguments(r, i);
  while (mark_at(r, i - 1) == 'S' && is_name(r, i - 2)) i -= 2;
  const char before = mark_at(r, i - 1);
  return is_any(r, i - 1, words) || !before || strchr(";{}(,<", before);
}

/* The name at i, if it is declared there: `T *p`, `T a[4]`, `float x`. */
static void declared(struct flows *f, int scope, int i, int in_parameters) {
  static const char *const between[] = {"const", "__restrict__", "__restrict", "volatile", NULL};
  const struct sim_reader *r = f->r;
  int at = i - 1, stars = 0;
  for (; mark_at(r, at) == '*' || mark_at(r, at) == '&' || is_any(r, at, between); at--) stars += mark_at(r, at) == '*';
  const int is_array = mark_at(r, i + 1) == '[', is_start = is_type(r, at) && begins_type(r, at);
  struct name *n = sim_name_at(f, scope, r->t->list[i].word);
  if (is_start && (stars || is_array) && (!is_any(r, at, between) || stars) &&
      (in_parameters || mark_at(r, i + 1) != ')' || !stars || mark_at(r, at - 1) != '('))
    n->is |= NAME_POINTER;
  if (is_floating(r, at) && !stars) n->is |= NAME_FLOAT;
}

/* `float a = 1, b;`: those behind the first. */
static void more_floats(struct flows *f, int scope, int i, int last) {
  const struct sim_reader *r = f->r;
  for (; i < last && mark_at(r, i) != ';' && mark_at(r, i) != ')'; i++) {
    if (mark_at(r, i) && strchr("([{", mark_at(r, i))) i = pah_tokens_close(r->t, i, last) - 1;
    if (mark_at(r, i) == ',' && is_name(r, i + 1) && !is_floating(r, i + 1) && !is_name(r, i + 2))
      sim_name_at(f, scope, r->t->list[i + 1].word)->is |= NAME_FLOAT;
  }
}

/* `auto row = p + i`: as what it is set to. */
static void deduced(struct flows *f, int scope, int i) {
  const struct sim_reader *r = f->r;
  if (!is(r, i, "auto") || !is_name(r, i + 1) || mark_at(r, i + 2) != '=') return;
  const int at = i + 3 + (mark_at(r, i + 3) == '&');
  const char next = mark_at(r, at + 1);
  const int is_pointer = at > i + 3 || is(r, at, "reinterpret_cast") ||
                         (is_name(r, at) && (next == '+' || next == '-' || next == ';') &&
                          sim_name_at(f, scope, r->t->list[at].word)->is & NAME_POINTER);
  if (is_pointer) sim_name_at(f, scope, r->t->list[i + 1].word)->is |= NAME_POINTER;
}

static void of_range(struct flows *f, int scope, int first, int last, int in_parameters) {
  for (int i = first; i < last; i++) {
    if (f->r->side->gone[i] || !is_name(f->r, i)) continue;
    declared(f, scope, i, in_parameters);
    if (is_floating(f->r, i)) more_floats(f, scope, i, last);
    deduced(f, scope, i);
  }
}

void sim_names_declared(struct flows *f) {
  const struct pah_items *items = &f->r->side->items;
  for (int n = 0; n < items->count; n++) {
    const struct pah_item *item = &items->list[n];
    if (!f->r->side->kept[n] || !item->open) continue;
    if (item->kind == PAH_CLASS) of_range(f, NAME_MEMBER, item->open, item->close, 0);
    if (item->kind != PAH_FUNCTION) continue;
    of_range(f, n, item->parameters, pah_tokens_close(f->r->t, item->parameters, f->r->t->count), 1);
    of_range(f, n, item->open, item->close, 0);
    if (item->name < 0) continue;
    struct name *own = sim_name_at(f, NAME_FUNCTION, f->r->t->list[item->name].word);
    for (int i = item->first; i < item->name; i++) {
      if (mark_at(f->r, i) == '*') own->is |= NAME_POINTER;
      if (is_floating(f->r, i)) own->is |= NAME_FLOAT;
    }
  }
}
