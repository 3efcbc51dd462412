/* sm90/backward/backward.cu - the backward over a paged K/V cache for Hopper (sm_90a): bf16 or f16, head_dim up to 128.
 * One launch, two halves: first dK and dV, keys outer (dkdv.cuh), then dQ, queries outer (dq.cuh). Each half adds up in
 * registers what belongs together and writes it once, so nothing depends on an order; the price is S and dP computed
 * twice. Thread blocks take items as they get done, the long ones of the first half first, and those that find none
 * left go over to the second, whose items are short: all multiprocessors end together.
 * Defines: ../config.cuh, QUERIES, QUERY_STAGES. Read next: dkdv.cuh, dq.cuh; before it run ../../backward/prepare.cu
 * and plan.cu; doc/design/gpu-backward.md. */
#include "dkdv.cuh"
#include "dq.cuh"

constexpr int HALF_TIME = 1; /* named barrier: the first half has no more use for shared memory */

extern __shared__ __align__(1024) unsigned char pool[];

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    backward_sm90(const pah_attn_params p, const sm90_sizes n, const backward_plan plan,
                  const __grid_constant__ ptx::tensor_map q, const __grid_constant__ ptx::tensor_map d_out,
                  const __grid_constant__ ptx::tensor_map k, const __grid_constant__ ptx::tensor_map v) {
  __shared__ __align__(16) dkdv_channels keys;
  __shared__ __align__(16) channels rows;
  if (refused(p.verdict, p.ticket)) return;
  const int group = __shfl_sync(0xffffffffu, (int)threadIdx.x / 128, 0);
  if (threadIdx.x == 0) {
    open_channels(keys, key_source::ARRIVALS);
    open_channels(rows, kv_source::ARRIVALS);
    ptx::prefetch_tensor_map(q);
    ptx::prefetch_tensor_map(d_out);
    ptx::prefetch_tensor_map(k);
    ptx::prefetch_tensor_map(v);
  }
  __syncthreads();
  const kv_operand from_k = {k, p.k, n.k, n.head_dim}, from_v = {v, p.v, n.v, n.head_dim_v};
  if (group == CONSUMERS) {
    ptx::setmaxnreg_dec<PRODUCER_REGISTERS>();
    dkdv_producer first = {p, plan, q, d_out, keys, pool, from_k, from_v, {p, n, keys.tail}, {p, plan}};
    first.run();
    ptx::bar_sync(HALF_TIME, THREADS);
    producer second = {p, q, rows, pool, from_k, from_v, {p, n, rows.tail}, {rows, pool}};
    tickets ticket = {plan.dq_taken};
    ticket.begin();
    second.run([&](int) { return ticket.next(); }, [&](const work_item &w) { load_item(second, d_out, w); });
  } else {
    ptx::setmaxnreg_inc<CONSUMER_REGISTERS>();
    dkdv_consumer first = {p, n, plan, keys, pool, group};
    first.run();
    ptx::bar_arrive(HALF_TIME, THREADS);
    dq_consumer second = {p, n, plan, rows, pool, group};
    second.run();
    clear_unused<IO_T, CONSUMER_THREADS>(p, plan, n.head_dim, n.head_dim_v);
  }
}
