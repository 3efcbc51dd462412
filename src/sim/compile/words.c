/* words.c - writes the device's side of a source again, with CUDA's own words in the host compiler's: each where it
 * stands, so that lines keep their numbers. Words of the built-in variables and of the C library are replaced here and
 * not by macros: a header of the host's or a member of a struct may have the same names. Read next: entries.c. */
#define _GNU_SOURCE
#include "writer.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

/* A file of the user's stays one where a macro of the system's stands in it, which is flagged by itself. */
static int is_seen(struct sim_origin *o, const char *path, int add) {
  for (int i = 0; i < o->seen_count; i++)
    if (!strcmp(o->seen[i], path)) return 1;
  char **more = add ? realloc(o->seen, (size_t)(o->seen_count + 1) * sizeof *more) : NULL;
  if (more) o->seen = more;
  if (more && (o->seen[o->seen_count] = strdup(path))) o->seen_count++;
  return 0;
}

int sim_is_system(void *data, const char *path, int flagged) {
  struct sim_origin *o = data;
  const size_t work = strlen(o->work);
  if (!strncmp(path, o->headers, strlen(o->headers)) || *path == '<') return 1;
  if (!strncmp(path, o->work, work) && !strncmp(path + work, "/host/", 6)) return 1;
  if (strstr(path, "src/sim/") || strstr(path, "/c++/")) return 1; /* by whatever way it was found */
  if (is_seen(o, path, !flagged)) return 0;
  for (char **folder = o->m->include; *folder && flagged; folder++) { /* that of a user may call itself a system's */
    const size_t n = strlen(*folder);
    if (!strncmp(path, *folder, n) && path[n] == '/') return 0;
  }
  return flagged;
}

void sim_origin_free(struct sim_origin *o) {
  for (int i = 0; i < o->seen_count; i++) free(o->seen[i]);
  free(o->seen);
}

/* ---- Words ---- */

static const struct word words[] = {
    {"__global__", AS_IS, "__attribute__((used, noinline, visibility(\"protected\")))",
     "__attribute__((used, noinline))"},
    {"__device__", OF_VARIABLE, "__attribute__((used))", ""},
    {"__constant__", OF_VARIABLE, "__attribute__((used))", ""},
    {"__managed__", OF_VARIABLE, "__attribute__((used))", ""},
    {"__shared__", SHARED, "__attribute__((used)) thread_local", ""}, /* used: what nobody writes is no zero */
    {"__host__", DROPPED, "", ""},
    {"__grid_constant__", DROPPED, "", ""},
    {"__inline_hint__", DROPPED, "", ""},
    {"__maxnreg__", DROPPED, "", ""},
    {"__cluster_dims__", DROPPED, "", ""},
    {"__block_size__", DROPPED, "", ""},
    {"__launch_bounds__", BOUNDS, "", ""},
    {"__forceinline__", AS_IS, "inline __attribute__((always_inline))", ""},
    {"__noinline__", AS_IS, "__attribute__((noinline))", ""},
    {"__nv_pure__", AS_IS, "__attribute__((pure))", ""},
    {"__align__", BRACKETS, "__attribute__((aligned(", ")))"},
    {"__builtin_align__", BRACKETS, "__attribute__((aligned(", ")))"},
    /* CUDA allows `__shared__ alignas(16)`, ISO C++ wants it in front. It takes a type or a number. */
    {"alignas", BRACKETS, "__attribute__((aligned(pah_sim_alignment<", ">())))"},
    {"threadIdx", VARIABLE, "(pah_sim_uint3(pah_sim_thread_idx()))", ""},
    {"blockIdx", VARIABLE, "(pah_sim_uint3(pah_sim_block_idx()))", ""},
    {"blockDim", VARIABLE, "(dim3(pah_sim_uint3(pah_sim_block_dim())))", ""},
    {"gridDim", VARIABLE, "(dim3(pah_sim_uint3(pah_sim_grid_dim())))", ""},
    {"printf", CALL, "pah_sim_printf", ""},
    {"memcpy", CALL, "pah_sim_copy", ""},
    {"memmove", CALL, "pah_sim_memcpy", ""},
    {"memset", CALL, "pah_sim_memset", ""},
    {"malloc", CALL, "pah_sim_malloc", ""},
    {"free", CALL, "pah_sim_free", ""},
    {"clock", CALL, "pah_sim_clock32", ""},
};
enum { WORDS = sizeof words / sizeof *words };
static const struct word vector = {"", VECTOR, "pah_sim_made(", ")"};

