-- sim_sequence_spec.lua - a launch with a problem is told in the words of the paged cache what it should not have read:
-- slots past seqused_k, blocks of others, entries of the block table past the end. And a descriptor of wgmma with
-- another swizzle than the tensor copy's. Each beside a launch that does none of it.
local why = require("spec.support.gpu.sim").why
local schedules = {{"order"}, {"reverse"}, {"random", 1}}

local source = [[
#define ARGUMENTS const float *k, const float *v, const int *table, const int *length, float *out, int bug
extern "C" __global__ void slot(ARGUMENTS) {
  int b = blockIdx.x, d = threadIdx.x, n = length[b] + (b == 1 ? bug : 0);
  for (int t = 0; t < n; t++) out[b * 8 + d] += k[(table[b * 4 + t / 16] * 16 + t % 16) * 8 + d]; // slot
}
extern "C" __global__ void owner(ARGUMENTS) {
  int b = blockIdx.x, d = threadIdx.x;
  for (int t = 0; t < length[b]; t++) {
    int block = bug && t >= 16 && b ? 0 : table[b * 4 + t / 16];
    out[b * 8 + d] += v[(block * 16 + t % 16) * 8 + d]; // owner
  }
}
extern "C" __global__ void nobody(ARGUMENTS) {
  int b = blockIdx.x, d = threadIdx.x;
  for (int t = 0; t < length[b]; t++) {
    int block = bug && t == 3 ? 4 : table[b * 4 + t / 16];
    out[b * 8 + d] += v[(block * 16 + t % 16) * 8 + d]; // nobody
  }
}
extern "C" __global__ void entry(ARGUMENTS) {
  int b = blockIdx.x, d = threadIdx.x;
  for (int i = 0; i < length[b] / 16 + 1 + bug; i++) {
    int block = table[b * 4 + i]; // entry
    for (int t = 0; t < 16 && i * 16 + t < length[b]; t++) out[b * 8 + d] += v[(block * 16 + t) * 8 + d];
  }
}
]]

-- The two thread blocks read their rows by turns; with bug the first then reads a block of the third sequence.
local together = [[
#include <cooperative_groups.h>
extern "C" __global__ void __cluster_dims__(2, 1, 1) turns(ARGUMENTS) {
  auto cluster = cooperative_groups::this_cluster();
  int rank = cluster.block_rank(), block = 0;
  for (int turn = 0; turn < 2; turn++) {
    if (turn == rank) block = table[rank * 4];
    cluster.sync();
  }
  if (bug && rank == 0) block = 4;
  out[rank * 8 + threadIdx.x] = k[block * 128 + threadIdx.x]; // turns
}
]]

local swizzled = [[
#include "ptx.cuh"
using namespace ptx;
extern __shared__ __align__(1024) unsigned char pool[];
extern "C" __global__ void multiply(const __grid_constant__ tensor_map map, int mode, int bytes, float *d) {
  __shared__ __align__(8) u64 barrier;
  for (int i = threadIdx.x; i < 8192; i += 128) reinterpret_cast<u32 *>(pool)[i] = 0;
  if (threadIdx.x == 0) mbarrier_init(shared(&barrier), 1), fence_mbarrier_init();
  fence_proxy_async_shared();
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(shared(&barrier), bytes);
    tensor_load(shared(pool), map, 0, 0, shared(&barrier));
  }
  mbarrier_wait(shared(&barrier), 0);
  const u32 span = 256 >> mode;
  const u64 start = (u64)(shared(pool) >> 4) | (u64)1 << 16 | (u64)(8 * span >> 4) << 32 | (u64)mode << 62;
  float sums[32];
  for (int i = 0; i < 32; i++) sums[i] = 0;
  wgmma_fence();
  wgmma_ss<0, 64, 0, 0, 1, 1>(sums, start, start, 1);
  wgmma_commit_group();
  wgmma_wait_group<0>();
  for (int i = 0; i < 32; i++) d[threadIdx.x * 32 + i] = sums[i];
}
]]

