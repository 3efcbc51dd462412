/* parser.c - see parser.h. An error names the line, what stands there and what must stand there.
 * Read next: emit.c. */
#include "parser.h"

#include <stdlib.h>
#include <string.h>

static struct ptx_operand parse_operand(struct ptx_lexer *x);

/* ---- Operands ---- */

static struct ptx_operand *parse_list(struct ptx_lexer *x, const char *end, int *count) {
  struct ptx_operand *items = NULL;
  int room = 0;
  *count = 0;
  while (!ptx_is(x, end) && !x->error[0] && !x->pool->failed) {
    if (*count == room) {
      struct ptx_operand *more = realloc(items, (size_t)(room = room ? 2 * room : 8) * sizeof *items);
      if (!more) x->pool->failed = 1;
      if (more) items = more;
    }
    const struct ptx_operand o = parse_operand(x);
    if (!x->pool->failed) items[(*count)++] = o;
    if (!ptx_take(x, ",")) break;
  }
  ptx_want(x, end);
  struct ptx_operand *kept = ptx_new(x->pool, (size_t)(*count + 1) * sizeof *kept);
  if (!x->pool->failed && *count) memcpy(kept, items, (size_t)*count * sizeof *kept);
  free(items);
  return kept;
}

/* 5, -5, 8*4, 16+4. */
static uint64_t parse_product(struct ptx_lexer *x) {
  uint64_t value = x->token.value;
  ptx_next(x);
  while (ptx_take(x, "*")) {
    if (x->token.kind != PTX_NUMBER) ptx_fail(x, "is \"%.60s\", must be a number", ptx_token_text(x));
    value *= x->token.value;
    ptx_next(x);
  }
  return value;
}

static struct ptx_operand parse_address(struct ptx_lexer *x) {
  struct ptx_operand o = {.kind = PTX_ADDRESS};
  int minus = 0;
  do {
    if (ptx_take(x, "-")) minus = 1;
    if (x->token.kind == PTX_NUMBER) {
      const uint64_t value = parse_product(x);
      o.value += minus ? 0 - value : value;
    } else if (x->token.kind == PTX_WORD && !o.plus && !minus) {
      if (o.name)
        o.plus = x->token.text;
      else
        o.name = x->token.text;
      ptx_next(x);
    } else {
      ptx_fail(x, "is \"%.60s\", must be an address: a register or a variable, and an offset", ptx_token_text(x));
    }
    minus = ptx_is(x, "-");
  } while (minus || ptx_take(x, "+"));
  if (ptx_take(x, ","))
    o.items = parse_list(x, "]", &o.count);
  else
    ptx_want(x, "]");
  return o;
}

static struct ptx_operand parse_number(struct ptx_lexer *x) {
  const int minus = ptx_take(x, "-");
  struct ptx_operand o = {.kind = x->token.kind == PTX_FLOAT32   ? PTX_BITS32
                                  : x->token.kind == PTX_FLOAT64 ? PTX_BITS64
                                                                 : PTX_INTEGER,
                          .value = x->token.value};
  if (x->token.kind != PTX_NUMBER && x->token.kind != PTX_FLOAT32 && x->token.kind != PTX_FLOAT64) {
    ptx_fail(x, "is \"%.60s\", must be an operand", ptx_token_text(x));
    return o;
  }
  if (o.kind != PTX_INTEGER) {
    if (minus) o.value ^= o.kind == PTX_BITS32 ? 1ull << 31 : 1ull << 63;
    ptx_next(x);
    return o;
  }
  o.value = parse_product(x);
  if (minus) o.value = 0 - o.value;
  return o;
}