/* Is the word a use, rather than a member (a.x, a->x, T::x) or something declared (int x)? */
static int is_use(const struct sim_writer *w, int i) {
  static const char *const before[] = {"return", "case", "else", "do", "throw", "sizeof", "and", "or", "not"};
  if (i == 0) return 1;
  const struct pah_token *last = &w->list[i - 1];
  if (last->mark == '.' || last->mark == 'A') return 0;
  if (last->mark == 'S') /* std::memcpy, ::memcpy */
    return i < 2 || w->list[i - 2].kind != PAH_WORD || pah_token_is(&w->list[i - 2], "std");
  if (last->kind != PAH_WORD) return 1;
  for (size_t k = 0; k < sizeof before / sizeof *before; k++)
    if (pah_token_is(last, before[k])) return 1;
  return 0;
}

static int translate_one(struct sim_writer *w, int i, int last);

static void translate_range(struct sim_writer *w, int first, int last) {
  for (int i = first; i < last;) i = translate_one(w, i, last);
}

/* __launch_bounds__(a, b): as many bytes that do nothing before the kernel, and a note of where they begin
 * (variable.c): the number may be any constant expression, which only the compiler can tell. clang: bounds.c. */
static int translate_bounds(struct sim_writer *w, int i, int last) {
  int open = i + 1, close = pah_tokens_close(&w->side->tokens, open, last), comma = open + 1;
  for (; comma < close - 1 && w->list[comma].mark != ','; comma++) {
    char mark = w->list[comma].mark;
    if (mark == '(' || mark == '[' || mark == '{') comma = pah_tokens_close(&w->side->tokens, comma, close) - 1;
    if (mark == '<') {
      int end = pah_tokens_close(&w->side->tokens, comma, close - 1);
      if (w->list[end - 1].mark == '>') comma = end - 1;
    }
  }
  sim_put(w, i, w->is_clang ? "" : "__attribute__((patchable_function_entry((");
  for (int k = 0; k < 2 && !w->is_clang; k++) {
    fputs(k ? "), (" : "", w->to);
    for (int at = open + 1; at < comma; at++) fprintf(w->to, " %.*s", (int)w->list[at].length, w->list[at].at);
  }
  if (!w->is_clang) fputs("))))", w->to);
  for (int at = open; at < close; at++) sim_leave_out(w, at);
  return close;
}

static int translate_brackets(struct sim_writer *w, int i, int last, const struct word *word) {
  int close = pah_tokens_close(&w->side->tokens, i + 1, last);
  sim_put(w, i, word->text);
  sim_leave_out(w, i + 1);
  translate_range(w, i + 2, close - 1);
  sim_put(w, close - 1, word->end);
  return close;
}

/* `= float4{a, b, c, d}`; the compiler would store the elements one by one. */
static int translate_vector(struct sim_writer *w, int i, int last) {
  const struct pah_token *token = &w->list[i];
  const int close = pah_tokens_close(&w->side->tokens, i + 1, last);
  sim_write_gap(w, token->at);
  fputs(vector.text, w->to);
  translate_range(w, i + 1, close);
  fputs(vector.end, w->to);
  return close;
}

