-- mask.lua - tree masks for decode and fwd: pah.mask.from_parents, from_bool and chain make the tensor `tree_mask`.
-- Query i of a sequence is its key len_k - len_q + i; bit j of its row says whether it sees that of query j. Every key
-- before the queries is visible. Promises: a query sees itself. Read next: src/attention/attn.h (pah_tree_sees).
local devices = require "pah.device"
local errors = require "pah.errors"
local tensor = require "pah.tensor"

local raisef = errors.raisef

local M = {}

local keys = {batch = true, device = true, ragged = true}

-- [#trees, n, words] for trees of n queries each, or [total_q, words] when ragged. A tree is {n=, sees = f(i, j)},
-- 0-based.
local function pack(what, trees, options)
  errors.check_keys(what, options, keys)
  options = options or {}
  local total, widest, batch = 0, 0, options.batch
  if batch ~= nil then
    if #trees ~= 1 then raisef("%s: batch is given, but there are %d trees", what, #trees) end
    if type(batch) ~= "number" or batch < 1 or batch % 1 ~= 0 then
      raisef("%s: batch is %s, must be a whole number >= 1", what, tostring(batch))
    end
    for b = 2, batch do trees[b] = trees[1] end
  end
  for b, tree in ipairs(trees) do
    total, widest = total + tree.n, math.max(widest, tree.n)
    if tree.n ~= trees[1].n and not options.ragged then
      raisef("%s: tree %d has %d queries, must have %d as the first, or ragged = true", what, b, tree.n, trees[1].n)
    end
  end
  local words = math.ceil(widest / 32)
  local t = tensor.new(options.ragged and {total, words} or {#trees, widest, words}, "i32", devices.get "cpu")
  local row = t:data()
  for _, tree in ipairs(trees) do
    for i = 0, tree.n - 1 do
      for w = 0, words - 1 do row[w] = 0 end
      for j = 0, tree.n - 1 do
        if tree.sees(i, j) then row[math.floor(j / 32)] = bit.bor(row[math.floor(j / 32)], bit.lshift(1, j % 32)) end
      end
      row = row + words
    end
  end
  return options.device and t:to(options.device) or t
end

-- The tree of a list of parents: which query is the last before it on the way to the committed text.
local function tree_of(what, parents)
  if type(parents) ~= "table" then raisef("%s: is a %s, must be a list of parents", what, type(parents)) end
  local ancestors = {}
  for i, parent in ipairs(parents) do
    if type(parent) ~= "number" or parent % 1 ~= 0 or parent < 0 or parent >= i then
      raisef("%s: parent of query %d is %s, must be 0 (the committed text) or an earlier query", what, i,
        tostring(parent))
    end
    local seen = {[i - 1] = true}
    for j in pairs(ancestors[parent] or {}) do seen[j] = true end
    ancestors[i] = seen
  end
  return {n = #parents, sees = function(i, j) return ancestors[i + 1][j] end}
end

--- tree_mask i32 of a tree given by each query's parent, 1-based; 0: the committed text. A list of lists is a tree for
--- each sequence. [B, Sq, ceil(Sq/32)]; with ragged = true [total_q, ceil(max_q/32)]. Options: batch (the same tree for
--- so many sequences), ragged, device.
local function from_parents(parents, options)
  local trees = {}
  if type(parents) == "table" and type(parents[1]) == "table" then
    for b, list in ipairs(parents) do trees[b] = tree_of("mask.from_parents", list) end
  else
    trees[1] = tree_of("mask.from_parents", parents)
  end
  return pack("mask.from_parents", trees, options)
end

--- tree_mask i32 of a tensor [Sq, Sq] or [B, Sq, Sq]: query i sees key j of the last Sq where element [i, j] is not 0.
local function from_bool(t, options)
  if not tensor.is_tensor(t) then raisef("mask.from_bool: is a %s, must be a tensor", type(t)) end
  local shape = t.shape
  local n = shape[#shape]
  if (#shape ~= 2 and #shape ~= 3) or shape[#shape - 1] ~= n then
    raisef("mask.from_bool: shape is [%s], must be [Sq, Sq] or [B, Sq, Sq]", table.concat(shape, ", "))
  end
  local flat, trees = t:to("cpu"):to("f64"):contiguous(), {}
  local values = flat:data()
  for b = 1, #shape == 3 and shape[1] or 1 do
    trees[b] = {n = n, sees = function(i, j) return flat and values[((b - 1) * n + i) * n + j] ~= 0 end}
  end
  return pack("mask.from_bool", trees, options)
end

--- tree_mask i32 of n queries that follow each other: what causal = true sees, bit for bit.
local function chain(n, options)
  if type(n) ~= "number" or n % 1 ~= 0 or n < 0 then
    raisef("mask.chain: is %s, must be a whole number >= 0", tostring(n))
  end
  return pack("mask.chain", {{n = n, sees = function(i, j) return j <= i end}}, options)
end

M.exports = {mask = {from_parents = from_parents, from_bool = from_bool, chain = chain}}

return M
