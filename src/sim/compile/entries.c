/* entries.c - what stands behind a source for sim: for each kernel an entry, which unpacks arguments as a driver's
 * launch does, its address, its name and the list of what its parameters are; and the list of what was left out.
 * A kernel is named with its parameters, so that one called `max` or `index`, or one of several of a name, is found.
 * Read next: sim/include/pah_sim/entry.h, device.c. */
#define _GNU_SOURCE
#include "device_source.h"

#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "error.h"

struct list {
  const struct pah_module *m;
  const struct pah_side *side;
  FILE *to;
  struct sim_writer *writer;
  int64_t count;
};

/* Text of a string literal. */
static void write_quoted(FILE *to, const char *text, size_t n) {
  fputc('"', to);
  for (size_t i = 0; i < n; i++) {
    if (text[i] == '\n')
      fputs("\\n", to);
    else if (text[i] == '"' || text[i] == '\\')
      fprintf(to, "\\%c", text[i]);
    else
      fputc(text[i], to);
  }
  fputc('"', to);
}

/* `kernel`: an expression, the address of the kernel. */
static void write_entry(struct list *l, const char *kernel, const char *name, uint64_t restricted) {
  long long n = (long long)l->count++;
  fprintf(l->to,
          "extern \"C\" const unsigned long long pah_restricted_%lld;"
          " __attribute__((used)) const unsigned long long pah_restricted_%lld = %lluull;\n",
          n, n, (unsigned long long)restricted);
  fprintf(l->to,
          "extern \"C\" __attribute__((used, no_sanitize(\"thread\"))) void pah_entry_%lld(void **args) {"
          " ::pah_sim_call(%s, args); }\n",
          n, kernel);
  fprintf(l->to,
          "extern \"C\" void *const pah_kernel_%lld; __attribute__((used)) void *const pah_kernel_%lld ="
          " reinterpret_cast<void *>(%s);\n",
          n, n, kernel);
  fprintf(l->to,
          "extern \"C\" const decltype(::pah_sim_kernel_of(%s))::signature pah_signature_%lld;"
          " __attribute__((used)) const decltype(::pah_sim_kernel_of(%s))::signature pah_signature_%lld ="
          " decltype(::pah_sim_kernel_of(%s))::describe();\n",
          kernel, n, kernel, n, kernel);
  fprintf(l->to, "extern \"C\" const char pah_name_%lld[]; __attribute__((used)) const char pah_name_%lld[] = ", n, n);
  write_quoted(l->to, name, strlen(name));
  fputs(";\n", l->to);
}

/* ---- Kernels of the source ---- */

static int is_kernel(const struct pah_side *side, int i) {
  const struct pah_item *item = &side->items.list[i];
  int in_class = item->parent >= 0 && side->items.list[item->parent].kind == PAH_CLASS;
  return item->kind == PAH_FUNCTION && item->flags & PAH_IS_KERNEL && item->flags & PAH_HAS_BODY && side->kept[i] &&
         !(item->flags & PAH_IS_TEMPLATE) && !in_class;
}

static char *name_of(const struct list *l, int i) {
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  pah_side_name(l->side, i, f);
  return fclose(f) ? free(text), NULL : text;
}

static int same_name(const struct list *l, int a, int b) {
  char *first = name_of(l, a), *second = name_of(l, b);
  int same = first && second && !strcmp(first, second);
  free(first);
  free(second);
  return same;
}

static int is_overloaded(const struct list *l, int i) {
  const struct pah_items *items = &l->side->items;
  const struct pah_token *list = l->side->tokens.list;
  for (int k = 0; k < items->count; k++)
    if (k != i && is_kernel(l->side, k) && list[items->list[k].name].word == list[items->list[i].name].word &&
        same_name(l, i, k))
      return 1;
  return 0;
}

/* The parameters with no values by default. `raw`: as they stand. */
static void write_parameters(const struct list *l, int i, int raw, FILE *to) {
  const struct pah_tokens *t = &l->side->tokens;
  int open = l->side->items.list[i].parameters, close = pah_tokens_close(t, open, t->count);
  for (int at = open + 1, from = at; at < close; at++) {
    char mark = t->list[at].mark;
    int ends = mark == '=' || mark == ',' || at == close - 1;
    if (mark == '<' || mark == '(' || mark == '[' || mark == '{') at = pah_tokens_close(t, at, close - 1) - 1;
    if (!ends) continue;
    if (raw)
      for (int k = from; k < at; k++) fprintf(to, "%s%.*s", k > from ? " " : "", (int)t->list[k].length, t->list[k].at);
    else
      sim_translate_tokens(l->writer, from, at, to);
    while (mark == '=' && at < close - 1 && t->list[at].mark != ',') {
      char inner = t->list[at].mark;
      at = inner == '(' || inner == '[' || inner == '{' ? pah_tokens_close(t, at, close - 1) : at + 1;
    }
    if (at < close - 1) fputs(", ", to);
    from = at + 1;
  }
}