static struct ptx_operand parse_operand(struct ptx_lexer *x) {
  struct ptx_operand o = {.kind = PTX_VECTOR};
  if (ptx_take(x, "{")) {
    o.items = parse_list(x, "}", &o.count);
  } else if (ptx_take(x, "(")) {
    o.items = parse_list(x, ")", &o.count);
  } else if (ptx_take(x, "[")) {
    return parse_address(x);
  } else if (ptx_is(x, "!") || x->token.kind == PTX_WORD) {
    o = (struct ptx_operand){.kind = PTX_NAME, .inverted = ptx_take(x, "!")};
    if (x->token.kind != PTX_WORD) ptx_fail(x, "is \"%.60s\", must be a register", ptx_token_text(x));
    o.name = x->token.text;
    ptx_next(x);
    if (ptx_is(x, "(")) { /* generic(variable), as a value that a variable begins with */
      ptx_next(x);
      o = parse_operand(x);
      ptx_want(x, ")");
    }
    if (ptx_is(x, "+") || ptx_is(x, "-")) { /* a variable and an offset */
      ptx_take(x, "+");
      o.value = parse_number(x).value;
    }
  } else {
    o = parse_number(x);
  }
  if (ptx_take(x, "|")) {
    o.second = ptx_new(x->pool, sizeof *o.second);
    *o.second = parse_operand(x);
  }
  return o;
}

/* ---- Declarations ---- */

int ptx_is_space(const char *word) {
  static const char *const spaces[] = {".reg", ".shared", ".global", ".const", ".local", ".param"};
  for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
    if (!strcmp(word, spaces[i])) return 1;
  return 0;
}

static uint64_t parse_count(struct ptx_lexer *x) {
  const uint64_t value = x->token.value;
  if (x->token.kind != PTX_NUMBER) ptx_fail(x, "is \"%.60s\", must be a number", ptx_token_text(x));
  ptx_next(x);
  return value;
}

static void parse_attributes(struct ptx_lexer *x, struct ptx_declaration *d) {
  while (x->token.kind == PTX_WORD && x->token.text[0] == '.') {
    const char *word = x->token.text;
    ptx_next(x);
    if (!strcmp(word, ".align"))
      d->align = (int)parse_count(x);
    else if (!strcmp(word, ".ptr"))
      d->is_pointer = 1;
    else if (!strcmp(word, ".v2") || !strcmp(word, ".v4"))
      d->vector = word[2] - '0';
    else if (!strcmp(word, ".attribute"))
      while (!ptx_take(x, ")") && !x->error[0] && x->token.kind != PTX_END) ptx_next(x);
    else if (!ptx_is_space(word))
      d->type = word + 1;
  }
}

/* name, name<4>, name[16] = {...} */
static void parse_declarator(struct ptx_lexer *x, struct ptx_declaration *d) {
  if (x->token.kind != PTX_WORD) ptx_fail(x, "is \"%.60s\", must be a name", ptx_token_text(x));
  d->name = x->token.text;
  d->range = d->count = -1;
  ptx_next(x);
  if (ptx_take(x, "<")) {
    d->range = (int64_t)parse_count(x);
    ptx_want(x, ">");
  }
  while (ptx_take(x, "[")) {
    const int64_t count = ptx_is(x, "]") ? 0 : (int64_t)parse_count(x);
    d->count = d->count < 0 ? count : d->count * count;
    ptx_want(x, "]");
  }
  if (ptx_take(x, "=")) {
    struct ptx_operand *values = ptx_new(x->pool, sizeof *values);
    *values = parse_operand(x);
    d->values = values;
  }
}

struct ptx_declaration *ptx_parse_declaration(struct ptx_lexer *x, const char *space) {
  struct ptx_declaration *d = ptx_new(x->pool, sizeof *d);
  d->space = space;
  parse_attributes(x, d);
  if (!d->type) ptx_fail(x, "is \"%.60s\", must be a type, as .b32", ptx_token_text(x));
  parse_declarator(x, d);
  return d;
}

/* ---- Statements ---- */

struct parse {
  struct ptx_lexer *x;
  struct ptx_body *body;
  ptx_loc_function *loc;
  void *data;
  const char *file;
  int file_line;
};

static struct ptx_statement *add(struct parse *p, enum ptx_statement_kind kind) {
  static struct ptx_statement nowhere;
  struct ptx_body *b = p->body;
  if (b->count == b->room) {
    const int room = b->room ? 2 * b->room : 64;
    struct ptx_statement *more = realloc(b->statements, (size_t)room * sizeof *more);
    if (!more) {
      b->failed = 1;
      return &nowhere;
    }
    b->statements = more;
    b->room = room;
  }
  struct ptx_statement *s = &b->statements[b->count++];
  *s = (struct ptx_statement){.kind = kind, .line = p->x->token.line, .file = p->file, .file_line = p->file_line};
  return s;
}

