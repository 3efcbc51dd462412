/* names.c - tells of a source's declarations: names with their namespaces, and where those stand that are left out.
 * Read next: device_side.c. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "device_side.h"

void pah_side_scope(const struct pah_side *side, int item, FILE *to) {
  int parent = side->items.list[item].parent;
  if (parent < 0) return;
  pah_side_scope(side, parent, to);
  const struct pah_item *scope = &side->items.list[parent];
  const struct pah_token *list = side->tokens.list;
  if (scope->name < 0) return;
  for (int i = scope->name; i < scope->open && (list[i].kind == PAH_WORD || list[i].mark == 'S'); i++)
    fprintf(to, "%.*s", (int)list[i].length, list[i].at);
  fputs("::", to);
}

static void see_name(void *data, uint32_t word) {
  uint32_t *first = data;
  if (!*first) *first = word;
}

void pah_side_name(const struct pah_side *side, int item, FILE *to) {
  const struct pah_item *it = &side->items.list[item];
  const struct pah_token *list = side->tokens.list;
  pah_side_scope(side, item, to);
  if (it->name >= 0) {
    int first = it->name, last = it->name + 1;
    while (first - 2 >= it->first && list[first - 1].mark == 'S' && list[first - 2].kind == PAH_WORD) first -= 2;
    if (pah_token_is(&list[it->name], "operator")) last = it->parameters;
    for (int i = first; i < last; i++) fprintf(to, "%.*s", (int)list[i].length, list[i].at);
    return;
  }
  uint32_t name = 0;
  if (it->kind == PAH_OTHER) pah_item_names(&side->tokens, it, see_name, &name);
  if (name) fprintf(to, "%.*s", (int)side->tokens.lengths[name], side->tokens.words[name]);
  for (int i = it->first; i < it->last - 1 && !name; i++)
    fprintf(to, "%s%.*s", i > it->first && list[i].kind == PAH_WORD && list[i - 1].kind == PAH_WORD ? " " : "",
            (int)list[i].length, list[i].at);
}

static void read_marker(struct pah_place *p, const char *at) {
  char *end;
  long line = strtol(at + 2, &end, 10);
  size_t n = 0;
  if (end[0] != ' ' || end[1] != '"') return;
  for (end += 2; *end && *end != '"' && *end != '\n' && n + 1 < sizeof p->path; end++) {
    if (*end == '\\' && end[1]) end++;
    p->path[n++] = *end;
  }
  p->path[n] = 0;
  p->line = (int)line - 1; /* its own end of line follows */
}

void pah_place_begin(struct pah_place *p, const struct pah_side *side) {
  *p = (struct pah_place){.at = side->tokens.text, .line = 1};
}

/* Over line markers (# 12 "path") and lines; path and line are those of `to` then. */
void pah_place_move(struct pah_place *p, const char *to) {
  while (p->at < to) {
    if (p->at[0] == '#' && p->at[1] == ' ' && isdigit((unsigned char)p->at[2])) read_marker(p, p->at);
    const char *end = memchr(p->at, '\n', (size_t)(to - p->at));
    if (!end) return;
    p->line++;
    p->at = end + 1;
  }
}

void pah_side_skipped(const struct pah_side *side, void (*found)(void *, int, const char *, int), void *data) {
  struct pah_place p;
  pah_place_begin(&p, side);
  int past = 0; /* what is left out as a whole ends here */
  for (int i = 0; i < side->items.count; i++) {
    const struct pah_item *item = &side->items.list[i];
    if (side->kept[i] || item->first < past) continue;
    past = item->last;
    if (item->last - item->first < 2) continue; /* a semicolon */
    pah_place_move(&p, side->tokens.list[item->name >= 0 ? item->name : item->first].at);
    found(data, i, p.path, p.line);
  }
}
