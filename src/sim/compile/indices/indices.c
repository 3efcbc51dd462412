/* indices.c - which sums and products of a source become addresses. Signed numbers that overflow there are a mistake;
 * in a hash, a checksum or a counter that wraps they are meant. For each operator it is asked where its value goes, and
 * so on with the variables that it goes to. A remainder or a shift of a hash is where one ends. Promises: what cannot
 * be told is taken for an index. Read next: flow.c, names.c, sim/check/notes.c. */
#include <stdio.h>
#include <stdlib.h>

#include "flow.h"

/* A factor that nobody multiplies an index with. */
static int is_large(const struct sim_reader *r, int i) {
  const struct pah_token *t = &r->t->list[i];
  if (t->kind != PAH_NUMBER || memchr(t->at, '.', t->length)) return 0;
  const unsigned long long n = strtoull(t->at, NULL, 0);
  return n > 9999 && (n & (n - 1));
}

/* Do the tokens [first, end) mix bits as a hash does? */
static int is_mixing(const struct sim_reader *r, int first, int end) {
  for (int i = first; i < end; i++) {
    if (mark_at(r, i) == '^') return 1;
    if (is_large(r, i) && (mark_at(r, i - 1) == '*' || mark_at(r, i + 1) == '*')) return 1;
  }
  return 0;
}

/* `h = h * 31 + x`: the variable at `name` is set to what begins behind the = at i. */
static int is_hash(const struct sim_reader *r, int name, int i) {
  int end = i;
  while (end < r->t->count && mark_at(r, end) != ';') end++;
  if (is_mixing(r, i, end) || mark_at(r, i - 1) == '^') return 1;
  for (int at = i + 1; at < end; at++)
    if (is_name(r, at) && same(r, at, name) && mark_at(r, at + 1) == '*' && r->t->list[at + 2].kind == PAH_NUMBER &&
        strtoull(r->t->list[at + 2].at, NULL, 0) > 2)
      return 1;
  return mark_at(r, i - 1) == '*' && is_large(r, i + 1);
}

/* ---- All functions ---- */

static int is_sum(const struct sim_reader *r, int i) {
  const char mark = mark_at(r, i);
  if (!mark || !strchr("+-*/", mark)) return 0;
  return mark == '-' || (sim_is_operand_end(r, i - 1) && mark_at(r, i + 1) != ')') || mark_at(r, i + 1) == mark;
}

/* ++ and the like, and +=: it goes to the variable itself. */
static void changes(struct flows *f, int item, int i) {
  const struct sim_reader *r = f->r;
  const int twice = mark_at(r, i + 1) == mark_at(r, i);
  if (mark_at(r, i + 1) == '=') sim_flow_to(f, item, -1 - i, i - 1, 0, 0);
  if (!twice) return;
  const int is_behind = sim_is_operand_end(r, i - 1);
  int last = is_behind ? i - 1 : i + 2;
  while (!is_behind && (mark_at(r, last + 1) == '.' || mark_at(r, last + 1) == 'A' || mark_at(r, last + 1) == '['))
    last = mark_at(r, last + 1) == '[' ? pah_tokens_close(r->t, last + 1, r->t->count) - 1 : last + 2;
  sim_flow_to(f, item, -1 - i, last, 0, 0);
}

static void look_at_name(struct flows *f, int item, int i) {
  const struct sim_reader *r = f->r;
  const char before = mark_at(r, i - 1), next = mark_at(r, i + 1);
  const uint32_t word = r->t->list[i].word;
  const int is_member = before == '.' || before == 'A';
  const int name = sim_name(f, is_member ? NAME_MEMBER : item, word);
  if (name < 0) return;
  int first = i, end = i + 1;
  const int equals = next == '=' ? i + 1 : next && strchr("+-*/^|", next) && mark_at(r, i + 2) == '=' ? i + 2 : 0;
  if (equals && is_hash(r, i, equals)) f->names[name].is |= NAME_HASH;
  if (next == '=') return;
  for (int more = 1; more;) { /* a.b[i].c, from its first name to its last bracket */
    more = 1;
    if (mark_at(r, end) == '[')
      end = pah_tokens_close(r->t, end, r->t->count);
    else if ((mark_at(r, end) == '.' || mark_at(r, end) == 'A') && is_name(r, end + 1))
      end += 2;
    else if ((mark_at(r, first - 1) == '.' || mark_at(r, first - 1) == 'A') && is_name(r, first - 2))
      first -= 2;
    else
      more = 0;
  }
  if (mark_at(r, end) == '(') {
    end = pah_tokens_close(r->t, end, r->t->count);
    sim_follow(f, item, sim_name(f, NAME_FUNCTION, word), first, end);
  }
  sim_follow(f, item, name, first, end);
}

