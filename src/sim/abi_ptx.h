/* abi_ptx.h - the PTX instructions that kernels/ptx.cuh asks the program to emulate: what abi.h is for the rest.
 * Registers travel by value in the structs below: an array whose address is taken would be memory to the checker. The
 * one exception are the sums of wgmma, which the emulation writes after the call, at the wait.
 * Served by sim/ptx/mma.c, sim/ptx/wgmma.c and the files of sim/ptx/copy/. */
#ifndef PAH_SIM_ABI_PTX_H
#define PAH_SIM_ABI_PTX_H

#ifdef __cplusplus
extern "C" {
#endif

struct pah_sim_v2 {
  unsigned r[2];
};
struct pah_sim_v4 {
  unsigned r[4];
};

/* ---- Matrices of a warp (sim/ptx/mma.c) ---- */
struct pah_sim_v4 pah_sim_ldmatrix(int count, int trans, unsigned row);
void pah_sim_stmatrix(int count, int trans, unsigned row, struct pah_sim_v4 r);
enum {
  PAH_SIM_MMA_BF16,
  PAH_SIM_MMA_F16,
  PAH_SIM_MMA_F16_F16, /* f16 sums */
  PAH_SIM_MMA_TF32,
  PAH_SIM_MMA_E4M3_E4M3,
  PAH_SIM_MMA_E5M2_E5M2,
  PAH_SIM_MMA_E4M3_E5M2,
  PAH_SIM_MMA_E5M2_E4M3,
  PAH_SIM_MMA_S8,
  PAH_SIM_MMA_S8_SATFINITE,
  PAH_SIM_MMA_HALF = 16 /* beside a kind of mma.sync: half as deep, the upper half of A and B is zero */
};
struct pah_sim_v4 pah_sim_mma(int kind, struct pah_sim_v4 a, struct pah_sim_v2 b, struct pah_sim_v4 c);

/* mma.sync of other shapes and types (sim/ptx/mma_forms.c). shape: m + 32 * k; types: of A, B, D and C, 4 bits each. */
enum {
  PAH_SIM_TYPE_F16,
  PAH_SIM_TYPE_E4M3,
  PAH_SIM_TYPE_E5M2,
  PAH_SIM_TYPE_S8,
  PAH_SIM_TYPE_U8,
  PAH_SIM_TYPE_S4,
  PAH_SIM_TYPE_U4,
  PAH_SIM_TYPE_B1,
  PAH_SIM_TYPE_F32,
  PAH_SIM_TYPE_S32
};
enum { /* flags */
       PAH_SIM_MMA_SATFINITE = 1,
       PAH_SIM_MMA_XOR = 2, /* of b1: bits that differ are counted */
       PAH_SIM_MMA_AND = 4,
       PAH_SIM_MMA_A_COL = 8,
       PAH_SIM_MMA_B_ROW = 16
};
struct pah_sim_registers {
  unsigned a[4], b[2], c[8];
};
struct pah_sim_doubles {
  unsigned long long a[8], b[4], c[4];
};
struct pah_sim_v8 {
  unsigned r[8];
};
struct pah_sim_d4 {
  unsigned long long r[4];
};
struct pah_sim_v8 pah_sim_mma_form(int shape, int types, int flags, struct pah_sim_registers registers);
struct pah_sim_d4 pah_sim_mma_f64(int shape, int mode, struct pah_sim_doubles registers); /* mode: PAH_SIM_RN, ... */

/* ---- cp.async (sim/ptx/copy/async.c) ---- */
void pah_sim_cp_async(unsigned dst, const void *src, int bytes, unsigned source_bytes); /* the rest is zeroed */
void pah_sim_cp_async_commit(void);
void pah_sim_cp_async_wait(int groups); /* at most so many of the newest still fly; -1: wait_all */
void pah_sim_cp_async_arrive(unsigned barrier, int noinc);

/* ---- mbarrier (sim/ptx/copy/mbarrier.c) ---- */
void pah_sim_mbarrier_init(unsigned barrier, unsigned count);
void pah_sim_mbarrier_inval(unsigned barrier);
/* The state that it returns holds the phase below and the arrivals that were missing before it above. */
unsigned long long pah_sim_mbarrier_arrive(unsigned barrier, unsigned count, unsigned expected_bytes);
enum { PAH_SIM_ARRIVE_DROP = 1, PAH_SIM_ARRIVE_NO_COMPLETE = 2, PAH_SIM_ARRIVE_RELAXED = 4 };
unsigned long long pah_sim_mbarrier_arrive_as(unsigned barrier, unsigned count, unsigned expected_bytes, int flags);
void pah_sim_mbarrier_expect(unsigned barrier, unsigned bytes);
void pah_sim_mbarrier_complete(unsigned barrier, unsigned bytes);            /* as a copy of so many bytes does */
int pah_sim_mbarrier_test(unsigned barrier, unsigned parity);                /* never waits */
int pah_sim_mbarrier_test_state(unsigned barrier, unsigned long long state); /* of an arrival */
int pah_sim_mbarrier_test_relaxed(unsigned barrier, unsigned long long value, int is_state); /* orders nothing */
void pah_sim_mbarrier_wait(unsigned barrier, unsigned parity);
void pah_sim_fence_mbarrier_init(void);

/* ---- Bulk copies (sim/ptx/copy/tma.c). Coordinates are in elements, innermost first. ---- */
struct pah_sim_coordinates {
  int at[5];
};
void pah_sim_bulk_load(unsigned dst, const void *src, unsigned bytes, unsigned barrier);
void pah_sim_bulk_store(void *dst, unsigned src, unsigned bytes);
void pah_sim_tensor_load(unsigned dst, const void *map, int rank, struct pah_sim_coordinates at, unsigned barrier);
void pah_sim_tensor_store(const void *map, int rank, struct pah_sim_coordinates at, unsigned src);
/* To thread blocks of the cluster: a load for each of a mask, and a copy from the own shared memory. */
void pah_sim_bulk_multicast(unsigned dst, const void *src, unsigned bytes, unsigned barrier, unsigned mask);
void pah_sim_tensor_multicast(unsigned dst, const void *map, int rank, struct pah_sim_coordinates at, unsigned barrier,
                              unsigned mask);
void pah_sim_bulk_copy(unsigned dst, unsigned src, unsigned bytes, unsigned barrier);
/* st.async of the first bytes of words; red.async, with what to make of the old value and this. */
void pah_sim_st_async(unsigned dst, struct pah_sim_v4 words, unsigned bytes, unsigned barrier);
typedef unsigned long long pah_sim_reduction(unsigned long long old, unsigned long long value);
void pah_sim_red_async(unsigned dst, unsigned long long value, unsigned bytes, pah_sim_reduction *reduction,
                       unsigned barrier);
/* Reducing copies; type: as tensormap.replace numbers those of elements (sim/ptx/copy/tensor_map.h). */
enum {
  PAH_SIM_ASYNC_ADD = 1,
  PAH_SIM_ASYNC_MIN,
  PAH_SIM_ASYNC_MAX,
  PAH_SIM_ASYNC_INC,
  PAH_SIM_ASYNC_DEC,
  PAH_SIM_ASYNC_AND,
  PAH_SIM_ASYNC_OR,
  PAH_SIM_ASYNC_XOR
};
void pah_sim_bulk_reduce(void *dst, unsigned src, unsigned bytes, int operation, int type);
void pah_sim_bulk_reduce_shared(unsigned dst, unsigned src, unsigned bytes, unsigned barrier, int operation, int type);
void pah_sim_tensor_reduce(const void *map, int rank, struct pah_sim_coordinates at, unsigned src, int operation);
void pah_sim_bulk_commit(void);
void pah_sim_bulk_wait(int groups, int read); /* read: only until the sources may be changed */

/* ---- Tensor maps that a kernel changes (sim/ptx/copy/map.c). field: PAH_SIM_MAP_*; at: the dimension ---- */
enum {
  PAH_SIM_MAP_ADDRESS,
  PAH_SIM_MAP_RANK,
  PAH_SIM_MAP_BOX,
  PAH_SIM_MAP_SIZE,
  PAH_SIM_MAP_STRIDE,
  PAH_SIM_MAP_STEP,
  PAH_SIM_MAP_TYPE,
  PAH_SIM_MAP_INTERLEAVE,
  PAH_SIM_MAP_SWIZZLE,
  PAH_SIM_MAP_FILL
};
void pah_sim_map_replace(void *map, int field, int at, unsigned long long value);
void pah_sim_map_copy(void *dst, unsigned src, unsigned bytes); /* tensormap.cp_fenceproxy, by a whole warp */
void pah_sim_map_release(void);
void pah_sim_map_acquire(const void *map, unsigned bytes);

/* ---- wgmma (sim/ptx/wgmma.c). kind: PAH_SIM_MMA_*; d: n / 2 floats of the caller ---- */
enum {
  PAH_SIM_WGMMA_REGISTERS = 1, /* A is in `a`, not at a_descriptor */
  PAH_SIM_WGMMA_ADD = 2,       /* D = A x B + D; else D = A x B */
  PAH_SIM_WGMMA_TRANS_A = 4,   /* A is M-major */
  PAH_SIM_WGMMA_TRANS_B = 8,   /* B is N-major */
  PAH_SIM_WGMMA_NEGATE_A = 16,
  PAH_SIM_WGMMA_NEGATE_B = 32,
  PAH_SIM_WGMMA_F16_SUMS = 64, /* d: n / 4 words of two */
  PAH_SIM_WGMMA_SATFINITE = 128,
  PAH_SIM_WGMMA_UNSIGNED_A = 256, /* of PAH_SIM_MMA_S8, whose sums are n / 2 of s32 */
  PAH_SIM_WGMMA_UNSIGNED_B = 512
};
void pah_sim_wgmma(int kind_and_n, int flags, float *d, unsigned long long a_descriptor,
                   unsigned long long b_descriptor, struct pah_sim_v4 a); /* kind_and_n: kind + 16 * n */
/* The same with each sum somewhere. */
void pah_sim_wgmma_at(int kind_and_n, int flags, float *const *d, unsigned long long a_descriptor,
                      unsigned long long b_descriptor, struct pah_sim_v4 a);
void pah_sim_wgmma_fence(void);
void pah_sim_wgmma_commit(void);
void pah_sim_wgmma_wait(int groups);
void pah_sim_setmaxnreg(int increase, int count);

#ifdef __cplusplus
}
#endif
#endif
