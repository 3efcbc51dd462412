/* notes.c - what the compiler itself finds (-fsanitize=bounds, signed-integer-overflow): an index outside its array, a
 * signed number that does not fit its type. Read next: finding.c. */
#include "sim/block/runtime.h"

#include <stdio.h>
#include <string.h>

/* What g++ and clang hand to the handler of an index out of bounds. */
struct type_note {
  uint16_t kind, info; /* info of an integer: bit 0: signed; from bit 1 on, the logarithm of its bits */
  char name[];         /* 'float [4]', with its quotation marks */
};
struct index_note {
  const char *file;
  uint32_t line, column;
  const struct type_note *array, *index;
};

struct overflow_note {
  const char *file;
  uint32_t line, column;
  const struct type_note *type;
};

/* A number of a type, as the handlers get it. */
static int64_t number_of(const struct type_note *type, uintptr_t value) {
  const unsigned bits = 1u << (type->info >> 1);
  if (bits > 64) return *(const int64_t *)value; /* then it is a pointer to the number */
  if (bits == 64) return (int64_t)value;
  return type->info & 1 ? (int64_t)((uint64_t)value << (64 - bits)) >> (64 - bits)
                        : (int64_t)(value & (((uint64_t)1 << bits) - 1));
}

void pah_sim_index(const void *what, uintptr_t index) {
  const struct index_note *note = what;
  sim_find(__builtin_return_address(0), "array-bounds", "index %lld of an array %s",
           (long long)number_of(note->index, index), note->array->name);
}

/* Headers of ours compute with numbers of all sizes. */
static int is_ours(const struct overflow_note *note) {
  return strstr(note->file, "src/sim/") || strstr(note->file, "kernels/ptx");
}

static void overflow(const void *pc, const void *what, const char *operation, uintptr_t a, uintptr_t b) {
  const struct overflow_note *note = what;
  if (is_ours(note)) return;
  sim_find(pc, "overflow", "%lld %s %lld does not fit the signed type %s", (long long)number_of(note->type, a),
           operation, (long long)number_of(note->type, b), note->type->name);
}

void pah_sim_overflow_add(const void *what, uintptr_t a, uintptr_t b) {
  overflow(__builtin_return_address(0), what, "+", a, b);
}
void pah_sim_overflow_sub(const void *what, uintptr_t a, uintptr_t b) {
  overflow(__builtin_return_address(0), what, "-", a, b);
}
void pah_sim_overflow_mul(const void *what, uintptr_t a, uintptr_t b) {
  overflow(__builtin_return_address(0), what, "*", a, b);
}
void pah_sim_overflow_div(const void *what, uintptr_t a, uintptr_t b) {
  overflow(__builtin_return_address(0), what, "/", a, b);
}
void pah_sim_overflow_neg(const void *what, uintptr_t a) {
  const struct overflow_note *note = what;
  if (!is_ours(note))
    sim_find(__builtin_return_address(0), "overflow", "-(%lld) does not fit the signed type %s",
             (long long)number_of(note->type, a), note->type->name);
}
