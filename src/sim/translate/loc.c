/* loc.c - source lines of PTX: .file numbers the files, .loc names the line of what follows and, in an inlined
 * function, the line of the call. Lines of kernels/ptx/ are passed over for those of their callers. See parser.h. */
#include "parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 4096 };

struct ptx_lines {
  int count; /* of files */
  char **files;
  struct ptx_loc callers[CALLERS]; /* the last .loc of a line, by file and line */
};

/* .file comes at the end of the text, after what needs it. */
struct ptx_lines *ptx_lines_open(const char *text) {
  struct ptx_lines *lines = calloc(1, sizeof *lines);
  for (const char *at = text; lines && (at = strstr(at, ".file")); at++) {
    int number, before = 0, after = 0;
    if (sscanf(at, ".file %d \"%n%*[^\"\n]%n\"", &number, &before, &after) < 1 || !before || !after) continue;
    if (number < 0 || number >= CALLERS) continue;
    if (number >= lines->count) {
      char **more = realloc(lines->files, (size_t)(number + 1) * sizeof *more);
      if (!more) break;
      memset(more + lines->count, 0, (size_t)(number + 1 - lines->count) * sizeof *more);
      lines->files = more;
      lines->count = number + 1;
    }
    free(lines->files[number]);
    lines->files[number] = strndup(at + before, (size_t)(after - before));
  }
  return lines;
}

void ptx_lines_close(struct ptx_lines *lines) {
  for (int i = 0; lines && i < lines->count; i++) free(lines->files[i]);
  if (lines) free(lines->files);
  free(lines);
}

static const char *file_of(const struct ptx_lines *lines, int number) {
  return number >= 0 && number < lines->count ? lines->files[number] : NULL;
}

void ptx_lines_find(void *data, struct ptx_loc loc, const char **file, int *line) {
  struct ptx_lines *lines = data;
  struct ptx_loc *own = &lines->callers[(unsigned)(loc.file * 31 + loc.line) % CALLERS];
  if (loc.outer_file) *own = loc;
  for (int i = 0; i < 16 && loc.outer_file; i++) {
    const char *name = file_of(lines, loc.file);
    if (name && !strstr(name, "/kernels/ptx/")) break;
    const int outer_file = loc.outer_file, outer_line = loc.outer_line;
    const struct ptx_loc *outer = &lines->callers[(unsigned)(outer_file * 31 + outer_line) % CALLERS];
    loc = outer->file == outer_file && outer->line == outer_line ? *outer
                                                                 : (struct ptx_loc){outer_file, outer_line, 0, 0};
  }
  *file = file_of(lines, loc.file);
  *line = *file ? loc.line : 0;
}
