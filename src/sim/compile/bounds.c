/* bounds.c - __launch_bounds__ for clang, which has no attribute for it that may depend on a template's parameters: a
 * note at the start of the kernel's body, of where that is and how many threads may be (sim/host/variable.c reads it).
 * What g++ has is in words.c. Read next: meaning.c. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_source.h"

/* The { of the body of the function whose head goes on at i; -1: it is only declared. */
static int find_body(const struct pah_tokens *t, int i) {
  while (i < t->count) {
    const char mark = t->list[i].mark;
    if (mark == ';' || mark == '}') return -1;
    if (mark == '{') return i;
    i = mark == '(' || mark == '[' ? pah_tokens_close(t, i, t->count) : i + 1;
  }
  return -1;
}

/* The first argument in the brackets that begin at `open`, as text. NULL: no memory. */
static char *first_argument(const struct pah_tokens *t, int open, int close) {
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  int depth = 0;
  for (int i = open + 1; f && i < close - 1; i++) {
    const struct pah_token *token = &t->list[i];
    depth += (token->mark == '(' || token->mark == '<') - (token->mark == ')' || token->mark == '>');
    if (token->mark == ',' && depth <= 0) break;
    fprintf(f, " %.*s", (int)token->length, token->at);
  }
  if (f) fclose(f);
  return text;
}

void sim_insert_bounds(const struct pah_side *side, struct sim_inserts *inserts) {
  const struct pah_tokens *t = &side->tokens;
  for (int i = 0; i + 1 < t->count; i++) {
    if (side->gone[i] || !pah_token_is(&t->list[i], "__launch_bounds__") || t->list[i + 1].mark != '(') continue;
    const int close = pah_tokens_close(t, i + 1, t->count), body = find_body(t, close);
    if (body < 0) continue;
    char *most = first_argument(t, i + 1, close), *note = NULL;
    if (!most || asprintf(&note,
                          " __asm__ volatile(\"1: .pushsection pah_launch_bounds,\\\"aw\\\"\\n.balign 8\\n.quad 1b\\n"
                          ".quad %%c0\\n.popsection\" :: \"i\"((long long)(%s)));",
                          most) < 0)
      inserts->failed = 1;
    else
      sim_insert(inserts, body, note);
    free(most);
    free(note);
  }
}
