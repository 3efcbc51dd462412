// bugs_shared.cu - mistakes with shared memory, one a kernel: <1> has it, <0> is the same kernel without it. The line
// that a finding must name ends in the kernel's name as a comment. Read next: spec/sim/sim_bugs_spec.lua, which
// launches them.
constexpr int N = 64; // threads

template <int BUG> __global__ void no_barrier(int *g, int *u, int n) {
  __shared__ int s[N];
  int t = threadIdx.x;
  s[t] = g[t];
  if (!BUG) __syncthreads();
  g[t] = s[N - 1 - t]; // no_barrier
}

template <int BUG> __global__ void no_barrier_in_loop(int *g, int *u, int n) {
  __shared__ int s[N];
  int t = threadIdx.x, sum = 0;
  for (int i = 0; i < 3; i++) {
    s[t] = g[i * N + t]; // no_barrier_in_loop
    __syncthreads();
    sum += s[(t + 1) % N]; // no_barrier_in_loop
    if (!BUG) __syncthreads();
  }
  g[t] = sum;
}

template <int BUG> __global__ void one_buffer_for_two(int *g, int *u, int n) {
  __shared__ int s[2][N];
  int t = threadIdx.x, sum = 0;
  for (int i = 0; i < 4; i++) {
    int buffer = BUG ? 0 : i % 2;
    s[buffer][t] = g[t] + i; // one_buffer_for_two
    __syncthreads();
    sum += s[buffer][N - 1 - t]; // one_buffer_for_two
  }
  g[t] = sum;
}

template <int BUG> __global__ void tree_without_barrier(int *g, int *u, int n) {
  __shared__ int s[N];
  int t = threadIdx.x;
  s[t] = g[t];
  __syncthreads();
  for (int half = N / 2; half > 0; half /= 2) {
    if (t < half) s[t] += s[t + half]; // tree_without_barrier
    if (!BUG) __syncthreads();
  }
  if (t == 0) g[0] = s[0];
}

template <int BUG> __global__ void warp_synchronous(int *g, int *u, int n) {
  __shared__ volatile int s[N];
  int t = threadIdx.x;
  s[t] = g[t];
  __syncthreads();
  if (t < 32) {
    for (int half = 32; half > 0; half /= 2) {
      int other = s[t + half]; // warp_synchronous
      if (!BUG) __syncwarp();
      s[t] = s[t] + other; // warp_synchronous
      if (!BUG) __syncwarp();
    }
  }
  if (t == 0) g[0] = s[0];
}

template <int BUG> __global__ void no_syncwarp(int *g, int *u, int n) {
  __shared__ int s[N];
  int t = threadIdx.x;
  s[t] = g[t];
  if (!BUG) __syncwarp();
  g[t] = s[t ^ 1]; // no_syncwarp
}

template <int BUG> __global__ void early_broadcast(int *g, int *u, int n) {
  __shared__ int factor;
  if (threadIdx.x == 5) factor = g[0] + 2; // early_broadcast
  if (!BUG) __syncthreads();
  u[threadIdx.x] = factor; // early_broadcast
}

template <int BUG> __global__ void transpose(int *g, int *u, int n) {
  __shared__ int tile[8][9];
  int x = threadIdx.x % 8, y = threadIdx.x / 8;
  tile[y][x] = g[y * 8 + x];
  if (!BUG) __syncthreads();
  u[y * 8 + x] = tile[x][y]; // transpose
}

template <int BUG> __global__ void histogram(int *g, int *u, int n) {
  __shared__ int count[4];
  int t = threadIdx.x;
  if (t < 4) count[t] = 0;
  __syncthreads();
  if (BUG)
    count[t % 4]++; // histogram
  else
    atomicAdd(&count[t % 4], 1);
  __syncthreads();
  if (t < 4) g[t] = count[t];
}

template <int BUG> __global__ void atomic_then_plain(int *g, int *u, int n) {
  __shared__ int sum;
  int t = threadIdx.x;
  if (t == 0) sum = 0;
  __syncthreads();
  atomicAdd(&sum, g[t]); // atomic_then_plain
  if (!BUG) __syncthreads();
  u[t] = sum; // atomic_then_plain
}

template <int BUG> __global__ void scan_in_place(int *g, int *u, int n) {
  __shared__ int s[N];
  int t = threadIdx.x;
  s[t] = g[t];
  __syncthreads();
  for (int step = 1; step < N; step *= 2) {
    int add = t >= step ? s[t - step] : 0; // scan_in_place
    if (!BUG) __syncthreads();
    s[t] += add; // scan_in_place
    __syncthreads();
  }
  g[t] = s[t];
}

template <int BUG> __global__ void all_write_one(int *g, int *u, int n) {
  __shared__ int last;
  int t = threadIdx.x;
  if (!BUG ? t == N - 1 : t < n) last = t; // all_write_one
  __syncthreads();
  g[t] = last;
}

// An atomic whose result nobody takes has seen nothing of the others, not even where it comes last.
template <int BUG> __global__ void reduced_then_read(int *g, int *u, int n) {
  __shared__ int sum;
  int t = threadIdx.x;
  if (t == 0) sum = 0;
  __syncthreads();
  if (t >= 32) atomicSub(&sum, 1); // reduced_then_read
  if (!BUG) __syncthreads();
  if (t == N - 1) u[0] = sum; // reduced_then_read
}

template <int BUG> __global__ void empty_tail(int *g, int *u, int n) {
  __shared__ int tile[N];
  int t = threadIdx.x, count = 50; // the last tile is not full
  if (t < count) tile[t] = g[t];
  __syncthreads();
  int sum = 0;
  for (int i = 0; i < (BUG ? N : count); i++) sum += tile[i]; // empty_tail
  u[t] = sum;
}

template <int BUG> __global__ void dynamic_not_filled(int *g, int *u, int n) {
  extern __shared__ int pool[];
  int t = threadIdx.x;
  if (!BUG || t % 2 == 0) pool[t] = g[t];
  __syncthreads();
  u[t] = pool[t ^ 1]; // dynamic_not_filled
}

template <int BUG> __global__ void counter_not_zeroed(int *g, int *u, int n) {
  __shared__ int count;
  if (!BUG && threadIdx.x == 0) count = 0;
  __syncthreads();
  atomicAdd(&count, 1); // counter_not_zeroed
  __syncthreads();
  u[threadIdx.x] = count;
}

template <int BUG> __global__ void past_the_array(int *g, int *u, int n) {
  __shared__ int s[N];
  int t = threadIdx.x;
  s[BUG ? t + 1 : t] = g[t]; // past_the_array
  __syncthreads();
  g[t] = s[t]; // past_the_array
}

template <int BUG> __global__ void past_the_dynamic(int *g, int *u, int n) {
  extern __shared__ int pool[];
  int t = threadIdx.x;          // launched with room for N
  pool[BUG ? t + 8 : t] = g[t]; // past_the_dynamic
  __syncthreads();
  u[t] = g[t];
}

template <int BUG> __global__ void wide_and_misaligned(int *g, int *u, int n) {
  __shared__ __align__(16) float s[N + 4];
  int t = threadIdx.x;
  s[t] = (float)t;
  if (t < 4) s[N + t] = 0;
  __syncthreads();
  if (t < 8) {
    float4 v = *reinterpret_cast<float4 *>(s + 4 * t + BUG * n / 256); // wide_and_misaligned
    g[t] = (int)(v.x + v.y + v.z + v.w);
  }
}
