/* kv_append.c - new tokens into the paged cache: the rules, then the device of k_blocks.
 * Promises: slots are in range and named once, so that the tokens of a call are independent of each other. */
#include <stdlib.h>

#include "attn_check.h"
#include "tensor/check.h"
#include "device.h"
#include "error.h"

enum { K, V, K_BLOCKS, V_BLOCKS, SLOTS, K_DESCALE, V_DESCALE, ARG_COUNT };

static int check_dtypes(const struct pah_arg *args, int reference) {
  unsigned stored = PAH_REAL_DTYPES | PAH_FP8_DTYPES | (reference ? 1u << PAH_F64 : 0);
  int status = pah_check_dtype(args[K_BLOCKS], stored, "");
  if (status) return status;
  unsigned cache = 1u << args[K_BLOCKS].t->dtype;
  status = pah_check_dtype(args[V_BLOCKS], cache, ", as k_blocks");
  if (!status) status = pah_check_dtype(args[K], (unsigned)PAH_REAL_DTYPES | cache, "");
  if (!status) status = pah_check_dtype(args[V], 1u << args[K].t->dtype, ", as k");
  if (!status) status = pah_check_dtype(args[SLOTS], 1u << PAH_I32 | 1u << PAH_I64, "");
  for (int i = K_DESCALE; i <= V_DESCALE && !status; i++)
    if (pah_present(args[i].t)) status = pah_check_dtype(args[i], 1u << PAH_F32, "");
  return status;
}

static int check_shapes(const struct pah_arg *args) {
  static const int64_t any[] = {-1, -1, -1, -1};
  int status = pah_check_shape(args[K_BLOCKS], 4, any, "[num_blocks, block_size, Hkv, D]");
  if (!status) status = pah_check_shape(args[SLOTS], 1, any, "[T]");
  if (status) return status;
  const int64_t *cache = args[K_BLOCKS].t->shape;
  if (cache[1] < 1) return pah_fail(PAH_EINVAL, "k_blocks: block_size is 0, must be 1 or more");
  if (cache[2] < 1 || cache[3] < 1)
    return pah_fail(PAH_EINVAL, "k_blocks: has no key/value heads or a head_dim of 0, must have 1 or more of both");
  const int64_t values[] = {cache[0], cache[1], cache[2], -1};
  status = pah_check_shape(args[V_BLOCKS], 4, values, "[num_blocks, block_size, Hkv, Dv] of k_blocks");
  if (status) return status;
  const int64_t k[] = {args[SLOTS].t->shape[0], cache[2], cache[3]};
  const int64_t v[] = {k[0], k[1], args[V_BLOCKS].t->shape[3]};
  if (v[2] < 1) return pah_fail(PAH_EINVAL, "v_blocks: has a head_dim of 0, must have 1 or more");
  status = pah_check_shape(args[K], 3, k, "[T, Hkv, D]");
  if (!status) status = pah_check_shape(args[V], 3, v, "[T, Hkv, Dv], as v_blocks");
  for (int i = K_DESCALE; i <= V_DESCALE && !status; i++)
    if (pah_present(args[i].t)) status = pah_check_shape(args[i], 0, any, "a scalar");
  return status;
}

/* ---- Slots ----------------------------------------------------------------------------------------------- */

static int64_t slot_at(const struct pah_tensor *t, int64_t i) {
  int64_t at = i * t->stride[0];
  return t->dtype == PAH_I64 ? ((const int64_t *)t->data)[at] : ((const int32_t *)t->data)[at];
}

static int check_slot_range(const struct pah_tensor *t, int64_t slots) {
  for (int64_t i = 0; i < t->shape[0]; i++) {
    int64_t slot = slot_at(t, i);
    if (slot < -1 || slot >= slots)
      return pah_contents_fail(
          &(struct pah_broken_rule){PAH_RULE_SLOT_RANGE, .index = i, .value = slot, .limit = slots});
  }
  return PAH_OK;
}

/* A hash table of token numbers + 1 by slot, at most half full; 0: free. */
static int check_slots_differ(const struct pah_tensor *t) {
  int64_t count = t->shape[0];
  int bits = 1;
  while (((int64_t)1 << bits) < 2 * count) bits++;
  int64_t *seen = calloc((size_t)1 << bits, sizeof *seen);
  if (!seen) return pah_fail(PAH_ENOMEM, "slot_mapping: no memory to compare %lld slots", (long long)count);
  uint64_t mask = ((uint64_t)1 << bits) - 1;
  int status = PAH_OK;
  for (int64_t i = 0; i < count && !status; i++) {
    int64_t slot = slot_at(t, i);
    if (slot < 0) continue;
    uint64_t at = (uint64_t)slot * 0x9e3779b97f4a7c15u >> (64 - bits);
    while (seen[at] && slot_at(t, seen[at] - 1) != slot) at = (at + 1) & mask;
    if (seen[at])
      status = pah_contents_fail(
          &(struct pah_broken_rule){PAH_RULE_SLOT_TWICE, .index = i, .value = slot, .limit = seen[at] - 1});
    seen[at] = i + 1;
  }
  free(seen);
  return status;
}

/* ---- The call -------------------------------------------------------------------------------------------- */

int pah_kv_append_check(const struct pah_kv_append *c, int reference) {
  if (!c) return pah_fail(PAH_EINVAL, "c: is NULL, must be a struct pah_kv_append");
  const struct pah_arg args[ARG_COUNT] = {{"k", &c->k},
                                          {"v", &c->v},
                                          {"k_blocks", &c->k_blocks},
                                          {"v_blocks", &c->v_blocks},
                                          {"slot_mapping", &c->slot_mapping},
                                          {"k_descale", &c->k_descale},
                                          {"v_descale", &c->v_descale}};
  int status = PAH_OK;
  for (int i = 0; i < ARG_COUNT && !status; i++) {
    if (pah_present(args[i].t))
      status = pah_check_tensor(args[i], args[K]);
    else if (i < K_DESCALE)
      status = pah_fail(PAH_EINVAL, "%s: is missing, must be given to kv_append", args[i].name);
  }
  int host = !status && c->k.device->info.host_memory;
  if (!status && reference && !host)
    status =
        pah_fail(PAH_EUNSUPPORTED, "k: is on %s, must be in host memory for the reference", c->k.device->info.name);
  if (!status) status = check_dtypes(args, reference);
  if (!status) status = check_shapes(args);
  for (int i = K; i <= V_BLOCKS && !status; i++) status = pah_check_unit_stride(args[i]);
  struct pah_arg others[ARG_COUNT] = {args[K], args[V], args[SLOTS]};
  int other_count = 3;
  for (int i = K_DESCALE; i <= V_DESCALE; i++)
    if (pah_present(args[i].t)) others[other_count++] = args[i];
  if (!status) status = pah_check_results(args + K_BLOCKS, 2, others, other_count);
  int readable = !status && (host || c->k.device->ops->host_readable);
  return readable ? pah_kv_append_check_contents(c) : status;
}

int pah_kv_append_check_contents(const struct pah_kv_append *c) {
  int status = check_slot_range(&c->slot_mapping, c->k_blocks.shape[0] * c->k_blocks.shape[1]);
  return status ? status : check_slots_differ(&c->slot_mapping);
}

int pah_kv_append(const struct pah_kv_append *c) {
  int status = pah_kv_append_check(c, 0);
  if (status) return status;
  struct pah_device *dev = c->k_blocks.device;
  if (!dev->ops->kv_append)
    return pah_fail(PAH_EUNSUPPORTED, "kv_append: device %s has no kernel for it", dev->info.name);
  return dev->ops->kv_append(dev, c);
}
