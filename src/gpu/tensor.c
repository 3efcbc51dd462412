/* tensor.c - tensor work on cuda and sim by kernels: copies, conversions, fills, random numbers, hashes.
 * Promises: the same bits as on the host; any strides; nothing waits but the hash. sim leaves all of it to the host,
 * which is faster than simulating it, unless its setting "tensor_kernels" is 1.
 * Read next: kernels/tensor/walk.cuh, tensor/walk.c. */
#include <string.h>

#include "../../kernels/tensor/params.h"
#include "error.h"
#include "gpu.h"
#include "tensor/draw.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

enum { SHIFTED_BYTES = 4096 }; /* shorter copies go element by element */

_Static_assert((int)TYPE_F32 == PAH_F32 && (int)TYPE_F64 == PAH_F64 && (int)TYPE_F16 == PAH_F16 &&
                   (int)TYPE_BF16 == PAH_BF16 && (int)TYPE_E4M3 == PAH_FP8_E4M3 && (int)TYPE_E5M2 == PAH_FP8_E5M2 &&
                   (int)TYPE_I32 == PAH_I32 && (int)TYPE_I64 == PAH_I64 && (int)TYPE_U8 == PAH_U8,
               "enum pah_type");
_Static_assert((int)PAH_WALK_DIMS == PAH_MAX_DIMS && (int)PAH_PIECE_BYTES == PAH_HASH_PIECE, "sizes");

static struct pah_walk walk_of(const struct pah_tensor *a, const struct pah_tensor *b) {
  struct pah_walk w = {.a = a->data, .b = b ? b->data : NULL, .count = pah_tensor_numel(a)};
  int64_t shape[PAH_MAX_DIMS], sa[PAH_MAX_DIMS], sb[PAH_MAX_DIMS];
  w.ndim = pah_tensor_merge_dims(a, b, shape, sa, sb);
  for (int d = 0; d < w.ndim; d++) w.shape[d] = shape[d], w.a_stride[d] = sa[d], w.b_stride[d] = sb[d];
  return w;
}

/* Whether `n` neighbours of a dimension can be one item: they lie behind one another, and everything starts at a
 * multiple of n. Addresses must be multiples of `bytes`. */
static int divides(const struct pah_walk *w, const long long *stride, const void *data, int64_t n, int64_t bytes) {
  int last = w->ndim - 1;
  if (w->shape[last] % n || (stride[last] != 1 && w->shape[last] > 1) || (uintptr_t)data % (uintptr_t)bytes) return 0;
  for (int d = 0; d < last; d++)
    if (stride[d] % n) return 0;
  return 1;
}

static void group(struct pah_walk *w, int64_t n) {
  int last = w->ndim - 1;
  w->count /= n;
  w->shape[last] /= n;
  for (int d = 0; d < last; d++) w->a_stride[d] /= n, w->b_stride[d] /= n;
}

static int launch(struct pah_device *dev, const char *file, const char *kernel, const struct pah_walk *w,
                  const void *second, const void *third) {
  int64_t each = (int64_t)PAH_WALK_THREADS * PAH_WALK_ITEMS;
  struct pah_gpu_call call = {.file = file,
                              .kernel = kernel,
                              .grid = {(w->count + each - 1) / each, 1, 1},
                              .threads = PAH_WALK_THREADS,
                              .args = {w, second, third}};
  return pah_gpu_call(dev, &call);
}

/* ---- Copies and fills of bits ---- */

/* The widest word, in bytes, for elements of `size` bytes; the walk then counts words. */
static int widen_words(struct pah_walk *w, int64_t size) {
  for (int64_t bytes = 16; bytes > size; bytes /= 2) {
    int64_t n = bytes / size;
    if (!divides(w, w->a_stride, w->a, n, bytes) || (w->b && !divides(w, w->b_stride, w->b, n, bytes))) continue;
    group(w, n);
    return (int)bytes;
  }
  return (int)size;
}

/* A row of elements whose number no word divides: the first of two parts is a multiple of `n`, the other short. */
static int split_row(const struct pah_walk *w, int64_t n, int64_t size_a, int64_t size_b, struct pah_walk *tail) {
  int64_t rest = w->count % n;
  if (w->ndim != 1 || !rest || rest == w->count) return 0;
  *tail = *w;
  tail->count = tail->shape[0] = rest;
  tail->a = (char *)w->a + (w->count - rest) * w->a_stride[0] * size_a;
  if (w->b) tail->b = (const char *)w->b + (w->count - rest) * w->b_stride[0] * size_b;
  return 1;
}

/* A copy whose source runs along another dimension than its destination: turned in tiles, so that both are walked
 * along their memory. That dimension becomes the last but one. 0: it is no such copy. */
