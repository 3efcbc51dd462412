/* emit_special.c - the instructions whose C++ a row of text does not say: loads and stores (parameters, vectors,
 * orders), moves that pack and unpack, comparisons with two results, tensor copies, wgmma, jumps and calls. Each is a
 * function named by the row ("*ld"). Read next: rows.h. */
#include <stdlib.h>
#include <string.h>

#include "emit.h"

struct special {
  struct ptx_emit *e;
  const struct ptx_statement *s;
  const struct ptx_match *m;
};

static const struct ptx_operand *operand(const struct special *p, int i) {
  static const struct ptx_operand none = {.kind = PTX_VECTOR};
  if (i < p->s->count) return &p->s->operands[i];
  ptx_emit_error(p->e, "%.80s has %d operands, must have more", p->s->word, p->s->count);
  return &none;
}

static void put(const struct special *p, const char *code) {
  ptx_emit_code(p->e, code);
}

/* "i_ld<t_u32" */
static void put_typed(const struct special *p, const char *name) {
  char text[64];
  snprintf(text, sizeof text, "%s<t_%s", name, p->m->types[0] ? p->m->types[0] : "b32");
  put(p, text);
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
    put(p, ">(");
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
  const struct ptx_operand *to = operand(p, 0), *from = operand(p, 1);
  if (parameter_of(p, from)) {
    check_vector(p, to);
    load_parameter(p, to, from);
    return;
  }
  check_vector(p, to);
  ptx_emit_begin(p->e, to);
  put_typed(p, p->m->vector > 1 ? "i_ld_vector" : "i_ld");
  if (p->m->vector > 1) fprintf(p->e->out, ", %d", p->m->vector);
  put(p, ">(");
  put(p, p->m->choices[1]);
  put(p, ", ");
  put(p, p->m->flags);
  put(p, ", ");
  ptx_emit_pointer(p->e, from, p->m);
  put(p, ")");
  ptx_emit_end(p->e, to);
}

static void st(const struct special *p) {
  const struct ptx_operand *to = operand(p, 0), *from = operand(p, 1);
  const int count = from->kind == PTX_VECTOR ? from->count : 1;
  const struct ptx_operand *items = from->kind == PTX_VECTOR ? from->items : from;
  check_vector(p, from);
  if (parameter_of(p, to)) {
    for (int i = 0; i < count; i++) {
      put_typed(p, "i_set_param");
      put(p, ">(");
      ptx_emit_name(p->e, "x_", to->name);
      fprintf(p->e->out, ", %lld, %d, ", (long long)to->value, i);
      ptx_emit_operand(p->e, &items[i]);
      put(p, ");");
    }
    return;
  }
  put_typed(p, count > 1 ? "i_st_vector" : "i_st");
  put(p, ">(");
  put(p, p->m->choices[1]);
  put(p, ", ");
  put(p, p->m->flags);
  put(p, ", ");
  ptx_emit_pointer(p->e, to, p->m);
  for (int i = 0; i < count; i++) {
    put(p, ", ");
    ptx_emit_operand(p->e, &items[i]);
  }
  put(p, ");");
}

/* ---- Moves and comparisons ---- */

static void mov(const struct special *p) {
  const struct ptx_operand *to = operand(p, 0), *from = operand(p, 1);
  ptx_emit_begin(p->e, to);
  if (to->kind == PTX_VECTOR && to->count > 1 && from->kind == PTX_VECTOR) { /* mov.v4 */
    check_vector(p, from);
    put(p, "i_words(");
    for (int i = 0; i < from->count && i < 4; i++) {
      if (i) put(p, ", ");
      ptx_emit_operand(p->e, &from->items[i]);
    }
  } else if (to->kind == PTX_VECTOR && p->m->vector > 1) { /* mov.v4 of %tid and its like */
    for (int i = 0; i < 3; i++) {
      char name[64];
      struct ptx_operand part = {.kind = PTX_NAME, .name = name};
      snprintf(name, sizeof name, "%.40s.%c", from->name ? from->name : "", "xyz"[i]);
      put(p, i ? ", " : "i_words(");
      ptx_emit_operand(p->e, &part);
    }
  } else if (to->kind == PTX_VECTOR && to->count > 1) {
    put_typed(p, "i_unpack");
    fprintf(p->e->out, ", %d>(", to->count);
    ptx_emit_operand(p->e, from);
  } else if (from->kind == PTX_VECTOR && from->count > 1) {
    put_typed(p, "i_pack");
    put(p, ">(");
    for (int i = 0; i < from->count; i++) {
      if (i) put(p, ", ");
      ptx_emit_operand(p->e, &from->items[i]);
    }
  } else {
    put_typed(p, "i_mov");
    put(p, ">(");
    ptx_emit_operand(p->e, from);
  }
  put(p, ")");
  ptx_emit_end(p->e, to);
}

