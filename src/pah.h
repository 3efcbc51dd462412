/* pah.h - the one interface of pah. C, the kernels and LuaJIT all read these declarations: at build time
 * scripts/cdef.awk turns this file into the text of the only ffi.cdef (see lua/pah/ffi.lua), so below the
 * guard there is no macro and no preprocessor line but the two that follow.
 * Read next: src/attention/attn.c (the rules of an attention call), src/tensor/tensor.c, then src/cpu/device.c. */
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
  PAH_DTYPE_COUNT
};

const char *pah_dtype_name(int dtype);     /* "f32", ...; NULL for a number that is no dtype */
int pah_dtype_from_name(const char *name); /* PAH_NONE for an unknown name */
int64_t pah_dtype_size(int dtype);         /* bytes of an element; 0 for PAH_NONE and unknown numbers */

/* Exact conversions. Decoding never rounds. Encoding rounds to nearest even, keeps NaN a NaN, and saturates
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
 * reference, so the order in which Lua finalises objects does not matter. */
struct pah_device; /* opaque: src/device.h */

struct pah_device_info {
  char name[64];       /* as opened: "cpu" */
  char model[128];     /* processor or GPU, as it calls itself */
  char arch[32];       /* "x86_64", "sm_90" */
  char isa[32];        /* instruction set chosen: "generic", "avx2", "avx512"; empty where it means nothing */
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
};

int pah_device_open(const char *name, struct pah_device **device); /* the same object for the same name */
void pah_device_retain(struct pah_device *device);
void pah_device_release(struct pah_device *device);
int pah_device_get_info(struct pah_device *device, struct pah_device_info *info);
void pah_device_get_memory(struct pah_device *device, struct pah_memory *memory);
int pah_device_synchronize(struct pah_device *device);
/* A moment in the order of the device's work, for timing it: taken by the GPU itself on cuda; elsewhere calls are done
 * when they return, and it is the clock of the host. elapsed waits for both; seconds from the first to the second. */
struct pah_event; /* opaque: src/event.c; holds a reference on its device */
int pah_event_record(struct pah_device *device, struct pah_event **event);
int pah_event_elapsed(struct pah_event *from, struct pah_event *to, double *seconds);
void pah_event_free(struct pah_event *event);
/* A setting, until it is set again. sim: schedule (order, reverse, random), seed, limit (seconds), counters (0, 1) of
 * launches that do not say otherwise. cuda: check (0, 1): a kernel looks over block tables and lengths before use;
 * limit (seconds of a launch). */
int pah_device_set(struct pah_device *device, const char *name, const char *value);
const char *pah_device_kind(int64_t i);  /* "cpu", "cuda", "sim"; NULL past the last: the list for `pah info` */
int pah_device_usable(const char *name); /* 0, or PAH_EDEVICE with the reason and its cure in pah_error() */

int pah_get_threads(void), pah_set_threads(int threads); /* threads the cpu kernels use; set: 1 to 1024 */
const char *pah_isa_name(int64_t i);         /* instruction sets compiled in, worst first; NULL past the last */
int pah_isa_usable(const char *name);        /* 1 if this processor has it, 2 if it is emulated (PAH_AMX) */
double pah_clock(void), pah_cpu_clock(void); /* seconds: monotonic; of the processors, all threads of this process */
int64_t pah_page_faults(void);               /* pages that this process touched for the first time */
/* Limits of the cpu per second: f32 multiply-adds, 2 flops each; bf16 products by vdpbf16ps or AMX, 0 without them. */
double pah_measure_fma_flops(double seconds), pah_measure_dots_flops(double seconds);
/* Memory to be read by all threads: a pass reads it once, in order or (block_bytes above 0) by shuffled blocks; apart:
 * eight pages of 4 KiB at a time. flush writes and reads it: twice the last-level cache makes caches cold. */
struct pah_reader; /* src/cpu/measure.c */
int pah_reader_new(int64_t bytes, int64_t block_bytes, struct pah_reader **reader);
double pah_reader_pass(struct pah_reader *reader, int64_t passes); /* seconds of all of them */
void pah_reader_apart(struct pah_reader *reader, int on);          /* for the passes to come */
void pah_reader_flush(struct pah_reader *reader), pah_reader_free(struct pah_reader *reader);
int pah_pin_threads(int on); /* each thread on a processor of its own; 0: where the system puts them, as before */

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
int pah_tensor_hash(const struct pah_tensor *t, uint64_t *hash); /* of its bits; contiguous, read by the host */
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

