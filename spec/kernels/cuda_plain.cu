/* cuda_plain.cu - kernels as one meets them in CUDA C++ everywhere, for spec/sim/sim_cuda_spec.lua: nothing here is
 * written for pah. Built by nvcc too. */
#include <assert.h>
#include <cfloat>
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cuda/atomic>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_pipeline.h>
#include <cuda_runtime.h>
#include <stdio.h>

namespace cg = cooperative_groups;
constexpr unsigned FULL = 0xffffffffu;

/* ---- Reductions ---- */

template <typename T> __inline__ __device__ T warp_sum(T v) {
#pragma unroll
  for (int offset = warpSize / 2; offset > 0; offset >>= 1) v += __shfl_down_sync(FULL, v, offset);
  return v;
}

template <typename T> __inline__ __device__ T block_sum(T v) {
  static __shared__ T part[32];
  int lane = threadIdx.x % warpSize, warp = threadIdx.x / warpSize;
  v = warp_sum(v);
  if (lane == 0) part[warp] = v;
  __syncthreads();
  v = threadIdx.x < blockDim.x / warpSize ? part[lane] : T(0);
  if (warp == 0) v = warp_sum(v);
  __syncthreads();
  return v;
}

__global__ void reduce(const double *in, double *out, int n) {
  double v = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) v += in[i];
  v = block_sum(v);
  if (threadIdx.x == 0) atomicAdd(out, v);
}

__global__ void __launch_bounds__(256) softmax(const float *__restrict__ x, float *__restrict__ y, int columns) {
  extern __shared__ float row[];
  const float *in = x + (size_t)blockIdx.x * columns;
  float most = -FLT_MAX;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    row[i] = in[i];
    most = fmaxf(most, row[i]);
  }
  for (int mask = 16; mask > 0; mask >>= 1) most = fmaxf(most, __shfl_xor_sync(FULL, most, mask));
  __shared__ float warps[32];
  __shared__ float total;
  if ((threadIdx.x & 31) == 0) warps[threadIdx.x >> 5] = most;
  __syncthreads();
  for (int i = 0; i < (int)(blockDim.x >> 5); i++) most = max(most, warps[i]);
  float sum = 0.f;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    row[i] = __expf(row[i] - most);
    sum += row[i];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) total = sum;
  __syncthreads();
  for (int i = threadIdx.x; i < columns; i += blockDim.x)
    y[(size_t)blockIdx.x * columns + i] = __fdividef(row[i], total);
}

template <int BLOCK> __global__ void layernorm(const float4 *x, const float4 *gamma, float4 *y, float eps) {
  __shared__ float mean, inverse;
  float4 v = x[blockIdx.x * BLOCK + threadIdx.x], g = __ldg(&gamma[threadIdx.x]);
  float s = block_sum(v.x + v.y + v.z + v.w);
  if (threadIdx.x == 0) mean = s / (4 * BLOCK);
  __syncthreads();
  float a = v.x - mean, b = v.y - mean, c = v.z - mean, d = v.w - mean;
  float q = block_sum(a * a + b * b + c * c + d * d);
  if (threadIdx.x == 0) inverse = rsqrtf(q / (4 * BLOCK) + eps);
  __syncthreads();
  y[blockIdx.x * BLOCK + threadIdx.x] =
      make_float4(a * inverse * g.x, b * inverse * g.y, c * inverse * g.z, d * inverse * g.w);
}

/* ---- Moving and counting ---- */

extern "C" __global__ void scan(const int *in, int *out, int n) {
  extern __shared__ int temp[];
  int t = threadIdx.x, from = 0, to = 1;
  temp[t] = t < n ? in[t] : 0;
  __syncthreads();
  for (int offset = 1; offset < blockDim.x; offset *= 2) {
    temp[to * blockDim.x + t] = temp[from * blockDim.x + t] + (t >= offset ? temp[from * blockDim.x + t - offset] : 0);
    from = to;
    to = 1 - to;
    __syncthreads();
  }
  if (t < n) out[t] = temp[from * blockDim.x + t];
}

template <int TILE, int ROWS> __global__ void transpose(float *out, const float *in, int width, int height) {
  __shared__ float tile[TILE][TILE + 1];
  int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
  for (int j = 0; j < TILE; j += ROWS)
    if (x < width && y + j < height) tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * width + x];
  __syncthreads();
  x = blockIdx.y * TILE + threadIdx.x;
  y = blockIdx.x * TILE + threadIdx.y;
  for (int j = 0; j < TILE; j += ROWS)
    if (x < height && y + j < width) out[(y + j) * height + x] = tile[threadIdx.x][threadIdx.y + j];
}

__global__ void histogram(const unsigned char *data, unsigned int *bins, int n) {
  __shared__ unsigned int local[256];
  for (int i = threadIdx.x; i < 256; i += blockDim.x) local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
    atomicAdd(&local[data[i]], 1u);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    if (local[i]) atomicAdd(&bins[i], local[i]);
}

/* Keeps what is above the limit: one atomic for the lanes of a warp that came together. */
__device__ int aggregated_increment(int *counter) {
  cg::coalesced_group active = cg::coalesced_threads();
  int first = 0;
  if (active.thread_rank() == 0) first = atomicAdd(counter, (int)active.size());
  return active.shfl(first, 0) + active.thread_rank();
}
__global__ void filter(const float *in, float *out, int *counter, float limit, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n && in[i] > limit) out[aggregated_increment(counter)] = in[i];
}
__global__ void filter_by_hand(const float *in, float *out, int *counter, float limit, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  bool keep = i < n && in[i] > limit;
  unsigned ballot = __ballot_sync(FULL, keep);
  int lane = threadIdx.x & 31, first = 0;
  if (lane == __ffs(ballot) - 1) first = atomicAdd(counter, __popc(ballot));
  first = __shfl_sync(FULL, first, ballot ? __ffs(ballot) - 1 : 0);
  if (keep) out[first + __popc(ballot & ((1u << lane) - 1))] = in[i];
}