static int turns(struct pah_walk *w) {
  int last = w->ndim - 1, d = last - 1;
  if (last < 1 || w->a_stride[last] != 1 || w->b_stride[last] == 1) return 0;
  while (d >= 0 && w->b_stride[d] != 1) d--;
  if (d < 0 || w->shape[d] < PAH_TILE / 2 || w->shape[last] < PAH_TILE / 2) return 0;
  long long shape = w->shape[d], a = w->a_stride[d], b = w->b_stride[d];
  for (; d < last - 1; d++)
    w->shape[d] = w->shape[d + 1], w->a_stride[d] = w->a_stride[d + 1], w->b_stride[d] = w->b_stride[d + 1];
  w->shape[d] = shape;
  w->a_stride[d] = a;
  w->b_stride[d] = b;
  return 1;
}

/* A thread block per tile; those of one matrix first. */
static int turn(struct pah_device *dev, const struct pah_walk *w, int64_t size) {
  long long rows = (w->shape[w->ndim - 2] + PAH_TILE - 1) / PAH_TILE;
  long long columns = (w->shape[w->ndim - 1] + PAH_TILE - 1) / PAH_TILE;
  int64_t matrices = w->count / (w->shape[w->ndim - 2] * w->shape[w->ndim - 1]);
  int bytes = (int)size;
  struct pah_gpu_call call = {.file = "tensor/turn.cu",
                              .kernel = "turn",
                              .grid = {matrices * rows * columns, 1, 1},
                              .threads = PAH_WALK_THREADS,
                              .args = {w, &bytes}};
  return pah_gpu_call(dev, &call);
}

/* Part of a row: `count` elements from number `first` on. */
static int copy_piece(struct pah_device *dev, const struct pah_walk *row, int64_t first, int64_t count, int64_t size) {
  struct pah_walk w = *row;
  int bytes = (int)size;
  w.count = w.shape[0] = count;
  w.a = (char *)row->a + first * size;
  w.b = (const char *)row->b + first * size;
  return count ? launch(dev, "tensor/copy.cu", "copy_words", &w, &bytes, NULL) : PAH_OK;
}

/* A row whose source lies otherwise between multiples of 16 bytes than its destination. */
static int is_shifted(const struct pah_walk *w, int64_t size) {
  return w->ndim == 1 && w->a_stride[0] == 1 && w->b_stride[0] == 1 && w->count * size >= SHIFTED_BYTES &&
         (uintptr_t)w->a % 16 != (uintptr_t)w->b % 16;
}

/* Words of the destination whose bytes lie within words of the source that are all its own; what is left over at both
 * ends goes element by element. */
static int copy_shifted(struct pah_device *dev, const struct pah_walk *w, int64_t size) {
  int64_t head = 16 + (int64_t)(-(uintptr_t)w->a % 16), by = (int64_t)(((uintptr_t)w->b + (uintptr_t)head) % 16);
  int64_t words = (w->count * size - head - 16) / 16, done = (head + 16 * words) / size;
  struct pah_walk middle = *w;
  int shift = (int)by;
  middle.count = middle.shape[0] = words;
  middle.a = (char *)w->a + head;
  middle.b = (const char *)w->b + head - by;
  int status = copy_piece(dev, w, 0, head / size, size);
  if (!status) status = launch(dev, "tensor/copy.cu", "copy_shifted", &middle, &shift, NULL);
  return status ? status : copy_piece(dev, w, done, w->count - done, size);
}

static int copy_bits(struct pah_device *dev, struct pah_walk w, int64_t size) {
  if (turns(&w)) return turn(dev, &w, size);
  if (is_shifted(&w, size)) return copy_shifted(dev, &w, size);
  struct pah_walk tail;
  if (split_row(&w, 16 / size, size, size, &tail)) {
    int bytes = (int)size, status = launch(dev, "tensor/copy.cu", "copy_words", &tail, &bytes, NULL);
    if (status) return status;
    w.count = w.shape[0] -= tail.count;
  }
  int bytes = widen_words(&w, size);
  return launch(dev, "tensor/copy.cu", "copy_words", &w, &bytes, NULL);
}

static int fill_bits(struct pah_device *dev, struct pah_walk w, const void *element, int64_t size) {
  struct pah_word word = {.bytes = (int)size};
  unsigned char pattern[16];
  for (int64_t i = 0; i < 16; i += size) memcpy(pattern + i, element, (size_t)size);
  memcpy(&word.low, pattern, 8);
  memcpy(&word.high, pattern + 8, 8);
  struct pah_walk tail;
  if (split_row(&w, 16 / size, size, 0, &tail)) {
    int status = launch(dev, "tensor/copy.cu", "fill_words", &tail, &word, NULL);
    if (status) return status;
    w.count = w.shape[0] -= tail.count;
  }
  word.bytes = widen_words(&w, size);
  return launch(dev, "tensor/copy.cu", "fill_words", &w, &word, NULL);
}

