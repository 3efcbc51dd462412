// mbarriers.cu - mbarrier instructions that kernels/ptx/ has no functions for, in inline PTX: threads that drop out,
// bytes reported by hand, counts of pending arrivals; for ptx_mbarrier_spec.lua. Bug 0 is right, every other number
// plants one mistake.
typedef unsigned long long u64;

__device__ unsigned address(const void *p) {
  return (unsigned)__cvta_generic_to_shared(p);
}
__device__ void init(u64 *bar, unsigned count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address(bar)), "r"(count) : "memory");
}
__device__ u64 arrive(u64 *bar) {
  u64 state;
  asm volatile("mbarrier.arrive.shared::cta.b64 %0, [%1];" : "=l"(state) : "r"(address(bar)) : "memory");
  return state;
}
__device__ u64 drop(u64 *bar) {
  u64 state;
  asm volatile("mbarrier.arrive_drop.shared::cta.b64 %0, [%1];" : "=l"(state) : "r"(address(bar)) : "memory");
  return state;
}
__device__ bool test(u64 *bar, unsigned parity) {
  unsigned done;
  asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
               : "=r"(done)
               : "r"(address(bar)), "r"(parity)
               : "memory");
  return done;
}
__device__ void wait(u64 *bar, unsigned parity) {
  while (!test(bar, parity)) {
  }
}

// Thread i takes part in i + 1 phases, and then drops out; the last one counts how many phases there were.
template <int Bug> __global__ void dropping(int *out) {
  __shared__ u64 meet;
  __shared__ int alive[64];
  const int i = threadIdx.x, n = blockDim.x;
  if (i == 0) init(&meet, n);
  alive[i] = 0;
  __syncthreads();
  for (int phase = 0; phase <= i; phase++) {
    alive[i] = phase + 1;
    if (phase == i && Bug == 0) {
      drop(&meet); // its writes are released, too
      break;
    }
    arrive(&meet); // Bug 1: the last arrival leaves the barrier waiting for it in the next phase
    if (phase == i) break;
    wait(&meet, phase & 1);
  }
  if (i == n - 1) {
    wait(&meet, i & 1);
    int sum = 0;
    for (int j = 0; j < n; j++) sum += alive[j];
    *out = sum;
  }
}

// Two expect bytes that two others report by hand; the data came by ordinary writes and arrivals.
template <int Bug> __global__ void by_hand(int *out) {
  __shared__ u64 full[2];
  __shared__ int data[2];
  const int i = threadIdx.x;
  if (i == 0) init(&full[0], 2), init(&full[1], 2);
  __syncthreads();
  if (i < 64) {
    const int which = i / 32;
    if (i % 32 == 0)
      asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 16;" ::"r"(address(&full[which])) : "memory");
    wait(&full[which], 0);
    if (i % 32 == 0) out[which] = data[which];
  } else if (i % 32 == 0) {
    const int which = i / 32 - 2;
    data[which] = 10 + which;
    if (Bug != 1 || which == 0)
      asm volatile("mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%0], 16;" ::"r"(address(&full[which]))
                   : "memory");
    arrive(&full[which]);
  }
}

// Named barriers of 40 threads, whose last warp counts as a whole one. Bug 1: none.
template <int Bug> __global__ void named(int *out) {
  __shared__ int data[2][40];
  const int i = threadIdx.x;
  data[0][i] = i;
  if (Bug != 1) asm volatile("bar.sync 1;" ::: "memory");
  data[1][i] = data[0][39 - i];
  asm volatile("bar.sync 2, 64;" ::: "memory");
  if (i < 8) out[i] = data[1][i + 32];
  if (i < 32)
    asm volatile("barrier.cta.sync 3, 64;" ::: "memory");
  else
    asm volatile("barrier.cta.arrive 3, 64;" ::: "memory");
}

// Thread 0 hands a number to the others; Bug 1, 2: an arrival, or a test, that says .relaxed orders nothing.
template <int Bug> __global__ void handed(int *out) {
  __shared__ u64 full;
  __shared__ int data;
  const int i = threadIdx.x;
  if (i == 0) init(&full, 1);
  __syncthreads();
  if (i == 0) {
    data = 7;
    if (Bug == 1)
      asm volatile("mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [%0];" ::"r"(address(&full)) : "memory");
    else
      arrive(&full);
  } else if (i == 32) {
    unsigned done = 0;
    while (Bug == 2 && !done)
      asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.relaxed.cta.shared::cta.b64 p, [%1], 0, 1000;\n"
                   " selp.u32 %0, 1, 0, p; }"
                   : "=r"(done)
                   : "r"(address(&full))
                   : "memory");
    if (Bug != 2) wait(&full, 0);
    out[0] = data;
  }
}

// What the states of arrivals say: arrivals that were pending before each of them.
template <int Bug> __global__ void counts(unsigned *out) {
  __shared__ u64 bar;
  init(&bar, 8);
  u64 first, second, third;
  unsigned n;
  asm volatile("mbarrier.arrive.noComplete.shared::cta.b64 %0, [%1], 3;" : "=l"(first) : "r"(address(&bar)) : "memory");
  asm volatile("mbarrier.arrive_drop.noComplete.shared::cta.b64 %0, [%1], %2;"
               : "=l"(second)
               : "r"(address(&bar)), "r"(Bug == 1 ? 5 : 2)
               : "memory");
  asm("mbarrier.pending_count.b64 %0, %1;" : "=r"(n) : "l"(first));
  out[0] = n;
  asm("mbarrier.pending_count.b64 %0, %1;" : "=r"(n) : "l"(second));
  out[1] = n;
  if (Bug == 1) return;
  asm volatile("mbarrier.arrive.noComplete.shared::cta.b64 %0, [%1], 2;" : "=l"(third) : "r"(address(&bar)) : "memory");
  asm("mbarrier.pending_count.b64 %0, %1;" : "=r"(n) : "l"(third));
  out[2] = n;
  out[3] = test(&bar, 0);
  arrive(&bar);
  out[4] = test(&bar, 0);
  asm volatile("mbarrier.arrive.noComplete.shared::cta.b64 %0, [%1], 1;" : "=l"(third) : "r"(address(&bar)) : "memory");
  asm("mbarrier.pending_count.b64 %0, %1;" : "=r"(n) : "l"(third));
  out[5] = n; // two have dropped
}

// Loops of one's own around a test: an arrival is missing. How: what stands in the loop.
struct stages {
  float tile[256];
  u64 full[2];
};
template <int How> __global__ void loops(int *out) {
  __shared__ u64 empty[4];
  __shared__ stages storage;
  const int i = threadIdx.x;
  u64 *bar = How == 2 ? &storage.full[1] : &empty[3];
  if (i == 0) init(bar, 3);
  __syncthreads();
  if (i < 2) arrive(bar);
  int rounds = 0;
  while (!test(bar, 0)) {
    rounds++;
    if (How == 1) __nanosleep(20);
    if (How == 3 && *(volatile int *)out == 5) break;
    if (How == 4 && atomicAdd(out + 1, 0) == 5) break;
    if (How == 5) __syncwarp();
    if (How == 6) __syncthreads();
  }
  out[2] = rounds;
}