/* ---- Products ---- */

struct Matrix {
  int rows, columns;
  const float *data;
  __host__ __device__ float operator()(int i, int j) const {
    return i < rows && j < columns ? data[i * columns + j] : 0.0f;
  }
};

template <int TILE> __global__ void matmul(Matrix a, Matrix b, float *c) {
  __shared__ float as[TILE][TILE];
  __shared__ __align__(16) float bs[TILE][TILE];
  int row = blockIdx.y * TILE + threadIdx.y, column = blockIdx.x * TILE + threadIdx.x;
  float acc = 0;
  for (int t = 0; t < (a.columns + TILE - 1) / TILE; ++t) {
    as[threadIdx.y][threadIdx.x] = a(row, t * TILE + threadIdx.x);
    bs[threadIdx.y][threadIdx.x] = b(t * TILE + threadIdx.y, column);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < TILE; ++k) acc = fmaf(as[threadIdx.y][k], bs[k][threadIdx.x], acc);
    __syncthreads();
  }
  if (row < a.rows && column < b.columns) c[row * b.columns + column] = acc;
}

__global__ void saxpy_half2(half2 *y, const half2 *x, float a, int pairs) {
  half2 factor = __float2half2_rn(a);
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < pairs; i += gridDim.x * blockDim.x)
    y[i] = __hfma2(factor, x[i], y[i]);
}

__global__ void quantize(const __nv_bfloat16 *in, __nv_fp8_e4m3 *out, float *back, float scale, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  out[i] = __nv_fp8_e4m3(__bfloat162float(in[i]) * scale);
  back[i] = static_cast<float>(out[i]);
}

/* ---- Stencil with a halo, through asynchronous copies ---- */

#define RADIUS 4
__constant__ float weights[RADIUS + 1] = {0.5f, 0.125f, 0.0625f, 0.03125f, 0.03125f};

__global__ void stencil(const float *in, float *out, int n) {
  __shared__ __align__(16) float s[128 + 2 * RADIUS];
  int start = blockIdx.x * 128 - RADIUS;
  for (int i = threadIdx.x * 4; i < 128 + 2 * RADIUS; i += blockDim.x * 4) {
    if (start + i >= 0 && start + i + 3 < n)
      __pipeline_memcpy_async(&s[i], &in[start + i], sizeof(float4));
    else
      *reinterpret_cast<float4 *>(&s[i]) = make_float4(0, 0, 0, 0);
  }
  __pipeline_commit();
  __pipeline_wait_prior(0);
  __syncthreads();
  int at = threadIdx.x + RADIUS;
  float v = weights[0] * s[at];
  for (int r = 1; r <= RADIUS; r++) v += weights[r] * (s[at - r] + s[at + r]);
  if (blockIdx.x * 128 + threadIdx.x < n) out[blockIdx.x * 128 + threadIdx.x] = v;
}

/* ---- Handing over by an atomic ---- */

__global__ void handover(int *data, int *flag, int *out, unsigned *count) {
  cuda::atomic_ref<int, cuda::thread_scope_block> ready(*flag);
  if (threadIdx.x == 64) {
    *data = 42;
    ready.store(1, cuda::std::memory_order_release);
  }
  if (threadIdx.x == 0) {
    while (ready.load(cuda::memory_order_acquire) == 0) {
    }
    *out = *data;
  }
  cuda::atomic_ref<unsigned, cuda::thread_scope_device>(*count).fetch_add(1, cuda::memory_order_relaxed);
}

/* ---- Groups ---- */

__device__ int group_sum(cg::thread_group g, int *temp, int v) {
  int rank = g.thread_rank();
  for (int i = g.size() / 2; i > 0; i /= 2) {
    temp[rank] = v;
    g.sync();
    if (rank < i) v += temp[rank + i];
    g.sync();
  }
  return v;
}

__global__ void groups(const float *in, float *sums, int *out) {
  __shared__ int temp[256];
  cg::thread_block block = cg::this_thread_block();
  cg::thread_block_tile<8> tile = cg::tiled_partition<8>(block);
  auto warp = cg::tiled_partition<32>(block);
  int t = block.thread_rank();
  float s = cg::reduce(warp, in[cg::this_grid().thread_rank()], cg::plus<float>());
  if (warp.thread_rank() == 0) sums[warp.meta_group_rank()] = s;
  int all = group_sum(block, temp, 1);
  block.sync();
  int four = group_sum(cg::tiled_partition(block, 4), temp + t / 4 * 4, t);
  out[t * 6 + 0] = t == 0 ? all : 0;
  out[t * 6 + 1] = t % 4 == 0 ? four : 0;
  out[t * 6 + 2] = cg::exclusive_scan(tile, t);
  out[t * 6 + 3] = cg::inclusive_scan(tile, 1, cg::plus<int>());
  out[t * 6 + 4] = tile.ballot(t % 3 == 0);
  out[t * 6 + 5] = tile.shfl_xor(t, 3) + cg::reduce(tile, t, cg::greater<int>());
}
