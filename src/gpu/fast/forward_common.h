/* forward_common.h - what the hosts' sides of the fast forwards share: checks of what none of them takes, in the name
 * of the kernel that asks, and the sharing of a tile by heads. Read next: forward_sm90.c. */
#ifndef PAH_GPU_FORWARD_COMMON_H
#define PAH_GPU_FORWARD_COMMON_H

#include "attention/attn.h"
#include "device.h"

/* PAH_OK, or PAH_EUNSUPPORTED with "field: the KERNEL kernel takes ...": a device with wgmma, no tiles by name; */
int pah_forward_check_hopper(const struct pah_device *dev, const struct pah_attn *a, const char *kernel);
/* or one with cp.async and mma.sync of bf16; */
int pah_forward_check_ampere(const struct pah_device *dev, const struct pah_attn *a, const char *kernel);
/* bf16 or f16, all alike; */
int pah_forward_check_types(const struct pah_attn *a, const char *kernel);
/* f32; */
int pah_forward_check_f32(const struct pah_attn *a, const char *kernel);
/* counts that fit, a softmax_scale above 0, data and strides of 16 bytes. */
int pah_forward_check_sizes(const struct pah_attn *a, const struct pah_attn_sizes *s, const char *kernel);

/* 16 bytes at a time: the data and every row of a tensor must lie at a multiple of that. */
int pah_forward_check_aligned(const char *name, const struct pah_tensor *t, const char *kernel);

int64_t pah_gcd(int64_t a, int64_t b);

/* How kernels count places in a pool, in 32 bits: struct place_units of kernels/places.cuh. */
struct pah_place_units {
  uint32_t bytes, block, slot, head;
};
/* PAH_OK, or PAH_EUNSUPPORTED if the pool reaches further than 2^32 units. */
int pah_forward_units(const char *name, const struct pah_tensor *t, const char *kernel, struct pah_place_units *units);

/* Whether a scale of q, K, V or of out beside softmax_scale may differ from 1. */
int pah_forward_descaled(const struct pah_attn *a);

/* Whether the heads of a group can share a tile of `tile` rows. */
int pah_forward_packs(const struct pah_attn_sizes *s, int64_t tile);

/* Heads of a K/V head that share a tile of `tile` rows: all of a group where rows of one head would leave much of it
 * empty, else 1. */
int pah_forward_pack(const struct pah_attn_sizes *s, int64_t tile);
/* Tiles of rows of all heads; of ragged q, at most so many. */
int64_t pah_forward_items(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t tile, int pack);

#endif
