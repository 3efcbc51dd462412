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
