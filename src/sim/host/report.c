/* report.c - addresses in the words of a paged cache: which block, slot, head and element, and whose token it is.
 * Source lines get their names in symbol.c. Read next: symbol.c, launch.c. */
#include "report.h"

#include <stdio.h>
#include <string.h>

/* Splits the byte offset of `t` into indices; 0 if it lies before the tensor. Past its end the first index runs on. */
static int locate(const struct pah_tensor *t, const void *address, int64_t *index) {
  int64_t size = pah_dtype_size(t->dtype);
  if (t->dtype == PAH_NONE || !size || (const uint8_t *)address < (const uint8_t *)t->data) return 0;
  int64_t left = ((const uint8_t *)address - (const uint8_t *)t->data) / size;
  int done[PAH_MAX_DIMS] = {0};
  for (int n = 0; n < t->ndim; n++) { /* from the largest stride to the smallest */
    int at = -1;
    for (int i = 0; i < t->ndim; i++)
      if (!done[i] && (at < 0 || t->stride[i] > t->stride[at])) at = i;
    done[at] = 1;
    index[at] = t->stride[at] ? left / t->stride[at] : 0;
    if (at > 0 && index[at] >= t->shape[at]) index[at] = t->shape[at] - 1;
    left -= index[at] * t->stride[at];
  }
  return left == 0 || left < size;
}

static int inside(const struct pah_tensor *t, const void *address) {
  int64_t last = 0;
  for (int i = 0; i < t->ndim; i++) last += (t->shape[i] - 1) * t->stride[i];
  const uint8_t *end = (const uint8_t *)t->data + (last + 1) * pah_dtype_size(t->dtype);
  return t->dtype != PAH_NONE && (const uint8_t *)address >= (const uint8_t *)t->data && (const uint8_t *)address < end;
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

void sim_describe_address(const struct pah_attn *a, const void *address, char *text, size_t bytes) {
  if (!a || !address || !a->block_table.data || a->k_blocks.ndim != 4) return;
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
    const uint8_t *start = all[i].t->data;
    if (all[i].t->dtype != PAH_NONE && start <= (const uint8_t *)address &&
        (nearest < 0 || start > (const uint8_t *)all[nearest].t->data))
      nearest = i;
  }
  if (nearest < 0) return;
  if (all[nearest].cache)
    describe_cache(a, all[nearest].name, all[nearest].t, address, text, bytes);
  else
    describe_tensor(all[nearest].name, all[nearest].t, address, text, bytes);
}
