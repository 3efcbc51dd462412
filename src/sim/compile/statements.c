/* statements.c - statements that are CUDA's as a whole and written anew: inline PTX, launches by a kernel, pragmas that
 * a macro has made. Read next: words.c, asm.c. */
#define _GNU_SOURCE
#include "writer.h"

#include <stdlib.h>

void sim_write_gap(struct sim_writer *w, const char *until) {
  if (until > w->from) fwrite(w->from, 1, (size_t)(until - w->from), w->to);
  if (until > w->from) w->from = until;
}

void sim_leave_out(struct sim_writer *w, int i) {
  const struct pah_token *token = &w->list[i];
  sim_write_gap(w, token->at);
  for (uint32_t c = 0; c < token->length; c++)
    if (token->at[c] == '\n') fputc('\n', w->to);
  w->from = token->at + token->length;
}

void sim_put(struct sim_writer *w, int i, const char *text) {
  sim_leave_out(w, i);
  fputs(text, w->to);
}

/* `<<<` or `>>>` at token i? */
static int is_triple(const struct sim_writer *w, int i, int last, char mark) {
  for (int k = 0; k < 3; k++) {
    if (i + k >= last || w->list[i + k].mark != mark) return 0;
    if (k && w->list[i + k].at != w->list[i + k - 1].at + 1) return 0;
  }
  return 1;
}

/* The end of `space::kernel<T><<<grid, block>>>(arguments)` from token i on, a launch by a kernel; 0: there is none. */
static int launch_end(const struct sim_writer *w, int i, int last) {
  int at = i + 1;
  while (at + 1 < last && w->list[at].mark == 'S' && w->list[at + 1].kind == PAH_WORD) at += 2;
  if (at >= last || w->list[at].mark != '<') return 0;
  if (!is_triple(w, at, last, '<')) at = pah_tokens_close(&w->side->tokens, at, last);
  if (!is_triple(w, at, last, '<')) return 0;
  while (at < last && w->list[at].mark != ';' && !is_triple(w, at, last, '>')) at++;
  at += 3;
  return at < last && w->list[at].mark == '(' ? pah_tokens_close(&w->side->tokens, at, last) : 0;
}

static int translate_launch(struct sim_writer *w, int i, int end) {
  sim_put(w, i, "pah_sim_unsupported(\"a launch by a kernel, of ");
  for (int at = i; w->list[at].kind == PAH_WORD || w->list[at].mark == 'S'; at++)
    fprintf(w->to, "%.*s", (int)w->list[at].length, w->list[at].at);
  fputs(",\")", w->to);
  for (int at = i + 1; at < end; at++) sim_leave_out(w, at);
  return end;
}

static int translate_asm(struct sim_writer *w, int i, int end) {
  char *code = sim_asm(w, w->side, i, end);
  if (!code) { /* for the compiler to complain of */
    sim_write_gap(w, w->list[i].at + w->list[i].length);
    return i + 1;
  }
  sim_put(w, i, code);
  free(code);
  for (int at = i + 1; at < end; at++) sim_leave_out(w, at);
  return end;
}

/* `#pragma unroll 4`, or another word than unroll, that a macro has made in a line of the source. */
static int leave_out_pragma(struct sim_writer *w, int i, int last) {
  static const char *const loops[] = {"for", "while", "do"};
  int end = i + 2 < last ? i + 3 : last;
  int is_count = end < last && w->list[end].kind == PAH_WORD && pah_token_is(&w->list[end - 1], "unroll");
  for (size_t k = 0; k < sizeof loops / sizeof *loops; k++) is_count &= !pah_token_is(&w->list[end], loops[k]);
  if (end < last && w->list[end].mark == '(')
    end = pah_tokens_close(&w->side->tokens, end, last);
  else if (end < last && (w->list[end].kind == PAH_NUMBER || is_count))
    end++;
  for (int at = i; at < end; at++) sim_leave_out(w, at);
  return end;
}

int sim_translate_statement(struct sim_writer *w, int i, int last) {
  const struct pah_token *token = &w->list[i];
  if (token->mark == '#' && i + 1 < last && pah_token_is(&w->list[i + 1], "pragma"))
    return leave_out_pragma(w, i, last);
  if (token->kind != PAH_WORD) return 0;
  int end = sim_asm_end(w->side, i, last);
  if (end) return translate_asm(w, i, end);
  end = launch_end(w, i, last);
  return end ? translate_launch(w, i, end) : 0;
}
