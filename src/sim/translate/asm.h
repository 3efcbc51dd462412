/* asm.h - an asm statement of CUDA C++ as a C++ statement that sim can run. See asm.c; doc/ptx.md lists the
 * instructions. */
#ifndef PAH_PTX_ASM_H
#define PAH_PTX_ASM_H

struct ptx_asm_operand {
  const char *constraint; /* without quotes: "=r", "+f", "l", "n", "=&r", "0" */
  const char *expression; /* the C++ between the parentheses */
  int is_output;          /* stands before the second colon */
  const char *name;       /* of [name] "r"(x); NULL: none */
};

/* One C++ statement without its final ";" and without newlines, to be freed; NULL: no memory. `text`: what the literal
 * says, pieces joined and escapes undone; count -1: a basic asm, without colons. Never refuses: what cannot be run
 * becomes a finding when it is. */
char *ptx_asm(const char *text, const struct ptx_asm_operand *operands, int count);

#endif
