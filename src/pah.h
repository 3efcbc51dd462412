/* pah.h - the interface of pah, first part: errors, dtypes, devices, tensors, attention. C, the kernels and LuaJIT all
 * read it. At build time scripts/cdef.awk turns the interface headers (INTERFACE in Makefile.am) into the text of the
 * only ffi.cdef (lua/pah/ffi.lua), so below the guard there is no macro and no preprocessor line but #include.
 * Read next: pah_module.h, pah_measure.h; src/attention/attn.c (the rules of an attention call), src/tensor/tensor.c,
 * then src/cpu/device.c. */
#ifndef PAH_H
#define PAH_H

#include <stddef.h>
#include <stdint.h>

/* ---- Errors ---------------------------------------------------------------------------------------------
 * Every function that can fail returns 0 or one of these, and leaves one line in thread-local storage that
 * says which field is wrong, what it is and what it must be. A function that fails has written nothing. */
enum pah_status {
  PAH_OK = 0,
  PAH_EINVAL = -1,       /* an argument breaks a rule of its documentation */
  PAH_ENOMEM = -2,       /* memory of the host or of a device ran out */
  PAH_EUNSUPPORTED = -3, /* legal, but this kernel or device does not do it */
  PAH_EDEVICE = -4,      /* the device is not usable, or failed */
  PAH_EIO = -5,          /* a file could not be read or written, or lies about itself */
  PAH_EINTERRUPTED = -6  /* pah_interrupt was called meanwhile; outputs are unspecified */
};

const char *pah_error(void);             /* the line of this thread's last failure; never NULL */
const char *pah_status_name(int status); /* "PAH_EINVAL"; "unknown status" for other numbers */
void pah_interrupt(int on);              /* async-signal-safe: 1 makes running kernels stop early, 0 rearms */

/* ---- Element types (src/tensor/dtype.c) ----------------------------------------------------------------------- */
enum pah_dtype {
  PAH_NONE = 0, /* the dtype of a tensor that is absent */
  PAH_F32,
  PAH_F64,
  PAH_F16,
  PAH_BF16,
  PAH_FP8_E4M3, /* the fn variant: largest 448, no infinity, NaN 0x7f and 0xff */
  PAH_FP8_E5M2, /* IEEE-like: largest 57344, infinities, NaN */
  PAH_I32,
  PAH_I64,
  PAH_U8,
  PAH_DTYPE_COUNT,
  PAH_TF32 = PAH_DTYPE_COUNT /* f32 with a mantissa of 10 bits, as tensor cores multiply it; of no tensor */
};

const char *pah_dtype_name(int dtype);     /* "f32", ...; NULL for a number that is no dtype */
int pah_dtype_from_name(const char *name); /* PAH_NONE for an unknown name */
int64_t pah_dtype_size(int dtype);         /* bytes of an element; 0 for PAH_NONE and unknown numbers */

/* Exact conversions. Widening never rounds. Encoding rounds to nearest even, keeps NaN a NaN, and saturates
 * in fp8 (infinity too: to 448 or 57344); f16 and bf16 overflow to infinity as IEEE 754 says. */
float pah_f16_to_f32(uint16_t bits);
float pah_bf16_to_f32(uint16_t bits);
float pah_e4m3_to_f32(uint8_t bits);
float pah_e5m2_to_f32(uint8_t bits);
uint16_t pah_f32_to_f16(float x);
uint16_t pah_f32_to_bf16(float x);
uint8_t pah_f32_to_e4m3(float x);
uint8_t pah_f32_to_e5m2(float x);
/* The same from float64 with one rounding, as tensors of f64 need it. */
uint16_t pah_f64_to_f16(double x);
uint16_t pah_f64_to_bf16(double x);
uint8_t pah_f64_to_e4m3(double x);
uint8_t pah_f64_to_e5m2(double x);

/* ---- Devices (src/device.c) ----------------------------------------------------------------------------
 * A device is opened by name ("cpu", "sim", "sim:sm_90a", "cuda", "cuda:1") and counted: every buffer holds a
 * reference, so the order in which Lua finalises objects does not matter.
 * Threads: a device and its buffers are opened, held, released and counted in any thread at any time. Operations on cpu
 * devices may run in several threads at once, each with as many threads of its own as pah_get_threads says. sim and
 * cuda, modules, and settings (pah_device_set, pah_set_threads, pah_pin_threads) are for one thread at a time. */
struct pah_device; /* opaque: src/device.h */

