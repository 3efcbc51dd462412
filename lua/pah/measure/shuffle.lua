-- shuffle.lua - one attention problem in a new order each time: sequences and heads within their groups change places,
-- and so do blocks of the pool, contents and ids. The result follows: rows move as those of q do, gradients of blocks
-- as the blocks. Padded q and ragged q, forward and backward. Read next: attention.lua, oracle.lua.
local tensor = require "pah.tensor"
local work = require "pah.attention.work"

local M = {}
local Order = {}
Order.__index = Order

--- How tensors of a call move, by name: "rows" as q does ([B, H, Sq, D], [B, H, D] or [total_q, H, D]), "lse" ([B, H,
--- Sq] or [H, total_q]), "heads" ([H]), "tree" ([B, Sq, words] or [total_q, words]), "pool" with the blocks.
M.kinds = {
  q = "rows", out = "rows", dout = "rows", dq = "rows", lse = "lse", dk_blocks = "pool", dv_blocks = "pool",
  sinks = "heads", dsinks = "heads", tree_mask = "tree",
}

-- Which dimensions of padded and of ragged tensors of a kind are sequences (or rows of them) and heads.
local dims = {
  rows = {padded = {1, 2}, ragged = {1, 2}}, lse = {padded = {1, 2}, ragged = {2, 1}},
  heads = {padded = {nil, 1}, ragged = {nil, 1}}, tree = {padded = {1}, ragged = {1}},
}

local function copy_rotated(to, from, dim, by)
  local n = from:size(dim)
  by = n > 0 and by % n or 0
  if n > by then to:narrow(dim, 1, n - by):copy(from:narrow(dim, by + 1, n - by)) end
  if by > 0 then to:narrow(dim, n - by + 1, by):copy(from:narrow(dim, 1, by)) end
end

-- A tensor with its heads, dimension `dim`, apart: `dim` becomes K/V heads, dim + 1 the heads of a group.
local function grouped(t, dim, group)
  local shape = {}
  for i, n in ipairs(t.shape) do
    if i == dim then shape[#shape + 1], n = n / group, group end
    shape[#shape + 1] = n
  end
  return t:view(shape)
end

--- `to` becomes `from` in the present order; name: which tensor of the call it is (a key of M.kinds, not of the pool).
function Order:rotate(name, to, from)
  local rows, heads = unpack(dims[M.kinds[name]][self.ragged and "ragged" or "padded"], 1, 2)
  local by = self.ragged and self.offsets[self.sequences + 1] or self.sequences
  if not heads then return copy_rotated(to, from, rows, by) end
  local between = from
  if rows then
    between = self.scratch[to] or to:clone()
    self.scratch[to] = between
    copy_rotated(between, from, rows, by)
  end
  copy_rotated(grouped(to, heads, self.group), grouped(between, heads, self.group), heads + 1, self.heads)
end

-- What belongs to sequences rather than to rows: tables and lengths, and descales by sequence, into `args`.
local function place_tables(self, args)
  copy_rotated(self.host_table, self.table, 1, self.sequences)
  args.block_table:copy(self.host_table)
  for name, values in pairs(self.by_sequence) do copy_rotated(args[name], values, 1, self.sequences) end
  if not self.ragged then return end
  local p, B = self.host_offsets:data(), self.B
  for b = 1, B do
    local from = (b - 1 + self.sequences) % B + 1
    p[b] = p[b - 1] + self.offsets[from + 1] - self.offsets[from]
  end
  args.cu_seqlens_q:copy(self.host_offsets)
end

-- Two blocks of every pool change places, and every entry of the block table that names one names the other.
local function swap_blocks(self, a, b)
  for _, pool in ipairs(self.pools) do
    local held = pool:narrow(1, a + 1, 1):clone()
    pool:narrow(1, a + 1, 1):copy(pool:narrow(1, b + 1, 1))
    pool:narrow(1, b + 1, 1):copy(held)
  end
  local p = self.table:data()
  for i = 0, self.table:numel() - 1 do
    if p[i] == a then p[i] = b elseif p[i] == b then p[i] = a end
  end
end

--- A tensor of the shape of the pool whose blocks shall move with it from now on.
function Order:follow(pool) self.pools[#self.pools + 1] = pool end

--- The next order: numbers are drawn, blocks of the pools exchanged, and the tables of `args` follow.
function Order:shuffle(args)
  self.sequences, self.heads = self.random(self.B), self.random(self.group)
  if self.blocks > 1 then
    local swap = {self.random(self.blocks), self.random(self.blocks)}
    if swap[1] ~= swap[2] then
      swap_blocks(self, swap[1], swap[2])
      self.swaps[#self.swaps + 1] = swap
    end
  end
  place_tables(self, args)
end

--- Puts the blocks of the pools back where they were.
function Order:restore()
  for i = #self.swaps, 1, -1 do swap_blocks(self, unpack(self.swaps[i])) end
  self.swaps = {}
end

--- The order of the call's own arguments `args`, whose tables are copied; random(n) gives numbers from 0 to n - 1.
function M.new(args, random)
  local offsets = {0}
  for b, len in ipairs(work.lengths(args)) do offsets[b + 1] = offsets[b] + len.q end
  local order = {
    random = random, B = args.block_table.shape[1], group = args.q.shape[2] / args.k_blocks.shape[3],
    blocks = args.k_blocks.shape[1], ragged = args.cu_seqlens_q ~= nil, offsets = offsets, sequences = 0, heads = 0,
    table = args.block_table:to("cpu"):clone(), host_table = args.block_table:to("cpu"):clone(), swaps = {},
    host_offsets = args.cu_seqlens_q and args.cu_seqlens_q:to("cpu"):clone(), by_sequence = {},
    pools = {args.k_blocks}, scratch = setmetatable({}, {__mode = "k"}),
  }
  if not work.v_in_k(args) then order.pools[2] = args.v_blocks end
  for _, name in ipairs {"seqused_k", "q_descale", "k_descale", "v_descale"} do
    local value = args[name]
    if tensor.is_tensor(value) and (name == "seqused_k" or value:dim() == 2) then
      order.by_sequence[name] = value:clone()
    end
  end
  return setmetatable(order, Order)
end

return M