/* ---- Attention (src/attention/attn.c) -----------------------------------------------------------------------------
 * Legend: B sequences, H query heads, Hkv key/value heads (H a multiple of Hkv), D head_dim, Sq queries of a
 * sequence, total_q queries of all sequences. Sizes are derived from the tensors and stored nowhere.
 * A tensor whose dtype is PAH_NONE is absent. */
enum pah_op { PAH_FWD = 0, PAH_FWD_FP8, PAH_BWD, PAH_DECODE, PAH_OP_COUNT };
enum pah_causal { PAH_CAUSAL_NONE = 0, PAH_CAUSAL_BOTTOM_RIGHT, PAH_CAUSAL_TOP_LEFT };

struct pah_attn {
  struct pah_tensor q;           /* [B, H, Sq, D], or ragged [total_q, H, D] with cu_seqlens_q; decode also [B, H, D] */
  struct pah_tensor k_blocks;    /* [num_blocks, block_size, Hkv, D], any strides with unit stride in D */
  struct pah_tensor v_blocks;    /* as k_blocks */
  struct pah_tensor block_table; /* i32 [B, max_blocks_per_seq]: physical block of each logical block, 0-based */
  struct pah_tensor cu_seqlens_q; /* i32 [B+1], prefix sums from 0; absent: q is not ragged */
  struct pah_tensor seqused_k;    /* i32 [B], tokens in use, the new ones included; absent: seqlen_k for all */
  struct pah_tensor q_descale;    /* f32, scalar or [B, Hkv]: real = stored x descale; fwd_fp8 only; absent: 1 */
  struct pah_tensor k_descale;    /* the same; fwd_fp8 and decode */
  struct pah_tensor v_descale;
  struct pah_tensor out;       /* as q; the result of fwd, fwd_fp8 and decode, an input of bwd */
  struct pah_tensor lse;       /* f32 [B, H, Sq] or [H, total_q], natural logarithm; bwd: an input */
  struct pah_tensor dout;      /* as q; bwd only, like the three that follow */
  struct pah_tensor dq;        /* as q */
  struct pah_tensor dk_blocks; /* shape of k_blocks; slots that no sequence uses become exactly 0 */
  struct pah_tensor dv_blocks;
  int64_t seqlen_k;    /* K/V tokens of every sequence when seqused_k is absent; -1: the table's reach */
  const char *kernel;  /* an implementation by name; NULL: the device's best */
  float softmax_scale; /* NaN: 1/sqrt(D) */
  float softcap;       /* c > 0: score = c tanh(score/c), after scaling, before the mask; 0: off */
  float o_scale;       /* fwd_fp8 with an fp8 out: stored = real x o_scale, saturated; else ignored */
  int32_t causal;      /* enum pah_causal */
  int32_t window_left; /* keys left of the diagonal that stay visible; -1: no limit */
  int32_t window_right;
  int32_t num_splits;   /* decode: parts of the KV range of a sequence; 0: chosen */
  int32_t block_m;      /* fwd, fwd_fp8, bwd of the naive kernels: queries of a tile; 0: as in pah_tile_at */
  int32_t block_n;      /* keys of a tile */
  int32_t intermediate; /* pah_reference only: PAH_NONE float64, else every intermediate rounded to it */
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

/* ---- Modules (src/module/module.c) -----------------------------------------------------------------------------
 * A kernel source plus defines, compiled for a device: by NVRTC on cuda, by the system's C++ compiler on sim. Built-in
 * kernels (kernels/) and a user's own .cu file go the same way; compiled code is cached on disk (compile_cache.c). */
struct pah_module; /* opaque: src/module/module.h; counted */

struct pah_module_spec {
  const char *source;         /* path of a .cu file; NULL: `text` */
  const char *text;           /* the source itself, when `source` is NULL */
  const char *const *defines; /* "NAME=VALUE" or "NAME" */
  const char *const *include; /* folders searched after that of the source */
  const char *const
      *kernels; /* instances of templates to compile at once, "name<128, float>"; others come when asked */
  int64_t define_count, include_count, kernel_count;
};

enum pah_parameter_kind { PAH_POINTER = 1, PAH_SIGNED, PAH_UNSIGNED, PAH_FLOATING, PAH_BYTES };
enum { PAH_MAX_PARAMETERS = 64 };

struct pah_signature { /* what a kernel takes, as the compiler sees it */
  int32_t count;
  int32_t kind[PAH_MAX_PARAMETERS]; /* enum pah_parameter_kind; PAH_BYTES: a struct by value */
  int32_t size[PAH_MAX_PARAMETERS]; /* bytes */
};

struct pah_resources {
  int32_t registers;                           /* of a thread; 0: not known (sim) */
  int32_t shared_bytes;                        /* static shared memory of a thread block */
  int32_t local_bytes;                         /* of a thread: spills and local arrays; 0 on sim */
  int32_t constant_bytes;                      /* __constant__ memory; 0: not known */
  int32_t max_threads;                         /* in a thread block */
  int32_t max_shared_bytes;                    /* static and dynamic together that a thread block may have */
  int32_t spill_store_bytes, spill_load_bytes; /* cuda: to and from local memory because registers ran out, a thread */
};

enum pah_schedule { PAH_IN_ORDER = 0, PAH_REVERSE, PAH_RANDOM }; /* of runnable threads, sim only */

struct pah_launch {
  int64_t grid[3], block[3];
  int64_t shared;                 /* bytes of dynamic shared memory */
  const void *const *args;        /* one pointer per parameter, at its value */
  double limit;                   /* seconds until the launch is stopped; 0: the device's default */
  int32_t schedule;               /* sim: enum pah_schedule; -1: the device's */
  int32_t counters;               /* sim: 1 counts sectors, wavefronts, ... by line; -1: the device's */
  uint64_t seed;                  /* sim: of PAH_RANDOM */
  const struct pah_attn *problem; /* sim: findings tell addresses in its tensors' words; NULL: none */
};

enum { PAH_CODE_SIZE = 32, PAH_FILE_SIZE = 256, PAH_MESSAGE_SIZE = 512 };

struct pah_finding {        /* one thing that is wrong, where it was seen first */
  char code[PAH_CODE_SIZE]; /* stable: doc/sim.md lists them */
  char message[PAH_MESSAGE_SIZE];
  char file[PAH_FILE_SIZE]; /* of the source line; empty: not known */
  int32_t line, thread[3], block[3];
  int64_t count; /* times that it was seen at this line */
};

struct pah_line_counters { /* of one source line */
  char file[PAH_FILE_SIZE];
  int32_t line;
  int64_t global_requests, global_bytes, global_sectors, global_sectors_ideal; /* warp-wide; sectors of 32 bytes */
  int64_t shared_requests, shared_bytes, shared_wavefronts, shared_wavefronts_ideal; /* a conflict-free one: ideal */
};

struct pah_counters {
  int64_t thread_blocks, threads;
  int64_t global_load_bytes, global_store_bytes, global_sectors, global_sectors_ideal;
  int64_t global_unique_bytes; /* different bytes touched: the fewest that could move */
  int64_t shared_bytes, shared_wavefronts, shared_wavefronts_ideal;
  int64_t atomics, barriers, warp_barriers, shuffles;
  int64_t mma_flops;
  int64_t async_bytes; /* by cp.async and TMA; also part of the global bytes */
  int64_t shared_static_bytes, shared_dynamic_bytes;
  int32_t blocks_per_sm; /* by shared memory and threads of the chosen architecture; registers are not known */
  double occupancy;      /* threads resident of the most possible, by the same */
};

struct pah_report { /* what a launch on sim says; pah_report_free frees what it points to */
  struct pah_finding *findings;
  struct pah_line_counters *lines;
  int64_t finding_count, line_count;
  struct pah_counters counters;
  int32_t has_counters, schedule;
  uint64_t seed;
};

int pah_module_compile(struct pah_device *device, const struct pah_module_spec *spec, struct pah_module **module);
void pah_module_retain(struct pah_module *module);
void pah_module_release(struct pah_module *module);
const char *pah_module_kernel(struct pah_module *module, int64_t i); /* names compiled so far; NULL past the last */
/* `name` is a kernel of the source as one writes it there: "decode", "ns::f", "f<128, float>"; compiled if need be. */
int pah_module_signature(struct pah_module *module, const char *name, struct pah_signature *signature);
int pah_module_resources(struct pah_module *module, const char *name, struct pah_resources *resources);
/* report may be NULL: then findings (sim) are an error, PAH_EINVAL, whose line is the first finding. Else the caller
 * frees it; findings are no error, but a launch that cannot start is. On cuda the launch is asynchronous. */
int pah_module_launch(struct pah_module *module, const char *name, const struct pah_launch *launch,
                      struct pah_report *report);
void pah_report_free(struct pah_report *report);
/* Sums of the counters of all launches on sim since the last call with on = 1, those of built-in kernels included; they
 * are counted while it is on. sum and launches may be NULL. */
int pah_device_tally(struct pah_device *device, int on, struct pah_counters *sum, int64_t *launches);

/* ---- Tensor maps (src/tensor/tensor_map.c): what bulk tensor copies (TMA) need to know of a tensor ---- */
enum pah_swizzle { PAH_SWIZZLE_NONE = 0, PAH_SWIZZLE_32, PAH_SWIZZLE_64, PAH_SWIZZLE_128 }; /* bytes of a row */

/* A kernel takes it by value, as `const __grid_constant__ ptx::tensor_map`; on cuda it is a CUtensorMap. */
struct pah_tensor_map {
  uint64_t words[16];
};
/* For boxes of box[0] x ... elements, in the order of the tensor's dimensions: 1 to 5 of them, the last with stride 1.
 * Coordinates in kernels are the other way round, innermost first. What lies outside the tensor is read as zero. The
 * map holds the address of the tensor's data, not a reference to it. */
int pah_tensor_map(const struct pah_tensor *tensor, const int64_t *box, int32_t swizzle, struct pah_tensor_map *map);

/* The implementations that there are, one list (src/attention/kernels.h). */
struct pah_kernel {
  const char *device; /* "cpu" */
  const char *op;     /* "fwd" */
  const char *name;   /* what kernel= takes */
  const char *dtypes; /* of q, and of the cache behind a slash: "f32 f16 bf16 / fp8_e4m3 fp8_e5m2" */
  const char *limits; /* "head_dim: multiples of 8 up to 256" */
  const char *about;  /* one line */
};
const struct pah_kernel *pah_kernel_at(int64_t i); /* NULL past the last */

/* Tiles of the naive GPU kernels (src/gpu/tiles.c): queries and keys that a thread block takes at a time. */
struct pah_tile {
  int32_t op;    /* PAH_FWD (fwd_fp8 too) or PAH_BWD */
  int32_t dtype; /* of q */
  int32_t head_dim;
  int32_t block_m, block_n;
};
const struct pah_tile *pah_tile_at(int64_t i); /* NULL past the last */

/* The built-in kernels that a device of cuda or sim has compiled so far (src/gpu/modules.c). */
struct pah_instance {
  const char *source; /* "naive/forward.cu HEAD_DIM=64 ...": file and defines; valid while the device is open */
  const char *kernel; /* "forward" */
  int64_t threads;    /* of a thread block, in the last launch */
  int64_t shared_dynamic_bytes;
  struct pah_resources resources;
  double occupancy;             /* threads that a multiprocessor holds, of the most that it could */
  int32_t thread_blocks_per_sm; /* that it holds at a time */
};
int64_t pah_device_instances(struct pah_device *device); /* how many */
int pah_device_instance(struct pah_device *device, int64_t i, struct pah_instance *instance);

/* Size and offset of every struct above and of each field, as the C compiler has laid them out (src/layout.c). */
struct pah_layout {
  const char *type, *field; /* "pah_tensor", "shape"; field empty: the struct itself */
  int64_t offset, size;
};
const struct pah_layout *pah_layout_at(int64_t i); /* NULL past the last */

#endif
