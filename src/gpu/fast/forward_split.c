/* forward_split.c - a forward of up to 64 queries a sequence, by decode's kernel (decode_sm80.c), which shares the keys
 * of a sequence out among thread blocks. The other forwards give all keys of a tile of rows to one: where there are
 * few, most of the GPU waits. The host knows shapes only, as lengths are on the device: of ragged queries their sum has
 * to be 64 at most. What it gains: doc/design/gpu-forward-sm80.md. */
#include "fast_kernels.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "forward_common.h"

enum { TILE_ROWS = 128, OCTET = 8, SIM_SMS = 6 };

int pah_forward_split_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int64_t queries = s->ragged ? s->total_q : a->q.shape[2];
  if (queries > PAH_MAX_DECODE_QUERIES)
    return pah_fail(PAH_EUNSUPPORTED,
                    "q: the split-kv kernel takes at most %d queries, of ragged ones in all, not %lld",
                    PAH_MAX_DECODE_QUERIES, (long long)queries);
  if (a->block_m || a->block_n)
    return pah_fail(PAH_EUNSUPPORTED, "block_m: the split-kv kernel has tiles of its own, must be 0");
  if (pah_decode_sm80_takes(dev, a, s) == PAH_OK) return PAH_OK;
  char why[256];
  snprintf(why, sizeof why, "%s", pah_error());
  return pah_fail(PAH_EUNSUPPORTED, "q: the split-kv kernel takes what that of decode takes; %s", why);
}

/* Rows of a multiprocessor at a time: a tile of 128 if it is one of a wave, of whole waves of `blocks` thread blocks a
 * multiprocessor; or a share of all rows, in the kernel of decode, which computes at `percent` of the other's rate.
 * What both have to read is the same. Rates were measured on an H200: 230 TFLOP/s, beside 620 of sm90 and 325 of sm80.
 */
int pah_forward_split_pays(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  if (!s->B) return 0;
  int hopper = strcmp(dev->info.arch, "sm_90a") == 0;
  int64_t blocks = hopper ? 1 : 2, percent = hopper ? 37 : 70;
  int64_t sms = dev->info.sms > 1 ? dev->info.sms : SIM_SMS; /* one is a simulated one */
  int64_t tiles = pah_forward_items(a, s, TILE_ROWS, pah_forward_pack(s, TILE_ROWS)), wave = blocks * sms;
  int64_t rows = pah_up(s->group * pah_up(s->total_q, s->B), OCTET) * OCTET * s->B * s->Hkv;
  return rows * 100 < pah_up(tiles, wave) * wave * TILE_ROWS * percent;
}

int pah_forward_split(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                      struct pah_attn_params *p) {
  p->most_queries = PAH_MAX_DECODE_QUERIES;
  return pah_decode_sm80(dev, a, s, p);
}
