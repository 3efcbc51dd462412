/* operand.c - what stands behind the word of an instruction, as C++: registers, variables, numbers, addresses, vectors,
 * and what takes a result. Names are looked up here. Read next: emit.c. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"

/* ---- Names ---- */

void ptx_add_symbol(struct ptx_emit *e, const char *name, const char *type, enum ptx_symbol_kind kind, int64_t range) {
  if (e->count == e->room) {
    const int room = e->room ? 2 * e->room : 32;
    struct ptx_symbol *more = realloc(e->symbols, (size_t)room * sizeof *more);
    if (!more) {
      e->pool->failed = 1;
      return;
    }
    e->symbols = more;
    e->room = room;
  }
  for (int i = e->count - 1; i >= 0 && e->symbols[i].depth == e->depth && kind != PTX_FUNCTION; i--)
    if (!strcmp(e->symbols[i].name, name) && (e->symbols[i].range < 0) == (range < 0))
      ptx_emit_error(e, "\"%.80s\" is declared twice", name);
  e->symbols[e->count++] = (struct ptx_symbol){name, type, kind, range, e->depth};
}

/* "%r12" of %r<20>. */
static int is_in_range(const struct ptx_symbol *s, const char *name) {
  const size_t n = strlen(s->name);
  if (s->range < 0 || strncmp(name, s->name, n) != 0 || !isdigit((unsigned char)name[n])) return 0;
  char *end;
  const long long i = strtoll(name + n, &end, 10);
  return !*end && i < s->range;
}

const struct ptx_symbol *ptx_symbol(const struct ptx_emit *e, const char *name) {
  for (int i = e->count - 1; i >= 0; i--)
    if ((e->symbols[i].range < 0 && !strcmp(e->symbols[i].name, name)) || is_in_range(&e->symbols[i], name))
      return &e->symbols[i];
  return NULL;
}

void ptx_emit_name(struct ptx_emit *e, const char *prefix, const char *name) {
  fputs(prefix, e->out);
  for (; *name; name++) {
    if (*name == '$' || *name == '%') /* "%out" and "out" are two names */
      fputs(*name == '$' ? "_S" : "_R", e->out);
    else if (isalnum((unsigned char)*name) || *name == '_')
      fputc(*name, e->out);
  }
}

int ptx_operand_number(const struct ptx_emit *e, const char *name) {
  if (e->operand_count < 0 || name[0] != '%') return -1;
  if (isdigit((unsigned char)name[1])) return atoi(name + 1);
  for (int i = 0; name[1] == '[' && i < e->operand_count; i++) {
    const char *own = e->operands[i].name;
    if (own && !strncmp(own, name + 2, strlen(own)) && !strcmp(name + 2 + strlen(own), "]")) return i;
  }
  return name[1] == '[' ? e->operand_count : -1;
}

static int emit_tuple_member(struct ptx_emit *e, const char *name) {
  for (const struct ptx_tuple *t = e->tuples; t; t = t->next)
    for (int i = 0; i < t->sums->count; i++)
      if (t->sums->items[i].name && !strcmp(t->sums->items[i].name, name))
        return fprintf(e->out, "pah_w%d[%d]", t->number, i), 1;
  return 0;
}

static void emit_symbol(struct ptx_emit *e, const char *name) {
  const struct ptx_symbol *s = ptx_symbol(e, name);
  if (!s) {
    ptx_emit_error(e, "\"%.80s\" is not declared", name);
  } else if (s->kind == PTX_REGISTER) {
    if (!emit_tuple_member(e, name)) ptx_emit_name(e, "x_", name);
  } else if (s->kind == PTX_FUNCTION) {
    ptx_emit_error(e, "the address of a function, %.80s, cannot be taken", name);
  } else {
    fputs(s->kind == PTX_SHARED ? "pah_sim_shared_address(" : "((uint64_t)", e->out);
    ptx_emit_name(e, s->kind == PTX_PARAMETER ? "&x_" : "x_", name);
    fputc(')', e->out);
  }
}

/* What a thread's place and the time are read from. */
struct special_register {
  const char *name, *code;
};

#define THREE(name, code)                                                                                              \
  {name ".x", code "().x"}, {name ".y", code "().y"}, {                                                                \
    name ".z", code "().z"                                                                                             \
  }
