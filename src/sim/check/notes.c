/* notes.c - what the compiler itself finds (-fsanitize=bounds, signed-integer-overflow): an index outside its array, a
 * signed number that does not fit its type. Read next: finding.c. */
#include "sim/block/job.h"

#include <dlfcn.h>
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

/* Of the operators whose results become no address: line, column, a hash of the file (compile/indices/indices.c). */
static const uint32_t *values;
static struct {
  const void *note;
  int is_value;
} looked_up[256];

static int find_value(const struct overflow_note *note) {
  uint32_t file = 2166136261u;
  if (!values) values = dlsym(sim_job->image->handle, "pah_values");
  for (const char *p = note->file; *p; p++) file = (file ^ (uint8_t)*p) * 16777619u;
  for (const uint32_t *v = values; v && *v; v += 3)
    if (v[0] == note->line && v[1] == note->column && v[2] == file) return 1;
  return 0;
}

/* A hash, a checksum, a counter: it may wrap. */
static int is_value(const struct overflow_note *note) {
  const size_t at = (uintptr_t)note / 16 % (sizeof looked_up / sizeof *looked_up);
  if (looked_up[at].note != note) {
    looked_up[at].note = note;
    looked_up[at].is_value = find_value(note);
  }
  return looked_up[at].is_value;
}

static void overflow(const void *pc, const void *what, const char *operation, uintptr_t a, uintptr_t b) {
  const struct overflow_note *note = what;
  if (is_ours(note) || is_value(note)) return;
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
  if (!is_ours(note) && !is_value(note))
    sim_find(__builtin_return_address(0), "overflow", "-(%lld) does not fit the signed type %s",
             (long long)number_of(note->type, a), note->type->name);
}

void pah_sim_beyond(long long index, unsigned long bytes, unsigned long each) {
  sim_find(__builtin_return_address(0), "array-bounds",
           "index %lld of a pointer to %lu bytes, in which elements of %lu bytes have indices below %lu", index, bytes,
           each, bytes / each);
}
