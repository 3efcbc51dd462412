/* emit_special.c - the instructions whose C++ a row of text does not say: loads and stores (parameters, vectors,
 * orders), moves that pack and unpack, comparisons with two results, jumps and calls. Each is a function named by the
 * row ("*ld"). Read next: emit_matrix.c, rows.h. */
#include "emit.h"

#include <string.h>

const struct ptx_operand *special_operand(const struct special *p, int i) {
  static const struct ptx_operand none = {.kind = PTX_VECTOR};
  if (i < p->s->count) return &p->s->operands[i];
  ptx_emit_error(p->e, "%.80s has %d operands, must have more", p->s->word, p->s->count);
  return &none;
}

void special_put(const struct special *p, const char *code) {
  ptx_emit_code(p->e, code);
}

/* "i_ld<t_u32" */
static void put_typed(const struct special *p, const char *name) {
  char text[64];
  snprintf(text, sizeof text, "%s<t_%s", name, p->m->types[0] ? p->m->types[0] : "b32");
  special_put(p, text);
}

/* ---- Loads and stores ---- */

static const struct ptx_symbol *parameter_of(const struct special *p, const struct ptx_operand *address) {
  const struct ptx_symbol *s = address->name ? ptx_symbol(p->e, address->name) : NULL;
  return s && s->kind == PTX_PARAMETER ? s : NULL;
}

/* ld.param from the parameter itself, not from an address in a register. */
static void load_parameter(const struct special *p, const struct ptx_operand *to, const struct ptx_operand *from) {
  const int vector = to->kind == PTX_VECTOR;
  for (int i = 0; i < (vector ? to->count : 1); i++) {
    const struct ptx_operand *element = vector ? &to->items[i] : to;
    ptx_emit_begin(p->e, element);
    put_typed(p, "i_param");
    special_put(p, ">(");
    ptx_emit_name(p->e, "x_", from->name);
    fprintf(p->e->out, ", %lld, %d)", (long long)from->value, i);
    ptx_emit_end(p->e, element);
  }
}

/* As many registers as .v2 or .v4 says. */
static void check_vector(const struct special *p, const struct ptx_operand *o) {
  const int count = o->kind == PTX_VECTOR ? o->count : 1;
  if (count != p->m->vector)
    ptx_emit_error(p->e, "%.80s has %d registers, must have %d", p->s->word, count, p->m->vector);
}

static void ld(const struct special *p) {
  const struct ptx_operand *to = special_operand(p, 0), *from = special_operand(p, 1);
  if (parameter_of(p, from)) {
    check_vector(p, to);
    load_parameter(p, to, from);
    return;
  }
  check_vector(p, to);
  ptx_emit_begin(p->e, to);
  put_typed(p, p->m->vector > 1 ? "i_ld_vector" : "i_ld");
  if (p->m->vector > 1) fprintf(p->e->out, ", %d", p->m->vector);
  special_put(p, ">(");
  special_put(p, p->m->choices[1]);
  special_put(p, ", ");
  special_put(p, p->m->flags);
  special_put(p, ", ");
  ptx_emit_pointer(p->e, from, p->m);
  special_put(p, ")");
  ptx_emit_end(p->e, to);
}

static void st(const struct special *p) {
  const struct ptx_operand *to = special_operand(p, 0), *from = special_operand(p, 1);
  const int count = from->kind == PTX_VECTOR ? from->count : 1;
  const struct ptx_operand *items = from->kind == PTX_VECTOR ? from->items : from;
  check_vector(p, from);
  if (parameter_of(p, to)) {
    for (int i = 0; i < count; i++) {
      put_typed(p, "i_set_param");
      special_put(p, ">(");
      ptx_emit_name(p->e, "x_", to->name);
      fprintf(p->e->out, ", %lld, %d, ", (long long)to->value, i);
      ptx_emit_operand(p->e, &items[i]);
      special_put(p, ");");
    }
    return;
  }
  put_typed(p, count > 1 ? "i_st_vector" : "i_st");
  special_put(p, ">(");
  special_put(p, p->m->choices[1]);
  special_put(p, ", ");
  special_put(p, p->m->flags);
  special_put(p, ", ");
  ptx_emit_pointer(p->e, to, p->m);
  for (int i = 0; i < count; i++) {
    special_put(p, ", ");
    ptx_emit_operand(p->e, &items[i]);
  }
  special_put(p, ");");
}

