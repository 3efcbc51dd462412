/* ptx_inline.cu - asm statements as kernels have them, for ptx_inline_spec.lua: every kind of operand, labels,
 * predicates, scopes, several instructions in a text; a warp's matrices; mistakes that must be told when they run. */

__device__ unsigned address(const void *p) {
  return (unsigned)__cvta_generic_to_shared(p);
}

/* What each operand gives: out[i] of thread 0. */
extern "C" __global__ void operands(unsigned *out, float x, unsigned long long wide) {
  unsigned a = 5, b, c = 7, d = 41, e, lo, hi;
  unsigned short h = 0x1234, swapped;
  float y;
  double z = 1.5;
  asm("add.u32 %0, %1, %2;" : "=r"(b) : "r"(a), "n"(sizeof(float)));
  asm volatile("{\n .reg .pred p, q;\n setp.gt.u32 p|q, %0, 6;\n @p mul.lo.u32 %0, %0, 10;\n @q mov.u32 %0, 0;\n}"
               : "+r"(c)::"memory");
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  asm("mov.b64 {%0, %1}, %2;" : "=&r"(lo), "=r"(hi) : "l"(wide));
  asm("{ .reg .b8 t; .reg .b16 u, v; shl.b16 u, %1, 8; shr.u16 v, %1, 8; or.b16 %0, u, v; }" : "=h"(swapped) : "h"(h));
  asm("add.f64 %0, %0, 0d3FE0000000000000;" : "+d"(z));
  asm("add.u32 %0, %0, 1;" : "+r"(d));
  asm("{\n .reg .pred p; .reg .u32 i;\n mov.u32 i, 0;\n mov.u32 %0, 0;\nagain_%=:\n add.u32 %0, %0, i;\n"
      " add.u32 i, i, 1; // counts\n setp.lt.u32 p, i, %1;\n @p bra again_%=;\n}"
      : "=r"(e)
      : "r"(a));
  asm volatile("" ::: "memory");
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};\n st.global.cs.u32 [%0 + 16], %5;" ::"l"(out), "r"(b), "r"(c),
               "r"(lo), "r"(hi), "r"(__float_as_uint(y))
               : "memory");
  out[5] = swapped, out[6] = (unsigned)z, out[7] = d, out[8] = e;
}

/* A copy by cp.async, a product of a warp, sums out through an mbarrier's wait. */
extern "C" __global__ void matrices(const unsigned *in, float *out) {
  __shared__ alignas(16) unsigned tile[128];
  __shared__ unsigned long long bar;
  unsigned r0, r1, r2, r3, lane;
  float d0, d1, d2, d3;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\ncp.async.commit_group;\ncp.async.wait_group 0;" ::"r"(
                   address(tile + 4 * lane)),
               "l"(in + 4 * lane));
  if (lane == 0) asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address(&bar)), "r"(32));
  __syncwarp();
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3)
               : "r"(address(tile + 4 * lane)));
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %7, %7, %7};"
               : "=f"(d0), "=f"(d1), "=f"(d2), "=f"(d3)
               : "r"(r0), "r"(r1), "r"(r2), "f"(1.0f));
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address(&bar)));
  asm volatile("{\n.reg .pred P1;\nWAIT:\nmbarrier.test_wait.parity.shared::cta.b64 P1, [%0], %1;\n@P1 bra DONE;\n"
               "bra WAIT;\nDONE:\n}" ::"r"(address(&bar)),
               "r"(0));
  out[4 * lane] = d0, out[4 * lane + 1] = d1, out[4 * lane + 2] = d2, out[4 * lane + 3] = d3;
}

extern "C" __global__ void mistakes(int which, unsigned *out) {
  __shared__ unsigned cell;
  if (which == 1) asm volatile("foo.bar.u32 %0, 1;" : "=r"(out[0]));
  if (which == 2) asm volatile("add.u32 %0, 1 2;" : "=r"(out[0]));
  if (which == 3) asm volatile("st.shared.u32 [%0], %1;" ::"r"(address(&cell)), "r"(threadIdx.x));
  if (which == 4) asm volatile("red.global.add.u32 [%0 + 4096], 1;" ::"l"(out));
}
