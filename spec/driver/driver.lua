-- driver.lua - what the specs of this folder share: the functions of the test driver (driver.h), and a small problem.
-- The process has PAH_LIBCUDA and PAH_LIBNVRTC name the library (spec/gpu/cuda_spec.lua).
local ffi = require "ffi"

ffi.cdef [[
int64_t driver_calls(void);
void driver_fail(int64_t nth, int code);
void driver_fail_named(const char *name, int code);
const char *driver_failed(void);
int64_t driver_live(int kind);
int64_t driver_count(const char *name);
void driver_hang(int on);
void driver_break(int code);
void driver_set_tensor_maps(int on);
]]

local M = {driver = ffi.load(os.getenv "PAH_LIBCUDA")}

--- What driver_live counts, from 0 on: OBJECT_... of driver.h.
M.kinds = {[0] = "context", "stream", "event", "module", "memory", "program"}

--- A kernel of a custom source.
M.scale = [[
extern "C" __global__ void scale(float *x, float f, int n) {
  extern __shared__ float tile[];
  int i = threadIdx.x;
  if (i < n) tile[i] = x[i];
  __syncthreads();
  if (i < n) x[i] = tile[i] * f;
}
]]

--- A decode of two sequences with its tensors on `device`.
function M.problem(device)
  local q = pah.randn({2, 4, 1, 64}, {seed = 1, dtype = "bf16", device = device})
  local k = pah.randn({8, 16, 2, 64}, {seed = 2, dtype = "bf16", device = device})
  local table_, lengths = pah.block_table{seqlens = {37, 50}, block_size = 16, num_blocks = 8, seed = 1}
  return {q = q, k_blocks = k, v_blocks = k, block_table = table_:to(device), seqused_k = lengths:to(device),
    num_splits = 2}
end

--- The same arguments on the cpu.
function M.on_cpu(p)
  local copy = {}
  for name, value in pairs(p) do copy[name] = pah.is_tensor(value) and value:to "cpu" or value end
  return copy
end

return M
