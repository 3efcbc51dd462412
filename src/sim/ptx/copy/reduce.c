/* reduce.c - what reducing copies make of two elements: cp.reduce.async.bulk, with the type in the instruction, and
 * cp.reduce.async.bulk.tensor, with that of the tensor map. Sums of f16 and bf16 are rounded once, those of f32 take
 * and give zeros for subnormal numbers, as the PTX ISA says. Read next: tma.c. */
#include <math.h>
#include <string.h>

#include "async.h"
#include "pah.h"
#include "sim/block/sched.h"
#include "sim/ptx/matrix.h"
#include "tensor_map.h"

struct pair {
  uint64_t old, value; /* bits of the two elements */
};

static const uint8_t widths[] = {1, 2, 4, 4, 8, 8, 2, 4, 4, 8, 2, 4, 4};

int tensor_map_bytes(int type) {
  return type >= 0 && type < (int)sizeof widths ? widths[type] : 0;
}

static const char *operation_name(int operation) {
  static const char *const names[] = {"copy", "add", "min", "max", "inc", "dec", "and", "or", "xor"};
  return names[operation];
}

static const char *type_name(int type) {
  static const char *const names[] = {"u8",  "u16",     "u32", "s32",  "u64",  "s64",     "f16",
                                      "f32", "f32.ftz", "f64", "bf16", "tf32", "tf32.ftz"};
  return names[type];
}

/* Those that the PTX ISA lists. */
static int is_there(int operation, int type, int in_shared) {
  const int is_int = type == SIM_MAP_U32 || type == SIM_MAP_S32, is_f16 = type == SIM_MAP_F16 || type == SIM_MAP_BF16;
  switch (operation) {
  case PAH_SIM_ASYNC_ADD:
    return is_int || type == SIM_MAP_U64 ||
           (!in_shared && (is_f16 || type == SIM_MAP_F32 || type == SIM_MAP_F32_FTZ || type == SIM_MAP_F64));
  case PAH_SIM_ASYNC_MIN:
  case PAH_SIM_ASYNC_MAX: return is_int || (!in_shared && (is_f16 || type == SIM_MAP_U64 || type == SIM_MAP_S64));
  case PAH_SIM_ASYNC_INC:
  case PAH_SIM_ASYNC_DEC: return type == SIM_MAP_U32;
  default: return is_int || (!in_shared && (type == SIM_MAP_U64 || type == SIM_MAP_S64));
  }
}

void reduce_check(int operation, int type, int in_shared, const void *pc) {
  if (!is_there(operation, type, in_shared))
    sim_fatal(pc, "bad-operand", "cp.reduce.async.bulk.%s of elements of %s in %s memory: there is no such reduction",
              operation_name(operation), type_name(type), in_shared ? "shared" : "global");
}

/* ---- Floating point ---- */

static float f32_of(uint32_t code) {
  float x;
  memcpy(&x, &code, sizeof x);
  return x;
}

static uint32_t code_of(float x) {
  uint32_t code;
  memcpy(&code, &x, sizeof code);
  return code;
}

/* Rounded to odd in f32 first, so that the second rounding is as if it were the only one. */
static uint32_t bf16_code(double x) {
  if (x != x) return 0x7fff;
  uint32_t code = code_of((float)x);
  if ((double)f32_of(code) != x && isfinite(f32_of(code))) {
    if (fabs((double)f32_of(code)) > fabs(x)) code--;
    code |= 1;
  }
  return (code + 0x7fff + (code >> 16 & 1)) >> 16 & 0xffff;
}

static double small(int type, uint64_t code) {
  return type == SIM_MAP_F16 ? matrix_f16((uint32_t)code) : (double)pah_bf16_to_f32((uint16_t)code);
}

