/* device_side.c - tells what of a source the device needs: kernels, functions and variables of the device, and all that
 * these name, by the words in them, whatever the words mean there. Functions of the host stay out whatever names them,
 * as in CUDA: those with neither __device__ nor constexpr. A class stays without its members of the host.
 * Read next: sim/compile/words.c. */
#define _GNU_SOURCE
#include "device_side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

enum { DROPPED, KEPT, MAYBE }; /* MAYBE: if its name is used */

struct search {
  struct pah_side *side;
  char *used;    /* of each word */
  int *declares; /* of each word, the first of a list of items: indices into `next` */
  struct declared {
    int item, next;
  } * next;
  int next_count, next_room;
  int *queue, queued; /* items that are kept and not looked into yet */
  int item, failed;
};

static struct pah_item *item_at(const struct search *s, int i) {
  return &s->side->items.list[i];
}

/* ---- The rules ---- */

static int within_class(const struct search *s, int i) {
  int parent = item_at(s, i)->parent;
  return parent >= 0 && item_at(s, parent)->kind == PAH_CLASS;
}

/* Names that begin as those of the language's implementation are a library's, whose functions may be there for decltype
 * and noexcept alone. */
static int is_of_library(const struct search *s, const struct pah_item *item) {
  const struct pah_token *name = &s->side->tokens.list[item->name];
  return item->flags & PAH_IS_TEMPLATE && name->length > 2 && name->at[0] == '_' &&
         (name->at[1] == '_' || (name->at[1] >= 'A' && name->at[1] <= 'Z'));
}

/* Is it declared as f(...), to be taken when no other fits? Such a function is for decltype alone. */
static int takes_anything(const struct search *s, const struct pah_item *item) {
  const struct pah_token *list = &s->side->tokens.list[item->parameters];
  return list[1].mark == '.' && list[2].mark == '.' && list[3].mark == '.' && list[4].mark == ')';
}

static int verdict(const struct search *s, int i) {
  const struct pah_item *item = item_at(s, i);
  int member = within_class(s, i);
  switch (item->kind) {
  case PAH_SCOPE:
  case PAH_LABEL: return KEPT;
  case PAH_IMPORT:
  case PAH_CHECK: return member ? KEPT : DROPPED; /* told later: see keep_imports */
  case PAH_CLASS: return member ? KEPT : MAYBE;
  case PAH_FUNCTION:
    if (item->flags & PAH_IS_DEVICE) return KEPT;
    if (item->flags & (PAH_IS_CONSTANT | PAH_IS_DEFAULT | PAH_IS_GUIDE)) return member ? KEPT : MAYBE;
    if (item->flags & PAH_HAS_BODY && (member || !is_of_library(s, item))) return DROPPED;
    if (member) return KEPT; /* it may be for decltype alone */
    return item->flags & PAH_IS_TEMPLATE || takes_anything(s, item) ? MAYBE : DROPPED;
  default: return item->flags & PAH_IS_DEVICE || member ? KEPT : MAYBE;
  }
}

/* ---- What names what ---- */

static void declare(void *data, uint32_t word) {
  struct search *s = data;
  if (s->next_count == s->next_room) {
    int room = s->next_room ? 2 * s->next_room : 1024;
    struct declared *more = realloc(s->next, (size_t)room * sizeof *more);
    if (!more) {
      s->failed = 1;
      return;
    }
    s->next = more;
    s->next_room = room;
  }
  s->next[s->next_count] = (struct declared){.item = s->item, .next = s->declares[word]};
  s->declares[word] = s->next_count++;
}

static void keep(struct search *s, int i) {
  if (s->side->kept[i]) return;
  s->side->kept[i] = 1;
  s->queue[s->queued++] = i;
}

static void use(struct search *s, uint32_t word) {
  if (!word || s->used[word]) return;
  s->used[word] = 1;
  for (int d = s->declares[word]; d >= 0; d = s->next[d].next) keep(s, s->next[d].item);
}

/* The words of an item itself: members have their own turn. */
static void use_words(struct search *s, int i) {
  const struct pah_item *item = item_at(s, i);
  const struct pah_token *list = s->side->tokens.list;
  int holds = item->kind == PAH_CLASS || item->kind == PAH_SCOPE;
  for (int t = item->first; t < item->last; t++) {
    if (holds && t == item->open) t = item->close - 1;
    if (list[t].kind == PAH_WORD) use(s, list[t].word);
  }
}

/* An item of which something is kept: the members of a class that have no word against them. */
static void keep_members(struct search *s, int i) {
  const struct pah_items *items = &s->side->items;
  for (int m = i + 1; m < items->count && items->list[m].first < items->list[i].last; m++)
    if (items->list[m].parent == i && verdict(s, m) == KEPT) keep(s, m);
}

/* Scopes hold no words to be used: their members are judged one by one. */
static void begin(struct search *s) {
  const struct pah_items *items = &s->side->items;
  for (int i = 0; i < items->count; i++) {
    const struct pah_item *item = &items->list[i];
    int parent = item->parent, outside = parent < 0 || items->list[parent].kind == PAH_SCOPE;
    int v = verdict(s, i);
    if (item->kind == PAH_SCOPE) {
      s->side->kept[i] = 1;
    } else if (outside && v == KEPT) {
      keep(s, i);
    } else if (outside && v == MAYBE) {
      s->item = i;
      if (item->kind == PAH_FUNCTION)
        declare(s, s->side->tokens.list[item->name].word);
      else
        pah_item_names(&s->side->tokens, item, declare, s);
    }
  }
}

