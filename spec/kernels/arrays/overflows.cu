// overflows.cu - signed numbers that overflow. In index_ BUG 1 has a sum or product that does not fit and becomes an
// address, though one of memory that is there; in wraps_ there are hashes, random numbers, checksums and counters,
// whose numbers are meant to wrap. 64 threads, x and f have 256 numbers, n is 4; see spec/sim/sim_overflow_spec.lua.
#include <cuda_fp16.h>

__device__ int offset_of(int row, int stride, int col) {
  return row * stride + col;
}
struct Layout {
  int stride;
  __device__ int operator()(int i, int j) const {
    return i * stride + j;
  }
};
struct At {
  int row, col;
};
template <class V> struct View {
  V *p;
  int stride;
  __device__ V &at(int i, int j) {
    return p[i * stride + j];
  }
};
template <class I> __device__ I linear(I a, I b, I c) {
  return a * b + c;
}
__device__ float get(const float *p, int i) {
  return p[i];
}
template <int BUG> __global__ void index_direct(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  x[BUG ? w * n + t : t] = 1;
}
template <int BUG> __global__ void index_variable(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  int at = BUG ? w * n + t : t;
  x[at] = 1;
}
template <int BUG> __global__ void index_pointer(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  *(x + (BUG ? w * n : 0) + t) = 1;
}
template <int BUG> __global__ void index_row(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  float *row = f + (BUG ? w : 1) * n;
  row[t] = 1;
}
template <int BUG> __global__ void index_advance(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  f += (BUG ? w : 1) * n;
  f[t] = 1;
}
template <int BUG> __global__ void index_function(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  x[offset_of(BUG ? w : 1, n, t)] = 1;
}
template <int BUG> __global__ void index_argument(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  x[t] = get(f + 64, (BUG ? w : 0) * n + t);
}
template <int BUG> __global__ void index_functor(int *x, float *f, int n) {
  Layout l{BUG ? n << 28 : 1};
  x[l(n, threadIdx.x)] = 1;
}
template <int BUG> __global__ void index_member(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  At a;
  a.row = (BUG ? w : 1) * n;
  a.col = t;
  x[a.row + a.col] = 1;
}
template <int BUG> __global__ void index_aggregate(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  At a = {(BUG ? w : 1) * n, t};
  x[a.row + a.col] = 1;
}
template <int BUG> __global__ void index_view(int *x, float *f, int n) {
  View<int> v{x, BUG ? n << 28 : 1};
  v.at(n, threadIdx.x) = 1;
}
template <int BUG> __global__ void index_template(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  x[linear(BUG ? w : 1, n, t)] = 1;
}
template <int BUG> __global__ void index_loop(int *x, float *f, int n) {
  int step = BUG ? 0x40000000 : 64;
  for (int i = threadIdx.x, k = 0; k < n; i += step, k++)
    if (i >= 0 && i < 256) x[i] = 1;
}
template <int BUG> __global__ void index_size_t(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  size_t at = (BUG ? w : 0) * n + (size_t)t;
  x[at] = 1;
}
template <int BUG> __global__ void index_long(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  long long base = (BUG ? w : 1) * n;
  x[base + t] = 1;
}
template <int BUG> __global__ void index_lambda(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  auto at = [=](int i) { return i * n + t; };
  x[at(BUG ? w : 1)] = 1;
}
template <int BUG> __global__ void index_shared(int *x, float *f, int n) {
  __shared__ int s[128];
  int w = n << 28, t = threadIdx.x;
  s[t] = s[t + 64] = 0;
  __syncthreads();
  int at = (BUG ? w : 0) * n;
  s[at + t] = 1;
  x[t] = s[t];
}
template <int BUG> __global__ void index_divided(int *x, float *f, int n) {
  int w = n << 14, t = threadIdx.x;
  int all = (BUG ? w * w : w) + t;
  int row = all / w;
  x[row + t] = 1;
}
template <int BUG> __global__ void index_const_ref(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  const int at = (BUG ? w : 1) * n;
  auto put = [&](const int &i) { x[i + t] = 1; };
  put(at);
}
template <int BUG> __global__ void index_array(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  int idx[4];
  for (int i = 0; i < 4; i++) idx[i] = (BUG ? w : 1) * n + i;
  x[idx[t & 3] + t] = 0;
}
template <int BUG> __global__ void index_atomic(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  atomicAdd(&x[(BUG ? w : 1) * n + t], 1);
}
template <int BUG> __global__ void index_half(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  __half *h = (__half *)f;
  const __half *row = h + (BUG ? w : 1) * n;
  x[t] = (int)__half2float(row[t]);
}
template <int BUG> __global__ void index_float4(int *x, float *f, int n) {
  int w = n << 28, t = threadIdx.x;
  float4 v = reinterpret_cast<float4 *>(f)[(BUG ? w : 0) * n + t];
  x[t] = v.x > 0;
}
template <int BUG> __global__ void index_global_stride(int *x, float *f, int n) {
  int total = BUG ? (n << 28) * n : 64;
  int t = threadIdx.x;
  for (int i = t; i < total || i == t; i += 64) x[i] = 1;
}
template <int BUG> __global__ void index_return_ptr(int *x, float *f, int n) {
  struct P {
    static __device__ int *at(int *p, int w, int n) {
      return p + w * n;
    }
  };
  P::at(x, BUG ? n << 28 : 1, n)[threadIdx.x] = 1;
}
template <int BUG> __global__ void index_shift(int *x, float *f, int n) {
  int t = threadIdx.x, scale = BUG ? n << 26 : 65536;
  int i = t * scale >> 16;
  x[i > 0 && i < 64 ? i : 0] = 1;
}

