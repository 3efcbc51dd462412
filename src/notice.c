/* notice.c - a line on the terminal while something takes seconds: a compiler, limits being measured. It is gone when
 * that is done. Promises: nothing is written where stderr is no terminal, or a dumb one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pah_measure.h"

void pah_notice(const char *text) {
  static int shown;
  const char *term = getenv("TERM");
  if (!isatty(STDERR_FILENO) || (term && !strcmp(term, "dumb"))) return;
  if (text || shown) fputs("\r\033[K", stderr);
  shown = text != NULL;
  if (text) {
    for (int n = 0; *text && n < 72; text++, n++) /* names of files may hold what a terminal obeys */
      putc((unsigned char)*text >= ' ' && *text != 127 ? *text : '?', stderr);
    fputs(" ...", stderr);
  }
  fflush(stderr);
}
