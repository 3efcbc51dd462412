-- kernel_table.lua - `pah kernels --arch`: every instance of the built-in CUDA kernels, compiled by NVRTC for an
-- architecture with no GPU in the machine: registers, shared memory, spills, occupancy. The operations themselves are
-- called, on a device that leaves the launches out, so that the list cannot differ from what they launch.
local attention = require "pah.attention"
local devices = require "pah.device"
local module = require "pah.module"
local tensor = require "pah.tensor"

local M = {}

local dims = {64, 128}
local larger_dims = {192, 256} -- of kernels that have other tiles there

-- A problem of one sequence; block ids and lengths are those of a real one.
local function problem(device, q_dtype, kv_dtype, head_dim, kv_heads)
  local function empty(shape, dtype) return tensor.exports.zeros(shape, {dtype = dtype, device = device}) end
  local blocks = {2, 16, kv_heads or 1, head_dim}
  return {
    q = empty({1, 2, 1, head_dim}, q_dtype), k_blocks = empty(blocks, kv_dtype), v_blocks = empty(blocks, kv_dtype),
    block_table = empty({1, 2}, "i32"), seqused_k = tensor.exports.full({1}, 16, {dtype = "i32", device = device}),
  }, empty
end

-- A problem of the forward: with as many KV heads as heads, none are packed into a tile.
local function unpacked(run, q_dtype, kv_dtype, head_dim)
  return problem(run.device, q_dtype, kv_dtype, head_dim, 2)
end

-- A call of a kernel by its name, unless it says that this architecture or dtype is not for it, or it is left out.
local function attempt(run, op, name, p)
  if run.leave_out and run.leave_out(op, name) then return end
  p.kernel = name
  local ok, why = pcall(attention.exports[op], p)
  if not ok and not tostring(why):find((": the %s kernel "):format(name), 1, true) then error(why, 0) end
end

local function by_name(run, op, p)
  for _, kernel in ipairs(attention.exports.kernels()) do
    if kernel.op == op and kernel.device == "cuda" then attempt(run, op, kernel.name, p) end
  end
end

local function forward(run, d)
  for _, dtype in ipairs {"f32", "f16", "bf16"} do by_name(run, "fwd", unpacked(run, dtype, dtype, d)) end
  for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do by_name(run, "fwd_fp8", unpacked(run, dtype, dtype, d)) end
  local wide = unpacked(run, "fp8_e4m3", "fp8_e4m3", d)
  wide.out_dtype = "bf16"
  by_name(run, "fwd_fp8", wide)
  by_name(run, "fwd_fp8", unpacked(run, "bf16", "fp8_e4m3", d))
end

local decode_dtypes = {"f32", "f16", "bf16", "fp8_e4m3", "fp8_e5m2"} -- of the cache

local function decode(device, d)
  for _, cache_dtype in ipairs(decode_dtypes) do
    local dtype = cache_dtype:match "^fp8" and "bf16" or cache_dtype
    local p = problem(device, dtype, cache_dtype, d)
    p.num_splits = 2
    attention.exports.decode(p)
    p.kernel = "naive"
    attention.exports.decode(p)
  end
end

local function gradients(device, dtype, d)
  local p, empty = problem(device, dtype, dtype, d)
  p.dout, p.out, p.lse = empty({1, 2, 1, d}, dtype), empty({1, 2, 1, d}, dtype), empty({1, 2, 1}, "f32")
  return p
end

local function backward(run, d)
  for _, dtype in ipairs {"f32", "f16", "bf16"} do by_name(run, "bwd", gradients(run.device, dtype, d)) end
end

local function others(device)
  local _, empty = problem(device, "bf16", "bf16", 64)
  local out, lse = empty({1, 1, 1, 64}, "bf16"), empty({1, 1, 1}, "f32")
  attention.exports.merge(out, lse, out, lse)
  attention.exports.kv_append {
    k = empty({1, 1, 64}, "bf16"), v = empty({1, 1, 64}, "bf16"), k_blocks = empty({1, 16, 1, 64}, "bf16"),
    v_blocks = empty({1, 16, 1, 64}, "bf16"), slot_mapping = empty({1}, "i32"),
  }
end

--- Every instance for "sm_90a" and the like: a list as module.instances gives it. Raises what the compiler says.
--- leave_out(op, kernel), if given, says of which kernels there shall be none of forward and backward.
function M.collect(arch, leave_out)
  local device = devices.get("cuda:" .. arch)
  local run = {device = device, leave_out = leave_out}
  device:set {dry = true}
  for _, d in ipairs(dims) do
    forward(run, d)
    decode(device, d)
    backward(run, d)
  end
  for _, d in ipairs(larger_dims) do
    for _, name in ipairs {"sm90", "sm80"} do attempt(run, "fwd", name, unpacked(run, "bf16", "bf16", d)) end
    attempt(run, "bwd", "sm80", gradients(device, "bf16", d))
    attempt(run, "fwd", "tf32", unpacked(run, "f32", "f32", d))
    for _, name in ipairs {"sm90", "sm80"} do
      attempt(run, "fwd_fp8", name, unpacked(run, "fp8_e4m3", "fp8_e4m3", d))
      attempt(run, "fwd_fp8", name, unpacked(run, "bf16", "fp8_e4m3", d))
    end
  end
  others(device)
  device:set {dry = false}
  return module.instances(device)
end

--- The same as rows of strings, a heading first.
function M.rows(list)
  local rows = {{"kernel", "registers", "static", "dynamic", "spilled", "threads", "blocks/SM", "occupancy", "defines"}}
  for _, k in ipairs(list) do
    rows[#rows + 1] = {
      k.kernel, tostring(k.registers), tostring(k.shared_bytes), tostring(k.shared_dynamic_bytes),
      tostring(k.spill_store_bytes), tostring(k.threads), tostring(k.thread_blocks_per_sm),
      ("%.0f %%"):format(100 * k.occupancy), (k.source:gsub("^%S+ ?", "")),
    }
  end
  return rows
end

return M