/* Of vectors: atom {old}, [a], {b}; red [a], {b}. The rows of scalars come first. */
static void atom(const struct special *p) {
  const int gives = p->s->word[0] == 'a';
  const struct ptx_operand *from = special_operand(p, gives + 1);
  check_vector(p, from);
  if (gives) check_vector(p, special_operand(p, 0));
  if (gives) ptx_emit_begin(p->e, special_operand(p, 0));
  put_typed(p, "i_atom_vector");
  special_put(p, ">(");
  special_put(p, p->m->choices[0]);
  special_put(p, ", ");
  special_put(p, p->m->choices[1]);
  fprintf(p->e->out, ", (");
  special_put(p, p->m->flags);
  special_put(p, "), ");
  ptx_emit_pointer(p->e, special_operand(p, gives), p->m);
  for (int i = 0; i < from->count; i++) {
    special_put(p, ", ");
    ptx_emit_operand(p->e, &from->items[i]);
  }
  special_put(p, ")");
  if (gives)
    ptx_emit_end(p->e, special_operand(p, 0));
  else
    special_put(p, ";");
}

/* ---- Moves and comparisons ---- */

static void mov(const struct special *p) {
  const struct ptx_operand *to = special_operand(p, 0), *from = special_operand(p, 1);
  ptx_emit_begin(p->e, to);
  if (to->kind == PTX_VECTOR && to->count > 1 && from->kind == PTX_VECTOR) { /* mov.v4 */
    check_vector(p, from);
    special_put(p, "i_words(");
    for (int i = 0; i < from->count && i < 4; i++) {
      if (i) special_put(p, ", ");
      ptx_emit_operand(p->e, &from->items[i]);
    }
  } else if (to->kind == PTX_VECTOR && p->m->vector > 1) { /* mov.v4 of %tid and its like */
    for (int i = 0; i < 3; i++) {
      char name[64];
      struct ptx_operand part = {.kind = PTX_NAME, .name = name};
      snprintf(name, sizeof name, "%.40s.%c", from->name ? from->name : "", "xyz"[i]);
      special_put(p, i ? ", " : "i_words(");
      ptx_emit_operand(p->e, &part);
    }
  } else if (to->kind == PTX_VECTOR && to->count > 1) {
    put_typed(p, "i_unpack");
    fprintf(p->e->out, ", %d>(", to->count);
    ptx_emit_operand(p->e, from);
  } else if (from->kind == PTX_VECTOR && from->count > 1) {
    put_typed(p, "i_pack");
    special_put(p, ">(");
    for (int i = 0; i < from->count; i++) {
      if (i) special_put(p, ", ");
      ptx_emit_operand(p->e, &from->items[i]);
    }
  } else {
    put_typed(p, "i_mov");
    special_put(p, ">(");
    ptx_emit_operand(p->e, from);
  }
  special_put(p, ")");
  ptx_emit_end(p->e, to);
}

static void comparison(const struct special *p, const char *before) {
  static const char *const joins[][2] = {{"w_and", " & "}, {"w_or", " | "}, {"w_xor", " ^ "}};
  special_put(p, before);
  put_typed(p, "i_setp");
  special_put(p, ", (unsigned)(");
  special_put(p, p->m->flags);
  special_put(p, ")>(");
  special_put(p, p->m->choices[0]);
  for (int i = 1; i < 3; i++) {
    special_put(p, ", ");
    ptx_emit_operand(p->e, special_operand(p, i));
  }
  special_put(p, ")");
  for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
    if (strcmp(p->m->choices[1], joins[i][0]) != 0) continue;
    special_put(p, joins[i][1]);
    ptx_emit_operand(p->e, special_operand(p, 3));
  }
}

/* Of pairs: setp p|q, a, b: p is of the lower halves, q of the upper ones. */
static void pair_comparison(const struct special *p, int upper) {
  special_put(p, upper ? ", pah_ptx::joined(" : "pah_ptx::joined(");
  special_put(p, p->m->choices[1]);
  special_put(p, ", i_setp<t_");
  fprintf(p->e->out, "%.*s, (unsigned)(", (int)strlen(p->m->types[0]) - 2, p->m->types[0]);
  special_put(p, p->m->flags);
  special_put(p, ")>(");
  special_put(p, p->m->choices[0]);
  for (int i = 1; i < 3; i++) {
    special_put(p, ", (uint16_t)((uint32_t)(");
    ptx_emit_operand(p->e, special_operand(p, i));
    special_put(p, upper ? ") >> 16)" : "))");
  }
  special_put(p, "), ");
  if (p->s->count > 3)
    ptx_emit_operand(p->e, special_operand(p, 3));
  else
    special_put(p, "false");
  special_put(p, ")");
}

/* setp p|q, a, b, c: p is (a < b) and c, q is !(a < b) and c. */
static int setp(const struct special *p) {
  const struct ptx_operand *to = special_operand(p, 0);
  ptx_emit_begin(p->e, to);
  if (strstr(p->m->types[0], "x2")) {
    special_put(p, "i_two(");
    pair_comparison(p, 0);
    pair_comparison(p, 1);
    special_put(p, ")");
    ptx_emit_end(p->e, to);
    return 1;
  }
  if (to->second) special_put(p, "i_two(");
  comparison(p, "");
  if (to->second) {
    comparison(p, ", !");
    special_put(p, ")");
  }
  ptx_emit_end(p->e, to);
  return 1;
}

