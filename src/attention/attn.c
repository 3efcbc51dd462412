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

int pah_attention(int op, const struct pah_attn *a) {
  int status = pah_attn_check(op, a, 0);
  return status ? status : a->q.device->ops->attention(a->q.device, op, a);
}
