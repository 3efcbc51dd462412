/* params.h - what the host hands to the kernels of this folder, by value: plain C, read by src/gpu/tensor.c too.
 * Read next: walk.cuh. */
#ifndef PAH_KERNELS_TENSOR_PARAMS_H
#define PAH_KERNELS_TENSOR_PARAMS_H

enum { PAH_WALK_DIMS = 8, PAH_WALK_THREADS = 256, PAH_WALK_ITEMS = 4 /* of a thread */ };

/* One or two tensors of one shape, walked in row-major order. An item is a word of bytes (copy, fill), 1 element or
 * a few (convert), 1 element (random); strides count items. Dimensions that lie behind one another are merged: a
 * contiguous tensor has one, and costs no division. */
struct pah_walk {
  void *a;       /* written */
  const void *b; /* read; 0: there is none */
  long long count;
  int ndim; /* 1 at least */
  long long shape[PAH_WALK_DIMS], a_stride[PAH_WALK_DIMS], b_stride[PAH_WALK_DIMS];
};

/* A word of up to 16 bytes: what fill writes. Its bytes beyond `bytes` do not matter. */
struct pah_word {
  unsigned long long low, high;
  int bytes; /* 1, 2, 4, 8 or 16 */
};

/* The numbers of enum pah_dtype. */
enum pah_type { TYPE_F32 = 1, TYPE_F64, TYPE_F16, TYPE_BF16, TYPE_E4M3, TYPE_E5M2, TYPE_I32, TYPE_I64, TYPE_U8 };

/* Elements of an item of convert.cu, where they lie behind one another: of types that float holds, and of all. */
enum { PAH_WIDE_SMALL = 8, PAH_WIDE = 4 };

struct pah_conversion {
  int to, from; /* enum pah_type */
  int width;    /* elements of an item: 1 or the above */
};

/* Random numbers: see struct pah_draw of src/tensor/draw.h. */
struct pah_draw_params {
  int type; /* enum pah_type, of what is written */
  unsigned long long seed, range;
  long long low;
  double a, b, first, last;
};

enum { PAH_TILE = 32 }; /* rows and columns of a tile of turn.cu */

enum { PAH_PIECE_BYTES = 1 << 16 }; /* what one lane group of hash.cu hashes */

#endif
