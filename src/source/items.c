/* items.c - takes the tokens of a source apart into declarations, by brackets and a few words: no types are known and
 * no bodies of functions are looked into. What it does not understand ends at its semicolon and is an item of kind
 * PAH_OTHER. Read next: device_side.c. */
#include "items.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

static int is_one_of(const struct pah_token *token, const char *const *words) {
  for (; *words; words++)
    if (pah_token_is(token, *words)) return 1;
  return 0;
}

/* Words with brackets behind them that declare no parameters. */
static const char *const attributes[] = {
    "alignas",        "__attribute__", "__attribute", "decltype",   "noexcept",          "__launch_bounds__",
    "__align__",      "explicit",      "requires",    "throw",      "__builtin_align__", "__cluster_dims__",
    "__maxnreg__",    "__declspec",    "typeof",      "__typeof__", "__decltype",        "sizeof",
    "__block_size__", "asm",           "__asm__",     NULL};
static const char *const class_keys[] = {"class", "struct", "union", NULL};
static const char *const access_words[] = {"public", "private", "protected", NULL};
static const char *const device_words[] = {"__device__",  "__global__", "__constant__",
                                           "__managed__", "__shared__", NULL};

struct walker {
  const struct pah_tokens *t;
  struct pah_items *items;
};

static int add_item(struct walker *w, const struct pah_item *item) {
  struct pah_items *items = w->items;
  if (items->count == items->room) {
    int room = items->room ? 2 * items->room : 512;
    struct pah_item *more = realloc(items->list, (size_t)room * sizeof *more);
    if (!more) return items->failed = 1, -1;
    items->list = more;
    items->room = room;
  }
  items->list[items->count] = *item;
  return items->count++;
}

/* ---- Parts of a declaration ---- */

/* Past `template <...>`, several of them, and `requires (...)`. */
static int skip_template(const struct walker *w, int i, int last, struct pah_item *item) {
  const struct pah_token *list = w->t->list;
  while (i < last && pah_token_is(&list[i], "template") && list[i + 1].mark == '<') {
    item->flags |= PAH_IS_TEMPLATE;
    i = pah_tokens_close(w->t, i + 1, last);
  }
  return i;
}

/* After the parameters of a function: past its body or its semicolon. */
static int function_end(const struct walker *w, int i, int last, int start, struct pah_item *item) {
  const struct pah_token *list = w->t->list;
  int initialises = 0;
  for (; i < last; i++) {
    char mark = list[i].mark;
    if (mark == ';') return i + 1;
    if (mark == 'A' && item->name == start) item->flags |= PAH_IS_GUIDE;
    if (mark == ':') initialises = 1;
    if (mark == '=' && (pah_token_is(&list[i + 1], "default") || pah_token_is(&list[i + 1], "delete")))
      item->flags |= PAH_IS_DEFAULT;
    if (mark == '(' || mark == '[') {
      i = pah_tokens_close(w->t, i, last) - 1;
    } else if (mark == '{') {
      int end = pah_tokens_close(w->t, i, last);
      /* a{1} among what a constructor initialises: a word stands before it, and a comma or the body behind */
      int before = initialises && (list[i - 1].kind == PAH_WORD || list[i - 1].mark == '>');
      if (!before) {
        item->flags |= PAH_HAS_BODY;
        item->open = i;
        item->close = end;
        return end;
      }
      i = end - 1;
    } else if (mark == '}') {
      return i;
    }
  }
  return last;
}

/* The token that is the name before the bracket at i; -1: what stands there is no name of a function. */
static int name_before(const struct walker *w, int i, int first) {
  const struct pah_token *list = w->t->list;
  int at = i - 1;
  for (int back = i - 1; back >= first && back > i - 5; back--)
    if (pah_token_is(&list[back], "operator")) return back;
  if (at >= first && list[at].mark == '>') { /* f<float>( */
    int depth = 0;
    for (; at >= first; at--) {
      if (list[at].mark == '>') depth++;
      if (list[at].mark == '<' && --depth == 0) break;
    }
    at--;
  }
  if (at < first || list[at].kind != PAH_WORD || is_one_of(&list[at], attributes)) return -1;
  return at;
}

/* At a bracket, whose end is `close`: the name of the function whose parameters it opens, or -1. Of f in
 * void (*f(int))(float), which returns a pointer to a function, *open becomes its own bracket. */
static int function_name(const struct walker *w, int *open, int first, int close) {
  const struct pah_token *list = w->t->list;
  if (list[*open + 1].mark != '*') return name_before(w, *open, first);
  for (int i = *open + 2; i + 1 < close; i++)
    if (list[i].kind == PAH_WORD && list[i + 1].mark == '(') return *open = i + 1, i;
  return -1;
}