static float flushed(float x) {
  return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

static uint64_t sum(int type, struct pair p) {
  if (type == SIM_MAP_F64) {
    double a, b;
    memcpy(&a, &p.old, sizeof a);
    memcpy(&b, &p.value, sizeof b);
    a += b;
    memcpy(&p.old, &a, sizeof a);
    return p.old;
  }
  if (type == SIM_MAP_F32 || type == SIM_MAP_F32_FTZ)
    return code_of(flushed(flushed(f32_of((uint32_t)p.old)) + flushed(f32_of((uint32_t)p.value))));
  if (type != SIM_MAP_F16 && type != SIM_MAP_BF16) return p.old + p.value;
  const double x = small(type, p.old) + small(type, p.value);
  if (x != x) return 0x7fff;
  return type == SIM_MAP_F16 ? matrix_round_f16(x) : bf16_code(x);
}

/* ---- Elements ---- */

/* NaN loses, and -0 is less than 0. */
static int is_less(int type, uint64_t a, uint64_t b) {
  if (type == SIM_MAP_U32 || type == SIM_MAP_U64) return a < b;
  if (type == SIM_MAP_S32) return (int32_t)a < (int32_t)b;
  if (type == SIM_MAP_S64) return (int64_t)a < (int64_t)b;
  const double x = small(type, a), y = small(type, b);
  return x < y || (x == y && signbit(x) && !signbit(y));
}

static uint64_t lesser(int operation, int type, struct pair p) {
  if (type == SIM_MAP_F16 || type == SIM_MAP_BF16) {
    const int no_old = isnan(small(type, p.old)), no_value = isnan(small(type, p.value));
    if (no_old || no_value) return no_old && no_value ? 0x7fff : no_old ? p.value : p.old;
  }
  const int takes = operation == PAH_SIM_ASYNC_MIN ? is_less(type, p.value, p.old) : is_less(type, p.old, p.value);
  return takes ? p.value : p.old;
}

static uint64_t reduced(int operation, int type, struct pair p) {
  switch (operation) {
  case PAH_SIM_ASYNC_ADD: return sum(type, p);
  case PAH_SIM_ASYNC_MIN:
  case PAH_SIM_ASYNC_MAX: return lesser(operation, type, p);
  case PAH_SIM_ASYNC_INC: return p.old >= p.value ? 0 : p.old + 1;
  case PAH_SIM_ASYNC_DEC: return p.old == 0 || p.old > p.value ? p.value : p.old - 1;
  case PAH_SIM_ASYNC_AND: return p.old & p.value;
  case PAH_SIM_ASYNC_OR: return p.old | p.value;
  default: return p.old ^ p.value;
  }
}

void reduce_elements(int operation, int type, uint8_t *dst, const uint8_t *src, uint32_t bytes) {
  const uint32_t width = widths[type];
  for (uint32_t at = 0; at < bytes; at += width) {
    struct pair p = {0, 0};
    memcpy(&p.old, dst + at, width);
    memcpy(&p.value, src + at, width);
    const uint64_t now = reduced(operation, type, p);
    memcpy(dst + at, &now, width);
  }
}

/* ---- What kernels call ---- */

void pah_sim_bulk_reduce(void *dst, unsigned src, unsigned bytes, int operation, int type) {
  const void *pc = __builtin_return_address(0);
  reduce_check(operation, type, 0, pc);
  bulk_check((uintptr_t)dst, src, bytes, pc);
  uint8_t *shared = sim_shared(src, bytes, pc);
  struct async_copy *c = bulk_new(shared, bytes, 1, pc);
  c->operation = operation;
  c->type = type;
  bulk_add(c, 0, shared, dst, bytes, 0);
  bulk_store(c);
}

void pah_sim_bulk_reduce_shared(unsigned dst, unsigned src, unsigned bytes, unsigned barrier, int operation, int type) {
  const void *pc = __builtin_return_address(0);
  uint8_t *from = sim_shared(src, bytes, pc);
  reduce_check(operation, type, 1, pc);
  bulk_check((uintptr_t)from, dst, bytes, pc);
  uint8_t *to = sim_shared_cluster(dst, bytes, pc);
  struct async_copy *c = bulk_new(to, bytes, 1, pc);
  c->operation = operation;
  c->type = type;
  bulk_add(c, 1, to, from, bytes, 0);
  bulk_load(c, barrier);
}
