/* report.c - what a finding says beside its message: the address in the words of a paged cache (which block, slot, head
 * and element, and whose token it is) or of the launch's arguments, and the line of the source; and which findings are
 * meant. Source lines get their numbers in symbol.c. Read next: symbol.c, launch.c. */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

/* Splits the byte offset of `t` into indices. Before its start and past its end the first index runs on. */
static int locate(const struct pah_tensor *t, const void *address, int64_t *index) {
  int64_t size = pah_dtype_size(t->dtype);
  if (t->dtype == PAH_NONE || !size) return 0;
  int64_t left = ((const uint8_t *)address - (const uint8_t *)t->data);
  left = left < 0 ? -((size - 1 - left) / size) : left / size;
  int done[PAH_MAX_DIMS] = {0};
  for (int n = 0; n < t->ndim; n++) { /* from the largest stride to the smallest */
    int at = -1;
    for (int i = 0; i < t->ndim; i++)
      if (!done[i] && (at < 0 || t->stride[i] > t->stride[at])) at = i;
    done[at] = 1;
    index[at] = t->stride[at] ? left / t->stride[at] - (left < 0 && left % t->stride[at]) : 0;
    if (at > 0 && index[at] >= t->shape[at]) index[at] = t->shape[at] - 1;
    left -= index[at] * t->stride[at];
  }
  return 1;
}

/* Bytes between the address and the tensor; 0: it lies inside. */
static uint64_t distance(const struct pah_tensor *t, const void *address) {
  const uint8_t *from = t->data, *at = address;
  int64_t last = 0;
  for (int i = 0; i < t->ndim; i++) last += (t->shape[i] - 1) * t->stride[i];
  const uint8_t *end = from + (last + 1) * pah_dtype_size(t->dtype);
  return at < from ? (uint64_t)(from - at) : at < end ? 0 : (uint64_t)(at - end) + 1;
}

static int inside(const struct pah_tensor *t, const void *address) {
  return t->dtype != PAH_NONE && !distance(t, address);
}

/* "sequence 1 token 35 (logical block 2)": who uses a physical block; "no sequence" when nobody does. */
static int users(const struct pah_attn *a, int64_t block, int64_t slot, char *text, size_t bytes) {
  const int32_t *table = a->block_table.data, *used = a->seqused_k.data;
  int64_t block_size = a->k_blocks.shape[1], reach = a->block_table.shape[1] * block_size;
  for (int64_t b = 0; b < a->block_table.shape[0]; b++) {
    int64_t len = used ? used[b * a->seqused_k.stride[0]] : a->seqlen_k >= 0 ? a->seqlen_k : reach;
    for (int64_t i = 0; i * block_size < len && i * block_size < reach; i++)
      if (table[b * a->block_table.stride[0] + i * a->block_table.stride[1]] == block)
        return snprintf(text, bytes, "sequence %lld, token %lld (logical block %lld%s)", (long long)b,
                        (long long)(i * block_size + slot), (long long)i,
                        i * block_size + slot >= len ? ", past its length" : "");
  }
  return snprintf(text, bytes, "a block of no sequence");
}

static void describe_cache(const struct pah_attn *a, const char *name, const struct pah_tensor *t, const void *address,
                           char *text, size_t bytes) {
  int64_t i[PAH_MAX_DIMS];
  char who[160];
  if (t->ndim != 4 || !locate(t, address, i)) return;
  if (i[0] < t->shape[0])
    users(a, i[0], i[1], who, sizeof who);
  else
    snprintf(who, sizeof who, "num_blocks is %lld", (long long)t->shape[0]);
  size_t n = strlen(text);
  snprintf(text + n, bytes - n, "; %s: physical block %lld, slot %lld, head %lld, element %lld: %s", name,
           (long long)i[0], (long long)i[1], (long long)i[2], (long long)i[3], who);
}

static void describe_tensor(const char *name, const struct pah_tensor *t, const void *address, char *text,
                            size_t bytes) {
  int64_t index[PAH_MAX_DIMS];
  if (!locate(t, address, index)) return;
  size_t n = strlen(text);
  n += (size_t)snprintf(text + n, bytes - n, "; %s[", name);
  for (int i = 0; i < t->ndim && n < bytes; i++)
    n += (size_t)snprintf(text + n, bytes - n, "%s%lld", i ? ", " : "", (long long)index[i]);
  if (n < bytes) snprintf(text + n, bytes - n, "]");
}

static void describe_problem(const struct pah_attn *a, const void *address, char *text, size_t bytes) {
  const struct {
    const char *name;
    const struct pah_tensor *t;
    int cache;
  } all[] = {{"k_blocks", &a->k_blocks, 1},
             {"v_blocks", &a->v_blocks, 1},
             {"dk_blocks", &a->dk_blocks, 1},
             {"dv_blocks", &a->dv_blocks, 1},
             {"q", &a->q, 0},
             {"out", &a->out, 0},
             {"lse", &a->lse, 0},
             {"dout", &a->dout, 0},
             {"dq", &a->dq, 0},
             {"block_table", &a->block_table, 0},
             {"seqused_k", &a->seqused_k, 0},
             {"cu_seqlens_q", &a->cu_seqlens_q, 0}};
  int count = sizeof all / sizeof *all, nearest = -1;
  for (int i = 0; i < count; i++) {
    if (inside(all[i].t, address)) {
      nearest = i;
      break;
    }
    if (all[i].t->dtype != PAH_NONE && (nearest < 0 || distance(all[i].t, address) < distance(all[nearest].t, address)))
      nearest = i;
  }
  if (nearest < 0) return;
  if (all[nearest].cache)
    describe_cache(a, all[nearest].name, all[nearest].t, address, text, bytes);
  else
    describe_tensor(all[nearest].name, all[nearest].t, address, text, bytes);
}

