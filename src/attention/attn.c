/* attn.c - an attention call: checked once (attn_check.c), then handed to the device of q.
 * Read next: attn_check.h, attn.h (sizes of a checked problem), then cpu/device.c. */
#include <math.h>
#include <string.h>

#include "attn_check.h"
#include "device.h"
#include "error.h"

void pah_attn_init(struct pah_attn *a) {
  memset(a, 0, sizeof *a);
  a->seqlen_k = -1;
  a->softmax_scale = NAN;
  a->o_scale = 1;
  a->window_left = a->window_right = -1;
}

/* What the kernels of a device do not take yet. */
static int check_taken(int op, const struct pah_attn *a) {
  struct pah_attn_sizes s = pah_attn_sizes(a);
  const char *kind = a->q.device->ops->kind;
  if (strcmp(kind, "cpu") != 0) return PAH_OK;
  if (a->sinks.dtype != PAH_NONE) return pah_fail(PAH_EUNSUPPORTED, "sinks: not taken by the kernels of %s", kind);
  if (a->tree_mask.dtype != PAH_NONE)
    return pah_fail(PAH_EUNSUPPORTED, "tree_mask: not taken by the kernels of %s", kind);
  if (s.D != s.Dv) return pah_fail(PAH_EUNSUPPORTED, "v_blocks: not taken by the kernels of %s", kind);
  if (s.D > 256) return pah_fail(PAH_EUNSUPPORTED, "q: head_dim not taken by the kernels of %s", kind);
  if (op == PAH_DECODE && (s.ragged || s.total_q != s.B))
    return pah_fail(PAH_EUNSUPPORTED, "q: several queries not taken by the kernels of %s", kind);
  return PAH_OK;
}

int pah_attention(int op, const struct pah_attn *a) {
  int status = pah_attn_check(op, a, 0);
  if (!status) status = check_taken(op, a);
  return status ? status : a->q.device->ops->attention(a->q.device, op, a);
}
