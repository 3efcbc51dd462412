/* occupancy.c - the table of the CUDA programming guide, "technical specifications per compute capability", and the
 * rule of the occupancy calculator: registers go to a warp in units of 256, and each thread block costs 1 KiB of shared
 * memory that is the system's. */
#include "occupancy.h"

#include <stdlib.h>
#include <string.h>

enum { KIB = 1024, WARP = 32, REGISTER_UNIT = 256 };

static const struct pah_arch_limits table[] = {
    {75, 1024, 16, 65536, 64 * KIB, 64 * KIB},    {80, 2048, 32, 65536, 164 * KIB, 163 * KIB},
    {86, 1536, 16, 65536, 100 * KIB, 99 * KIB},   {87, 1536, 16, 65536, 164 * KIB, 163 * KIB},
    {89, 1536, 24, 65536, 100 * KIB, 99 * KIB},   {90, 2048, 32, 65536, 228 * KIB, 227 * KIB},
    {100, 2048, 32, 65536, 228 * KIB, 227 * KIB}, {120, 1536, 24, 65536, 100 * KIB, 99 * KIB},
};

const struct pah_arch_limits *pah_arch_limits_of(int arch) {
  const struct pah_arch_limits *found = table;
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (table[i].arch <= arch) found = &table[i];
  return found;
}

const struct pah_arch_limits *pah_arch_limits(const char *arch) {
  return pah_arch_limits_of(strncmp(arch, "sm_", 3) ? 0 : (int)strtol(arch + 3, NULL, 10));
}

int32_t pah_thread_blocks_per_sm(const struct pah_arch_limits *limits, int64_t threads, int64_t registers,
                                 int64_t shared, double *occupancy) {
  int64_t warps = (threads + WARP - 1) / WARP, blocks = limits->threads / (warps * WARP);
  int64_t system = limits->arch >= 80 ? KIB : 0;
  if (blocks > limits->thread_blocks) blocks = limits->thread_blocks;
  if (shared + system > 0 && blocks > limits->shared / (shared + system)) blocks = limits->shared / (shared + system);
  if (registers > 0) {
    int64_t warp = (registers * WARP + REGISTER_UNIT - 1) / REGISTER_UNIT * REGISTER_UNIT;
    int64_t fit = limits->registers / warp / 4 * 4 / warps; /* a quarter of the multiprocessor has its own registers */
    if (blocks > fit) blocks = fit;
  }
  if (occupancy) *occupancy = (double)(blocks * warps * WARP) / limits->threads;
  return (int32_t)blocks;
}