/* From `class` on: the token of its name, or -1. */
static int class_name(const struct walker *w, int i, int last) {
  const struct pah_token *list = w->t->list;
  int name = -1;
  for (i++; i < last; i++) {
    char mark = list[i].mark;
    if (list[i].kind == PAH_WORD && (is_one_of(&list[i], attributes) || list[i + 1].mark == '(')) {
      if (list[i + 1].mark == '(') i = pah_tokens_close(w->t, i + 1, last) - 1;
    } else if (mark == '[') {
      i = pah_tokens_close(w->t, i, last) - 1;
    } else if (list[i].kind == PAH_WORD && !pah_token_is(&list[i], "final")) {
      name = i;
      if (list[i + 1].mark != 'S' &&
          !(list[i + 1].kind == PAH_WORD && list[i + 1].length > 4 && list[i + 1].at[0] == '_'))
        return name;
    } else if (mark != 'S') {
      return name;
    }
  }
  return name;
}

static int to_semicolon(const struct walker *w, int i, int last) {
  const struct pah_token *list = w->t->list;
  for (; i < last; i++) {
    char mark = list[i].mark;
    if (mark == ';') return i + 1;
    if (mark == '}') return i;
    if (mark == '(' || mark == '[' || mark == '{') i = pah_tokens_close(w->t, i, last) - 1;
  }
  return last;
}

/* ---- A declaration ---- */

static void read_scope(struct walker *w, int first, int last, int parent);

/* namespace a::b {, inline namespace, extern "C" {: 1 if it was one. A namespace's alias is none. */
static int read_space(struct walker *w, int *at, int last, int parent) {
  const struct pah_token *list = w->t->list;
  int i = *at;
  struct pah_item item = {.kind = PAH_SCOPE, .parent = parent, .first = i, .name = -1};
  if (pah_token_is(&list[i], "inline")) i++;
  if (pah_token_is(&list[i], "extern") && list[i + 1].kind == PAH_STRING && list[i + 2].mark == '{') {
    i += 2;
  } else if (i < last && pah_token_is(&list[i], "namespace")) {
    for (i++; i < last && list[i].mark != '{'; i++) {
      if (list[i].mark == ';' || list[i].mark == '=') return 0;
      if (list[i].mark == '(' || list[i].mark == '[') i = pah_tokens_close(w->t, i, last) - 1;
      if (list[i].kind == PAH_WORD && item.name < 0 && !is_one_of(&list[i], attributes)) item.name = i;
    }
    if (i >= last) return 0;
  } else {
    return 0;
  }
  item.open = i;
  item.close = item.last = pah_tokens_close(w->t, i, last);
  int self = add_item(w, &item);
  if (self >= 0) read_scope(w, item.open + 1, item.close - 1, self);
  *at = item.last;
  return 1;
}

/* The specifiers before a name: what they say of the item. */
static void see_specifier(const struct pah_token *token, struct pah_item *item) {
  if (pah_token_is(token, "__global__")) item->flags |= PAH_IS_KERNEL;
  if (is_one_of(token, device_words)) item->flags |= PAH_IS_DEVICE;
  if (pah_token_is(token, "constexpr") || pah_token_is(token, "consteval")) item->flags |= PAH_IS_CONSTANT;
}

/* A macro of nobody's with a declaration right behind it: FOO(x) __global__ ...; it is an item of its own. */
static int is_stray_call(const struct walker *w, int first, int open, int close) {
  static const char *const starts[] = {"__global__", "__device__", "template", "namespace", "void",
                                       "static",     "struct",     "class",    "using",     "typedef",
                                       "extern",     "inline",     NULL};
  return open == first + 1 && w->t->list[close].kind == PAH_WORD && is_one_of(&w->t->list[close], starts);
}

