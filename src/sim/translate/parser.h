/* parser.h - PTX statements as data: what an asm statement and the body of a kernel consist of. Nothing is looked up
 * here: names are names, an instruction is its word and its operands. Read next: emit.h (what becomes of them). */
#ifndef PAH_PTX_PARSER_H
#define PAH_PTX_PARSER_H

#include "lexer.h"

enum ptx_operand_kind {
  PTX_NAME,    /* a register, a label, a variable, %0 */
  PTX_INTEGER, /* value, perhaps negative */
  PTX_BITS32,
  PTX_BITS64,  /* floating-point numbers */
  PTX_VECTOR,  /* {a, b}; of calls (a, b) */
  PTX_ADDRESS, /* [name + plus + value, items...] */
};

struct ptx_operand {
  enum ptx_operand_kind kind;
  const char *name; /* NULL in an address: the value alone */
  const char *plus; /* of an address [a+b] with two names */
  uint64_t value;   /* two's complement */
  int inverted;     /* !p */
  int count;        /* of items */
  struct ptx_operand *items;
  struct ptx_operand *second; /* of d|p */
};

/* Registers or variables: .reg .b32 %r<5>; .shared .align 16 .b8 tile[512]; a parameter. */
struct ptx_declaration {
  const char *space; /* ".reg", ".shared", ".global", ".const", ".local", ".param" */
  const char *type;  /* "b32" */
  const char *name;
  int64_t range;                    /* of <n>; -1: none */
  int64_t count;                    /* of elements; -1: no array, 0: [] */
  int align, vector;                /* 0: of the type; elements of .v2, .v4 */
  int is_extern, is_pointer;        /* .ptr */
  const struct ptx_operand *values; /* a vector: what it begins with; NULL: zeros */
};

enum ptx_statement_kind { PTX_INSTRUCTION, PTX_LABEL, PTX_OPEN, PTX_CLOSE, PTX_DECLARATION, PTX_TARGETS };

struct ptx_statement {
  enum ptx_statement_kind kind;
  int line;
  const char *word; /* of an instruction, the name of a label */
  const char *guard;
  int guard_inverted; /* @!p */
  int count;
  struct ptx_operand *operands;
  struct ptx_declaration *declaration;
  const char *file; /* of the source, by .loc; NULL: none */
  int file_line;
};

struct ptx_body {
  struct ptx_statement *statements;
  int count, room;
  int failed; /* no memory */
};

/* Where .loc says that a statement comes from; module.c knows the files. */
struct ptx_loc {
  int file, line, outer_file, outer_line;
};

/* The statements up to the } that ends the body, which is taken, or the end of an asm statement. `loc` is called for
 * each .loc and sets file and line of the statements after it; NULL: none has one. */
typedef void ptx_loc_function(void *data, struct ptx_loc loc, const char **file, int *line);
void ptx_parse_body(struct ptx_lexer *x, struct ptx_body *body, int is_asm, ptx_loc_function *loc, void *data);

/* The lines of a text: loc.c. */
struct ptx_lines *ptx_lines_open(const char *text); /* NULL: no memory */
void ptx_lines_close(struct ptx_lines *lines);
ptx_loc_function ptx_lines_find; /* data: a struct ptx_lines */

/* After the word of its space has been taken: its attributes, type, name. */
struct ptx_declaration *ptx_parse_declaration(struct ptx_lexer *x, const char *space);
int ptx_is_space(const char *word);

#endif
