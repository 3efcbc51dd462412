/* launches.c - finds which instances of templates the host's code of a source starts: what stands before <<< with its
 * template arguments. Words in them may be the host's own, the parameters of its templates. Read next: device_side.c.
 */
#include <stdlib.h>
#include <string.h>

#include "device_side.h"

static int is_kernel_name(const struct pah_side *side, uint32_t word) {
  for (int i = 0; i < side->items.count; i++) {
    const struct pah_item *item = &side->items.list[i];
    if (item->flags & PAH_IS_KERNEL && item->name >= 0 && side->tokens.list[item->name].word == word) return 1;
  }
  return 0;
}

/* Of the template arguments that end at token `last`: where they open, or -1. */
static int opening(const struct pah_token *list, int last) {
  int depth = 0;
  for (int i = last; i >= 0 && list[i].mark != ';' && list[i].mark != '{'; i--) {
    if (list[i].mark == '>') depth++;
    if (list[i].mark == '<' && --depth == 0) return i;
  }
  return -1;
}

static char *name_of(const struct pah_token *list, int first, int last) {
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  for (int i = first; i < last; i++) {
    if (list[i].mark == '(' && list[i + 1].kind == PAH_NUMBER && list[i + 2].mark == ')') i++; /* a macro's (32) */
    const int is_word = list[i].kind == PAH_WORD || list[i].kind == PAH_NUMBER;
    const int after_word = i > first && (list[i - 1].kind == PAH_WORD || list[i - 1].kind == PAH_NUMBER);
    fprintf(f, "%s%.*s%s", is_word && after_word ? " " : "", (int)list[i].length, list[i].at,
            list[i].mark == ',' ? " " : "");
    if (list[i].kind == PAH_NUMBER && list[i - 1].mark == '(' && list[i + 1].mark == ')' && i - 1 > first) i++;
  }
  return fclose(f) ? free(text), NULL : text;
}

void pah_side_launches(const struct pah_side *side, void (*found)(void *, const char *, const char *, int),
                       void *data) {
  const struct pah_token *list = side->tokens.list;
  struct pah_place p;
  pah_place_begin(&p, side);
  for (int i = 2; i + 2 < side->tokens.count; i++) {
    if (!side->gone[i] || list[i].mark != '<' || list[i + 1].mark != '<' || list[i + 2].mark != '<') continue;
    if (list[i - 1].mark != '>') continue;
    int open = opening(list, i - 1), first = open - 1;
    if (first < 0 || list[first].kind != PAH_WORD || !is_kernel_name(side, list[first].word)) continue;
    while (first >= 2 && list[first - 1].mark == 'S' && list[first - 2].kind == PAH_WORD) first -= 2;
    char *name = name_of(list, first, i);
    pah_place_move(&p, list[first].at);
    if (name) found(data, name, p.path, p.line);
    free(name);
    i += 2;
  }
}
