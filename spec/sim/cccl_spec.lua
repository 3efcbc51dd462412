-- cccl_spec.lua - CUB, libcu++ and cuRAND of an installed CUDA Toolkit, compiled by sim from the toolkit's own folder:
-- they compile, and give what plain Lua gives. Pending without a toolkit.
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local toolkit = os.getenv "CUDA_HOME" or "/usr/local/cuda"
local function has(path)
  local file = io.open(toolkit .. path)
  if file then file:close() end
  return file ~= nil
end

local ALGORITHMS = [[
#include <cub/cub.cuh>
#include <cuda/barrier>
#include <cuda/pipeline>
#include <cuda/ptx>
#include <cuda/std/array>
#include <cuda_fp8.h>
#include <cuda_fp4.h>
extern "C" __global__ void k(int *out, const int *in) {
  typedef cub::BlockReduce<int, 128> Reduce;
  typedef cub::BlockScan<int, 128> Scan;
  typedef cub::BlockRadixSort<int, 128, 2> Sort;
  typedef cub::WarpReduce<int> Warp;
  __shared__ union { Reduce::TempStorage r; Scan::TempStorage s; Sort::TempStorage q; Warp::TempStorage w[4]; } t;
  int x = in[threadIdx.x], scan;
  int sum = Reduce(t.r).Sum(x);
  if (threadIdx.x == 0) out[0] = sum;
  __syncthreads();
  Scan(t.s).InclusiveSum(x, scan);
  out[1 + threadIdx.x] = scan;
  __syncthreads();
  int keys[2] = {x, 1000 - x};
  Sort(t.q).Sort(keys);
  out[129 + 2 * threadIdx.x] = keys[0]; out[130 + 2 * threadIdx.x] = keys[1];
  __syncthreads();
  int w = Warp(t.w[threadIdx.x / 32]).Reduce(x, ::cuda::maximum<>{});
  if (threadIdx.x % 32 == 0) out[385 + threadIdx.x / 32] = w;
  __shared__ cuda::barrier<cuda::thread_scope_block> bar;
  __shared__ int copy[128];
  if (threadIdx.x == 0) init(&bar, blockDim.x);
  __syncthreads();
  cuda::memcpy_async(&copy[threadIdx.x], &in[threadIdx.x], sizeof(int), bar);
  bar.arrive_and_wait();
  out[389 + threadIdx.x] = copy[127 - threadIdx.x];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
  auto pipe = cuda::make_pipeline();
  __shared__ int more[128];
  pipe.producer_acquire();
  cuda::memcpy_async(&more[threadIdx.x], &in[threadIdx.x], sizeof(int), pipe);
  pipe.producer_commit();
  pipe.consumer_wait();
  out[517 + threadIdx.x] = more[threadIdx.x];
  pipe.consumer_release();
  cuda::std::array<int, 2> a = {1, 2};
  if (threadIdx.x == 0) out[645] = a[1] + (int)cuda::ptx::get_sreg_laneid();
}
]]

describe("the toolkit's own headers on sim", function()
  if not has "/include/cccl/cuda/__cccl_config" then return pending "there is no CUDA Toolkit" end
  local device = pah.device "sim:sm_90a"

  it("CUB's algorithms of blocks and warps, cuda::barrier, cuda::pipeline, cuda::ptx #slow", function()
    local module = device:compile{include = toolkit .. "/include/cccl", text = ALGORITHMS}
    local list, sorted = {}, {}
    for i = 1, 128 do
      list[i] = (i * 37) % 1000
      sorted[2 * i - 1], sorted[2 * i] = list[i], 1000 - list[i]
    end
    table.sort(sorted)
    local input = pah.tensor(list, {dtype = "i32", device = device})
    for _, schedule in ipairs{"order", "reverse", "random"} do
      local out = pah.zeros({646}, {dtype = "i32", device = device})
      module:launch("k", {block = 128, schedule = schedule}, out, input)
      local o = out:to "cpu":totable()
      local sum = 0
      for i = 1, 128 do
        sum = sum + list[i]
        assert.equal(sum, o[1 + i])
        assert.equal(list[129 - i], o[389 + i])
        assert.equal(list[i], o[517 + i])
      end
      for i = 1, 256 do assert.equal(sorted[i], o[129 + i]) end
      assert.equal(sum, o[1])
      for warp = 0, 3 do assert.equal(math.max(unpack(list, 32 * warp + 1, 32 * warp + 32)), o[386 + warp]) end
      assert.equal(2, o[646])
    end
  end)

  it("cuRAND's numbers are the toolkit's #slow", function()
    if not has "/include/curand_kernel.h" then return pending "there is no cuRAND" end
    local module = device:compile{include = toolkit .. "/include", text = [[
      #include <curand_kernel.h>
      extern "C" __global__ void k(unsigned *x) {
        curandState a;
        curandStatePhilox4_32_10_t b;
        curand_init(1234, threadIdx.x, 0, &a);
        curand_init(1234, threadIdx.x, 0, &b);
        x[2 * threadIdx.x] = curand(&a);
        x[2 * threadIdx.x + 1] = curand(&b);
      }]]}
    local out = pah.zeros({8}, {dtype = "i32", device = device})
    module:launch("k", {block = 4}, out)
    local got = out:to "cpu":totable()
    for i, x in ipairs(got) do got[i] = x % 2 ^ 32 end
    -- As cuRAND's own code gives on the host's processor.
    assert.same({624778773, 546353992, 3522650202, 3507855656, 2363946744, 2336459095, 1266286439, 2835017892}, got)
  end)
end)
