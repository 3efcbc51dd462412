/* ptxas.c - reads what `ptxas -v` says of each kernel: registers, static shared memory, stack and spills.
 * Read next: nvrtc.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvrtc.h"

/* The number before `words` in a line: "1024 bytes smem". */
static int32_t number_before(const char *line, size_t length, const char *words) {
  char copy[512];
  snprintf(copy, sizeof copy, "%.*s", (int)(length < sizeof copy ? length : sizeof copy - 1), line);
  const char *at = strstr(copy, words);
  if (!at) return 0;
  while (at > copy && (at[-1] == ' ' || (at[-1] >= '0' && at[-1] <= '9'))) at--;
  return (int32_t)strtol(at, NULL, 10);
}

static int says(const char *line, size_t length, const char *words, const char *name) {
  size_t n = strlen(name);
  const char *at = strstr(line, words);
  if (!at || at >= line + length) return 0;
  at += strlen(words);
  if (*at == '\'') at++;
  return !strncmp(at, name, n) && (at[n] == '\'' || at[n] == '\n' || at[n] == 0);
}

void cuda_read_log(const char *log, const char *lowered, struct pah_resources *r) {
  int ours = 0;
  *r = (struct pah_resources){.max_threads = 0};
  for (const char *line = log; line && *line;) {
    size_t n = strcspn(line, "\n");
    if (says(line, n, "Compiling entry function ", lowered))
      ours = 1;
    else if (strstr(line, "Compiling entry function") && strstr(line, "Compiling entry function") < line + n)
      ours = 0;
    if (ours) {
      int32_t value = number_before(line, n, "registers");
      if (value) r->registers = value;
      if ((value = number_before(line, n, "bytes smem"))) r->shared_bytes = value;
      if ((value = number_before(line, n, "bytes stack frame"))) r->local_bytes = value;
      if ((value = number_before(line, n, "bytes spill stores"))) r->spill_store_bytes = value;
      if ((value = number_before(line, n, "bytes spill loads"))) r->spill_load_bytes = value;
    }
    line += n + (line[n] == '\n');
  }
}