static const struct special_register special_registers[] = {
    THREE("%tid", "pah_sim_thread_idx"),
    THREE("%ntid", "pah_sim_block_dim"),
    THREE("%ctaid", "pah_sim_block_idx"),
    THREE("%nctaid", "pah_sim_grid_dim"),
    THREE("%clusterid", "i_cluster"),
    THREE("%nclusterid", "i_clusters"),
    THREE("%cluster_ctaid", "pah_sim_cluster_block_idx"),
    THREE("%cluster_nctaid", "pah_sim_cluster_dim"),
    {"%cluster_ctarank", "pah_sim_cluster_rank()"},
    {"%cluster_nctarank", "i_cluster_size()"},
    {"%is_explicit_cluster", "((bool)pah_sim_is_cluster())"},
    {"%laneid", "pah_sim_lane()"},
    {"%warpid", "i_warp()"},
    {"%nwarpid", "32"},
    {"%smid", "pah_sim_block_idx().x"},
    {"%nsmid", "1"},
    {"%gridid", "0"},
    {"%lanemask_eq", "(1u << pah_sim_lane())"},
    {"%lanemask_lt", "((1u << pah_sim_lane()) - 1)"},
    {"%lanemask_le", "((2u << pah_sim_lane()) - 1)"},
    {"%lanemask_gt", "(0u - (2u << pah_sim_lane()))"},
    {"%lanemask_ge", "(0u - (1u << pah_sim_lane()))"},
    {"%clock", "(uint32_t)pah_sim_clock()"},
    {"%clock_hi", "(uint32_t)(pah_sim_clock() >> 32)"},
    {"%clock64", "pah_sim_clock()"},
    {"%globaltimer", "pah_sim_clock()"},
    {"%globaltimer_lo", "(uint32_t)pah_sim_clock()"},
    {"%globaltimer_hi", "(uint32_t)(pah_sim_clock() >> 32)"},
    {"%dynamic_smem_size", "pah_sim_dynamic_shared_bytes()"},
    {"%total_smem_size", "(pah_sim_unsupported(\"the register %total_smem_size\"), 0u)"},
    {"%aggr_smem_size", "(pah_sim_unsupported(\"the register %aggr_smem_size\"), 0u)"},
    {"%reserved_smem_offset_begin", "0"},
    {"%reserved_smem_offset_end", "0"},
    {"%reserved_smem_offset_cap", "0"},
    {"%current_graph_exec", "0"},
    {"WARP_SZ", "32"},
    {NULL, NULL},
};

#undef THREE

static const char *special_code(const char *name) {
  for (const struct special_register *r = special_registers; r->name; r++)
    if (!strcmp(r->name, name)) return r->code;
  return NULL;
}

/* Counters and words of the driver, %pm0 to %pm7 and %envreg0 to %envreg31, have nothing behind them here. */
static int is_refused(const char *name) {
  return !strncmp(name, "%pm", 3) || !strncmp(name, "%envreg", 7);
}

static void emit_named(struct ptx_emit *e, const char *name) {
  const int operand = ptx_operand_number(e, name);
  if (operand >= 0) {
    if (operand >= e->operand_count)
      ptx_emit_error(e, "%.40s is none of the %d operands", name, e->operand_count);
    else if (e->is_sum(e, operand))
      fprintf(e->out, "pah_ptx::i_in<uint32_t>(%s)", e->operands[operand].expression);
    else
      fprintf(e->out, "pah_x%d", operand);
    return;
  }
  const char *code = special_code(name);
  if (code)
    ptx_emit_code(e, code);
  else if (is_refused(name) && !ptx_symbol(e, name))
    fprintf(e->out, "(pah_sim_unsupported(\"the register %.20s\"), 0u)", name);
  else
    emit_symbol(e, name);
}

/* ---- Operands ---- */

static void emit_value(struct ptx_emit *e, uint64_t value) {
  if ((int64_t)value < 0 && (int64_t)value >= INT32_MIN)
    fprintf(e->out, "(%lld)", (long long)value);
  else
    fprintf(e->out, value > UINT32_MAX ? "%lluull" : value > INT32_MAX ? "%lluu" : "%llu", (unsigned long long)value);
}

void ptx_emit_operand(struct ptx_emit *e, const struct ptx_operand *o) {
  if (o->kind == PTX_INTEGER) {
    emit_value(e, o->value);
  } else if (o->kind == PTX_BITS32) {
    fprintf(e->out, "0x%llxu", (unsigned long long)o->value);
  } else if (o->kind == PTX_BITS64) {
    ptx_emit_code(e, "i_real{");
    fprintf(e->out, "0x%llxull}", (unsigned long long)o->value);
  } else if (o->kind == PTX_NAME) {
    if (o->inverted) fputc('!', e->out);
    if (o->value) fputc('(', e->out);
    emit_named(e, o->name);
    if (o->value) fprintf(e->out, " + (%lld))", (long long)o->value);
  } else if (o->kind == PTX_VECTOR && o->count == 1) {
    ptx_emit_operand(e, o->items);
  } else {
    ptx_emit_error(e, "an operand is %s, must be a register or a number",
                   o->kind == PTX_ADDRESS ? "an address" : "a vector");
  }
}