static void comparison(const struct special *p, const char *before) {
  static const char *const joins[][2] = {{"w_and", " & "}, {"w_or", " | "}, {"w_xor", " ^ "}};
  put(p, before);
  put_typed(p, "i_setp");
  put(p, ", (unsigned)(");
  put(p, p->m->flags);
  put(p, ")>(");
  put(p, p->m->choices[0]);
  for (int i = 1; i < 3; i++) {
    put(p, ", ");
    ptx_emit_operand(p->e, operand(p, i));
  }
  put(p, ")");
  for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
    if (strcmp(p->m->choices[1], joins[i][0]) != 0) continue;
    put(p, joins[i][1]);
    ptx_emit_operand(p->e, operand(p, 3));
  }
}

/* setp p|q, a, b, c: p is (a < b) and c, q is !(a < b) and c. */
static int setp(const struct special *p) {
  const struct ptx_operand *to = operand(p, 0);
  if (strstr(p->m->types[0], "x2")) return 0; /* two results of two comparisons */
  ptx_emit_begin(p->e, to);
  if (to->second) put(p, "i_two(");
  comparison(p, "");
  if (to->second) {
    comparison(p, ", !");
    put(p, ")");
  }
  ptx_emit_end(p->e, to);
  return 1;
}

/* ---- Tensor copies: [shared], [map, {x, y}], [mbarrier]; [map, {x, y}], [shared] ---- */

static void tensor(const struct special *p, const struct ptx_operand *map) {
  const struct ptx_operand *at = map->count ? &map->items[0] : map;
  if (at->kind != PTX_VECTOR) ptx_emit_error(p->e, "%.60s: a tensor map needs coordinates: [map, {x, y}]", p->s->word);
  put(p, "(const void *)");
  const struct ptx_operand address = {.kind = PTX_ADDRESS, .name = map->name, .plus = map->plus, .value = map->value};
  ptx_emit_address(p->e, &address);
  fprintf(p->e->out, ", %d, pah_sim_coordinates{{", at->count);
  for (int i = 0; i < at->count; i++) {
    put(p, i ? ", (int)" : "(int)");
    ptx_emit_operand(p->e, &at->items[i]);
  }
  put(p, "}}, ");
}

static void tensor_load(const struct special *p) {
  put(p, "pah_sim_tensor_load(");
  ptx_emit_address(p->e, operand(p, 0));
  put(p, ", ");
  tensor(p, operand(p, 1));
  ptx_emit_address(p->e, operand(p, 2));
  put(p, ");");
}

static void tensor_store(const struct special *p) {
  put(p, "pah_sim_tensor_store(");
  tensor(p, operand(p, 0));
  ptx_emit_address(p->e, operand(p, 1));
  put(p, ");");
}

/* ---- wgmma {sums}, a, b, add, sign of a, sign of b, transposed a, transposed b ---- */

static const char *wgmma_kind(const char *word) {
  static const char *const kinds[][2] = {
      {"k16.f32.bf16.bf16", "BF16"},      {"k16.f32.f16.f16", "F16"},         {"k8.f32.tf32.tf32", "TF32"},
      {"k32.f32.e4m3.e4m3", "E4M3_E4M3"}, {"k32.f32.e5m2.e5m2", "E5M2_E5M2"}, {"k32.f32.e4m3.e5m2", "E4M3_E5M2"},
      {"k32.f32.e5m2.e4m3", "E5M2_E4M3"},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const char *at = strstr(word, kinds[i][0]);
    if (at && !at[strlen(kinds[i][0])]) return kinds[i][1];
  }
  return NULL;
}

/* Where each sum lies: of an asm statement that is the operand itself. */
static void wgmma_sums(const struct special *p, const struct ptx_operand *sums) {
  put(p, "float *const pah_d[] = {");
  for (int i = 0; i < sums->count; i++) {
    const struct ptx_operand *o = &sums->items[i];
    const int number = o->kind == PTX_NAME ? ptx_operand_number(p->e, o->name) : -1;
    put(p, i ? ", (float *)&(" : "(float *)&(");
    if (number >= 0 && (number >= p->e->operand_count || !p->e->operands[number].is_output))
      ptx_emit_error(p->e, "sum %d of %.80s is %s, must be an output of the asm statement", i, p->s->word, o->name);
    else if (number >= 0)
      fputs(p->e->operands[number].expression, p->e->out);
    else
      ptx_emit_place(p->e, o);
    put(p, ")");
  }
  put(p, "}; ");
}

static void flag(const struct special *p, int at, const char *code) {
  if (at >= p->s->count) return;
  put(p, " | ((int)");
  ptx_emit_operand(p->e, operand(p, at));
  put(p, code);
}