struct pah_device_info {
  char name[64];       /* as opened: "cpu" */
  char model[128];     /* processor or GPU, as it calls itself */
  char arch[32];       /* "x86_64", "sm_90" */
  char isa[32];        /* instruction set chosen: "generic", "avx2", "avx512"; empty where it means nothing */
  char pci[16];        /* cuda: where the GPU sits, "0000:17:00.0", which tells equal ones apart; else empty */
  int32_t threads;     /* host threads a kernel uses */
  int32_t sms;         /* multiprocessors; 0 on the cpu */
  int64_t bytes;       /* memory of the device */
  int64_t cache_bytes; /* last-level cache; 0: not known */
  int32_t host_memory; /* 1: the host may read and write tensor data directly */
  int64_t clock_hz;    /* highest clock of the multiprocessors, as the driver says; 0: not known */
};

struct pah_memory {
  int64_t bytes, peak_bytes; /* allocated now; the most at one time since the device was opened */
  int64_t buffers;           /* allocations alive */
  int64_t scratch_bytes;     /* beside them: working memory of the kernels, in use or kept for the next call; cpu: that
                                of all cpu devices */
};

int pah_device_open(const char *name, struct pah_device **device); /* the same object for the same name */
void pah_device_retain(struct pah_device *device);
void pah_device_release(struct pah_device *device);
int pah_device_get_info(struct pah_device *device, struct pah_device_info *info);
void pah_device_get_memory(struct pah_device *device, struct pah_memory *memory);
int pah_device_synchronize(struct pah_device *device);
/* A setting, until it is set again. sim: schedule (order, reverse, random), seed, limit (seconds), counters (0, 1) of
 * launches that do not say otherwise; tensor_kernels (0, 1): tensor work is simulated too. cuda: check (0, 1): a kernel
 * looks over block tables and lengths before use; limit (seconds of a launch). */
int pah_device_set(struct pah_device *device, const char *name, const char *value);
const char *pah_device_kind(int64_t i);   /* "cpu", "cuda", "sim"; NULL past the last: the list for `pah info` */
const char *pah_sim_arch_name(int64_t i); /* "sm_80", ...: what may follow "sim:"; NULL past the last */
int pah_device_usable(const char *name);  /* 0, or PAH_EDEVICE with the reason and its cure in pah_error() */

int pah_get_threads(void);            /* threads that the cpu kernels use */
int pah_set_threads(int threads);     /* 1 to 1024 */
const char *pah_isa_name(int64_t i);  /* instruction sets compiled in, worst first; NULL past the last */
int pah_isa_usable(const char *name); /* 1 if this processor has it, 2 if it is emulated (PAH_AMX) */

/* ---- Buffers and tensors (src/tensor/tensor.c) ----------------------------------------------------------------- */
struct pah_buffer; /* opaque: counted memory of a device, or of a mapped file */

int pah_buffer_new(struct pah_device *device, int64_t bytes, struct pah_buffer **buffer);    /* uninitialised */
int pah_buffer_map(struct pah_device *device, const char *path, struct pah_buffer **buffer); /* file, private */
void pah_buffer_retain(struct pah_buffer *buffer);
void pah_buffer_release(struct pah_buffer *buffer);
void *pah_buffer_data(const struct pah_buffer *buffer);
int64_t pah_buffer_bytes(const struct pah_buffer *buffer);

enum { PAH_MAX_DIMS = 8 };

/* A view: it owns nothing. Layout is a choice of strides. All-zero bytes mean "absent". */
struct pah_tensor {
  void *data; /* element [0, 0, ...] */
  struct pah_device *device;
  int32_t dtype; /* enum pah_dtype */
  int32_t ndim;  /* 0: a scalar */
  int64_t shape[PAH_MAX_DIMS];
  int64_t stride[PAH_MAX_DIMS]; /* in elements; 0 in an expanded dimension, never negative */
};

/* What Lua holds: a view and a reference on the memory behind it (NULL: borrowed memory). */
struct pah_array {
  struct pah_buffer *buffer;
  struct pah_tensor raw;
};

int64_t pah_tensor_numel(const struct pah_tensor *t); /* 0 for NULL or what is no tensor */
int pah_tensor_is_contiguous(const struct pah_tensor *t);
/* Element-wise copy between equal shapes, converting the dtype exactly as the functions above do (through
 * float64; to an integer: truncated toward zero, saturated, NaN 0), between any two devices. */
int pah_tensor_copy(const struct pah_tensor *dst, const struct pah_tensor *src);
/* All elements in row-major order as float64, every NaN the plain one (LuaJIT must not read another). */
int pah_tensor_values(const struct pah_tensor *t, double *out);
int pah_tensor_fill(const struct pah_tensor *t, double value);
int pah_tensor_get(const struct pah_tensor *scalar,
                   double *value);                               /* any one-element tensor; i64 by pah_tensor_get_i64 */
int pah_tensor_hash(const struct pah_tensor *t, uint64_t *hash); /* of its bits; contiguous */
int pah_tensor_get_i64(const struct pah_tensor *scalar, int64_t *value);
int pah_tensor_set_i64(const struct pah_tensor *scalar, int64_t value);

