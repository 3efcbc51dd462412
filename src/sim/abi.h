/* abi.h - all that a kernel compiled for sim calls in the program: read by C++ (include/pah_sim.h, kernels/ptx.cuh) and
 * by the C that serves it (runtime in this folder). Loads and stores are not here: g++ -fsanitize=thread puts calls of
 * __tsan_read4 and so on into the kernel (src/sim/check/hooks.c). Every call may switch to another simulated thread.
 * The place of a call in the source is found from its return address, through inlined functions: the innermost line
 * that is not in one of our own headers. Only barriers carry their line, since compilers duplicate calls. */
#ifndef PAH_SIM_ABI_H
#define PAH_SIM_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Geometry: constant in a simulated thread, hence __attribute__((const)) ---- */
struct pah_sim_dim {
  unsigned x, y, z;
};
struct pah_sim_dim pah_sim_thread_idx(void) __attribute__((const));
struct pah_sim_dim pah_sim_block_idx(void) __attribute__((const));
struct pah_sim_dim pah_sim_block_dim(void) __attribute__((const));
struct pah_sim_dim pah_sim_grid_dim(void) __attribute__((const));
unsigned pah_sim_lane(void) __attribute__((const)); /* 0 to 31; %laneid */
unsigned pah_sim_dynamic_shared_bytes(void) __attribute__((const));

/* The cluster: one thread block where the launch has none. */
struct pah_sim_dim pah_sim_cluster_dim(void) __attribute__((const)); /* in thread blocks */
struct pah_sim_dim pah_sim_cluster_block_idx(void) __attribute__((const));
unsigned pah_sim_cluster_rank(void) __attribute__((const));
int pah_sim_is_cluster(void) __attribute__((const)); /* the launch asked for clusters */

/* ---- Barriers ---- */
enum { PAH_SIM_PLAIN, PAH_SIM_COUNT, PAH_SIM_AND, PAH_SIM_OR };
int pah_sim_syncthreads(int kind, int predicate, int line);                 /* returns the reduction */
void pah_sim_named_barrier(int id, int threads, int arrive_only, int line); /* bar.sync / bar.arrive id, threads */
void pah_sim_syncwarp(unsigned mask, int line);
/* Of a tile of 64 to 512 threads, one after another in the thread block: all meet, and each that names a result gets
 * the bytes at `value` of the one of this rank in the tile. */
void pah_sim_tile_exchange(unsigned threads, const void *value, unsigned bytes, unsigned from, void *result, int line);
void pah_sim_cluster_arrive(int releases, int line);
void pah_sim_cluster_wait(int line);
void pah_sim_grid_arrive(int line); /* of a cooperative launch */
void pah_sim_grid_wait(int line);
int pah_sim_is_cooperative(void) __attribute__((const));
enum { PAH_SIM_FENCE_BLOCK, PAH_SIM_FENCE_DEVICE, PAH_SIM_FENCE_SYSTEM, PAH_SIM_FENCE_PROXY_ASYNC };
void pah_sim_fence(int scope);

/* ---- Warp collectives: every lane of mask calls with the same op and mask ---- */
enum {
  PAH_SIM_SHFL_IDX, /* argument: lane in the low 32 bits, width (power of two up to 32) above; an up or down of no */
  PAH_SIM_SHFL_UP,  /*   source lane returns the caller's own value */
  PAH_SIM_SHFL_DOWN,
  PAH_SIM_SHFL_XOR,
  PAH_SIM_BALLOT, /* value: predicate */
  PAH_SIM_ANY,
  PAH_SIM_ALL,
  PAH_SIM_UNI,
  PAH_SIM_MATCH_ANY,  /* mask of the lanes with this value */
  PAH_SIM_MATCH_ALL,  /* mask if all are equal, else 0; argument: nothing */
  PAH_SIM_REDUCE_ADD, /* of 32 bits, unsigned unless named S */
  PAH_SIM_REDUCE_MIN,
  PAH_SIM_REDUCE_MAX,
  PAH_SIM_REDUCE_SMIN,
  PAH_SIM_REDUCE_SMAX,
  PAH_SIM_REDUCE_AND,
  PAH_SIM_REDUCE_OR,
  PAH_SIM_REDUCE_XOR
};
unsigned long long pah_sim_collective(int op, unsigned mask, unsigned long long value, unsigned long long argument);
/* The same for a caller that tells the place in the kernel. */
unsigned long long pah_sim_collective_at(int op, unsigned mask, unsigned long long value, unsigned long long argument,
                                         const void *pc);
unsigned pah_sim_activemask(void); /* the lanes of the warp that come here before the warp can go on without it */

