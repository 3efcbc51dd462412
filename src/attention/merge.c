/* merge.c - two partial attention results over disjoint keys into one: the rules, then the device of out_a.
 * The weights exp(lse - max) are the device's (cpu/merge.h). */
#include "attn_check.h"
#include "tensor/check.h"
#include "device.h"
#include "error.h"

enum { OUT_A, LSE_A, OUT_B, LSE_B, OUT, LSE, ARG_COUNT };

static int check_dtypes(const struct pah_arg *args, int reference) {
  unsigned f64 = 1u << PAH_F64, f32 = 1u << PAH_F32;
  int status = PAH_OK;
  for (int i = 0; i < ARG_COUNT && !status; i++) {
    unsigned set = i % 2 ? f32 : (unsigned)PAH_REAL_DTYPES;
    if (reference) set = i >= OUT ? f64 : set | f64;
    status = pah_check_dtype(args[i], set, "");
  }
  return status;
}

static int check_shapes(const struct pah_arg *args) {
  const struct pah_tensor *out = args[OUT_A].t, *lse = args[LSE_A].t;
  static const int64_t any[] = {-1, -1, -1, -1};
  if (out->ndim != 3 && out->ndim != 4)
    return pah_check_shape(args[OUT_A], 4, any, "[B, H, Sq, D], [B, H, D] or [total_q, H, D]");
  const int64_t padded[] = {out->shape[0], out->shape[1], out->ndim == 4 ? out->shape[2] : 1};
  const int64_t ragged[] = {out->shape[1], out->shape[0]};
  int is_ragged = out->ndim == 3 && lse->ndim == 2;
  int status = is_ragged ? pah_check_shape(args[LSE_A], 2, ragged, "[H, total_q]")
                         : pah_check_shape(args[LSE_A], 3, padded, "[B, H, Sq]");
  for (int i = OUT_B; i < ARG_COUNT && !status; i++)
    status = i % 2 ? pah_check_shape(args[i], lse->ndim, lse->shape, "that of lse_a")
                   : pah_check_shape(args[i], out->ndim, out->shape, "that of out_a");
  return status;
}

int pah_merge_check(const struct pah_merge *m, int reference) {
  if (!m) return pah_fail(PAH_EINVAL, "m: is NULL, must be a struct pah_merge");
  const struct pah_arg args[ARG_COUNT] = {{"out_a", &m->out_a}, {"lse_a", &m->lse_a}, {"out_b", &m->out_b},
                                          {"lse_b", &m->lse_b}, {"out", &m->out},     {"lse", &m->lse}};
  int status = PAH_OK;
  for (int i = 0; i < ARG_COUNT && !status; i++)
    status = pah_present(args[i].t) ? pah_check_tensor(args[i], args[OUT_A])
                                    : pah_fail(PAH_EINVAL, "%s: is missing, must be given to merge", args[i].name);
  if (!status && reference && !m->out_a.device->info.host_memory)
    status = pah_fail(PAH_EUNSUPPORTED, "out_a: is on %s, must be in host memory for the reference",
                      m->out_a.device->info.name);
  if (!status) status = check_dtypes(args, reference);
  if (!status) status = check_shapes(args);
  for (int i = 0; i < ARG_COUNT && !status; i += 2) status = pah_check_unit_stride(args[i]);
  return status ? status : pah_check_results(args + OUT, 2, args, OUT);
}

int pah_merge(const struct pah_merge *m) {
  int status = pah_merge_check(m, 0);
  if (status) return status;
  struct pah_device *dev = m->out_a.device;
  if (!dev->ops->merge) return pah_fail(PAH_EUNSUPPORTED, "merge: device %s has no kernel for it", dev->info.name);
  return dev->ops->merge(dev, m);
}
