/* declare.c - registers, variables and parameters as C++. Registers begin as all ones, a NaN, where a declaration
 * stands first in its braces: what is read before it is written shows. Read next: emit.c. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"
#include "pah_module.h"

/* "b32" to 32, "f16x2" too; 0: "pred" and what is no type of registers. */
static int width_of(const char *type) {
  const char *digits = type + strcspn(type, "0123456789");
  const int width = atoi(digits), pairs = strstr(digits, "x2") != NULL;
  return width << pairs;
}

static const char *register_type(struct ptx_emit *e, const char *type) {
  const int width = width_of(type);
  if (!strcmp(type, "pred")) return "bool";
  if (width == 8) return "uint8_t";
  if (width == 16) return "uint16_t";
  if (width == 32) return "uint32_t";
  if (width == 64) return "uint64_t";
  if (width == 128) return "unsigned __int128";
  ptx_emit_error(e, "registers of type .%.40s are not there on sim", type);
  return "uint32_t";
}

static int is_in_tuple(const struct ptx_emit *e, const char *name) {
  for (const struct ptx_tuple *t = e->tuples; t; t = t->next)
    for (int i = 0; i < t->sums->count; i++)
      if (t->sums->items[i].name && !strcmp(t->sums->items[i].name, name)) return 1;
  return 0;
}

static void declare_registers(struct ptx_emit *e, const struct ptx_declaration *d) {
  const char *type = register_type(e, d->type);
  const int64_t count = d->range < 0 ? 1 : d->range;
  int written = 0;
  if (d->vector) ptx_emit_error(e, "%.60s: vector registers are not there on sim", d->name);
  ptx_add_symbol(e, d->name, d->type, PTX_REGISTER, d->range);
  for (int64_t i = 0; i < count; i++) {
    char name[160];
    if (d->range < 0)
      snprintf(name, sizeof name, "%s", d->name);
    else
      snprintf(name, sizeof name, "%s%lld", d->name, (long long)i);
    if (is_in_tuple(e, name)) continue;
    fprintf(e->out, written++ ? ", " : " %s ", type);
    ptx_emit_name(e, "x_", name);
    if (e->is_fresh) fprintf(e->out, " = (%s)-1", type);
  }
  if (written) fputc(';', e->out);
}

/* ---- Variables ---- */

static void emit_values(struct ptx_emit *e, const struct ptx_operand *values) {
  if (values->kind != PTX_VECTOR) {
    ptx_emit_operand(e, values);
    return;
  }
  for (int i = 0; i < values->count; i++) {
    if (i) fputs(", ", e->out);
    emit_values(e, &values->items[i]);
  }
}

static int64_t elements(const struct ptx_declaration *d) {
  return (d->count < 0 ? 1 : d->count) * (d->vector ? d->vector : 1);
}

void ptx_emit_variable(struct ptx_emit *e, const struct ptx_declaration *d) {
  const int is_shared = !strcmp(d->space, ".shared"), is_local = !strcmp(d->space, ".local");
  const int bytes = width_of(d->type) / 8, is_open = d->count == 0;
  if (!bytes) ptx_emit_error(e, "%.60s: variables of type .%.40s are not there on sim", d->name, d->type);
  if (d->is_extern && !is_shared) ptx_emit_error(e, "%.60s: is of another module, which sim cannot link", d->name);
  ptx_add_symbol(e, d->name, d->type, is_shared ? PTX_SHARED : PTX_MEMORY, -1);
  fprintf(e->out, " %s%s__attribute__((%saligned(%d))) uint%d_t ", is_shared && is_open ? "extern " : "",
          is_shared  ? "__shared__ "
          : is_local ? ""
                     : "static ",
          is_local || is_open ? "" : "used, ",
          d->align ? d->align
          : bytes  ? bytes
                   : 1,
          bytes ? 8 * bytes : 8);
  ptx_emit_name(e, "x_", d->name);
  if (is_open)
    fputs("[]", e->out);
  else
    fprintf(e->out, "[%lld]", (long long)elements(d));
  if (d->values) {
    fputs(" = {", e->out);
    emit_values(e, d->values);
    fputc('}', e->out);
  }
  fputc(';', e->out);
}

/* ---- Parameters ---- */

/* What a launch may give for it. PTX tells pointers and integers of 64 bits apart by .ptr only, and not always. */
static int kind_of(const struct ptx_declaration *d) {
  if (d->is_pointer) return PAH_POINTER;
  if (d->count >= 0) return PAH_BYTES;
  if (d->type[0] == 'f') return PAH_FLOATING;
  return strchr("us", d->type[0]) && width_of(d->type) < 64 ? PAH_SIGNED : PAH_UNTYPED;
}

void ptx_emit_type(struct ptx_emit *e, const struct ptx_declaration *d) {
  const int bytes = width_of(d->type) / 8;
  if (!strcmp(d->space, ".reg"))
    fputs(register_type(e, d->type), e->out);
  else
    fprintf(e->out, "pah_ptx::t_param<%lld, %d, %d>", (long long)elements(d) * bytes,
            d->align ? d->align
            : bytes  ? bytes
                     : 1,
            e->is_entry ? kind_of(d) : PAH_UNTYPED);
}

void ptx_emit_parameter(struct ptx_emit *e, const struct ptx_declaration *d) {
  ptx_add_symbol(e, d->name, d->type, !strcmp(d->space, ".reg") ? PTX_REGISTER : PTX_PARAMETER, -1);
  ptx_emit_type(e, d);
  ptx_emit_name(e, " x_", d->name);
}

void ptx_declare(struct ptx_emit *e, const struct ptx_declaration *d) {
  if (!strcmp(d->space, ".reg")) {
    declare_registers(e, d);
  } else if (!strcmp(d->space, ".param")) {
    fputc(' ', e->out);
    ptx_emit_parameter(e, d);
    fputc(';', e->out);
  } else {
    ptx_emit_variable(e, d);
  }
}
