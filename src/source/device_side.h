/* device_side.h - the device's side of a CUDA source: what nvcc's device pass compiles. See device_side.c. */
#ifndef PAH_SOURCE_DEVICE_SIDE_H
#define PAH_SOURCE_DEVICE_SIDE_H

#include <stdio.h>

#include "items.h"

struct pah_side {
  struct pah_tokens tokens;
  struct pah_items items;
  char *kept; /* of each item: 1 if it is the device's, or holds something that is */
  char *gone; /* of each token: 1 if it is left out */
  int is_raw; /* a text of no line markers: what it includes is not in it */
};

/* See pah_tokens_read for system_of. `roots`: text whose words count as used, the names asked for; or NULL.
 * `text` has to live as long as the result. Returns a PAH_ code. */
int pah_side_read(struct pah_side *side, const char *text, const char *roots,
                  int (*system_of)(void *, const char *path, int flagged), void *data);
void pah_side_free(struct pah_side *side);
char *pah_side_text(const struct pah_side *side); /* without what is left out; malloc'ed, NULL: no memory */

/* names.c: writes "a::b::" for an item within namespaces a and b; anonymous ones have no name. */
void pah_side_scope(const struct pah_side *side, int item, FILE *to);
/* names.c: the name of an item with its scope, "a::f"; of what has no name its first words. */
void pah_side_name(const struct pah_side *side, int item, FILE *to);

/* names.c: calls found(data, item, path, line) for each item that is left out, but not for what lies within one; path
 * and line by the last line marker, path is "" before the first. */
void pah_side_skipped(const struct pah_side *side, void (*found)(void *, int item, const char *path, int line),
                      void *data);
/* launches.c: the same for each instance of a template that what is left out starts by <<< >>>, as it is written there:
 * "ns::f<T, 128>". */
void pah_side_launches(const struct pah_side *side, void (*found)(void *, const char *name, const char *path, int line),
                       void *data);

/* names.c: where something in the text stands, by the line markers. Only forward. */
struct pah_place {
  const char *at;
  char path[4096];
  int line;
};
void pah_place_begin(struct pah_place *p, const struct pah_side *side);
void pah_place_move(struct pah_place *p, const char *to);

#endif