static void use_text(struct search *s, const char *text) {
  struct pah_tokens words;
  if (!text || pah_tokens_read(&words, text, NULL, NULL)) return;
  for (int i = 1; i <= words.word_count; i++) {
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)words.lengths[i], words.words[i]);
    use(s, pah_tokens_word(&s->side->tokens, name));
  }
  pah_tokens_free(&words);
}

/* ---- What is known only at the end ---- */

/* Is `name` a namespace of this text, of the host's headers in it, or one that is always there? Of a text without its
 * headers only what is surely the host's is known. */
static int is_one_namespace(const struct pah_side *side, const struct pah_token *name) {
  static const char *const hosts[] = {"torch", "at", "c10", "pybind11", "py", "tvm"};
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts && side->is_raw; i++)
    if (pah_token_is(name, hosts[i])) return 0;
  if (side->is_raw) return 1;
  static const char *const always[] = {"std", "cuda", "nvcuda"};
  for (size_t i = 0; i < sizeof always / sizeof *always; i++)
    if (pah_token_is(name, always[i])) return 1;
  for (const char *p = side->tokens.text; (p = strstr(p, "namespace ")); p++) {
    const char *at = p + strlen("namespace ");
    if (p > side->tokens.text && (p[-1] == ' ' || p[-1] == '\t') && p - side->tokens.text >= 6 &&
        !strncmp(p - 6, "using ", 6))
      continue;
    if (!strncmp(at, name->at, name->length) && strchr(" \n{:=", at[name->length])) return 1;
  }
  return 0;
}

/* All of a::b. */
static int is_namespace(const struct pah_side *side, const struct pah_token *name) {
  for (; is_one_namespace(side, name); name += 2)
    if (name[1].mark != 'S') return 1;
  return 0;
}

/* using namespace x: if there is such a namespace. static_assert: if it asks of nothing that is left out. */
static void keep_imports(struct search *s) {
  const struct pah_items *items = &s->side->items;
  const struct pah_token *list = s->side->tokens.list;
  for (int i = 0; i < items->count; i++) {
    const struct pah_item *item = &items->list[i];
    if (item->kind == PAH_IMPORT && !s->side->kept[i]) {
      int at = item->first + 2;
      if (list[at].mark == 'S') at++;
      if (is_namespace(s->side, &list[at])) s->side->kept[i] = 1;
    } else if (item->kind == PAH_CHECK && !s->side->kept[i]) {
      int lacks = 0;
      for (int t = item->first; t < item->last; t++)
        for (int d = list[t].kind == PAH_WORD ? s->declares[list[t].word] : -1; d >= 0; d = s->next[d].next)
          lacks |= !s->side->kept[s->next[d].item];
      s->side->kept[i] = !lacks;
    }
  }
}

/* A class that is left out takes its members with it; a scope is only its members. */
static void mark_tokens(struct pah_side *side) {
  for (int i = 0; i < side->items.count; i++) {
    const struct pah_item *item = &side->items.list[i];
    if (!side->kept[i]) memset(side->gone + item->first, 1, (size_t)(item->last - item->first));
  }
}

static int find_side(struct search *s) {
  size_t words = (size_t)s->side->tokens.word_count + 1, items = (size_t)s->side->items.count + 1;
  s->used = calloc(words, 1);
  s->declares = malloc(words * sizeof *s->declares);
  s->queue = malloc(items * sizeof *s->queue);
  if (!s->used || !s->declares || !s->queue) return 0;
  memset(s->declares, -1, words * sizeof *s->declares);
  begin(s);
  return !s->failed;
}

static void search_all(struct search *s, const char *roots) {
  use_text(s, roots);
  while (s->queued) {
    int i = s->queue[--s->queued];
    use_words(s, i);
    keep_members(s, i);
  }
  keep_imports(s);
}

int pah_side_read(struct pah_side *side, const char *text, const char *roots,
                  int (*system_of)(void *, const char *, int), void *data) {
  *side = (struct pah_side){.is_raw = !system_of};
  struct search s = {.side = side};
  int status = pah_tokens_read(&side->tokens, text, system_of, data);
  if (!status) status = pah_items_read(&side->items, &side->tokens);
  if (!status) {
    side->kept = calloc((size_t)side->items.count + 1, 1);
    side->gone = calloc((size_t)side->tokens.count + 1, 1);
    if (!side->kept || !side->gone || !find_side(&s)) status = pah_fail(PAH_ENOMEM, "source: no memory");
  }
  if (!status) {
    search_all(&s, roots);
    mark_tokens(side);
  }
  free(s.used);
  free(s.declares);
  free(s.next);
  free(s.queue);
  if (status) pah_side_free(side);
  return status;
}

char *pah_side_text(const struct pah_side *side) {
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  const char *from = side->tokens.text;
  for (int i = 0; i < side->tokens.count; i++) {
    const struct pah_token *token = &side->tokens.list[i];
    if (!side->gone[i]) continue;
    fwrite(from, 1, (size_t)(token->at - from), f);
    for (uint32_t c = 0; c < token->length; c++)
      if (token->at[c] == '\n') fputc('\n', f);
    from = token->at + token->length;
  }
  fputs(from, f);
  return fclose(f) ? free(text), NULL : text;
}

void pah_side_free(struct pah_side *side) {
  pah_tokens_free(&side->tokens);
  pah_items_free(&side->items);
  free(side->kept);
  free(side->gone);
  *side = (struct pah_side){.kept = NULL};
}
