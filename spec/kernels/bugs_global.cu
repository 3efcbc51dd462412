// bugs_global.cu - mistakes with global memory, one a kernel: <1> has it, <0> is the same kernel without it. The line
// that a finding must name ends in the kernel's name as a comment. g has n = 256 ints from 0 up, u as many that nobody
// wrote. Read next: spec/sim/sim_bugs_spec.lua, which launches them.
constexpr int N = 64; // threads of a thread block

template <int BUG> __global__ void blocks_write_one(int *g, int *u, int n) {
  if (threadIdx.x == 0) u[BUG ? 0 : blockIdx.x] = blockIdx.x; // blocks_write_one
}

template <int BUG> __global__ void tiles_overlap(int *g, int *u, int n) {
  int i = blockIdx.x * (BUG ? N - 1 : N) + threadIdx.x;
  u[i] = threadIdx.x; // tiles_overlap
}

template <int BUG> __global__ void plain_counter(int *g, int *u, int n) {
  if (threadIdx.x) return;
  if (BUG)
    g[0] = g[0] + 1; // plain_counter
  else
    atomicAdd(g, 1);
}

template <int BUG> __global__ void no_threadfence(int *g, int *u, int n) {
  __shared__ int last;
  if (threadIdx.x == 0) {
    u[blockIdx.x] = blockIdx.x + 1; // no_threadfence
    if (!BUG) __threadfence();
    last = atomicAdd(g, 1) == (int)gridDim.x - 1;
    if (!BUG) __threadfence();
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    int sum = 0;
    for (int i = 0; i < (int)gridDim.x; i++) sum += u[i]; // no_threadfence
    g[1] = sum;
  }
}

template <int BUG> __global__ void neighbour_of_another_block(int *g, int *u, int n) {
  int i = blockIdx.x * N + threadIdx.x, from = i;
  g[i] = i; // neighbour_of_another_block
  if (BUG) from = (i + N) % n;
  u[i] = g[from]; // neighbour_of_another_block
}

template <int BUG> __global__ void stencil_in_place(int *g, int *u, int n) {
  int t = threadIdx.x, sum = g[t] + g[t + 1]; // stencil_in_place
  if (!BUG) __syncthreads();
  g[t] = sum; // stencil_in_place
}

template <int BUG> __global__ void atomic_and_plain(int *g, int *u, int n) {
  if (threadIdx.x) return;
  if (!BUG || blockIdx.x)
    atomicAdd(g, 1); // atomic_and_plain
  else
    g[0] = 7; // atomic_and_plain
}

template <int BUG> __global__ void lock_without_fence(int *g, int *u, int n) {
  if (threadIdx.x) return;
  while (atomicCAS(g, 0, 1) != 0) continue;
  if (!BUG) __threadfence();
  g[9] = g[9] + 1; // lock_without_fence
  if (!BUG) __threadfence();
  atomicExch(g, 0);
}

template <int BUG> __global__ void flag_without_fence(int *g, int *u, int n) {
  if (threadIdx.x) return;
  if (blockIdx.x == 0) {
    u[0] = 42; // flag_without_fence
    if (!BUG) __threadfence();
    atomicExch(g, 77);
  } else {
    while (atomicAdd(g, 0) != 77) continue;
    if (!BUG) __threadfence();
    g[8] = u[0]; // flag_without_fence
  }
}

template <int BUG> __global__ void never_written(int *g, int *u, int n) {
  int t = threadIdx.x;
  if (!BUG) u[t] = 0;
  g[t] += u[t]; // never_written
}

template <int BUG> __global__ void adds_to_an_empty_result(int *g, int *u, int n) {
  if (!BUG) u[threadIdx.x] = 0;
  atomicAdd(&u[threadIdx.x], g[threadIdx.x]); // adds_to_an_empty_result
}

template <int BUG> __global__ void slots_past_the_length(int *g, int *u, int n) {
  int t = threadIdx.x, length = 37; // of the cache u, 8 slots a block
  if (t < length) u[t] = t;
  __syncthreads();
  int sum = 0, end = BUG ? (length + 7) / 8 * 8 : length;
  for (int i = 0; i < end; i++) sum += u[i]; // slots_past_the_length
  g[t] = sum;
}