static int wgmma(const struct special *p) {
  const char *word = p->s->word, *kind = wgmma_kind(word), *shape = strstr(word, ".m64n");
  const struct ptx_operand *sums = operand(p, 0), *a = operand(p, 1);
  const int n = shape ? atoi(shape + 5) : 0, in_registers = a->kind == PTX_VECTOR;
  if (!kind || n < 8 || n > 256 || n % 8) return 0;
  if (sums->kind != PTX_VECTOR || sums->count != n / 2 || (in_registers && a->count != 4))
    ptx_emit_error(p->e, "%.80s needs {%d sums} and A as a descriptor or {4 registers}", word, n / 2);
  if (*p->e->error) return 1;
  put(p, "{ ");
  wgmma_sums(p, sums);
  fprintf(p->e->out, "pah_ptx::i_wgmma<%d>(PAH_SIM_MMA_%s, ", n, kind);
  put(p, in_registers ? "PAH_SIM_WGMMA_REGISTERS" : "0");
  flag(p, 3, " != 0 ? PAH_SIM_WGMMA_ADD : 0)");
  flag(p, 4, " < 0 ? PAH_SIM_WGMMA_NEGATE_A : 0)");
  flag(p, 5, " < 0 ? PAH_SIM_WGMMA_NEGATE_B : 0)");
  if (!in_registers) flag(p, 6, " ? PAH_SIM_WGMMA_TRANS_A : 0)");
  flag(p, in_registers ? 6 : 7, " ? PAH_SIM_WGMMA_TRANS_B : 0)");
  put(p, ", pah_d, ");
  if (in_registers) put(p, "0");
  if (!in_registers) ptx_emit_operand(p->e, a);
  put(p, ", ");
  ptx_emit_operand(p->e, operand(p, 2));
  put(p, ", i_words(");
  for (int i = 0; in_registers && i < a->count; i++) {
    if (i) put(p, ", ");
    ptx_emit_operand(p->e, &a->items[i]);
  }
  put(p, ")); }");
  return 1;
}

/* ---- Jumps and calls ---- */

static void bra(const struct special *p) {
  const struct ptx_operand *to = operand(p, 0);
  if (to->kind != PTX_NAME) ptx_emit_error(p->e, "bra needs a label");
  put(p, "goto ");
  if (to->kind == PTX_NAME) ptx_emit_label(p->e, to->name);
  put(p, ";");
}

static void brx(const struct special *p) {
  const struct ptx_operand *index = operand(p, 0), *table = operand(p, 1);
  const struct ptx_body *b = p->e->body;
  put(p, "switch (");
  ptx_emit_operand(p->e, index);
  put(p, ") {");
  for (int i = 0; i + 1 < b->count; i++) {
    const struct ptx_statement *label = &b->statements[i], *targets = label + 1;
    if (label->kind != PTX_LABEL || targets->kind != PTX_TARGETS || !table->name || strcmp(label->word, table->name))
      continue;
    for (int j = 0; j < targets->count; j++) {
      fprintf(p->e->out, " case %d: goto ", j);
      if (targets->operands[j].name) ptx_emit_label(p->e, targets->operands[j].name);
      put(p, ";");
    }
  }
  put(p, " }");
}

static void ret(const struct special *p) {
  put(p, "return");
  if (p->e->result) ptx_emit_name(p->e, " x_", p->e->result);
  put(p, ";");
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
  const struct ptx_operand *function = operand(p, has_result);
  const struct ptx_symbol *s = function->kind == PTX_NAME ? ptx_symbol(p->e, function->name) : NULL;
  if (!s || s->kind != PTX_FUNCTION) return 0; /* by an address in a register */
  if (!strcmp(s->type, "extern") && !is_known_function(function->name)) return 0;
  if (has_result) {
    argument(p, &p->s->operands[0].items[0]);
    put(p, " = ");
  }
  ptx_emit_name(p->e, "f_", function->name);
  put(p, "(");
  const struct ptx_operand *arguments = p->s->count > has_result + 1 ? operand(p, has_result + 1) : NULL;
  for (int i = 0; arguments && i < arguments->count; i++) {
    if (i) put(p, ", ");
    argument(p, &arguments->items[i]);
  }
  put(p, ");");
  return 1;
}

int ptx_emit_special(struct ptx_emit *e, const struct ptx_statement *s, const struct ptx_match *m) {
  static const struct {
    const char *name;
    void (*emit)(const struct special *);
  } all[] = {{"ld", ld},   {"st", st},   {"mov", mov}, {"tensor_load", tensor_load}, {"tensor_store", tensor_store},
             {"bra", bra}, {"brx", brx}, {"ret", ret}};
  const struct special p = {e, s, m};
  const char *name = m->row->text + 1;
  if (!strcmp(name, "wgmma")) return wgmma(&p);
  if (!strcmp(name, "call")) return call(&p);
  if (!strcmp(name, "setp")) return setp(&p);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (strcmp(all[i].name, name) != 0) continue;
    all[i].emit(&p);
    return 1;
  }
  return 0;
}
