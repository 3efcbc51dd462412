/* host_code.c - sources with code of the host in them, for NVRTC, which has no host: first as they are; a header that
 * is not found is an empty one; and if that does not do, the device's side alone. What lies in headers of the source's
 * own stays as it is. Read next: source/device_side.c. */
#define _GNU_SOURCE
#include "host_code.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "headers.h"
#include "source/device_side.h"

enum { MOST_EMPTY = 100 };

int cuda_source_begin(struct cuda_source *s) {
  *s = (struct cuda_source){.count = cuda_header_count()};
  s->names = calloc((size_t)s->count + MOST_EMPTY, sizeof *s->names);
  s->texts = calloc((size_t)s->count + MOST_EMPTY, sizeof *s->texts);
  if (!s->names || !s->texts) {
    cuda_source_end(s);
    return pah_fail(PAH_ENOMEM, "cuda: no memory");
  }
  memcpy(s->names, cuda_header_names(), (size_t)s->count * sizeof *s->names);
  memcpy(s->texts, cuda_header_texts(), (size_t)s->count * sizeof *s->texts);
  return PAH_OK;
}

void cuda_source_end(struct cuda_source *s) {
  for (int i = s->count - s->own; i < s->count && s->names; i++) free((char *)s->names[i]);
  free(s->names);
  free(s->texts);
  free(s->text);
  free(s->skipped);
  *s = (struct cuda_source){.count = 0};
}

/* The header that NVRTC could not open becomes an empty one. Its users rely on what it includes of CUDA's own. */
static int add_empty(struct cuda_source *s, const char *log) {
  static const char words[] = "open source file \"";
  const char *at = log ? strstr(log, words) : NULL;
  if (!at || s->own == MOST_EMPTY) return 0;
  at += strlen(words);
  size_t n = strcspn(at, "\"\n");
  if (at[n] != '"') return 0;
  char *name = strndup(at, n);
  if (!name) return 0;
  s->names[s->count] = name;
  s->texts[s->count++] = "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n";
  s->own++;
  return 1;
}

struct told {
  const struct pah_side *side;
  FILE *to;
};

static void tell_skipped(void *data, int item, const char *path, int line) {
  const struct told *t = data;
  (void)path;
  fputs(t->side->items.list[item].kind == PAH_FUNCTION ? "function " : "declaration ", t->to);
  pah_side_name(t->side, item, t->to);
  fprintf(t->to, " at line %d\n", line);
}

static void tell_launch(void *data, const char *name, const char *path, int line) {
  (void)path;
  fprintf(((const struct told *)data)->to, "launch %s at line %d\n", name, line);
}

/* [=] __device__ () {}: NVRTC has a lambda for the device without the word, and refuses the word. */
static void plain_lambdas(struct pah_side *side) {
  const struct pah_token *list = side->tokens.list;
  for (int i = 1; i < side->tokens.count; i++)
    if ((pah_token_is(&list[i], "__device__") || pah_token_is(&list[i], "__host__")) &&
        (list[i - 1].mark == ']' || (side->gone[i - 1] && i >= 2 && list[i - 2].mark == ']')))
      side->gone[i] = 1;
}

static int leave_out_host(struct cuda_source *s, const struct pah_module *m) {
  struct pah_side side;
  char *roots = NULL;
  size_t bytes;
  FILE *f = open_memstream(&roots, &bytes);
  for (int64_t i = 0; i < m->kernel_count && f; i++) fprintf(f, "%s\n", m->kernels[i].name);
  if (f) fclose(f);
  if (pah_side_read(&side, m->text, roots, NULL, NULL)) return free(roots), 0;
  free(roots);
  f = pah_tokens_balanced(&side.tokens) ? open_memstream(&s->skipped, &bytes) : NULL;
  if (f) {
    struct told t = {.side = &side, .to = f};
    for (int i = s->count - s->own; i < s->count; i++) fprintf(f, "header %s\n", s->names[i]);
    pah_side_skipped(&side, tell_skipped, &t);
    pah_side_launches(&side, tell_launch, &t);
    fclose(f);
    plain_lambdas(&side);
    s->text = pah_side_text(&side);
  }
  pah_side_free(&side);
  return s->text != NULL;
}

int cuda_source_again(struct cuda_source *s, const struct pah_module *m, const char *log) {
  if (add_empty(s, log)) return 1;
  return s->text ? 0 : leave_out_host(s, m);
}
