/* module.c - see module.h. Variables, functions and kernels in the order of the text; .loc becomes #line, so that
 * findings tell the line of the source that was compiled to PTX, else that of the PTX. Read next: loc.c, emit.c. */
#include "translate.h"

#include <stdlib.h>
#include <string.h>

#include "emit.h"

struct module {
  struct ptx_lexer x;
  struct ptx_emit e;
  struct ptx_lines *lines;
};

enum { MAX_PARAMETERS = 256 };

struct function {
  const char *name;
  int is_entry, is_extern, threads; /* at most; 0: not said */
  int64_t cluster[3];               /* 0: not said */
  int count, result_count;
  struct ptx_declaration *parameters[MAX_PARAMETERS], *results[MAX_PARAMETERS];
};

/* ---- Heads ---- */

static int parse_parameters(struct module *m, struct ptx_declaration **list) {
  struct ptx_lexer *x = &m->x;
  int count = 0;
  if (!ptx_take(x, "(")) return 0;
  while (!ptx_is(x, ")") && !x->error[0]) {
    const char *space = ptx_token_text(x);
    if (!ptx_is_space(space)) ptx_fail(x, "is \"%.60s\", must be a parameter: .param or .reg", space);
    if (count == MAX_PARAMETERS) ptx_fail(x, "more than %d parameters", MAX_PARAMETERS);
    if (x->error[0]) break;
    ptx_next(x);
    list[count++] = ptx_parse_declaration(x, space);
    if (!ptx_take(x, ",")) break;
  }
  ptx_want(x, ")");
  return count;
}

/* .maxntid 128, 1, 1 and its like: the product. */
static int64_t parse_extent(struct ptx_lexer *x, int64_t extent[3]) {
  int count = 0;
  for (int i = 0; i < 3; i++) extent[i] = 1;
  do {
    if (count < 3) extent[count++] = x->token.kind == PTX_NUMBER ? (int64_t)x->token.value : 1;
    ptx_next(x);
  } while (ptx_take(x, ","));
  return extent[0] * extent[1] * extent[2];
}

static void parse_attributes(struct module *m, struct function *f) {
  struct ptx_lexer *x = &m->x;
  int64_t extent[3];
  while (!ptx_is(x, "{") && !ptx_is(x, ";") && x->token.kind != PTX_END) {
    const int bounds = ptx_is(x, ".maxntid") || ptx_is(x, ".reqntid"), cluster = ptx_is(x, ".reqnctapercluster");
    ptx_next(x);
    if (bounds) f->threads = (int)parse_extent(x, extent);
    if (cluster) parse_extent(x, f->cluster);
  }
}

static void emit_head(struct module *m, const struct function *f) {
  struct ptx_emit *e = &m->e;
  if (f->is_entry)
    fputs("extern \"C\" __global__ ", e->out);
  else
    fputs("static __attribute__((noinline, used)) ", e->out);
  if (f->threads) fprintf(e->out, "__launch_bounds__(%d) ", f->threads);
  if (f->cluster[0])
    fprintf(e->out, "__cluster_dims__(%lld, %lld, %lld) ", (long long)f->cluster[0], (long long)f->cluster[1],
            (long long)f->cluster[2]);
  if (f->result_count)
    ptx_emit_type(e, f->results[0]);
  else
    fputs("void", e->out);
  ptx_emit_name(e, " f_", f->name);
  fputc('(', e->out);
  e->is_entry = f->is_entry;
  for (int i = 0; i < f->count; i++) {
    if (i) fputs(", ", e->out);
    ptx_emit_parameter(e, f->parameters[i]);
  }
  fputc(')', e->out);
  e->is_entry = 0;
}

/* ---- Bodies ---- */

static int is_taken(const struct ptx_emit *e, const struct ptx_operand *sums) {
  for (const struct ptx_tuple *t = e->tuples; t; t = t->next)
    for (int i = 0; i < t->sums->count; i++)
      for (int j = 0; j < sums->count; j++)
        if (t->sums->items[i].name && sums->items[j].name && !strcmp(t->sums->items[i].name, sums->items[j].name))
          return 1;
  return 0;
}

/* Registers that wgmma writes after the instruction stand one after the other, where no other order wants them. */
static void find_tuples(struct ptx_emit *e, const struct ptx_body *body) {
  e->tuples = NULL;
  for (int i = 0; i < body->count; i++) {
    const struct ptx_statement *s = &body->statements[i];
    if (s->kind != PTX_INSTRUCTION || strncmp(s->word, "wgmma.mma_async", 15) != 0 || !s->count) continue;
    const struct ptx_operand *sums = &s->operands[0];
    if (sums->kind != PTX_VECTOR || is_taken(e, sums)) continue;
    struct ptx_tuple *t = ptx_new(e->pool, sizeof *t);
    *t = (struct ptx_tuple){e->tuples, e->tuples ? e->tuples->number + 1 : 0, sums};
    e->tuples = t;
    fprintf(e->out, " uint32_t pah_w%d[%d];", t->number, sums->count);
  }
}

