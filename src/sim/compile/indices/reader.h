/* reader.h - looking at the tokens of a source, with the functions that it has: for the files that put text between
 * them. Positions may be beyond either end. Read next: locals.c, guards.c, indices.c. */
#ifndef PAH_SIM_READER_H
#define PAH_SIM_READER_H

#include <string.h>

#include "sim/compile/device_source.h"

struct sim_reader {
  const struct pah_side *side;
  const struct pah_tokens *t;
  struct sim_inserts *inserts;
};

/* The character of a token that is a mark; else 0. */
static inline char mark_at(const struct sim_reader *r, int i) {
  return i >= 0 && i < r->t->count ? r->t->list[i].mark : 0;
}

static inline int is(const struct sim_reader *r, int i, const char *word) {
  return i >= 0 && i < r->t->count && pah_token_is(&r->t->list[i], word);
}

/* One of the words, which end with NULL? */
static inline int is_any(const struct sim_reader *r, int i, const char *const *words) {
  for (; *words; words++)
    if (is(r, i, *words)) return 1;
  return 0;
}

static inline int is_name(const struct sim_reader *r, int i) {
  return i >= 0 && i < r->t->count && r->t->list[i].kind == PAH_WORD;
}

static inline int same(const struct sim_reader *r, int a, int b) {
  const struct pah_token *x = &r->t->list[a], *y = &r->t->list[b];
  return x->length == y->length && !memcmp(x->at, y->at, x->length);
}

static inline int begins_statement(const struct sim_reader *r, int i) {
  return strchr(";{}", mark_at(r, i - 1) ? mark_at(r, i - 1) : '?') != NULL;
}

/* Where the word is named, as a variable and no member, from token `from` on; 0: nowhere before `to`. */
static inline int is_mentioned(const struct sim_reader *r, int name, int from, int to) {
  for (int i = from; i < to; i++)
    if (same(r, i, name) && mark_at(r, i - 1) != '.' && mark_at(r, i - 1) != 'A' && mark_at(r, i - 1) != 'S') return i;
  return 0;
}

/* The bracket that the one at i closes; 0: none. */
int sim_opening(const struct sim_reader *r, int i);
/* The word before template arguments that end at i; 0: none. i itself if that is no `>`. */
int sim_before_arguments(const struct sim_reader *r, int i);
/* Does an operand end with token i? Then an operator behind it has two. */
int sim_is_operand_end(const struct sim_reader *r, int i);

/* guards.c: of the array at token `name`, declared before token `from` in a block that ends at `last`: puts checks
 * where pointers into it are used. Returns 1 if one goes where the compiler loses sight of it, so only what stands
 * around the array can tell that it is overrun. */
int sim_guard_pointers(const struct sim_reader *r, int name, int from, int last);
/* guards.c: `x[i]` that references are bound to, in a function, is checked against the size of x. */
void sim_insert_bound(const struct sim_reader *r, const struct pah_item *item);
/* guards.c: is token i an argument of a function of the source? */
int sim_is_given_to_device(const struct sim_reader *r, int i);

#endif