template <int BUG> __global__ void one_too_many(int *g, int *u, int n) {
  for (int i = threadIdx.x; BUG ? i <= n : i < n; i += N) u[i] = i; // one_too_many
}

template <int BUG> __global__ void no_guard(int *g, int *u, int n) {
  int i = blockIdx.x * N + threadIdx.x; // a thread block too many
  if (BUG || i < n) u[i] = i;           // no_guard
}

template <int BUG> __global__ void before_the_start(int *g, int *u, int n) {
  int t = threadIdx.x;
  u[t] = t > 0 || BUG ? g[t - 1] : 0; // before_the_start
}

// g holds a block table whose last entry is wild: 2 sequences of 4 blocks of 32.
template <int BUG> __global__ void block_id_out_of_range(int *g, int *u, int n) {
  __shared__ int table[8];
  int t = threadIdx.x;
  if (t < 8) table[t] = t < 7 ? t : BUG ? 900 : 7;
  __syncthreads();
  for (int i = t; i < 256; i += N) u[i] = g[table[i / 32] * 32 + i % 32]; // block_id_out_of_range
}

template <int BUG> __global__ void row_of_the_table_overrun(int *g, int *u, int n) {
  int t = threadIdx.x, max_blocks = 64, blocks = BUG ? max_blocks + 1 : max_blocks; // 4 rows
  int sum = 0;
  for (int j = 0; j < blocks; j++) sum += g[3 * max_blocks + j]; // row_of_the_table_overrun
  u[t] = sum;
}

template <int BUG> __global__ void offset_overflows(int *g, int *u, int n) {
  int block = 70000 + threadIdx.x, stride = 70000; // the product does not fit into 32 bits
  long long offset = BUG ? (long long)(int)((unsigned)block * (unsigned)stride) : (long long)block * stride;
  u[threadIdx.x] = g[offset - 4900000000LL - 70000LL * threadIdx.x]; // offset_overflows
}

template <int BUG> __global__ void wrong_stride(int *g, int *u, int n) {
  int row = threadIdx.x / 8, column = threadIdx.x % 8, pitch = BUG ? 64 : 32; // 8 rows of 32
  u[threadIdx.x] = g[row * pitch + column];                                   // wrong_stride
}

template <int BUG> __global__ void swapped_indices(int *g, int *u, int n) {
  int row = threadIdx.x, column = 3;                         // 64 rows of 4
  u[row] = g[BUG ? column * N * 4 + row : row * 4 + column]; // swapped_indices
}

template <int BUG> __global__ void null_pointer(int *g, int *u, int n) {
  int *p = BUG ? nullptr : u;
  p[threadIdx.x] = 1; // null_pointer
}

template <int BUG> __global__ void wild_pointer(int *g, int *u, int n) {
  int *p = BUG ? reinterpret_cast<int *>(0x123456789abcULL) : u;
  p[threadIdx.x] = 1; // wild_pointer
}

template <int BUG> __global__ void misaligned_vector(int *g, int *u, int n) {
  if (threadIdx.x >= 16) return;
  int4 v = *reinterpret_cast<const int4 *>(g + 4 * threadIdx.x + BUG); // misaligned_vector
  u[threadIdx.x] = v.x + v.y + v.z + v.w;
}

template <int BUG> __global__ void misaligned_pair(int *g, int *u, int n) {
  if (threadIdx.x >= 16) return;
  *reinterpret_cast<long long *>(u + 2 * threadIdx.x + BUG) = 1; // misaligned_pair
}

template <int BUG> __global__ void shared_address_as_global(int *g, int *u, int n) {
  __shared__ int s[N];
  long long *keep = reinterpret_cast<long long *>(u);
  s[threadIdx.x] = 1;
  if (threadIdx.x == 0) keep[0] = reinterpret_cast<long long>(BUG ? s - 100000 : s);
  __syncthreads();
  if (threadIdx.x == 1) g[0] = *reinterpret_cast<int *>(keep[0]); // shared_address_as_global
}