/* A bit for each parameter that is a pointer to const and __restrict__. */
static uint64_t restricted(const struct list *l, int i) {
  const struct pah_tokens *t = &l->side->tokens;
  int open = l->side->items.list[i].parameters, close = pah_tokens_close(t, open, t->count), is_const = 0, n = 0;
  uint64_t bits = 0;
  for (int at = open + 1; at < close; at++) {
    const struct pah_token *token = &t->list[at];
    const char mark = token->mark;
    if (mark == '<' || mark == '(' || mark == '[' || mark == '{') at = pah_tokens_close(t, at, close - 1) - 1;
    if (mark == ',') n++, is_const = 0;
    if (mark != '*' && pah_token_is(token, "const")) is_const = is_const == 0 ? 1 : is_const;
    if (mark == '*') is_const = is_const == 1 ? 2 : 3; /* const before the star; a pointer to pointers is none */
    const int is_restrict = pah_token_is(token, "__restrict__") || pah_token_is(token, "__restrict");
    if (is_restrict && is_const == 2 && n < PAH_MAX_PARAMETERS) bits |= (uint64_t)1 << n;
  }
  return bits;
}

/* The kernel of an instance: "ns::f<128>"; -1: there is none. */
static int kernel_of(const struct list *l, const char *asked) {
  const size_t n = strcspn(asked, "<(");
  for (int i = 0; i < l->side->items.count; i++) {
    const struct pah_item *item = &l->side->items.list[i];
    char *name = item->kind == PAH_FUNCTION && item->flags & PAH_IS_KERNEL ? name_of(l, i) : NULL;
    const int same = name && !strncmp(name, asked, n) && strlen(name) == n;
    free(name);
    if (same) return i;
  }
  return -1;
}

/* The namespaces around an item, opened; returns how many. Those of extern "C" are none. */
static int open_scopes(const struct list *l, int item) {
  const struct pah_side *side = l->side;
  const struct pah_token *list = side->tokens.list;
  int parent = side->items.list[item].parent;
  if (parent < 0) return 0;
  int count = open_scopes(l, parent);
  const struct pah_item *scope = &side->items.list[parent];
  if (pah_token_is(&list[scope->first], "extern")) return count;
  fputs("namespace ", l->to);
  for (int i = scope->name; i >= 0 && i < scope->open && (list[i].kind == PAH_WORD || list[i].mark == 'S'); i++)
    fprintf(l->to, "%.*s", (int)list[i].length, list[i].at);
  fputs(" { ", l->to);
  return count + 1;
}

/* Its name as the source has it: out of its namespace it is ns::f. */
static void write_own_name(const struct list *l, int i) {
  const struct pah_item *item = &l->side->items.list[i];
  const struct pah_token *list = l->side->tokens.list;
  int first = item->name;
  while (first - 2 >= item->first && list[first - 1].mark == 'S' && list[first - 2].kind == PAH_WORD) first -= 2;
  for (; first <= item->name; first++) fprintf(l->to, "%.*s", (int)list[first].length, list[first].at);
}

/* The kernel's __cluster_dims__, as pah_cluster_N. Those that hang on a template's parameters are not noted. */
static void write_cluster(struct list *l, int i) {
  const struct pah_tokens *t = &l->side->tokens;
  const struct pah_item *item = &l->side->items.list[i];
  int at = item->first, plain = 1;
  while (at < item->name && !pah_token_is(&t->list[at], "__cluster_dims__")) at++;
  if (at >= item->name || t->list[at + 1].mark != '(') return;
  const int close = pah_tokens_close(t, at + 1, item->name);
  for (int k = at + 2; k < close - 1; k++) plain &= t->list[k].kind != PAH_WORD;
  if (close == at + 3 || (item->flags & PAH_IS_TEMPLATE && !plain)) return;
  int scopes = open_scopes(l, i);
  fprintf(l->to, "extern \"C\" const int pah_cluster_%lld[3]; __attribute__((used)) const int pah_cluster_%lld[3] = {",
          (long long)l->count, (long long)l->count);
  for (int k = at + 2; k < close - 1; k++) fprintf(l->to, " %.*s", (int)t->list[k].length, t->list[k].at);
  fputs("};", l->to);
  while (scopes-- > 0) fputs(" }", l->to);
  fputc('\n', l->to);
}

/* Its address by its parameters, where the names of their types hold; the entry stands outside of all namespaces. */
static void write_kernel(struct list *l, int i, const char *name) {
  char *kernel = NULL;
  size_t bytes;
  write_cluster(l, i);
  int scopes = open_scopes(l, i);
  fprintf(l->to, "static constexpr auto pah_address_%lld = static_cast<void (*)(", (long long)l->count);
  write_parameters(l, i, 0, l->to);
  fputs(")>(&", l->to);
  write_own_name(l, i);
  fputs(");", l->to);
  while (scopes-- > 0) fputs(" }", l->to);
  fputc('\n', l->to);
  FILE *f = open_memstream(&kernel, &bytes);
  if (!f) return;
  pah_side_scope(l->side, i, f);
  fprintf(f, "pah_address_%lld", (long long)l->count);
  fclose(f);
  if (kernel) write_entry(l, kernel, name, restricted(l, i));
  free(kernel);
}