static void look_at_function(struct flows *f, int n) {
  const struct sim_reader *r = f->r;
  const struct pah_item *item = &r->side->items.list[n];
  for (int i = item->open; i < item->close; i++) {
    if (r->side->gone[i]) continue;
    if (is(r, i, "return") && item->name >= 0) {
      int end = i;
      while (end < item->close && mark_at(r, end) != ';') end++;
      if (is_mixing(r, i, end)) sim_name_at(f, NAME_FUNCTION, r->t->list[item->name].word)->is |= NAME_HASH;
    } else if (is_name(r, i)) {
      look_at_name(f, n, i);
    } else if (is_sum(r, i)) {
      f->operators[i] = 1;
      changes(f, n, i);
      sim_follow(f, n, -1 - i, i, i + 1);
      if (mark_at(r, i + 1) == mark_at(r, i)) i++;
    }
  }
}

/* A method names members by their words alone. */
static void join_members(struct flows *f) {
  const struct pah_items *items = &f->r->side->items;
  const int count = f->name_count;
  for (int i = 0; i < count; i++) {
    const int scope = f->names[i].scope, parent = scope >= 0 ? items->list[scope].parent : -1;
    if (parent < 0 || items->list[parent].kind != PAH_CLASS) continue;
    const int member = sim_name(f, NAME_MEMBER, f->names[i].word);
    sim_add_flow(f, &(struct flow){.source = i, .to = member});
    sim_add_flow(f, &(struct flow){.source = member, .to = i});
    f->names[i].is |= f->names[member].is & NAME_POINTER;
  }
}

/* ---- What follows from it ---- */

static int hash_ends(struct flows *f, const struct flow *flow) {
  const int scopes[] = {flow->item, NAME_MEMBER, NAME_FUNCTION};
  if (!flow->hash_end) return 0;
  if (flow->source >= 0 && f->names[flow->source].is & NAME_HASH) return 1;
  if (is_mixing(f->r, flow->hash, flow->hash_end)) return 1;
  for (int at = flow->hash; at < flow->hash_end; at++)
    for (int k = 0; is_name(f->r, at) && k < 3; k++)
      if (sim_name_at(f, scopes[k], f->r->t->list[at].word)->is & NAME_HASH) return 1;
  return 0;
}

/* Marks what flows into what is marked, until nothing is new; hashes the other way round. */
static void spread(struct flows *f) {
  for (int more = 1; more;) {
    more = 0;
    for (int i = 0; i < f->count; i++) {
      const struct flow *flow = &f->list[i];
      if (flow->source < 0 || flow->to < 0) continue;
      const int is_new = f->names[flow->source].is & NAME_HASH && !(f->names[flow->to].is & NAME_HASH);
      if (is_new) f->names[flow->to].is |= NAME_HASH, more = 1;
    }
  }
  for (int more = 1; more;) {
    more = 0;
    for (int i = 0; i < f->count; i++) {
      const struct flow *flow = &f->list[i];
      if (flow->to >= 0 && !(f->names[flow->to].is & NAME_INDEX)) continue;
      if (hash_ends(f, flow)) continue;
      if (flow->source < 0) {
        f->operators[-1 - flow->source] = 2;
      } else if (!(f->names[flow->source].is & NAME_INDEX)) {
        f->names[flow->source].is |= NAME_INDEX;
        more = 1;
      }
    }
  }
}

/* ---- For the checker ---- */

/* Where g++ says that an operator stands, when it is not at the operator: of a - its operand, of ++ in a template the
 * same, and of the last operation of an assignment or a declaration its = or the name that is declared. */
static void mark_operand(const struct flows *f, int i, char *marks) {
  const struct sim_reader *r = f->r;
  const int twice = mark_at(r, i + 1) == mark_at(r, i);
  int first = i - 1;
  if (!sim_is_operand_end(r, i - 1)) {
    marks[i + 1 + twice] = 1;
    return;
  }
  for (; twice; first -= 2) {
    while (mark_at(r, first) == ']') first = sim_opening(r, first) - 1;
    if (mark_at(r, first - 1) != '.' && mark_at(r, first - 1) != 'A') break;
  }
  if (twice) marks[first] = 1;
}

/* Are the operators of the value behind the = at i all values (2), or those in no brackets, if there are such (1)? Then
 * *end is the value's end. */
