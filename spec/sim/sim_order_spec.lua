-- sim_order_spec.lua - ways to order accesses that look like races and are none: flags that are volatile, counters that
-- the last thread block sets back, plain reads that an atomic decides on, copies of structs that write what is there.
-- Each kernel has a twin that is as like it as can be and is wrong. Mistakes: sim_bugs_spec.lua, sim_findings_spec.lua.
local why = require("spec.support.gpu.sim").why
local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

-- Kernels with a template parameter: 1 has the mistake. Blocks of 128 threads; x has 1024 zeros.
local source = [[
template <int BUG> __global__ void volatile_flag(int *x) {
  __shared__ int data;
  __shared__ volatile int flag;
  if (threadIdx.x == 0) flag = 0;
  __syncthreads();
  if (threadIdx.x == 0) {
    data = 42;
    if (!BUG) __threadfence_block();
    flag = 1;
  }
  if (threadIdx.x == 32) {
    while (!flag) continue;
    if (!BUG) __threadfence_block();
    x[0] = data;
  }
}
template <int BUG> __global__ void flag_of_a_warp(int *x) {
  __shared__ volatile int flag;
  __shared__ int data[32];
  if (threadIdx.x == 0) flag = 0;
  __syncthreads();
  if (threadIdx.x < 32) {
    data[threadIdx.x] = threadIdx.x;
    if (!BUG) __threadfence_block();
    __syncwarp();
    if (threadIdx.x == 0) flag = 1;
  } else {
    while (flag == 0) continue;
    if (!BUG) __threadfence_block();
    x[threadIdx.x] = data[threadIdx.x % 32];
  }
}
// What the lanes of a warp exchange by volatile memory alone is no flag.
template <int BUG> __global__ void volatile_sum(int *x) {
  __shared__ volatile int s[64];
  if (threadIdx.x >= 32) return;
  s[threadIdx.x] = threadIdx.x;
  s[threadIdx.x + 32] = 0;
  __syncwarp();
  for (int o = 16; o; o /= 2) {
    int v = s[threadIdx.x + o];
    if (!BUG) __syncwarp();
    s[threadIdx.x] = s[threadIdx.x] + v;
    if (!BUG) __syncwarp();
  }
  x[threadIdx.x] = s[threadIdx.x];
}
template <int BUG> __global__ void volatile_global(volatile int *x) {
  x[blockIdx.x * 256 + threadIdx.x] = threadIdx.x;
  __syncthreads();
  if (threadIdx.x < 64) return;
  volatile int *s = x + blockIdx.x * 256 + 64;
  for (int o = 16; o; o /= 2) {
    int v = s[threadIdx.x - 64 + o];
    if (!BUG) __syncwarp();
    if (threadIdx.x < 96) s[threadIdx.x - 64] = s[threadIdx.x - 64] + v;
    if (!BUG) __syncwarp();
  }
}
// Other warps and thread blocks may read it, and a lane waits for another of its warp.
template <int BUG> __global__ void volatile_states(volatile int *x) {
  if (threadIdx.x == 0) {
    x[512] = blockIdx.x;
    if (BUG) x[blockIdx.x] = 1;
    if (!BUG) __threadfence(), x[blockIdx.x] = 1;
  }
  if (BUG) x[256 + threadIdx.x] = x[blockIdx.x];
  if (!BUG && threadIdx.x % 32 == 1)
    while (x[blockIdx.x] == 0) continue;
  for (int i = 0; i < 4; i++) x[128 + threadIdx.x] = x[i + 1] + x[768 + i];
}
template <int BUG> __global__ void volatile_total(int *x) {
  __shared__ volatile int total;
  if (threadIdx.x == 0) total = 5;
  if (!BUG) __syncthreads();
  x[threadIdx.x] = total;
}
// The thread block that has seen the atomics of all others sets the counter back.
template <int BUG> __global__ void sets_back(int *x) {
  __shared__ int last;
  if (threadIdx.x == 0) last = atomicAdd(&x[0], 1) == (BUG ? 0 : (int)gridDim.x - 1);
  __syncthreads();
  if (last && threadIdx.x == 5) x[0] = 0;
}
template <int BUG> __global__ void shared_set_back(int *x) {
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  if (atomicAdd(&count, 1) == (BUG ? 64 : 127)) count = 7;
  __syncthreads();
  x[threadIdx.x] = count;
}
// Who sees a larger number already has nothing to do.
template <int BUG> __global__ void largest(int *x) {
  int mine = (threadIdx.x * 37) % 128, old = x[0];
  while (old < mine) {
    int assumed = old;
    old = BUG ? atomicExch(x, mine) : atomicCAS(x, assumed, mine);
    if (old == assumed || BUG) break;
  }
}
template <int BUG> __global__ void largest_by_max(int *x) {
  int mine = (threadIdx.x * 37) % 128;
  if (x[0] < mine) atomicMax(x, mine);
  if (BUG) __syncwarp();
  if (!BUG) __syncthreads();
  x[1 + threadIdx.x] = x[0];
}
template <int BUG> __global__ void hash_table(int *x) {
  int key = (threadIdx.x * 7) % 50 + 1, slot = key % 64;
  for (;;) {
    int there = x[slot];
    if (there == key) break;
    if (there == 0) {
      int old = BUG ? (x[slot] = key, 0) : atomicCAS(&x[slot], 0, key);
      if (old == 0 || old == key) break;
    }
    slot = (slot + 1) % 64;
  }
}
struct Record {
  int a[7];
};
template <int BUG> __global__ void one_record(int *x) {
  __shared__ Record s[4];
  if (threadIdx.x < 4)
    for (int i = 0; i < 7; i++) s[threadIdx.x].a[i] = threadIdx.x * BUG + i;
  __syncthreads();
  *reinterpret_cast<Record *>(x) = s[threadIdx.x % 4];
}
]]
local kernels = {
  volatile_flag = 1, flag_of_a_warp = 1, volatile_sum = 1, volatile_global = 2, volatile_states = 4,
  volatile_total = 1, sets_back = 4, shared_set_back = 1,
  largest = 1, largest_by_max = 1, hash_table = 1, one_record = 1,
}

describe("sim", function()
  if why then return pending(why) end
  local sim = pah.device "sim"
  local module
  local function launch(name, grid, schedule)
    if not module then
      local names = {}
      for n in pairs(kernels) do names[#names + 1], names[#names + 2] = n .. "<0>", n .. "<1>" end
      table.sort(names)
      module = sim:compile{text = source, kernels = names}
    end
    local options = {grid = grid, block = 128, on_finding = "report", schedule = schedule[1], seed = schedule[2]}
    return module:launch(name, options, pah.zeros({1024}, {dtype = "i32", device = sim}))
  end

  for name, grid in pairs(kernels) do
    it("sees in every schedule that " .. name .. " is right and its twin is not", function()
      for _, schedule in ipairs(schedules) do
        local report = launch(name .. "<0>", grid, schedule)
        assert.equal(0, #report.findings, schedule[1] .. ": " .. report:text())
        report = launch(name .. "<1>", grid, schedule)
        assert.is_true(#report.findings > 0, schedule[1] .. ": nothing is found")
        for _, f in ipairs(report.findings) do
          assert.is_true(f.code == "race" or (f.code == "uninitialised" and name == "volatile_total"), report:text())
        end
      end
    end)
  end
end)