static void parse_loc(struct parse *p) {
  struct ptx_lexer *x = p->x;
  struct ptx_loc loc = {(int)parse_count(x), (int)parse_count(x), 0, 0};
  parse_count(x);
  while (ptx_take(x, ",")) {
    if (ptx_take(x, "inlined_at")) {
      loc.outer_file = (int)parse_count(x);
      loc.outer_line = (int)parse_count(x);
      parse_count(x);
    } else { /* function_name label[+offset] */
      ptx_next(x);
      ptx_next(x);
      if (ptx_take(x, "+")) parse_count(x);
    }
  }
  if (p->loc) p->loc(p->data, loc, &p->file, &p->file_line);
}

static void parse_directive(struct parse *p) {
  struct ptx_lexer *x = p->x;
  const char *word = x->token.text;
  ptx_next(x);
  if (!strcmp(word, ".loc")) {
    parse_loc(p);
  } else if (ptx_is_space(word)) {
    struct ptx_declaration *d = ptx_parse_declaration(x, word);
    add(p, PTX_DECLARATION)->declaration = d;
    while (ptx_take(x, ",") && !x->error[0]) { /* .reg .b32 a, b<4>; */
      struct ptx_declaration *next = ptx_new(x->pool, sizeof *next);
      *next = (struct ptx_declaration){.space = d->space, .type = d->type, .align = d->align, .vector = d->vector};
      parse_declarator(x, next);
      add(p, PTX_DECLARATION)->declaration = next;
    }
    ptx_want(x, ";");
  } else if (!strcmp(word, ".branchtargets")) {
    struct ptx_statement *s = add(p, PTX_TARGETS);
    s->operands = parse_list(x, ";", &s->count);
  } else { /* .pragma, .callprototype: nothing that matters here */
    while (!ptx_take(x, ";") && x->token.kind != PTX_END) ptx_next(x);
  }
}

static void parse_instruction(struct parse *p) {
  struct ptx_lexer *x = p->x;
  struct ptx_statement *s = add(p, PTX_INSTRUCTION);
  if (ptx_take(x, "@")) {
    s->guard_inverted = ptx_take(x, "!");
    if (x->token.kind != PTX_WORD) ptx_fail(x, "is \"%.60s\", must be a predicate", ptx_token_text(x));
    s->guard = x->token.text;
    ptx_next(x);
  }
  if (x->token.kind != PTX_WORD) ptx_fail(x, "is \"%.60s\", must be an instruction", ptx_token_text(x));
  s->word = x->token.text;
  ptx_next(x);
  while (x->token.kind == PTX_WORD && x->token.text[0] == '.') { /* "lop3 .b32" */
    char *whole = ptx_new(x->pool, strlen(s->word) + strlen(x->token.text) + 1);
    if (!x->pool->failed) strcat(strcpy(whole, s->word), x->token.text);
    s->word = whole;
    ptx_next(x);
  }
  if (!s->guard && ptx_take(x, ":")) {
    s->kind = PTX_LABEL;
    return;
  }
  if (ptx_take(x, ";")) return;
  s->operands = parse_list(x, ";", &s->count);
}

void ptx_parse_body(struct ptx_lexer *x, struct ptx_body *body, int is_asm, ptx_loc_function *loc, void *data) {
  struct parse p = {x, body, loc, data, NULL, 0};
  int depth = 0;
  while (!x->error[0] && !x->pool->failed && !body->failed) {
    if (x->token.kind == PTX_END) {
      if (!is_asm || depth) ptx_fail(x, "is the end, must be \"}\"");
      return;
    }
    if (ptx_is(x, "{")) {
      add(&p, PTX_OPEN);
      depth++;
      ptx_next(x);
    } else if (ptx_is(x, "}")) {
      if (!depth && is_asm) ptx_fail(x, "is \"}\", must be an instruction: no \"{\" is open");
      ptx_next(x);
      if (!depth) return;
      depth--;
      add(&p, PTX_CLOSE);
    } else if (ptx_is(x, ";")) {
      ptx_next(x);
    } else if (x->token.kind == PTX_WORD && x->token.text[0] == '.') {
      parse_directive(&p);
    } else {
      parse_instruction(&p);
    }
  }
}
