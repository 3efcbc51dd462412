/* emit.h - PTX statements as C++. Registers become variables of their width ("%r1" is x__Rr1), labels labels, and each
 * instruction the text of its row (rows.h): calls of sim/include/pah_sim/ptx.h and of sim/abi_ptx.h. Two things use
 * it: asm.c for asm statements, module.c for whole modules. Read next: emit.c, emit_special.c. */
#ifndef PAH_PTX_EMIT_H
#define PAH_PTX_EMIT_H

#include <stdio.h>

#include "translate.h"
#include "parser.h"
#include "table.h"

enum ptx_symbol_kind { PTX_REGISTER, PTX_SHARED, PTX_MEMORY, PTX_PARAMETER, PTX_FUNCTION };

struct ptx_symbol {
  const char *name, *type;
  enum ptx_symbol_kind kind;
  int64_t range; /* %r<range>: name is "%r"; -1: none */
  int depth;     /* of the { } that it belongs to */
};

/* The registers of the sums of a wgmma stand in an array, as the runtime writes them after the instruction. */
struct ptx_tuple {
  struct ptx_tuple *next;
  int number;
  const struct ptx_operand *sums;
};

struct ptx_emit {
  FILE *out;
  struct ptx_pool *pool;
  struct ptx_symbol *symbols;
  int count, room, depth;
  const struct ptx_body *body;
  int at;                                 /* the statement in it */
  const struct ptx_asm_operand *operands; /* of an asm statement */
  int operand_count;
  int (*is_sum)(const struct ptx_emit *e, int operand); /* wgmma has it among its sums: no variable stands for it */
  struct ptx_tuple *tuples;
  int is_entry;       /* parameters are those of a launch */
  const char *result; /* of the function: its return parameter; NULL: none */
  int is_fresh;       /* nothing but declarations since the { */
  int tracks_lines;   /* #line before each statement */
  const char *path;   /* of the PTX */
  char error[240];    /* what cannot be translated, and where */
  int error_line;
};

/* The whole body. What it cannot translate: `error`, unless the instruction is unknown, which is told when it runs. */
void ptx_emit_body(struct ptx_emit *e, const struct ptx_body *body);

void ptx_declare(struct ptx_emit *e, const struct ptx_declaration *d);
void ptx_add_symbol(struct ptx_emit *e, const char *name, const char *type, enum ptx_symbol_kind kind, int64_t range);
const struct ptx_symbol *ptx_symbol(const struct ptx_emit *e, const char *name);
void ptx_emit_error(struct ptx_emit *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ptx_emit_name(struct ptx_emit *e, const char *prefix, const char *name); /* as C++ writes it */
void ptx_emit_label(struct ptx_emit *e, const char *name);
void ptx_emit_variable(struct ptx_emit *e, const struct ptx_declaration *d);
void ptx_emit_type(struct ptx_emit *e, const struct ptx_declaration *d);      /* of a parameter */
void ptx_emit_parameter(struct ptx_emit *e, const struct ptx_declaration *d); /* as C++ declares one, without a ; */

/* For emit_special.c. */
void ptx_emit_operand(struct ptx_emit *e, const struct ptx_operand *o);
void ptx_emit_place(struct ptx_emit *e, const struct ptx_operand *o);   /* one that is written to */
void ptx_emit_address(struct ptx_emit *e, const struct ptx_operand *o); /* as a number */
void ptx_emit_code(struct ptx_emit *e, const char *code);               /* i_, m_, t_ and w_ names are qualified */
void ptx_emit_pointer(struct ptx_emit *e, const struct ptx_operand *o, const struct ptx_match *m); /* NULL: global */
/* What an expression goes into; the caller writes the expression between the two. */
void ptx_emit_begin(struct ptx_emit *e, const struct ptx_operand *to);
void ptx_emit_end(struct ptx_emit *e, const struct ptx_operand *to);
int ptx_operand_number(const struct ptx_emit *e, const char *name); /* of %0 or %[name]; -1: none */
/* Instructions whose row names a function; 0: there is none of that name. */
int ptx_emit_special(struct ptx_emit *e, const struct ptx_statement *s, const struct ptx_match *m);

/* Between emit_special.c and emit_matrix.c: an instruction whose C++ is written by a function. The int ones give 0 for
 * what is not there on sim. */
struct special {
  struct ptx_emit *e;
  const struct ptx_statement *s;
  const struct ptx_match *m;
};

const struct ptx_operand *special_operand(const struct special *p, int i); /* never NULL */
void special_put(const struct special *p, const char *code);

/* emit_matrix.c */
void special_tensor_load(const struct special *p);
void special_tensor_multicast(const struct special *p);
void special_tensor_store(const struct special *p);
void special_tensor_reduce(const struct special *p);
int special_map_replace(const struct special *p);
int special_mma(const struct special *p);
int special_wgmma(const struct special *p);

/* emit_wmma.c */
int special_wmma(const struct special *p);

#endif