/* The name that a module gives it: with its parameters if there are several of the name. */
static char *full_name(const struct list *l, int i) {
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  pah_side_name(l->side, i, f);
  if (is_overloaded(l, i)) {
    fputc('(', f);
    write_parameters(l, i, 1, f);
    fputc(')', f);
  }
  return fclose(f) ? free(text), NULL : text;
}

/* ---- All of them: those asked for, in their order, then the others ---- */

static void write_asked(struct list *l, char *const *names, int *done) {
  for (int64_t k = 0; k < l->m->kernel_count; k++) {
    const char *asked = l->m->kernels[k].name;
    char name[512];
    int at = -1;
    snprintf(name, sizeof name, "%s", asked);
    if (sim_is_ptx(l->m)) sim_ptx_name(asked, name, sizeof name);
    for (int i = 0; i < l->side->items.count && at < 0; i++)
      if (names[i] && !strcmp(names[i], name)) at = i;
    if (at >= 0) {
      write_kernel(l, at, asked);
      done[at] = 1;
    } else {
      char *kernel = NULL;
      const int from = kernel_of(l, asked);
      if (from >= 0 && strchr(asked, '<')) write_cluster(l, from);
      if (asprintf(&kernel, "&%s%s", sim_is_ptx(l->m) ? "f_" : "", sim_is_ptx(l->m) ? name : asked) >= 0)
        write_entry(l, kernel, asked, from >= 0 ? restricted(l, from) : 0);
      free(kernel);
    }
  }
}

struct skipped {
  const struct pah_side *side;
  const char *path;
  FILE *to;
};

static void tell_skipped(void *data, int item, const char *path, int line) {
  static const char *const kinds[] = {"", "class ", "function ", "", "", "", "declaration "};
  struct skipped *s = data;
  if (strcmp(path, s->path)) return; /* headers are full of what is not used */
  fputs(kinds[s->side->items.list[item].kind], s->to);
  pah_side_name(s->side, item, s->to);
  fprintf(s->to, " at line %d\n", line);
}

static void tell_launch(void *data, const char *name, const char *path, int line) {
  struct skipped *s = data;
  if (!strcmp(path, s->path)) fprintf(s->to, "launch %s at line %d\n", name, line);
}

static void write_skipped(const struct list *l, const char *missing) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *f = open_memstream(&text, &bytes);
  struct skipped s = {.side = l->side, .path = l->m->path, .to = f};
  if (!f) return;
  for (const char *p = missing; *p; p += strcspn(p, "\n") + 1) fprintf(f, "header %.*s\n", (int)strcspn(p, "\n"), p);
  pah_side_skipped(l->side, tell_skipped, &s);
  pah_side_launches(l->side, tell_launch, &s);
  fclose(f);
  fputs("extern \"C\" const char pah_skipped[]; __attribute__((used)) const char pah_skipped[] = ", l->to);
  write_quoted(l->to, text, bytes);
  fputs(";\n", l->to);
  free(text);
}

/* Without the blanks that module.c leaves out of names, and what a name made of PTX begins with. */
static void squeeze_names(char **names, int count, const char *prefix) {
  for (int i = 0; i < count; i++) {
    if (!names[i]) continue;
    pah_module_squeeze(names[i], names[i]);
    const size_t n = strlen(prefix);
    if (!strncmp(names[i], prefix, n)) memmove(names[i], names[i] + n, strlen(names[i]) - n + 1);
  }
}

/* Kernels that nvcc has made; of several of one name the first has it. */
static void unmangle(char **names, int count) {
  for (int i = 0; i < count; i++) {
    char plain[512];
    int others = 0;
    if (!names[i] || strlen(names[i]) >= sizeof plain) continue;
    strcpy(plain, names[i]);
    sim_ptx_plain_name(plain);
    for (int j = 0; j < i; j++) others |= names[j] && !strcmp(names[j], plain);
    if (!others) strcpy(names[i], plain); /* never longer */
  }
}

char *sim_entries(const struct pah_module *m, const struct pah_side *side, struct sim_writer *w, const char *missing) {
  char *text = NULL;
  size_t bytes;
  int count = side->items.count, *done = calloc((size_t)count + 1, sizeof *done);
  char **names = calloc((size_t)count + 1, sizeof *names);
  FILE *f = open_memstream(&text, &bytes);
  if (done && names && f) {
    struct list l = {.m = m, .side = side, .to = f, .writer = w};
    fprintf(f, "\n# 1 \"pah_entries\"\n");
    for (int i = 0; i < count; i++)
      if (is_kernel(side, i)) names[i] = full_name(&l, i);
    squeeze_names(names, count, sim_is_ptx(m) ? "f_" : "");
    if (sim_is_ptx(m) && !m->is_image) unmangle(names, count);
    write_asked(&l, names, done);
    for (int i = 0; i < count; i++)
      if (names[i] && !done[i]) write_kernel(&l, i, names[i]);
    write_skipped(&l, missing);
  }
  if (f) fclose(f);
  for (int i = 0; i < count && names; i++) free(names[i]);
  free(names);
  free(done);
  return text;
}
