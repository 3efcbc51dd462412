/* translate.h - PTX as C++ for sim, what the rest of sim calls: an asm statement of CUDA C++ (asm.c), and a whole PTX
 * module (module.c). doc/ptx.md lists the instructions. Read next: emit.h. */
#ifndef PAH_PTX_TRANSLATE_H
#define PAH_PTX_TRANSLATE_H

#include <stddef.h>

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

/* The source of a module, to be freed, which sim compiles like any other; kernel `k` is the function f_k. NULL: `error`
 * says the line and why. `path`: of the PTX, for the places of findings where there is no .loc. */
char *ptx_module(const char *text, const char *path, char *error, size_t bytes);
/* Calls found(data, name) for each .entry. */
void ptx_entries(const char *text, void (*found)(void *data, const char *name), void *data);

#endif
