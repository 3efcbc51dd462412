/* async.h - what the asynchronous instructions share: copies in flight and the mbarriers that they report to.
 * A copy is checked when it is issued (bounds, races, initialisation) and its destination is poisoned; it lands as late
 * as the rules allow: when somebody waits for it. Its source is remembered from the issue, so that a source changed in
 * flight is seen at the landing. Read next: async.c (cp.async), mbarrier.c, tma.c. */
#ifndef PAH_SIM_ASYNC_H
#define PAH_SIM_ASYNC_H

#include "sim/block/runtime.h"

/* A piece of a bulk copy: contiguous on both sides. */
struct async_piece {
  uint8_t *dst;
  const uint8_t *src; /* NULL: zeros */
  uint32_t bytes, at; /* at: of its bytes in `data` */
};

/* A bulk copy in flight. */
struct async_copy {
  struct async_copy *next;
  const void *pc;
  uint8_t *shared; /* the whole range on the side of shared memory */
  uint32_t bytes;
  uint32_t reported;                /* to the mbarrier: those of the box, without the gaps of its rows */
  uint32_t row_bytes, pitch, start; /* rows of a box with gaps, from shared address `start` on; pitch 0: no gaps */
  int swizzle, has_map;
  int64_t group; /* of a store */
  int64_t count;
  struct async_piece *pieces;
  uint8_t *data; /* the source as it was at the issue, piece after piece */
};

struct sim_mbarrier;

/* ---- mbarrier.c ---- */
/* The mbarrier at this address for the running thread; fatal when there is none, or its memory was written to. */
struct sim_mbarrier *mbarrier_at(uint32_t address, const char *instruction, const void *pc);
/* A copy that will report to b starts: its agent, fresh from the running thread. */
int mbarrier_agent(struct sim_mbarrier *b, const void *pc);
void mbarrier_add_copy(struct sim_mbarrier *b, struct async_copy *copy); /* takes it over */
void mbarrier_add_arrival(struct sim_mbarrier *b, int increment, uint64_t sequence, const void *pc);
void mbarrier_visible(int thread); /* those that the thread initialised are now known to the async proxy */
void mbarrier_block_end(void);

/* ---- async.c ---- */
void *async_allocate(size_t bytes);                /* zeroed; never NULL */
void cp_async_land(int thread, uint64_t sequence); /* copies of the thread up to this one; by an mbarrier */
void cp_async_block_end(void);
/* Before data lands at dst: finds a poison that was written over, and a source that is no longer `data`. */
void async_check_landing(const uint8_t *dst, uint32_t bytes, const uint8_t *src, const uint8_t *data,
                         uint32_t source_bytes, const void *pc); /* source_bytes 0: the source does not matter */

/* ---- tma.c ---- */
void bulk_land(struct async_copy *copy); /* a load; frees it */
void bulk_free(struct async_copy *copy);
void bulk_block_begin(void);
void bulk_block_end(void);

/* ---- swizzle.c ---- */
void swizzle_laid_out(const uint8_t *p, uint32_t bytes, int span); /* span: of the map, in chunks; 0: by no map */
void swizzle_check(uint32_t address, uint32_t span, const void *pc);

/* ---- proxy.c ---- */
void proxy_block_begin(void);

/* ---- wgmma.c ---- */
void wgmma_block_begin(void);
void wgmma_block_end(void);

#endif