/* ---- Jumps and calls ---- */

/* A hint that says where, whatever its operands are. */
static void nothing(const struct special *p) {
  special_put(p, "(void)0;");
}

static void bra(const struct special *p) {
  const struct ptx_operand *to = special_operand(p, 0);
  if (to->kind != PTX_NAME) ptx_emit_error(p->e, "bra needs a label");
  special_put(p, "goto ");
  if (to->kind == PTX_NAME) ptx_emit_label(p->e, to->name);
  special_put(p, ";");
}

static void brx(const struct special *p) {
  const struct ptx_operand *index = special_operand(p, 0), *table = special_operand(p, 1);
  const struct ptx_body *b = p->e->body;
  special_put(p, "switch (");
  ptx_emit_operand(p->e, index);
  special_put(p, ") {");
  for (int i = 0; i + 1 < b->count; i++) {
    const struct ptx_statement *label = &b->statements[i], *targets = label + 1;
    if (label->kind != PTX_LABEL || targets->kind != PTX_TARGETS || !table->name || strcmp(label->word, table->name))
      continue;
    for (int j = 0; j < targets->count; j++) {
      fprintf(p->e->out, " case %d: goto ", j);
      if (targets->operands[j].name) ptx_emit_label(p->e, targets->operands[j].name);
      special_put(p, ";");
    }
  }
  special_put(p, " }");
}

static void ret(const struct special *p) {
  special_put(p, "return");
  if (p->e->result) ptx_emit_name(p->e, " x_", p->e->result);
  special_put(p, ";");
}

/* A parameter as a whole, or a register. */
static void argument(const struct special *p, const struct ptx_operand *o) {
  const struct ptx_symbol *s = o->kind == PTX_NAME ? ptx_symbol(p->e, o->name) : NULL;
  if (s && s->kind == PTX_PARAMETER)
    ptx_emit_name(p->e, "x_", o->name);
  else
    ptx_emit_operand(p->e, o);
}

/* What CUDA gives every module: pah_sim/ptx/calls.h. */
static int is_known_function(const char *name) {
  static const char *const known[] = {"vprintf", "malloc", "free", "__assertfail"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(name, known[i])) return 1;
  return 0;
}

/* call (result), function, (arguments); call function, (arguments); call function. */
static int call(const struct special *p) {
  const int has_result = p->s->count && p->s->operands[0].kind == PTX_VECTOR;
  const struct ptx_operand *function = special_operand(p, has_result);
  const struct ptx_symbol *s = function->kind == PTX_NAME ? ptx_symbol(p->e, function->name) : NULL;
  if (!s || s->kind != PTX_FUNCTION) return 0; /* by an address in a register */
  if (!strcmp(s->type, "extern") && !is_known_function(function->name)) return 0;
  if (has_result) {
    argument(p, &p->s->operands[0].items[0]);
    special_put(p, " = ");
  }
  ptx_emit_name(p->e, "f_", function->name);
  special_put(p, "(");
  const struct ptx_operand *arguments = p->s->count > has_result + 1 ? special_operand(p, has_result + 1) : NULL;
  for (int i = 0; arguments && i < arguments->count; i++) {
    if (i) special_put(p, ", ");
    argument(p, &arguments->items[i]);
  }
  special_put(p, ");");
  return 1;
}

int ptx_emit_special(struct ptx_emit *e, const struct ptx_statement *s, const struct ptx_match *m) {
  static const struct {
    const char *name;
    void (*emit)(const struct special *);
  } all[] = {{"ld", ld},
             {"st", st},
             {"mov", mov},
             {"atom", atom},
             {"tensor_load", special_tensor_load},
             {"tensor_store", special_tensor_store},
             {"tensor_multicast", special_tensor_multicast},
             {"tensor_reduce", special_tensor_reduce},
             {"bra", bra},
             {"brx", brx},
             {"ret", ret},
             {"nothing", nothing}};
  const struct special p = {e, s, m};
  const char *name = m->row->text + 1;
  if (!strcmp(name, "wgmma")) return special_wgmma(&p);
  if (!strcmp(name, "wmma")) return special_wmma(&p);
  if (!strcmp(name, "mma")) return special_mma(&p);
  if (!strcmp(name, "map_replace")) return special_map_replace(&p);
  if (!strcmp(name, "call")) return call(&p);
  if (!strcmp(name, "setp")) return setp(&p);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (strcmp(all[i].name, name) != 0) continue;
    all[i].emit(&p);
    return 1;
  }
  return 0;
}