describe("sim", function()
  if why then return pending(why) end
  local sim = pah.device "sim"
  local module

  local function launch(name, bug, schedule)
    module = module or sim:compile{text = source}
    local function ones(shape) return pah.ones(shape, {device = sim}) end
    local p = {
      q = ones{2, 1, 1, 8}, k_blocks = ones{6, 16, 1, 8}, v_blocks = ones{6, 16, 1, 8}, out = pah.zeros({2, 1, 1, 8},
        {device = sim}), seqused_k = pah.tensor({20, 30}, {dtype = "i32", device = sim}),
      block_table = pah.tensor({{0, 1, 5, 5}, {2, 3, 5, 5}}, {dtype = "i32", device = sim}),
    }
    return module:launch(name, {grid = 2, block = 8, problem = p, on_finding = "report", schedule = schedule[1],
      seed = schedule[2]}, p.k_blocks, p.v_blocks, p.block_table, p.seqused_k, p.out, bug)
  end

  for name, words in pairs{
    slot = "slot 14 of block 3 of k_blocks, past seqused_k",
    owner = "block 0 of v_blocks, a block that sequence 1 does",
    nobody = "block 4 of v_blocks, which no sequence owns", entry = "table entry past the end: it has",
  } do
    it("says of " .. name .. " what was read, in every schedule", function()
      for _, schedule in ipairs(schedules) do
        local report = launch(name, 1, schedule)
        assert.is_true(#report.findings > 0)
        for _, f in ipairs(report.findings) do
          assert.equal("not-in-sequence", f.code)
          assert.is_truthy(f.source:find("// " .. name, 1, true), f.source)
        end
        assert.is_truthy(report:text():find(words, 1, true), report:text())
        assert.equal(0, #launch(name, 0, schedule).findings)
      end
    end)
  end

  it("knows what each thread block of a cluster has read", function()
    local hopper = pah.device "sim:sm_90a"
    local own = hopper:compile{text = source:match "^[^\n]+\n" .. together}
    local function ones(shape) return pah.ones(shape, {device = hopper}) end
    local p = {
      q = ones{3, 1, 1, 8}, k_blocks = ones{6, 16, 1, 8}, v_blocks = ones{6, 16, 1, 8}, out = pah.zeros({3, 1, 1, 8},
        {device = hopper}), seqused_k = pah.tensor({20, 30, 9}, {dtype = "i32", device = hopper}),
      block_table = pah.tensor({{0, 1, 5, 5}, {2, 3, 5, 5}, {4, 5, 5, 5}}, {dtype = "i32", device = hopper}),
    }
    for _, schedule in ipairs(schedules) do
      for bug = 0, 1 do
        local report = own:launch("turns", {grid = 2, block = 8, problem = p, on_finding = "report",
          schedule = schedule[1], seed = schedule[2]}, p.k_blocks, p.v_blocks, p.block_table, p.seqused_k, p.out, bug)
        assert.equal(bug, #report.findings, report:text())
        if bug == 1 then assert.equal("not-in-sequence", report.findings[1].code) end
      end
    end
  end)

  it("finds a descriptor of another swizzle than the tensor map's", function()
    local hopper = pah.device "sim:sm_90a"
    local own = hopper:compile{text = swizzled, include = {"kernels"}}
    local a, d = pah.ones({64, 64}, {dtype = "bf16", device = hopper}), pah.zeros({128 * 32}, {device = hopper})
    for mode, wants in ipairs{128, 64, 32} do
      for _, swizzle in ipairs{128, 64, 32} do
        local map = pah.tensor_map(a, {box = {64, swizzle / 2}, swizzle = swizzle})
        local report = own:launch("multiply", {block = 128, shared = 32768, on_finding = "report"}, map, mode,
          64 * swizzle, d)
        assert.equal(swizzle == wants and 0 or 1, #report.findings, report:text())
        if swizzle ~= wants then assert.equal("swizzle", report.findings[1].code) end
      end
    end
  end)
end)
