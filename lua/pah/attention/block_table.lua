-- block_table.lua - block tables without a cache: pah.block_table{seqlens=, block_size=, num_blocks=, order=, seed=}.
-- Each sequence gets ceil(length / block_size) blocks that no other has; entries after them are -1 and never read.
local errors = require "pah.errors"
local tensor = require "pah.tensor"
local devices = require "pah.device"
local random = require "pah.tensor.random"

local M = {}

local keys = {seqlens = 1, block_size = 1, num_blocks = 1, order = 1, seed = 1, device = 1, max_blocks_per_seq = 1}

local function positive(name, value)
  if type(value) ~= "number" or value % 1 ~= 0 or value < 1 then
    errors.raisef("block_table: %s is %s, must be a whole number >= 1", name, tostring(value))
  end
  return value
end

--- Tensors i32 from nested tables of rows; pads rows with -1 to `width`.
function M.tensors(rows, lengths, width, device)
  local table_ = tensor.new({#rows, width}, "i32", devices.get "cpu")
  local used = tensor.new({#rows}, "i32", devices.get "cpu")
  local p, q = table_:data(), used:data()
  for b = 1, #rows do
    q[b - 1] = lengths[b]
    for j = 1, width do p[(b - 1) * width + j - 1] = rows[b][j] or -1 end
  end
  return table_:to(device), used:to(device)
end

--- block_table i32 [B, max_blocks_per_seq] and seqused_k i32 [B] for sequences of the lengths `seqlens` in a pool of
--- num_blocks (default: as many as are needed). order "shuffled" (default) draws blocks by `seed`, "linear" takes 0,
--- 1, ...
local function block_table(args)
  errors.check_keys("block_table", args, keys)
  args = args or {}
  local lengths = args.seqlens
  if tensor.is_tensor(lengths) then lengths = tensor.want("block_table: seqlens", lengths):totable() end
  if type(lengths) ~= "table" then errors.raisef("block_table: seqlens is a %s, must be a table of lengths",
    type(lengths)) end
  local block_size = positive("block_size", args.block_size)
  local order = args.order or "shuffled"
  if order ~= "shuffled" and order ~= "linear" then
    errors.raisef('block_table: order is %s, must be "shuffled" or "linear"', tostring(order))
  end
  local counts, needed, width = {}, 0, 0
  if args.max_blocks_per_seq ~= nil then width = positive("max_blocks_per_seq", args.max_blocks_per_seq) end
  for b, length in ipairs(lengths) do
    if type(length) ~= "number" or length % 1 ~= 0 or length < 0 then
      errors.raisef("block_table: seqlens[%d] is %s, must be a whole number >= 0", b, tostring(length))
    end
    counts[b] = math.ceil(length / block_size)
    needed = needed + counts[b]
    width = args.max_blocks_per_seq and width or math.max(width, counts[b])
    if counts[b] > width then
      errors.raisef("block_table: max_blocks_per_seq is %d, seqlens[%d] = %d needs %d", width, b, length, counts[b])
    end
  end
  local num_blocks = args.num_blocks == nil and math.max(needed, 1) or positive("num_blocks", args.num_blocks)
  if needed > num_blocks then
    errors.raisef("block_table: num_blocks is %d, these lengths need %d", num_blocks, needed)
  end
  local ids = order == "shuffled" and random.exports.randperm(num_blocks, {seed = args.seed, device = "cpu"}):data()
  local rows, at = {}, 0
  for b = 1, #lengths do
    rows[b] = {}
    for j = 1, counts[b] do
      rows[b][j] = ids and tonumber(ids[at]) or at
      at = at + 1
    end
  end
  return M.tensors(rows, lengths, width, devices.get(args.device))
end

M.exports = {block_table = block_table}

return M
