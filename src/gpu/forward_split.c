/* forward_split.c - a forward of up to 64 queries a sequence, by decode's kernel (sm80.c), which shares the keys of a
 * sequence out among thread blocks. The other forwards give all keys of a tile of rows to one: with fewer tiles than
 * multiprocessors, most of the GPU waits. The host knows shapes only, as lengths are on the device: of ragged queries
 * their sum has to be 64 at most. What it gains: doc/design/gpu-forward-sm80.md. */
#include "forward_split.h"

#include <stdio.h>

#include "error.h"
#include "forward_common.h"
#include "sm80.h"

enum { TILE_ROWS = 128, SIM_SMS = 6 };

int pah_forward_split_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int64_t queries = s->ragged ? s->total_q : a->q.shape[2];
  if (queries > PAH_MAX_DECODE_QUERIES)
    return pah_fail(PAH_EUNSUPPORTED,
                    "q: the split-kv kernel takes at most %d queries, of ragged ones in all, not %lld",
                    PAH_MAX_DECODE_QUERIES, (long long)queries);
  if (a->block_m || a->block_n)
    return pah_fail(PAH_EUNSUPPORTED, "block_m: the split-kv kernel has tiles of its own, must be 0");
  if (pah_gpu_sm80_takes(dev, a, s) == PAH_OK) return PAH_OK;
  char why[256];
  snprintf(why, sizeof why, "%s", pah_error());
  return pah_fail(PAH_EUNSUPPORTED, "q: the split-kv kernel takes what that of decode takes; %s", why);
}

int pah_forward_split_pays(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int64_t sms = dev->info.sms > 1 ? dev->info.sms : SIM_SMS; /* one is a simulated one */
  return s->B && pah_forward_items(a, s, TILE_ROWS, pah_forward_pack(s, TILE_ROWS)) < sms;
}

int pah_forward_split(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                      struct pah_attn_params *p) {
  p->most_queries = PAH_MAX_DECODE_QUERIES;
  return pah_gpu_sm80_decode(dev, a, s, p);
}
