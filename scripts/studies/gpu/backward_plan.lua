-- backward_plan.lua - the plan of kernels/backward/plan.cu alone, for the time that it takes of a pah.bwd:
-- local run = dofile(folder .. "backward_plan.lua")(device, a), a the arguments of pah.bwd. The structs that it is
-- launched with are read from the kernels' sources. Read next: backward.lua.
local ffi = require "ffi"

local KEYS, ITEM_BYTES = 128, 16
local folder = debug.getinfo(1, "S").source:match "^@(.*/)"

local function text_of(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function declare()
  dofile(folder .. "params.lua")
  if not pcall(ffi.typeof, "struct backward_plan") then
    local plan = text_of "kernels/backward/plan.cuh":match "struct backward_plan {.-};"
    ffi.cdef((plan:gsub("key_item %*", "void *")))
  end
end

return function(device, a)
  declare()
  local entries, blocks = a.block_table, a.k_blocks:size(1)
  local batch, most, size = entries:size(1), entries:size(2), a.k_blocks:size(2)
  local module = device:compile{source = "kernels/backward/plan.cu", defines = {KEYS = KEYS}, include = {"kernels"}}
  local function numbers(count, value) return pah.full({count}, value, {dtype = "i32", device = device}) end
  local kept = { -- as prepare.cu leaves them; the same call again finds the same
    first = numbers(blocks, 2 ^ 31 - 1), lowest = numbers(blocks, 2 ^ 31 - 1), last = numbers(blocks, -1),
    highest = numbers(blocks, -1), used = numbers(blocks, 0), item_count = numbers(1, 0),
    items = numbers(ITEM_BYTES / 4 * batch * (most + math.ceil(most * size / KEYS)), 0),
  }
  local p, plan = ffi.new "struct pah_attn_params", ffi.new "struct backward_plan"
  p.block_table, p.table_batch, p.table_block = entries:data(), entries.strides[1], entries.strides[2]
  p.seqused_k, p.seqused_stride = a.seqused_k:data(), a.seqused_k.strides[1]
  p.seqlen_q, p.seqlen_k = a.q:size(3), most * size
  p.num_blocks, p.max_blocks, p.block_size, p.batch = blocks, most, size, batch
  for name, tensor in pairs(kept) do plan[name] = ffi.cast("void *", tensor:data()) end
  return function()
    module:launch("backward_items", {grid = {1}, block = {512}}, p, plan)
    return kept.item_count
  end
end