int pah_gpu_tensor_fill(struct pah_device *dev, const struct pah_tensor *t, const void *element) {
  return fill_bits(dev, walk_of(t, NULL), element, pah_dtype_size(t->dtype));
}

/* ---- Copies ---- */

/* Whether float holds every number of a type, so that conversions between such types need no double. */
static int is_small(int dtype) {
  return pah_dtype_is_float(dtype) && dtype != PAH_F64;
}

static int64_t aligned_to(int64_t bytes) {
  return bytes < 16 ? bytes : 16;
}

static int convert(struct pah_device *dev, struct pah_walk w, int to, int from) {
  int small = is_small(to) && (is_small(from) || from == PAH_U8);
  const char *kernel = small ? "convert_small" : "convert";
  int64_t size_a = pah_dtype_size(to), size_b = pah_dtype_size(from), n = small ? PAH_WIDE_SMALL : PAH_WIDE;
  struct pah_conversion c = {.to = to, .from = from, .width = 1};
  struct pah_walk tail;
  if (split_row(&w, n, size_a, size_b, &tail)) {
    int status = launch(dev, "tensor/convert.cu", kernel, &tail, &c, NULL);
    if (status) return status;
    w.count = w.shape[0] -= tail.count;
  }
  if (divides(&w, w.a_stride, w.a, n, aligned_to(n * size_a)) &&
      divides(&w, w.b_stride, w.b, n, aligned_to(n * size_b))) {
    group(&w, n);
    c.width = (int)n;
  }
  return launch(dev, "tensor/convert.cu", kernel, &w, &c, NULL);
}

static int copy_disjoint(struct pah_device *dev, const struct pah_tensor *dst, const struct pah_tensor *src) {
  struct pah_walk w = walk_of(dst, src);
  if (dst->dtype == src->dtype) return copy_bits(dev, w, pah_dtype_size(dst->dtype));
  return convert(dev, w, dst->dtype, src->dtype);
}

/* The source moved away to packed memory of its own first; the memory is freed in the order of the stream. */
int pah_gpu_tensor_copy(struct pah_device *dev, const struct pah_tensor *dst, const struct pah_tensor *src) {
  if (!pah_tensors_overlap(dst, src)) return copy_disjoint(dev, dst, src);
  struct pah_tensor packed = *src;
  int64_t numel = 1;
  for (int d = src->ndim - 1; d >= 0; d--) {
    packed.stride[d] = numel;
    numel *= src->shape[d];
  }
  int64_t bytes = numel * pah_dtype_size(src->dtype);
  int status = pah_device_alloc(dev, bytes, &packed.data);
  if (status) return status;
  status = copy_disjoint(dev, &packed, src);
  if (!status) status = copy_disjoint(dev, dst, &packed);
  pah_device_free(dev, packed.data, bytes);
  return status;
}

/* ---- Random numbers ---- */

int pah_gpu_tensor_random(struct pah_device *dev, const struct pah_tensor *t, const struct pah_draw *draw) {
  static const char *const kernels[] = {
      [PAH_DRAW_UNIFORM] = "uniform", [PAH_DRAW_NORMAL] = "normal", [PAH_DRAW_INTEGER] = "integer"};
  struct pah_walk w = walk_of(t, NULL);
  struct pah_draw_params p = {.type = t->dtype,
                              .seed = draw->seed,
                              .range = draw->range,
                              .low = draw->low,
                              .a = draw->a,
                              .b = draw->b,
                              .first = draw->first,
                              .last = draw->last};
  long long elements = w.count;
  if (draw->kind == PAH_DRAW_NORMAL) w.count = (w.count + 1) / 2; /* an item is a pair */
  return launch(dev, "tensor/random.cu", kernels[draw->kind], &w, &p, draw->kind == PAH_DRAW_NORMAL ? &elements : NULL);
}

/* ---- Hashes ---- */

int pah_gpu_tensor_hash(struct pah_device *dev, const struct pah_tensor *t, uint64_t *parts) {
  long long bytes = pah_tensor_numel(t) * pah_dtype_size(t->dtype);
  int64_t pieces = (bytes + PAH_HASH_PIECE - 1) / PAH_HASH_PIECE, size = pieces * (int64_t)sizeof *parts;
  if ((uintptr_t)t->data % 8) return PAH_LEFT_TO_HOST;
  void *scratch;
  int status = pah_gpu_scratch(dev, size, &scratch);
  if (status) return status;
  struct pah_gpu_call call = {.file = "tensor/hash.cu",
                              .kernel = "hash_pieces",
                              .grid = {(4 * pieces + 31) / 32, 1, 1},
                              .threads = 32,
                              .args = {&t->data, &bytes, &scratch}};
  status = pah_gpu_call(dev, &call);
  if (!status) status = dev->ops->copy_out(dev, parts, scratch, size);
  pah_gpu_scratch_done(dev);
  return status;
}