/* ---- Arguments ---- */

/* "; argument 2, f32 [64, 128], at [63, 130]": of the tensor that holds the address, else the nearest one. */
static void describe_argument(const struct pah_tensor *const *tensors, int count, const void *address, char *text,
                              size_t bytes) {
  int nearest = -1;
  for (int i = 0; i < count; i++) {
    const struct pah_tensor *t = tensors[i];
    if (!t || !t->ndim || t->dtype == PAH_NONE) continue;
    if (nearest < 0 || distance(t, address) < distance(tensors[nearest], address)) nearest = i;
  }
  int64_t index[PAH_MAX_DIMS];
  if (nearest < 0 || !locate(tensors[nearest], address, index)) return;
  const struct pah_tensor *t = tensors[nearest];
  size_t n = strlen(text);
  n += (size_t)snprintf(text + n, bytes - n, "; argument %d, %s [", nearest + 1, pah_dtype_name(t->dtype));
  for (int i = 0; i < t->ndim && n < bytes; i++)
    n += (size_t)snprintf(text + n, bytes - n, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
  if (n < bytes) n += (size_t)snprintf(text + n, bytes - n, "], at [");
  for (int i = 0; i < t->ndim && n < bytes; i++)
    n += (size_t)snprintf(text + n, bytes - n, "%s%lld", i ? ", " : "", (long long)index[i]);
  if (n < bytes) snprintf(text + n, bytes - n, "]");
}

void sim_describe_address(const struct pah_launch *launch, int parameters, const void *address, char *text,
                          size_t bytes) {
  const struct pah_attn *a = launch->problem;
  if (!address) return;
  if (a && a->block_table.data && a->k_blocks.ndim == 4)
    describe_problem(a, address, text, bytes);
  else if (launch->tensors)
    describe_argument(launch->tensors, parameters, address, text, bytes);
}

/* ---- The source ---- */

static void copy_line(const char *line, char *text, size_t bytes) {
  line += strspn(line, " \t");
  size_t n = strcspn(line, "\r\n");
  while (n && (line[n - 1] == ' ' || line[n - 1] == '\t')) n--;
  snprintf(text, bytes, "%.*s", (int)(n < bytes ? n : bytes - 1), line);
}

void sim_source_line(const struct sim_job *job, const struct sim_place *place, char *text, size_t bytes) {
  text[0] = 0;
  if (place->line <= 0) return;
  const size_t n = strlen(place->file), own = strlen(job->source_path); /* which may be relative */
  if (n >= own && !strcmp(place->file + n - own, job->source_path) && (n == own || place->file[n - own - 1] == '/')) {
    /* as it was compiled, whatever became of the file */
    const char *at = job->source;
    for (int i = 1; i < place->line && at; i++) at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
    if (at) copy_line(at, text, bytes);
    return;
  }
  FILE *f = fopen(place->file, "r");
  char *line = NULL;
  size_t room = 0;
  for (int i = 0; f && i < place->line; i++) {
    if (getline(&line, &room, f) < 0) break;
    if (i + 1 == place->line) copy_line(line, text, bytes);
  }
  free(line);
  if (f) fclose(f);
}

/* ---- Findings that are meant ---- */

static const char *const allowable[] = {
    "array-bounds", "barrier-divergence", "barrier-exited", "not-in-sequence", "overflow", "race", "read-only-written",
    "swizzle",      "uninitialised",      "warp-absent",    "warp-exited"};
enum { ALLOWABLE = sizeof allowable / sizeof *allowable };

int sim_allowed_by_comment(const char *line, const char *code) {
  static const char mark[] = "pah: allow ";
  const char *comment = strstr(line, "//"), *at = comment ? strstr(comment, mark) : NULL;
  if (!at) return 0;
  at += sizeof mark - 1;
  for (int i = 0; i < ALLOWABLE; i++)
    if (!strcmp(code, allowable[i]) && !strncmp(at, code, strlen(code))) return 1;
  return 0;
}

static int refuse_code(const char *kernel, int length, const char *code) {
  char names[256];
  size_t n = 0;
  for (int i = 0; i < ALLOWABLE; i++)
    n += (size_t)snprintf(names + n, sizeof names - n, "%s%s",
                          i == 0               ? ""
                          : i + 1 == ALLOWABLE ? " or "
                                               : ", ",
                          allowable[i]);
  return pah_fail(PAH_EINVAL, "%s: allow: is \"%.*s\", must be %s: after other findings a launch cannot go on", kernel,
                  length, code, names);
}

int sim_check_allow(const char *kernel, const char *list) {
  for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',') {
    int known = 0;
    for (int i = 0; i < ALLOWABLE; i++)
      known |= strcspn(at, ",") == strlen(allowable[i]) && !strncmp(at, allowable[i], strlen(allowable[i]));
    if (!known) return refuse_code(kernel, (int)strcspn(at, ","), at);
  }
  return PAH_OK;
}