static int is_value(const struct flows *f, int i, int *end) {
  const struct sim_reader *r = f->r;
  int outer = 0, inner = 0, outer_told = 0, inner_told = 0, depth = 0;
  for (i++; i < r->t->count && !(mark_at(r, i) && strchr(";{}", mark_at(r, i))); i++) {
    const char mark = mark_at(r, i);
    if (mark == '(' || mark == '[') depth++;
    if (mark == ')' || mark == ']') depth--;
    if (depth < 0 || (!depth && mark == ',')) break;
    if (!f->operators[i]) continue;
    *(depth ? &inner : &outer) += 1;
    *(depth ? &inner_told : &outer_told) += f->operators[i] == 2;
  }
  *end = i;
  if (outer_told || !(outer + inner)) return 0;
  return inner_told ? outer > 0 : 2;
}

static void mark_values(const struct flows *f, char *marks) {
  const struct sim_reader *r = f->r;
  for (int i = 1, end = 0; i < r->t->count; i++) {
    if (f->operators[i] == 1) {
      marks[i] = 1;
      mark_operand(f, i, marks);
    }
    const int value = mark_at(r, i) == '=' || is(r, i, "return") ? is_value(f, i, &end) : 0;
    if (value) marks[i] = 1;
    if (value && is_name(r, i - 1)) marks[i - 1] = 1;
    for (int k = i; value == 2 && k < end; k++) marks[k] = 1;
  }
}

enum { MARKER = 1 }; /* a character of no source, before an operator */

void sim_insert_values(const struct pah_side *side, struct sim_inserts *inserts) {
  const struct sim_reader r = {side, &side->tokens, inserts};
  struct flows f = {.r = &r, .operators = calloc((size_t)side->tokens.count + 1, 1)};
  if (!f.operators) return;
  sim_names_declared(&f);
  for (int i = 0; i < side->items.count; i++) {
    const struct pah_item *item = &side->items.list[i];
    if (item->kind == PAH_FUNCTION && item->open && side->kept[i] && !side->gone[item->open]) look_at_function(&f, i);
  }
  join_members(&f);
  if (!f.failed) spread(&f);
  char *marks = f.failed ? NULL : calloc((size_t)side->tokens.count + PAH_AHEAD, 1);
  if (marks) mark_values(&f, marks);
  for (int i = 1; i < side->tokens.count && marks; i++)
    if (marks[i]) sim_insert(inserts, i - 1, (const char[]){MARKER, 0});
  free(marks);
  free(f.names);
  free(f.buckets);
  free(f.list);
  free(f.operators);
}

static uint32_t hash_of(const char *path, size_t length) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < length; i++) h = (h ^ (uint8_t)path[i]) * 16777619u;
  return h;
}

/* `# 12 "path"`: 1 and what it says. */
static int is_line_marker(const char *line, uint32_t *number, uint32_t *file) {
  char *end;
  if (*line != '#' || line[1] != ' ') return 0;
  *number = (uint32_t)strtoul(line + 2, &end, 10);
  if (end == line + 2 || end[0] != ' ' || end[1] != '"') return 0;
  *file = hash_of(end + 2, strcspn(end + 2, "\"\n"));
  return 1;
}

/* Without the marks; what they mark goes to `to`: line, column, and a hash of the file. */
static void take_marks(char *text, FILE *to) {
  uint32_t line = 1, file = 0, next = 0;
  const char *start = text;
  char *out = text, *column = text; /* where the line began */
  int is_marked = 0;
  for (const char *p = text; *p; p++) {
    if (p == start && is_line_marker(p, &next, &file)) {
      while (*p && *p != '\n') *out++ = *p++;
      line = next - 1;
      if (!*p) break;
    }
    if (*p == MARKER) {
      is_marked = 1;
      continue;
    }
    if (is_marked && to && *p != ' ' && *p != '\t' && *p != '\n') {
      fprintf(to, "%u, %u, %u,\n", (unsigned)line, (unsigned)(out - column + 1), (unsigned)file);
      is_marked = 0;
    }
    *out++ = *p;
    if (*p == '\n') line++, start = p + 1, column = out;
  }
  *out = 0;
}

char *sim_take_values(char *translated, char *tail) {
  char *text = NULL;
  size_t bytes;
  FILE *f = open_memstream(&text, &bytes);
  if (!f) return NULL;
  take_marks(tail, NULL);
  fprintf(f, "%s\nextern \"C\" {\n__attribute__((used, externally_visible)) extern const unsigned pah_values[];\n",
          tail);
  fprintf(f, "const unsigned pah_values[] = {\n");
  take_marks(translated, f);
  fprintf(f, "0, 0, 0};\n}\n");
  return fclose(f) ? free(text), NULL : text;
}