/* What a typed pointer among the parameters of a kernel points to; OF_ANY: all kinds of tensors may be meant. */
enum {
  PAH_SIM_OF_ANY,
  PAH_SIM_OF_F32,
  PAH_SIM_OF_F64,
  PAH_SIM_OF_F16,
  PAH_SIM_OF_BF16,
  PAH_SIM_OF_E4M3,
  PAH_SIM_OF_E5M2,
  PAH_SIM_OF_I32,
  PAH_SIM_OF_I64
};

/* ---- Memory ---- */
/* To be called before code that the hooks do not see (no_sanitize("thread")) touches memory. */
enum { PAH_SIM_READ = 1, PAH_SIM_WRITE = 2, PAH_SIM_ATOMIC = 4, PAH_SIM_VOLATILE = 8, PAH_SIM_DECIDES = 256 };
void pah_sim_access(const volatile void *p, unsigned long bytes, int flags);
/* An atomic read-modify-write, load or store that the header then does itself. Orders like those of PTX. */
enum { PAH_SIM_RELAXED = 0, PAH_SIM_ACQUIRE = 1, PAH_SIM_RELEASE = 2, PAH_SIM_OF_BLOCK = 4 }; /* last: its scope */
/* flags: READ, WRITE or both; DECIDES for a compare-and-swap, a minimum and the like, whose outcome is right whatever
 * the thread had read before; pc: a place in the kernel */
void pah_sim_atomic(volatile void *p, unsigned long bytes, int flags, int order, const void *pc);
void pah_sim_reduces(void); /* the result of the atomic that comes next is not used: a reduction */
/* A local variable begins, which nobody has set; it ends. */
void pah_sim_local_begin(void *p, unsigned long bytes);
void pah_sim_local_end(void *p, unsigned long bytes);
/* Those bytes before and behind a local variable are nobody's, until its end. `from`: its value, or NULL. */
enum { PAH_SIM_GUARD = 256 };
void pah_sim_guard_begin(void *p, unsigned long bytes, const void *from);
void pah_sim_guard_end(void *p, unsigned long bytes);
/* An element that is not among the `bytes` that its pointer points to: a finding. */
void pah_sim_beyond(long long index, unsigned long bytes, unsigned long each);
/* A read that follows takes these bytes for never written by this launch (__ldg, ld.global.nc). */
void pah_sim_read_only(const volatile void *p, unsigned long bytes, const void *pc);
void *pah_sim_memcpy(void *dst, const void *src, unsigned long bytes); /* checked, as is memset */
void *pah_sim_memset(void *dst, int value, unsigned long bytes);
unsigned pah_sim_shared_address(const volatile void *p); /* generic to shared, __cvta_generic_to_shared */
void *pah_sim_shared_pointer(unsigned address);
/* What an address of shared memory, or a pointer there, is in the thread block of this rank of the cluster. */
unsigned pah_sim_mapa(unsigned address, unsigned rank);
void *pah_sim_map_shared(const volatile void *p, unsigned rank);
unsigned pah_sim_shared_rank(const volatile void *p); /* whose memory p is */
int pah_sim_space(const volatile void *p);            /* 0 unknown, 1 global, 2 shared, 3 local, 4 constant */
void *pah_sim_malloc(unsigned long bytes); /* device-side malloc: of the launch, NULL when its heap is used up */
void pah_sim_free(void *p);

/* ---- Life of a thread ---- */
void pah_sim_exit(void) __attribute__((noreturn));
void pah_sim_trap(void) __attribute__((noreturn));
void pah_sim_assert(const char *expression, const char *file, int line) __attribute__((noreturn));
void pah_sim_yield(void);               /* __nanosleep: let others run */
unsigned long long pah_sim_clock(void); /* grows with every call; no measure of time */
int pah_sim_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What the header knows cannot be simulated: a finding "unsupported" with these words; the launch ends. */
void pah_sim_unsupported(const char *what) __attribute__((noreturn));

/* PTX that is no PTX: the finding "bad-ptx". */
void pah_sim_bad_ptx(const char *what) __attribute__((noreturn));

/* By the compiler (-fsanitize=bounds): an index outside its array, a finding. The access itself comes after it. `what`:
 * the compiler's struct that tells the types; index: by value, if it has at most 64 bits. */
void pah_sim_index(const void *what, uintptr_t index);
/* The same of a sum, difference, product, quotient or negative number of a signed type that it does not fit into. */
void pah_sim_overflow_add(const void *what, uintptr_t a, uintptr_t b);
void pah_sim_overflow_sub(const void *what, uintptr_t a, uintptr_t b);
void pah_sim_overflow_mul(const void *what, uintptr_t a, uintptr_t b);
void pah_sim_overflow_div(const void *what, uintptr_t a, uintptr_t b);
void pah_sim_overflow_neg(const void *what, uintptr_t a);

#ifdef __cplusplus
}
#endif
#endif
