// memory.cu - accesses of PTX that CUDA C++ has no words for, in inline PTX, for ptx_memory_spec.lua: atomics of
// vectors, 128 bits at once, vectors with an order. Bug 0 is right, every other number plants one mistake.
typedef unsigned long long u64;

// All threads add to the same 4, 2, 8 and 4 x 2 elements; the second adds return what was there.
template <int Bug> __global__ void added(float *sums, float *pairs, unsigned *halves, unsigned *most, float *before) {
  const int i = threadIdx.x;
  const float x = (float)(i + 1);
  if (Bug == 1 && i == 40) sums[1] = 0; // not ordered with the atomics of the others
  asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(sums + (Bug == 2 ? 1 : 0)), "f"(x), "f"(2 * x),
               "f"(3 * x), "f"(-x)
               : "memory");
  float a, b;
  asm volatile("atom.relaxed.gpu.global.add.v2.f32 {%0, %1}, [%2], {%3, %4};"
               : "=f"(a), "=f"(b)
               : "l"(pairs), "f"(1.0f), "f"(10.0f)
               : "memory");
  before[2 * i] = a;
  before[2 * i + 1] = b;
  asm volatile("red.global.add.noftz.v4.f16x2 [%0], {%1, %1, %2, %2};" ::"l"(halves), "r"(0x3c003c00u), "r"(0xc0003c00u)
               : "memory");                                // 1, 1 and 1, -2
  const unsigned short own = (unsigned short)(0x3f80 + i); // bf16: larger with i
  unsigned short o0, o1, o2, o3;
  asm volatile("atom.global.max.noftz.v4.bf16 {%0, %1, %2, %3}, [%4], {%5, %6, %5, %6};"
               : "=h"(o0), "=h"(o1), "=h"(o2), "=h"(o3)
               : "l"(most), "h"(own), "h"((unsigned short)0x3f00)
               : "memory");
}

// A list of threads by exchange of 16 bytes: who came before, and a number that both halves must agree on.
template <int Other> __global__ void wide(ulonglong2 *head, u64 *before, ulonglong2 *copy) {
  const u64 i = threadIdx.x + 1;
  u64 lo, hi;
  asm volatile("{ .reg .b128 q, r; mov.b128 q, {%2, %3}; atom.global.exch.b128 r, [%4], q; mov.b128 {%0, %1}, r; }"
               : "=l"(lo), "=l"(hi)
               : "l"(i), "l"(i * 1000), "l"(head)
               : "memory");
  before[threadIdx.x] = hi == lo * 1000 ? lo : 999;
  __syncthreads();
  if (threadIdx.x == 0) {
    // From what the last thread left to 7, 8; then once more, which finds another value. Other: what never is there.
    asm volatile("{ .reg .b128 q, r, s; mov.b128 q, {%2, %3}; mov.b128 r, {%4, %5};\n"
                 " atom.relaxed.gpu.global.cas.b128 s, [%6], q, r; atom.global.cas.b128 s, [%6], q, r;\n"
                 " mov.b128 {%0, %1}, s; }"
                 : "=l"(lo), "=l"(hi)
                 : "l"((u64)(Other ? 0 : 64)), "l"((u64)(Other ? 0 : 64000)), "l"((u64)7), "l"((u64)8), "l"(head)
                 : "memory");
    copy[1] = make_ulonglong2(lo, hi);
    asm volatile("{ .reg .b128 q; ld.global.b128 q, [%0]; st.global.b128 [%1], q; }" ::"l"(head), "l"(copy) : "memory");
  }
}

// One warp hands 16 bytes to the other: data in three words, a flag in the fourth, one access each way.
template <int Bug> __global__ void flagged(uint4 *box, unsigned *out) {
  __shared__ unsigned data;
  const int i = threadIdx.x;
  if (i == 0) {
    data = 5;
    if (Bug == 0)
      asm volatile("st.release.gpu.global.v4.u32 [%0], {%1, %1, %1, %2};" ::"l"(box), "r"(41), "r"(1) : "memory");
    else
      asm volatile("st.relaxed.gpu.global.v4.u32 [%0], {%1, %1, %1, %2};" ::"l"(box), "r"(41), "r"(1) : "memory");
  } else if (i == 32) {
    unsigned a, b, c, flag;
    do {
      asm volatile("ld.acquire.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(a), "=r"(b), "=r"(c), "=r"(flag)
                   : "l"(box)
                   : "memory");
    } while (!flag);
    out[0] = a, out[1] = b, out[2] = c, out[3] = data;
  }
}