/* From the specifiers to the end. Sets kind, name, flags, body; returns the end. */
static int read_declaration(struct walker *w, int i, int last, struct pah_item *item) {
  const struct pah_token *list = w->t->list;
  int start = i, key = -1, colon = 0;
  for (; i < last; i++) {
    const struct pah_token *token = &list[i];
    if (token->kind == PAH_WORD) {
      see_specifier(token, item);
      if (key < 0 && is_one_of(token, class_keys)) key = i;
      if (pah_token_is(token, "enum")) return item->open = -1, to_semicolon(w, i, last);
      if (pah_token_is(token, "operator")) { /* its marks are no brackets of ours */
        i++;
        if (list[i].mark == '(' || list[i].mark == '[') i++;
        while (i < last && list[i].mark != '(') i++;
        i--;
      }
      continue;
    }
    switch (token->mark) {
    case ';': return i + 1;
    case '}': return i;
    case '=': return to_semicolon(w, i, last);
    case ':': colon = 1; break;
    case '[': i = pah_tokens_close(w->t, i, last) - 1; break;
    case '<': i = pah_tokens_close(w->t, i, last) - 1; break;
    case '(': {
      int close = pah_tokens_close(w->t, i, last), open = i;
      int name = key >= 0 && colon ? -1 : function_name(w, &open, start, close);
      if (name >= 0 && (key < 0 || name != key + 1)) { /* struct ALIGNED(16) Pair: a macro of attributes */
        item->kind = PAH_FUNCTION;
        item->name = name;
        item->parameters = open;
        if (is_stray_call(w, start, i, close)) return close;
        return function_end(w, close, last, start, item);
      }
      i = close - 1;
      break;
    }
    case '{':
      item->open = i;
      item->close = pah_tokens_close(w->t, i, last);
      if (key < 0) return item->open = 0, to_semicolon(w, i, last);
      item->kind = PAH_CLASS;
      item->name = class_name(w, key, i);
      return to_semicolon(w, item->close, last);
    default: break;
    }
  }
  return last;
}

static int read_item(struct walker *w, int i, int last, int parent) {
  const struct pah_token *list = w->t->list;
  struct pah_item item = {.kind = PAH_OTHER, .parent = parent, .first = i, .name = -1};
  if (read_space(w, &i, last, parent)) return i;
  if (is_one_of(&list[i], access_words) && list[i + 1].mark == ':') {
    item.kind = PAH_LABEL;
    item.last = i + 2;
  } else if (pah_token_is(&list[i], "using") && pah_token_is(&list[i + 1], "namespace")) {
    item.kind = PAH_IMPORT;
    item.last = to_semicolon(w, i, last);
  } else if (pah_token_is(&list[i], "static_assert") || pah_token_is(&list[i], "_Static_assert")) {
    item.kind = PAH_CHECK;
    item.last = to_semicolon(w, i, last);
  } else {
    int at = skip_template(w, i, last, &item), is_using = pah_token_is(&list[at], "using");
    item.last = is_using ? to_semicolon(w, at, last) : read_declaration(w, at, last, &item);
    if (item.open < 0) item.open = 0;
    if (item.kind != PAH_FUNCTION) item.flags &= ~PAH_IS_KERNEL;
  }
  if (item.last <= i) item.last = i + 1;
  int self = add_item(w, &item);
  if (self >= 0 && item.kind == PAH_CLASS) read_scope(w, item.open + 1, item.close - 1, self);
  return item.last;
}

static void read_scope(struct walker *w, int first, int last, int parent) {
  for (int i = first; i < last && !w->items->failed;) i = read_item(w, i, last, parent);
}

int pah_items_read(struct pah_items *items, const struct pah_tokens *t) {
  *items = (struct pah_items){.count = 0};
  struct walker w = {.t = t, .items = items};
  read_scope(&w, 0, t->count, -1);
  return items->failed ? pah_fail(PAH_ENOMEM, "source: no memory for its declarations") : PAH_OK;
}

void pah_items_free(struct pah_items *items) {
  free(items->list);
  *items = (struct pah_items){.count = 0};
}

/* ---- Names ---- */

/* A word that is declared has one of these behind it: int a = 1, b[2], c; and so have (*f)(int) and size<float> = 4. */
static int ends_declarator(char mark) {
  return mark == '=' || mark == '[' || mark == ',' || mark == ';' || mark == '{' || mark == '(' || mark == ')' ||
         mark == ':';
}

void pah_item_names(const struct pah_tokens *t, const struct pah_item *item, void (*found)(void *, uint32_t),
                    void *data) {
  const struct pah_token *list = t->list;
  int i = item->first, is_enum = 0;
  if (item->kind == PAH_CLASS) {
    if (item->name >= 0) found(data, list[item->name].word);
    i = item->close;
  }
  while (i < item->last && pah_token_is(&list[i], "template") && list[i + 1].mark == '<')
    i = pah_tokens_close(t, i + 1, item->last);
  for (; i < item->last; i++) {
    if (list[i].kind == PAH_WORD && pah_token_is(&list[i], "enum")) is_enum = 1;
    int next = list[i].kind == PAH_WORD && list[i + 1].mark == '<' ? pah_tokens_close(t, i + 1, item->last) : i + 1;
    if (list[i].kind == PAH_WORD && (is_enum || ends_declarator(list[next].mark))) found(data, list[i].word);
    if (list[i].mark == '=' && !is_enum) { /* a value, up to the next declarator */
      for (; i < item->last && list[i].mark != ',' && list[i].mark != ';'; i++)
        if (list[i].mark == '(' || list[i].mark == '[' || list[i].mark == '{')
          i = pah_tokens_close(t, i, item->last) - 1;
    }
  }
}