/* Has the kernel whose word __global__ is at i a visibility of its own? */
static int has_visibility(const struct sim_writer *w, int i) {
  int at = i;
  while (at > 0 && !(w->list[at - 1].mark && strchr(";{}>", w->list[at - 1].mark))) at--;
  for (; w->list[at].kind != PAH_END && !(w->list[at].mark && strchr(";{", w->list[at].mark)); at++)
    if (pah_token_is(&w->list[at], "visibility") || pah_token_is(&w->list[at], "__visibility__")) return 1;
  return 0;
}

/* Is what the declaration from i on declares an array? */
static int is_array(const struct sim_writer *w, int i, int last) {
  for (; i < last && w->list[i].mark != ';' && w->list[i].mark != '='; i++)
    if (w->list[i].mark == '[') return 1;
  return 0;
}

/* Writes the token at i, or what stands for it; returns the next one. */
static int translate_token(struct sim_writer *w, int i, int last) {
  const struct pah_token *token = &w->list[i];
  if (w->side->gone[i]) return sim_leave_out(w, i), i + 1;
  const struct word *word = token->kind == PAH_WORD ? w->meaning[token->word] : NULL;
  const int past = sim_translate_statement(w, i, last);
  if (past) return past;
  int has_brackets = i + 1 < last && w->list[i + 1].mark == '(';
  if (word) switch (word->how) {
    case AS_IS:
      if (word->end && *word->end && has_visibility(w, i)) return sim_put(w, i, word->end), i + 1;
      return sim_put(w, i, word->text), i + 1;
    case SHARED:
      sim_put(w, i, word->text);
      return fputs(is_array(w, i, last) ? " __attribute__((aligned(16)))" : "", w->to), i + 1;
    case OF_VARIABLE: return sim_put(w, i, w->is_variable[i] ? word->text : ""), i + 1;
    case DROPPED:
      sim_leave_out(w, i);
      if (!has_brackets) return i + 1;
      int close = pah_tokens_close(&w->side->tokens, i + 1, last);
      for (int at = i + 1; at < close; at++) sim_leave_out(w, at);
      return close;
    case BOUNDS:
      if (has_brackets) return translate_bounds(w, i, last);
      break;
    case BRACKETS:
      if (has_brackets) return translate_brackets(w, i, last, word);
      break;
    case VECTOR:
      if (i > 0 && w->list[i - 1].mark == '=' && i + 1 < last && w->list[i + 1].mark == '{')
        return translate_vector(w, i, last);
      break;
    case VARIABLE:
      if (!w->is_plain[i] && is_use(w, i)) return sim_put(w, i, word->text), i + 1;
      break;
    case CALL:
      if (has_brackets && !w->is_plain[i] && is_use(w, i)) return sim_put(w, i, word->text), i + 1;
      break;
    }
  sim_write_gap(w, token->at + token->length);
  return i + 1;
}

static int translate_one(struct sim_writer *w, int i, int last) {
  const int next = translate_token(w, i, last);
  if (w->inserts.after[i] && next == i + 1 && !w->side->gone[i]) fputs(w->inserts.after[i], w->to);
  return next;
}

/* ---- A whole source ---- */

/* A variable of the device outside of functions and classes: its words before what it is set to. */
static void find_variables(struct sim_writer *w) {
  const struct pah_items *items = &w->side->items;
  for (int i = 0; i < items->count; i++) {
    const struct pah_item *item = &items->list[i];
    int in_class = item->parent >= 0 && items->list[item->parent].kind == PAH_CLASS;
    int is_variable = item->kind == PAH_OTHER || item->kind == PAH_CLASS;
    if (in_class || !is_variable || item->flags & PAH_IS_CONSTANT || !(item->flags & PAH_IS_DEVICE)) continue;
    for (int t = item->first; t < item->last && w->list[t].mark != '='; t++) w->is_variable[t] = 1;
  }
}

