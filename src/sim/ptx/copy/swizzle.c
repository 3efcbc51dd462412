/* swizzle.c - by which swizzle a tensor copy has laid out shared memory, so that a descriptor of wgmma that says
 * another is told (finding swizzle). A chunk counts as long as its last write is that of the copy. Read next: tma.c,
 * wgmma_operand.c. */
#include "async.h"
#include "sim/check/check.h"
#include "sim/check/shadow.h"

enum { CHUNK = 16 };

static struct {
  sim_epoch write;
  uint8_t span; /* chunks in a row of the swizzle; 0: not known */
} * laid_out;   /* of each chunk of shared memory */

static sim_epoch write_of(uint32_t chunk) {
  const struct sim_space *s = &sim_spaces[SIM_SHARED];
  return s->split[chunk] ? s->cells[chunk * CHUNK_WORDS].write : s->chunks[chunk].write;
}

void swizzle_laid_out(const uint8_t *p, uint32_t bytes, int span) {
  const uint32_t from = (uint32_t)(p - sim_spaces[SIM_SHARED].base) / CHUNK;
  if (!laid_out) laid_out = sim_reserve((sim_spaces[SIM_SHARED].size / CHUNK + 1) * sizeof *laid_out);
  for (uint32_t i = from; i < from + bytes / CHUNK; i++) {
    laid_out[i].write = write_of(i);
    laid_out[i].span = (uint8_t)span;
  }
}

void swizzle_check(uint32_t address, uint32_t span, const void *pc) {
  const uint8_t *p = sim_shared_base() + address;
  const uint32_t chunk = (uint32_t)(p - sim_spaces[SIM_SHARED].base) / CHUNK, was = laid_out ? laid_out[chunk].span : 0;
  if (!was || was == span || !write_of(chunk) || write_of(chunk) != laid_out[chunk].write) return;
  sim_find_at(
      pc, NULL, p, "swizzle",
      "wgmma reads shared memory by a descriptor with a swizzle of %u bytes, and a tensor copy wrote it with one "
      "of %u (16: none)",
      span * CHUNK, was * CHUNK);
}
