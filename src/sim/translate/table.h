/* table.h - the instructions that sim has, a row each. Read next: table.c, emit.c. */
#ifndef PAH_PTX_TABLE_H
#define PAH_PTX_TABLE_H

#include <stdio.h>

struct ptx_row {
  const char *name; /* what the instruction's word begins with: "cp.async.cg" */
  const char
      *types; /* that may follow: i integers, b bits, p predicates, f f32 and f64, h 16 bits and pairs of them, */
              /* w pairs of integers, 8 the sizes below 16, q 128 bits, x what only conversions know; "" none */
  const char *words; /* that may follow and mean something (pah_sim/ptx/words.h) */
  const char *hints; /* that may follow and mean nothing here; "a*": all that begin so */
  const char *text;  /* the C++, see emit.c */
};

extern const struct ptx_row ptx_rows[];

/* What the word of an instruction says, by a row. */
struct ptx_match {
  const struct ptx_row *row;
  const char *types[2]; /* "u32"; NULL: none */
  char flags[96];       /* C++ of the template argument */
  char choices[2][40];  /* the same, of the words that exclude each other */
  int is_shared;        /* names the space of shared memory */
  int is_local;         /* that of local memory */
  int has_hint;         /* the last operand is a cache policy */
  int vector;           /* of .v2, .v4; else 1 */
};

/* The row for the instruction with so many operands. 0: there is none. */
int ptx_find(const char *word, int operands, struct ptx_match *m);
int ptx_row_operands(const struct ptx_row *row); /* that its text names */
void ptx_write_table(FILE *f);                   /* all names, a line each: for the documentation */

#endif