static void emit_function(struct module *m, const struct function *f) {
  struct ptx_body body = {NULL, 0, 0, 0};
  struct ptx_emit *e = &m->e;
  const int symbols = e->count;
  e->depth++;
  fprintf(e->out, "#line %d \"%s\"\n", m->x.line, e->path);
  emit_head(m, f);
  ptx_parse_body(&m->x, &body, 0, ptx_lines_find, m->lines);
  fputs(" {\nuint32_t pah_cc = 0, pah_no_cc = 0; (void)pah_cc; (void)pah_no_cc;", e->out);
  e->result = f->result_count ? f->results[0]->name : NULL;
  if (e->result) ptx_declare(e, f->results[0]);
  if (!m->x.error[0] && !body.failed) {
    find_tuples(e, &body);
    ptx_emit_body(e, &body);
  }
  if (e->result) {
    fputs(" return", e->out);
    ptx_emit_name(e, " x_", e->result);
    fputc(';', e->out);
  }
  fputs("\n}\n", e->out);
  if (body.failed) e->pool->failed = 1;
  free(body.statements);
  e->depth--;
  e->count = symbols;
  e->tuples = NULL;
}

static void parse_function(struct module *m, int is_entry, int is_extern) {
  struct ptx_lexer *x = &m->x;
  struct function f = {.is_entry = is_entry, .is_extern = is_extern};
  f.result_count = parse_parameters(m, f.results);
  if (x->token.kind != PTX_WORD) ptx_fail(x, "is \"%.60s\", must be the name of a function", ptx_token_text(x));
  f.name = ptx_token_text(x);
  ptx_next(x);
  f.count = parse_parameters(m, f.parameters);
  parse_attributes(m, &f);
  if (x->error[0]) return;
  if (!is_entry) ptx_add_symbol(&m->e, f.name, is_extern ? "extern" : "func", PTX_FUNCTION, -1);
  if (ptx_take(x, "{")) {
    emit_function(m, &f);
    return;
  }
  ptx_want(x, ";");
  if (is_extern) return;
  const int symbols = m->e.count;
  emit_head(m, &f);
  fputs(";\n", m->e.out);
  m->e.count = symbols;
}

/* ---- The module ---- */

static void skip_section(struct ptx_lexer *x) {
  while (!ptx_take(x, "{") && x->token.kind != PTX_END) ptx_next(x);
  while (!ptx_take(x, "}") && x->token.kind != PTX_END) ptx_next(x);
}

static void skip_line(struct ptx_lexer *x) {
  const int line = x->token.line;
  while (x->token.kind != PTX_END && x->token.line == line) ptx_next(x);
}

static void parse_top(struct module *m) {
  struct ptx_lexer *x = &m->x;
  int is_extern = 0;
  while (ptx_is(x, ".visible") || ptx_is(x, ".weak") || ptx_is(x, ".extern") || ptx_is(x, ".common")) {
    is_extern = ptx_is(x, ".extern");
    ptx_next(x);
  }
  const char *word = ptx_token_text(x);
  if (ptx_take(x, ".entry") || ptx_take(x, ".func")) {
    parse_function(m, !strcmp(word, ".entry"), is_extern);
  } else if (ptx_is_space(word)) {
    ptx_next(x);
    struct ptx_declaration *d = ptx_parse_declaration(x, word);
    d->is_extern = is_extern;
    if (!x->error[0]) ptx_emit_variable(&m->e, d);
    ptx_want(x, ";");
    fputc('\n', m->e.out);
  } else if (!strcmp(word, ".section")) {
    skip_section(x);
  } else if (!strcmp(word, ".version") || !strcmp(word, ".target") || !strcmp(word, ".address_size") ||
             !strcmp(word, ".file") || !strcmp(word, ".pragma")) {
    skip_line(x);
  } else {
    ptx_fail(x, "is \"%.60s\", must be .entry, .func, a variable or another directive of a module", word);
  }
  if (*m->e.error && !m->e.error_line) m->e.error_line = x->token.line;
}

char *ptx_module(const char *text, const char *path, char *error, size_t bytes) {
  struct ptx_pool pool = {NULL, 0};
  char *result = NULL;
  size_t length;
  struct module m = {.lines = ptx_lines_open(text)};
  m.e = (struct ptx_emit){
      .out = open_memstream(&result, &length), .pool = &pool, .operand_count = -1, .tracks_lines = 1, .path = path};
  if (!m.e.out || !m.lines) pool.failed = 1;
  ptx_lexer_open(&m.x, &pool, text);
  if (!ptx_is(&m.x, ".version"))
    ptx_fail(&m.x, "is \"%.60s\", must be .version, with which the text of a PTX module begins", ptx_token_text(&m.x));
  if (m.e.out) /* by which host/variable.c knows that names begin with x_ */
    fputs("extern \"C\" __attribute__((used, visibility(\"default\"))) const char pah_from_ptx = 1;\n", m.e.out);
  while (!pool.failed && !m.x.error[0] && !*m.e.error && m.x.token.kind != PTX_END) parse_top(&m);
  if (m.e.out) fclose(m.e.out);
  const int failed = pool.failed || m.x.error[0] || *m.e.error;
  if (pool.failed)
    snprintf(error, bytes, "no memory");
  else if (failed)
    snprintf(error, bytes, "%d: %s", m.x.error[0] ? m.x.error_line : m.e.error_line,
             m.x.error[0] ? m.x.error : m.e.error);
  if (failed) {
    free(result);
    result = NULL;
  }
  ptx_lines_close(m.lines);
  free(m.e.symbols);
  ptx_pool_free(&pool);
  return result;
}

void ptx_entries(const char *text, void (*found)(void *data, const char *name), void *data) {
  struct ptx_pool pool = {NULL, 0};
  struct ptx_lexer x;
  ptx_lexer_open(&x, &pool, text);
  while (x.token.kind != PTX_END && !pool.failed) {
    if (ptx_take(&x, ".entry") && x.token.kind == PTX_WORD) found(data, x.token.text);
    ptx_next(&x);
  }
  ptx_pool_free(&pool);
}