/* A class with a member `blockDim`, or a function with such a parameter, means that one by the word. */
static void find_plain(struct sim_writer *w) {
  const struct pah_items *items = &w->side->items;
  for (int i = 0; i < items->count; i++) {
    const struct pah_item *item = &items->list[i];
    if (item->kind == PAH_FUNCTION && item->name >= 0) w->is_plain[item->name] = 1; /* one of another namespace */
    if (item->kind != PAH_CLASS && item->kind != PAH_FUNCTION) continue;
    int last = item->kind == PAH_CLASS ? item->last : item->open;
    for (int t = item->first + 1; t < last; t++) {
      const struct word *word = w->list[t].kind == PAH_WORD ? w->meaning[w->list[t].word] : NULL;
      if (!word || word->how != VARIABLE || w->list[t - 1].kind != PAH_WORD || is_use(w, t)) continue;
      for (int u = t; u < item->last; u++) w->is_plain[u] |= w->list[u].word == w->list[t].word;
    }
  }
}

static void find_vectors(struct sim_writer *w) {
  static const char *const elements[] = {"char", "uchar", "short", "ushort", "int",      "uint",
                                         "long", "ulong", "float", "double", "longlong", "ulonglong"};
  for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
    for (int n = 2; n <= 4; n += 2) {
      char name[16];
      snprintf(name, sizeof name, "%s%d", elements[i], n);
      uint32_t number = pah_tokens_word(&w->side->tokens, name);
      if (number) w->meaning[number] = &vector;
    }
  }
}

struct sim_writer *sim_writer_new(const struct pah_side *side, int is_clang) {
  struct sim_writer *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  *w = (struct sim_writer){.side = side, .list = side->tokens.list, .is_clang = is_clang};
  w->meaning = calloc((size_t)side->tokens.word_count + 1, sizeof *w->meaning);
  w->is_variable = calloc((size_t)side->tokens.count + 1, 1);
  w->is_plain = calloc((size_t)side->tokens.count + 1, 1);
  if (!w->meaning || !w->is_variable || !w->is_plain || !sim_inserts_new(&w->inserts, side))
    return sim_writer_free(w), NULL;
  sim_insert_meaning(side, &w->inserts);
  if (is_clang) sim_insert_bounds(side, &w->inserts);
  sim_insert_locals(side, &w->inserts);
  if (w->inserts.failed) return sim_writer_free(w), NULL;
  for (int i = 0; i < WORDS; i++) {
    uint32_t number = pah_tokens_word(&side->tokens, words[i].cuda);
    if (number) w->meaning[number] = &words[i];
  }
  find_vectors(w);
  find_variables(w);
  find_plain(w);
  return w;
}

void sim_writer_free(struct sim_writer *w) {
  if (!w) return;
  sim_inserts_free(&w->inserts, w->side);
  free(w->meaning);
  free(w->is_variable);
  free(w->is_plain);
  free(w);
}

char *sim_translate(struct sim_writer *w) {
  char *text = NULL;
  size_t bytes;
  w->to = open_memstream(&text, &bytes);
  if (!w->to) return NULL;
  w->from = w->side->tokens.text;
  translate_range(w, 0, w->side->tokens.count);
  fputs(w->from, w->to);
  return fclose(w->to) ? free(text), NULL : text;
}

void sim_translate_tokens(struct sim_writer *w, int first, int last, FILE *to) {
  FILE *outer = w->to;
  const char *from = w->from;
  char *text = NULL;
  size_t bytes;
  w->to = open_memstream(&text, &bytes);
  for (int i = first; i < last && w->to;) {
    w->from = w->list[i].at; /* lines, and markers of lines, have no place in one line */
    if (i == first || w->list[i - 1].at + w->list[i - 1].length != w->list[i].at) fputc(' ', w->to); /* not in >> */
    i = translate_one(w, i, last);
  }
  if (w->to) fclose(w->to);
  for (const char *p = text; p && *p; p++) fputc(*p == '\n' ? ' ' : *p, to);
  free(text);
  w->to = outer;
  w->from = from;
}
