-- processor_time.lua - what the scripts that set cpu kernels against their limit share: the processor time of a call,
-- and the peak of multiply-adds by it. Two threads then count as two, and a program beside costs nothing.
local C = require("pah.ffi").C
local peaks = require "pah.measure.peaks"

local M = {}

--- Processor and wall seconds of one call.
function M.time(call)
  local cpu, wall = C.pah_cpu_clock(), pah.clock()
  call()
  return C.pah_cpu_clock() - cpu, pah.clock() - wall
end

--- Whether products of bf16 go to the tile unit (doc/design/cpu.md), beside which softmax and conversions take as long:
--- a fraction of its peak is not what counts then.
function M.by_tiles()
  return pah.device("cpu"):info().isa == "amx" and (os.getenv "PAH_BF16" or "amx") == "amx"
end

--- The most flops per processor second on operands of a dtype, measured for `seconds`: f32 multiply-adds, or for bf16
--- and fp8 their products (vdpbf16ps, tiles) where those are faster; with PAH_BF16 the way that it names.
function M.peak(dtype, seconds)
  local best, wanted, ways = 0, os.getenv "PAH_BF16", {}
  local pairs_ = dtype ~= "f32" and dtype ~= "f16"
  if not pairs_ or wanted ~= "dots" then ways[#ways + 1] = "f32" end
  if pairs_ and wanted ~= "fma" then ways[#ways + 1] = "dots" end
  for _, way in ipairs(ways) do
    local rate
    local cpu, wall = M.time(function() rate = peaks.flops(pah.device "cpu", way, seconds) end)
    best = math.max(best, rate * wall / cpu)
  end
  return best
end

return M