/* Random numbers are a function of (seed, index of the element in row-major order) alone: Philox 4x32-10. */
int pah_tensor_rand(const struct pah_tensor *t, uint64_t seed, double low, double high);  /* uniform in [low, high) */
int pah_tensor_randn(const struct pah_tensor *t, uint64_t seed, double mean, double std); /* normal, Box-Muller */
int pah_tensor_randint(const struct pah_tensor *t, uint64_t seed, int64_t low, int64_t high); /* low <= x < high */
int pah_tensor_randperm(const struct pah_tensor *t, uint64_t seed); /* 1-D: a permutation of 0 .. n-1 */

struct pah_diff {
  double max_abs, max_rel; /* over elements that are finite in both */
  double rms;              /* root of the mean square difference, over the same */
  double rel_norm;         /* |a - b| / |b| in the 2-norm, over the same */
  double mean_abs;
  int64_t argmax;         /* row-major index of max_abs; -1 if there is none */
  int64_t nan;            /* elements that are NaN in either */
  int64_t mismatched;     /* elements that break |a-b| <= atol + rtol*|b| (NaN always does; equal infinities do not) */
  int64_t first_mismatch; /* row-major index; -1: none */
  int64_t numel;
};
int pah_tensor_diff(const struct pah_tensor *a, const struct pah_tensor *b, double rtol, double atol,
                    struct pah_diff *diff);

/* ---- Arithmetic (src/tensor/elementwise.c, reduce.c, matmul.c) ---------------------------------------------------
 * On tensors in memory of the host. Computed in float64 and rounded once to the dtype of out (i64 with i64 exactly);
 * out shares no memory with the operands, which have its shape (a stride of 0 broadcasts). */
enum pah_binary {
  PAH_ADD,
  PAH_SUB,
  PAH_MUL,
  PAH_DIV,
  PAH_POW,
  PAH_MAXIMUM,
  PAH_MINIMUM, /* NaN if either is */
  PAH_EQ,
  PAH_NE,
  PAH_LT,
  PAH_LE,
  PAH_GT,
  PAH_GE, /* 0 or 1 */
  PAH_BINARY_COUNT
};
enum pah_unary { PAH_NEG, PAH_ABS, PAH_EXP, PAH_LOG, PAH_SQRT, PAH_TANH, PAH_UNARY_COUNT };
enum pah_reduction { PAH_SUM, PAH_MEAN, PAH_MAX, PAH_MIN, PAH_ARGMAX, PAH_ANY, PAH_ALL, PAH_REDUCTION_COUNT };

int pah_tensor_binary(int op, const struct pah_tensor *out, const struct pah_tensor *a, const struct pah_tensor *b);
int pah_tensor_unary(int op, const struct pah_tensor *out, const struct pah_tensor *a);
/* a where condition is not 0, else b; both of out's dtype. */
int pah_tensor_where(const struct pah_tensor *out, const struct pah_tensor *condition, const struct pah_tensor *a,
                     const struct pah_tensor *b);
/* Of dimension dim (0-based), which out has not. ARGMAX: the 0-based place, i64. NaN is the largest and the smallest.
 */
int pah_tensor_reduce(int op, const struct pah_tensor *out, const struct pah_tensor *a, int dim);
/* out[..., m, n] = a[..., m, k] b[..., k, n]; floats, sums in float64. */
int pah_tensor_matmul(const struct pah_tensor *out, const struct pah_tensor *a, const struct pah_tensor *b);

/* ---- Attention (src/attention/attn.c) -----------------------------------------------------------------------------
 * Legend: B sequences, H query heads, Hkv key/value heads (H a multiple of Hkv), D head_dim, Sq queries of a
 * sequence, total_q queries of all sequences, Dv head_dim of V and out. Sizes are derived from the tensors and stored
 * nowhere. A tensor whose dtype is PAH_NONE is absent. */
enum pah_op { PAH_FWD = 0, PAH_FWD_FP8, PAH_BWD, PAH_DECODE, PAH_OP_COUNT };
enum { PAH_MAX_DECODE_QUERIES = 64 }; /* of a sequence */
enum pah_causal { PAH_CAUSAL_NONE = 0, PAH_CAUSAL_BOTTOM_RIGHT, PAH_CAUSAL_TOP_LEFT };