void ptx_emit_address(struct ptx_emit *e, const struct ptx_operand *o) {
  if (o->kind != PTX_ADDRESS) {
    ptx_emit_error(e, "an operand is no address, must be one: [a]");
    return;
  }
  fputc('(', e->out);
  if (o->name) emit_named(e, o->name);
  if (o->plus) {
    fputs(" + ", e->out);
    emit_named(e, o->plus);
  }
  if (!o->name)
    emit_value(e, o->value);
  else if (o->value)
    fprintf(e->out, " + (%lld)", (long long)o->value);
  fputc(')', e->out);
}

void ptx_emit_pointer(struct ptx_emit *e, const struct ptx_operand *o, const struct ptx_match *m) {
  fputs(m && m->is_shared  ? "pah_sim_shared_pointer("
        : m && m->is_local ? "pah_ptx::i_local("
                           : "((void *)(uint64_t)",
        e->out);
  ptx_emit_address(e, o);
  fputc(')', e->out);
}

void ptx_emit_code(struct ptx_emit *e, const char *code) {
  for (const char *at = code; *at; at++) {
    const int begins = at == code || !(isalnum((unsigned char)at[-1]) || at[-1] == '_' || at[-1] == ':');
    if (begins && strchr("imtw", *at) && at[1] == '_') fputs("pah_ptx::", e->out);
    fputc(*at, e->out);
  }
}

/* ---- Results ---- */

static int is_sink(const struct ptx_operand *o) {
  return o->kind == PTX_NAME && !strcmp(o->name, "_");
}

/* {a, b} and d|p take the parts r[0], r[1] of what the expression gives. */
static void emit_part(struct ptx_emit *e, const struct ptx_operand *to, int i) {
  if (is_sink(to)) return;
  fputc(' ', e->out);
  ptx_emit_operand(e, to);
  fprintf(e->out, " = pah_v.r[%d];", i);
}

/* Only registers and operands of an asm statement take results. */
static void check_place(struct ptx_emit *e, const struct ptx_operand *to) {
  for (int i = 0; i < to->count; i++) check_place(e, &to->items[i]);
  if (to->second) check_place(e, to->second);
  if (to->kind == PTX_VECTOR || is_sink(to)) return;
  const int operand = to->kind == PTX_NAME ? ptx_operand_number(e, to->name) : -1;
  const struct ptx_symbol *s = to->kind == PTX_NAME && operand < 0 ? ptx_symbol(e, to->name) : NULL;
  const int is_constant = operand >= 0 && operand < e->operand_count &&
                          (strpbrk(e->operands[operand].constraint, "ni") || e->is_sum(e, operand));
  if (to->kind != PTX_NAME || to->inverted || to->value || is_constant || (s && s->kind != PTX_REGISTER) ||
      special_code(to->name))
    ptx_emit_error(e, "the result goes into %.60s, must go into a register", to->name ? to->name : "a number");
}

void ptx_emit_place(struct ptx_emit *e, const struct ptx_operand *o) {
  check_place(e, o);
  ptx_emit_operand(e, o);
}

void ptx_emit_begin(struct ptx_emit *e, const struct ptx_operand *to) {
  check_place(e, to);
  if (to->kind == PTX_VECTOR || to->second) {
    fputs("{ const auto pah_v = ", e->out);
  } else if (is_sink(to)) {
    fputs("(void)(", e->out);
  } else {
    ptx_emit_operand(e, to);
    fputs(" = ", e->out);
  }
}

void ptx_emit_end(struct ptx_emit *e, const struct ptx_operand *to) {
  if (to->kind == PTX_VECTOR) {
    fputc(';', e->out);
    if (to->count == 1) { /* {a} takes the whole of what has no parts */
      fputc(' ', e->out);
      ptx_emit_operand(e, to);
      fputs(" = pah_ptx::i_only(pah_v);", e->out);
    }
    for (int i = 0; i < to->count && to->count > 1; i++) emit_part(e, &to->items[i], i);
    fputs(" }", e->out);
  } else if (to->second) {
    struct ptx_operand first = *to;
    first.second = NULL;
    fputc(';', e->out);
    emit_part(e, &first, 0);
    emit_part(e, to->second, 1);
    fputs(" }", e->out);
  } else {
    fputs(is_sink(to) ? ");" : ";", e->out);
  }
}
