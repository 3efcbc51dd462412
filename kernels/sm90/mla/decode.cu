/* sm90/mla/decode.cu - decode where V is a part of K, for sm_90a: MLA after absorption, one KV head of 576 elements of
 * which 512 are V too. Every token is read once. As many thread blocks as there are multiprocessors run once, each
 * along its run of the list of sm80/work.cuh: a warpgroup loads, two compute. Grid: KV heads x runs. Defines: tile.cuh.
 * Read in this order: tile.cuh, ../../sm80/work.cuh, load.cuh, compute.cuh, ../../sm80/parts.cuh. */
#include "compute.cuh"
#include "load.cuh"

/* What every warpgroup goes through: the segments of this thread block's run, LIST at a time. */
template <class Job>
__device__ __forceinline__ void each_segment(const pah_attn_params &p, plan &l, sequence mine, segment *list,
                                             Job &job) {
  const counting who = begin_counting(p);
  for (int done = 0;;) {
    const entries e = list_segments(p, l, who, mine, list, done);
    const int behind = e.first + at_most(e.count, done + LIST);
#pragma unroll 1
    for (int i = e.first + done; i < behind; i++) job.run(list[i % LIST]);
    done += LIST;
    if (done >= e.count) return;
    __syncthreads(); /* the list is free again */
    mine = first_of(p, who);
  }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    decode(const __grid_constant__ pah_attn_params given, const int box, const __grid_constant__ ptx::tensor_map k) {
  __shared__ segment list[LIST];
  __shared__ __align__(8) channels c;
  __shared__ float told[HALVES][ROWS];
  const pah_attn_params p = with_options(given);
  const sequence mine = first_of(p, begin_counting(p));
  plan l = begin_plan(p);
  l.refused = refused(p.verdict, p.ticket);
  if (threadIdx.x == 0) open_channels(c);
  const int group = __shfl_sync(0xffffffffu, (int)threadIdx.x / 128, 0);
  if (group == HALVES) {
    ptx::setmaxnreg_dec<PRODUCER_REGISTERS>();
    loader job = {p, l, c, k, box};
    each_segment(p, l, mine, list, job);
  } else {
    ptx::setmaxnreg_inc<CONSUMER_REGISTERS>();
    computer job = {p, l, c, told, group};
    each_segment(p, l, mine, list, job);
  }
}