struct pah_attn {
  struct pah_tensor q;           /* [B, H, Sq, D], or ragged [total_q, H, D] with cu_seqlens_q; decode also [B, H, D] */
  struct pah_tensor k_blocks;    /* [num_blocks, block_size, Hkv, D], any strides with unit stride in D */
  struct pah_tensor v_blocks;    /* [num_blocks, block_size, Hkv, Dv]; may be a view of k_blocks, not in bwd */
  struct pah_tensor block_table; /* i32 [B, max_blocks_per_seq]: physical block of each logical block, 0-based */
  struct pah_tensor cu_seqlens_q; /* i32 [B+1], prefix sums from 0; absent: q is not ragged */
  struct pah_tensor seqused_k;    /* i32 [B], tokens in use, the new ones included; absent: seqlen_k for all */
  struct pah_tensor tree_mask; /* i32 [B, Sq, ceil(Sq/32)] or [total_q, ceil(max_q/32)]; fwd, decode; pah_tree_sees */
  struct pah_tensor sinks;     /* f32 [H]: a score per query head that joins the softmax and has no value */
  struct pah_tensor q_descale; /* f32, scalar or [B, Hkv]: real = stored x descale; fwd_fp8 only; absent: 1 */
  struct pah_tensor k_descale; /* the same; fwd_fp8 and decode */
  struct pah_tensor v_descale;
  struct pah_tensor out;       /* as q with Dv for D; the result of fwd, fwd_fp8 and decode, an input of bwd */
  struct pah_tensor lse;       /* f32 [B, H, Sq] or [H, total_q], natural logarithm; bwd: an input */
  struct pah_tensor dout;      /* as out; bwd only, like those that follow */
  struct pah_tensor dq;        /* as q */
  struct pah_tensor dk_blocks; /* shape of k_blocks; slots that no sequence uses become exactly 0 */
  struct pah_tensor dv_blocks; /* shape of v_blocks */
  struct pah_tensor dsinks;    /* f32 [H]; given if sinks are */
  int64_t seqlen_k;            /* K/V tokens of every sequence when seqused_k is absent; -1: the table's reach */
  const char *kernel;          /* an implementation by name; NULL: the device's best */
  float softmax_scale;         /* NaN: 1/sqrt(D); must be given where v_blocks is a view of k_blocks */
  float softcap;               /* c > 0: score = c tanh(score/c), after scaling, before the mask; 0: off */
  float o_scale;               /* fwd_fp8 with an fp8 out: stored = real x o_scale, saturated; else ignored */
  int32_t causal;              /* enum pah_causal */
  int32_t window_left;         /* keys left of the diagonal that stay visible; -1: no limit */
  int32_t window_right;
  int32_t num_splits;   /* decode: parts of the KV range of a sequence; 0: chosen */
  int32_t block_m;      /* fwd, fwd_fp8, bwd of the naive kernels: queries of a tile; 0: as in pah_tile_at */
  int32_t block_n;      /* keys of a tile */
  int32_t intermediate; /* pah_reference only: PAH_NONE float64, else every intermediate rounded to it, PAH_TF32 too */
  int32_t out_dtype;    /* pah_reference of fwd_fp8 only: an fp8 type makes out real x o_scale, clamped to its range */
};

void pah_attn_init(struct pah_attn *a); /* all absent, every option at its default */
int pah_attention(int op, const struct pah_attn *a);
/* Every rule of the call (reference 1: of pah_reference) but those about contents; results may still be absent. */
int pah_attn_check_inputs(int op, const struct pah_attn *a, int reference);
/* The float64 oracle (src/reference/reference.c): the same fields, but out, lse, dq, dk_blocks and dv_blocks as results
 * are f64. bwd takes neither out nor lse: it recomputes both. Shares no code with any kernel. Host memory only. */
int pah_reference(int op, const struct pah_attn *a);

struct pah_merge {                              /* two partial results over disjoint keys into one */
  struct pah_tensor out_a, lse_a, out_b, lse_b; /* out [B, H, Sq, D], [B, H, D] or [total_q, H, D]; lse to match */
  struct pah_tensor out, lse;
};
int pah_merge(const struct pah_merge *m);
int pah_reference_merge(const struct pah_merge *m); /* out and lse f64 */

struct pah_kv_append {    /* new tokens into the cache */
  struct pah_tensor k, v; /* [T, Hkv, D] */
  struct pah_tensor k_blocks, v_blocks;
  struct pah_tensor slot_mapping;         /* i32 or i64 [T]: slot = block * block_size + offset; -1: skip the token */
  struct pah_tensor k_descale, v_descale; /* f32 scalar, absent: 1; stored = real / descale */
};
int pah_kv_append(const struct pah_kv_append *c);
int pah_reference_kv_append(const struct pah_kv_append *c);

/* ---- Layout (src/host/layout.c) ----------------------------------------------------------------------------------
 * Size and offset of every struct of the interface and of each of its fields, as the C compiler has laid them out:
 * in the order of the headers, a struct before its fields. */
struct pah_layout {
  const char *type, *field; /* "pah_tensor", "shape"; field empty: the struct itself */
  int64_t offset, size;
};
const struct pah_layout *pah_layout_at(int64_t i); /* NULL past the last */

#endif
