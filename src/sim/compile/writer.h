/* writer.h - what words.c and statements.c share: the text that is written, and how far the source has been. */
#ifndef PAH_SIM_WRITER_H
#define PAH_SIM_WRITER_H

#include "device_source.h"

enum how {
  AS_IS,      /* the text in its place; the end, if any, for a kernel with a visibility of its own */
  BRACKETS,   /* the word's brackets too: text, what is between them, text */
  DROPPED,    /* and its brackets, if there are any */
  BOUNDS,     /* __launch_bounds__ */
  SHARED,     /* an array is aligned to 16 bytes, as on the device */
  VARIABLE,   /* unless it is a member or declared here */
  CALL,       /* of the C library, if it is one */
  VECTOR,     /* a vector type: one that is made in braces is assigned as a whole */
  OF_VARIABLE /* kept on a variable of the device, so that the compiler does not take it for constant */
};

struct word {
  const char *cuda;
  enum how how;
  const char *text, *end;
};

struct sim_writer {
  const struct pah_side *side;
  const struct pah_token *list;
  FILE *to;
  const char *from;            /* what has been written ends here */
  const struct word **meaning; /* of each word by its number; NULL: its own */
  char *is_variable;           /* of each token: it belongs to a variable of the device */
  char *is_plain;              /* of each token: a word that its class or function has declared */
  struct sim_inserts inserts;
  int is_clang;
};

void sim_write_gap(struct sim_writer *w, const char *until); /* all up to there, but only blanks of what is left out */
void sim_leave_out(struct sim_writer *w, int i);
void sim_put(struct sim_writer *w, int i, const char *text); /* in the place of token i */

/* statements.c: writes what stands for the asm statement, the launch or the pragma of a macro at token i. Returns past
 * its end; 0: there is none. */
int sim_translate_statement(struct sim_writer *w, int i, int last);

#endif