__device__ int hash_of(int k) {
  k = (k ^ 61) ^ (k >> 16);
  k = k * 668265263;
  k ^= k >> 15;
  return k;
}
struct Rng {
  int s;
  __device__ int next() {
    s = s * 1103515245 + 12345;
    return (s >> 16) & 0x7fff;
  }
};
template <class V> struct Sum {
  V v;
  __device__ void add(V o) {
    v += o;
  }
};
__device__ int mix(int a, int b) {
  return a * 31 + b;
}
__global__ void wraps_lcg(int *x, float *f, int n) {
  int seed = threadIdx.x * 7919 + 1;
  for (int i = 0; i < 10; i++) seed = seed * 1103515245 + 12345;
  x[threadIdx.x] = seed;
}
__global__ void wraps_lcg_mod(int *x, float *f, int n) {
  int seed = threadIdx.x + 99;
  for (int i = 0; i < 10; i++) {
    seed = seed * 1664525 + 1013904223;
    x[64 + (unsigned)seed % 64u] = 0;
  }
}
__global__ void wraps_rng(int *x, float *f, int n) {
  Rng r{(int)threadIdx.x + 5};
  int s = 0;
  for (int i = 0; i < 8; i++) s += f[64 + r.next() % 64] > 0;
  x[threadIdx.x] = s;
}
__global__ void wraps_hash_slot(int *x, float *f, int n) {
  int slot = hash_of(threadIdx.x * 77 + 3) & 127;
  atomicAdd(&x[slot], 1);
}
__global__ void wraps_hash_mod(int *x, float *f, int n) {
  int h = hash_of(threadIdx.x * 77 + 3) % 128;
  if (h < 0) h += 128;
  atomicAdd(&x[h], 1);
}
__global__ void wraps_hash_abs(int *x, float *f, int n) {
  int h = mix(threadIdx.x * 73856093, 19349663 * n);
  atomicAdd(&x[(h & 0x7fffffff) % 128], 1);
}
__global__ void wraps_checksum(int *x, float *f, int n) {
  int sum = 0;
  for (int i = 0; i < 64; i++) sum = sum * 31 + (int)f[64 + i] * 100000;
  x[threadIdx.x] = sum;
}
__global__ void wraps_fnv(int *x, float *f, int n) {
  int h = -2128831035;
  const unsigned char *p = (const unsigned char *)(f + 64);
  for (int i = 0; i < 16; i++) {
    h ^= p[i];
    h *= 16777619;
  }
  x[threadIdx.x] = h;
}
__global__ void wraps_total(int *x, float *f, int n) {
  Sum<int> s{0};
  for (int i = 0; i < 8; i++) s.add(0x30000000 + i * n);
  x[threadIdx.x] = s.v;
}
__global__ void wraps_ticks(int *x, float *f, int n) {
  int begin = 0x7fffffff - (int)threadIdx.x, now = begin + 100;
  x[threadIdx.x] = now - begin;
}
__global__ void wraps_ring(int *x, float *f, int n) {
  int head = 0x7ffffff0;
  for (int i = 0; i < 40; i++) {
    x[64 + (head & 63)] = 0;
    head++;
  }
}
__global__ void wraps_fixed(int *x, float *f, int n) {
  int acc = 0;
  for (int i = 0; i < 64; i++) {
    int a = (int)(f[64 + i] * 65536);
    acc += (a >> 8) * 6553600;
  }
  f[threadIdx.x] = acc * (1.0f / 65536);
}
__global__ void wraps_shared_sum(int *x, float *f, int n) {
  __shared__ int s[64];
  int t = threadIdx.x;
  s[t] = 0x40000000 + t;
  __syncthreads();
  for (int k = 32; k; k /= 2) {
    if (t < k) s[t] += s[t + k];
    __syncthreads();
  }
  x[t] = s[0];
}
__global__ void wraps_warp_sum(int *x, float *f, int n) {
  int v = 0x20000000 + threadIdx.x;
  for (int k = 16; k; k /= 2) v += __shfl_xor_sync(~0u, v, k);
  x[threadIdx.x] = v;
}
__global__ void wraps_negate(int *x, float *f, int n) {
  int least = -2147483647 - 1 + (n - 4);
  int v = threadIdx.x ? (int)threadIdx.x : least;
  x[threadIdx.x] = v < 0 ? -v : v;
}
__global__ void wraps_xorshift(int *x, float *f, int n) {
  int s = threadIdx.x + 1;
  for (int i = 0; i < 6; i++) {
    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    s += s * 5;
  }
  x[threadIdx.x] = s & 63;
}
__global__ void wraps_rand_float(int *x, float *f, int n) {
  int s = threadIdx.x * 12345 + 1;
  s = s * 1103515245 + 12345;
  float r = (s & 0x7fffff) * (1.0f / 0x800000);
  int at = (int)(r * 64);
  x[64 + at] = 0;
}
__global__ void wraps_bucket(int *x, float *f, int n) {
  int h = threadIdx.x * 668265263;
  h ^= h >> 13;
  h *= 1274126177;
  const int bucket = (h >> 26) & 31;
  atomicAdd(x + bucket, 1);
}
__global__ void wraps_probe(int *x, float *f, int n) {
  int key = threadIdx.x + 1, h = key * 1640531527;
  for (int i = 0; i < 256; i++) {
    int slot = (h + i * i) & 255;
    if (atomicCAS(&x[slot], 0, key) == 0) break;
  }
}
__global__ void wraps_compare(int *x, float *f, int n) {
  int a = 0x7fffff00 + threadIdx.x, b = a + 512;
  x[threadIdx.x] = b - a > 0 ? 1 : 0;
}
__global__ void wraps_value_in_loop(int *x, float *f, int n) {
  int v = 1;
  for (int i = 0; i < 40; i++) {
    v = v * 3 + i;
    x[threadIdx.x + i * n % 64] = v * 0;
  }
}
__global__ void wraps_dot8(int *x, float *f, int n) {
  int acc = 0x7ffffff0;
  for (int k = 0; k < 16; k++) acc += (int)(k + threadIdx.x) * 5;
  x[threadIdx.x] = acc;
  f[threadIdx.x] = (float)acc;
}
__global__ void wraps_pack(int *x, float *f, int n) {
  int a = threadIdx.x + 200;
  int packed = a * 16777216 + a * 65536 + a;
  x[threadIdx.x] = packed;
}
