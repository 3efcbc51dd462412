/* kv_append.cu - new tokens into the paged cache: token t goes to slot slot_mapping[t] = block * block_size + offset,
 * -1 skips it. A thread block per token and head, a thread per element of the wider of K and V. stored = real /
 * descale, rounded once; with nothing to convert the bits are copied. Defines: IN_T, KV_T. */
#include "params.h"
#include "types.cuh"
#include "verdict.cuh"

/* real / descale rounded to odd: a number between two floats becomes the one with the odd last bit, so that rounding
 * once more, to fewer bits, gives what rounding the quotient itself would. */
__device__ inline float quotient(float real, float descale) {
  double exact = (double)real / descale;
  float near = (float)exact;
  unsigned bits = float_to_bits(near);
  if ((double)near == exact || is_nan(near) || is_infinite(near) || (bits & 1)) return near;
  bool too_small = fabs((double)near) < fabs(exact);
  return bits_to_float(too_small ? bits + 1 : bits - 1);
}

template <class TO, class FROM> __device__ inline void convert(TO &to, FROM from) {
  from_float(to, to_float(from));
}

template <class SAME> __device__ inline void convert(SAME &to, SAME from) {
  to = from;
}

__device__ inline void store(KV_T &to, IN_T from, float descale) {
  if (descale == 1)
    convert(to, from);
  else if (sizeof(KV_T) == 4)
    from_float(to, to_float(from) / descale);
  else
    from_float(to, quotient(to_float(from), descale));
}

__device__ inline KV_T &element(const pah_append_params &p, const pah_blocks &blocks, long long slot) {
  return ((KV_T *)blocks.data)[slot / p.block_size * blocks.block + slot % p.block_size * blocks.slot +
                               blockIdx.y * blocks.head + threadIdx.x];
}

extern "C" __global__ void kv_append(pah_append_params p) {
  if (refused(p.verdict, p.ticket)) return;
  long long t = blockIdx.x;
  int head = blockIdx.y, d = threadIdx.x;
  long long slot = p.slot_bytes == 8 ? ((const long long *)p.slot_mapping)[t * p.slot_stride]
                                     : ((const int *)p.slot_mapping)[t * p.slot_stride];
  if (slot < 0) return;
  const IN_T *k = (const IN_T *)p.k + t * p.k_token + head * p.k_head;
  const IN_T *v = (const IN_T *)p.v + t * p.v_token + head * p.v_head;
  if (d < p.D) store(element(p, p.k_blocks, slot), k[d], p.k_descale ? *p.k_descale : 1.0f);
  if (d < p.Dv) store(element(p, p.v_blocks, slot), v[d], p.v_descale ? *p.v_descale : 1.0f);
}
