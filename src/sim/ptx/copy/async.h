/* async.h - what the asynchronous instructions share: copies in flight and the mbarriers that they report to.
 * A copy is checked when it is issued (bounds, races, initialisation) and its destination is poisoned; it lands as late
 * as the rules allow: when somebody waits for it. Its source is remembered from the issue, so that a source changed in
 * flight is seen at the landing. Read next: async.c (cp.async), mbarrier.c, tma.c. */
#ifndef PAH_SIM_ASYNC_H
#define PAH_SIM_ASYNC_H

#include "sim/abi_ptx.h"
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
  const struct sim_home *from; /* the thread block that issued it */
  const void *pc;
  uint8_t *shared; /* the whole range on the side of shared memory */
  uint32_t bytes;
  uint32_t reported;                /* to the mbarrier: those of the box, without the gaps of its rows */
  uint32_t row_bytes, pitch, start; /* rows of a box with gaps, from shared address `start` on; pitch 0: no gaps */
  int swizzle;
  const void *map; /* of a tensor copy */
  int64_t group;   /* of a store */
  int64_t count;
  struct async_piece *pieces;
  uint8_t *data;                /* the source as it was at the issue, piece after piece */
  pah_sim_reduction *reduction; /* red.async: what to make of the old value and `data`; else NULL */
  int operation, type;          /* cp.reduce: PAH_SIM_ASYNC_*, SIM_MAP_*; 0: it copies */
};

struct sim_mbarrier;

/* ---- mbarrier.c ---- */
/* The mbarrier at this address for the running thread, of its thread block or of any of the cluster; fatal when there
 * is none, or its memory was written to. */
struct sim_mbarrier *mbarrier_at(uint32_t address, const char *instruction, const void *pc);
struct sim_mbarrier *mbarrier_in_cluster(uint32_t address, const char *instruction, const void *pc);
/* The same for a copy that reports to it: the thread itself does not touch it. */
struct sim_mbarrier *mbarrier_of_copy(uint32_t address, const char *instruction, const void *pc);
struct sim_home *mbarrier_home(const struct sim_mbarrier *b); /* whose memory it is in */
/* A copy that will report to b starts: its agent, fresh from the running thread. */
int mbarrier_agent(struct sim_mbarrier *b, const void *pc);
void mbarrier_add_copy(struct sim_mbarrier *b, struct async_copy *copy); /* takes it over */
void mbarrier_add_arrival(struct sim_mbarrier *b, int increment, uint64_t sequence, const void *pc);
void mbarrier_visible(const struct sim_thread *t); /* those that it initialised are now known to the async proxy */
void mbarrier_begin(void);                         /* of a gang; *_block_end: of the running thread block */
void mbarrier_block_end(void);

/* ---- async.c ---- */
void *async_allocate(size_t bytes);                /* zeroed; never NULL */
void cp_async_land(int thread, uint64_t sequence); /* copies of the thread up to this one; by an mbarrier */
/* Before data lands at dst: finds a poison that was written over, and a source that is no longer `data`. */
void async_check_landing(const uint8_t *dst, uint32_t bytes, const uint8_t *src, const uint8_t *data,
                         uint32_t source_bytes, const void *pc); /* source_bytes 0: the source does not matter */

/* ---- tma.c ---- */
struct async_copy *bulk_new(uint8_t *shared, uint32_t bytes, int64_t pieces, const void *pc);
/* `bytes` of shared memory at s beside as many of global memory, or of the own shared memory, at g. */
void bulk_add(struct async_copy *c, int load, uint8_t *s, uint8_t *g, uint32_t bytes, uint32_t at);
struct async_copy *bulk_box(const void *map, int rank, struct pah_sim_coordinates at, uint32_t shared, const void *pc);
void bulk_check(uintptr_t global, uint32_t shared, uint32_t bytes, const void *pc);
/* A load starts, or what else reports to an mbarrier; it takes the copy over. */
void bulk_load(struct async_copy *c, uint32_t barrier);
void bulk_store(struct async_copy *c);   /* a store starts, which takes the copy over */
void bulk_land(struct async_copy *copy); /* a load; frees it */
void bulk_free(struct async_copy *copy);
void bulk_begin(void);
void bulk_block_end(void);

/* ---- reduce.c ---- */
void reduce_check(int operation, int type, int in_shared, const void *pc); /* fatal: there is no such reduction */
void reduce_elements(int operation, int type, uint8_t *dst, const uint8_t *src, uint32_t bytes);

/* ---- map.c ---- */
/* The tensor map that a copy on behalf of this agent uses is one, was not changed without a fence, and stays. */
void map_check(const void *map, int agent, const void *pc);
void map_begin(void);

/* ---- swizzle.c ---- */
void swizzle_laid_out(const uint8_t *p, uint32_t bytes, int span); /* span: of the map, in chunks; 0: by no map */
void swizzle_check(uint32_t address, uint32_t span, const void *pc);

/* ---- proxy.c ---- */
void proxy_begin(void);

/* ---- wgmma.c ---- */
void wgmma_begin(void);
void wgmma_block_end(void);

#endif
