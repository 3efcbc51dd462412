/* hash.cu - the hashes of a tensor's pieces, with the bits of src/tensor/hash.c, which joins them in order. A piece has
 * four lanes of every fourth word, each a chain that cannot be cut: a thread per lane, and speed comes from the many
 * pieces of a large tensor and from words that are loaded ahead of the chain. */
#include "params.h"

__device__ inline unsigned long long mix(unsigned long long state, unsigned long long word) {
  state = (state ^ word) * 0x9e3779b97f4a7c15ull;
  return state ^ state >> 29;
}

/* Threads 4 i to 4 i + 3 of the grid hash piece i. `data` is aligned to 8 bytes. */
extern "C" __global__ void hash_pieces(const unsigned char *data, long long bytes, unsigned long long *parts) {
  const int ahead = 16;
  long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x, piece = thread / 4;
  int lane = threadIdx.x % 4;
  long long start = piece * PAH_PIECE_BYTES, size = bytes - start < PAH_PIECE_BYTES ? bytes - start : PAH_PIECE_BYTES;
  if (size < 0) size = 0; /* the threads past the last piece stay for the shuffles */
  const unsigned long long *word = (const unsigned long long *)(data + start) + lane;
  unsigned long long state = lane + 1;
  long long rounds = size / 32, i = 0;
  for (; i + ahead <= rounds; i += ahead) {
    unsigned long long held[ahead];
#pragma unroll
    for (int k = 0; k < ahead; k++) held[k] = word[4 * (i + k)];
#pragma unroll
    for (int k = 0; k < ahead; k++) state = mix(state, held[k]);
  }
  for (; i < rounds; i++) state = mix(state, word[4 * i]);
  if (lane == 0)
    for (long long rest = rounds * 32; rest < size; rest++) state = mix(state, data[start + rest]);
  unsigned long long second = __shfl_down_sync(0xffffffffu, state, 1);
  unsigned long long third = __shfl_down_sync(0xffffffffu, state, 2);
  unsigned long long fourth = __shfl_down_sync(0xffffffffu, state, 3);
  if (lane == 0 && size > 0) parts[piece] = mix(mix(mix(state, second), third), fourth);
}
