-- place.lua - where an element of a result stands in the terms of the problem: sequence, query, head, element, and for
-- what lies in the cache its key, physical block and slot. All count from 0, as in a kernel and in findings of sim.
-- Read next: init.lua, problem.lua.
jit.off(true, true) -- see init.lua

local M = {}

-- The indices (from 0) of row-major element `at` of a shape.
local function indices(shape, at)
  local list = {}
  for i = #shape, 1, -1 do
    list[i] = at % shape[i]
    at = math.floor(at / shape[i])
  end
  return list
end

-- Sequence and query of row `row` of ragged queries.
local function ragged_row(case, row)
  for b, n in ipairs(case.len_q) do
    if row < n then return b - 1, row end
    row = row - n
  end
  return 0, row
end

local function query_place(case, at)
  local where = {}
  if case.ragged then
    where.sequence, where.query = ragged_row(case, at[1])
    where.head, where.element = at[2], at[3]
  elseif case.flat then
    where.sequence, where.query, where.head, where.element = at[1], 0, at[2], at[3]
  else
    where.sequence, where.head, where.query, where.element = at[1], at[2], at[3], at[4]
  end
  return where
end

local function lse_place(case, at)
  local where = {}
  if case.ragged then
    where.sequence, where.query = ragged_row(case, at[2])
    where.head = at[1]
  else
    where.sequence, where.head, where.query = at[1], at[2], at[3]
  end
  return where
end

-- The first sequence that has a physical block in use, and the key in its slot; nothing where nobody uses it.
local function user_of(problem, block, slot)
  local case = problem.case
  for b, len in ipairs(case.len_k) do
    for j = 1, math.ceil(len / case.block_size) do
      local key = (j - 1) * case.block_size + slot
      if problem.plan.table[b][j] == block and key < len then return b - 1, key end
    end
  end
end

local function block_place(problem, at)
  local where = {block = at[1], slot = at[2], head = at[3], element = at[4]}
  where.sequence, where.key = user_of(problem, at[1], at[2])
  return where
end

--- Adds physical block and slot of key `key` of its sequence to a place.
function M.add_key(problem, where, key)
  local case = problem.case
  local id = (problem.plan.table[where.sequence + 1] or {})[math.floor(key / case.block_size) + 1]
  where.key, where.block, where.slot = key, id, key % case.block_size
end

--- The place of element `at` (row-major, from 0) of a result of a problem by its name.
function M.of(problem, name, at)
  if at == nil or problem.place then return problem.place and at and problem.place(name, at) or {} end
  local list = indices(problem.results[name].shape, at)
  if name == "dsinks" then return {head = list[1]} end
  if name == "lse" then return lse_place(problem.case, list) end
  if name:match "_blocks$" then return block_place(problem, list) end
  return query_place(problem.case, list)
end

M.indices = indices

local order = {"sequence", "query", "head", "element", "token", "key", "block", "slot"}

--- A place as words, "" for an empty one.
function M.text(where)
  local words = {}
  for _, name in ipairs(order) do
    if where[name] then words[#words + 1] = ("%s %d"):format(name, where[name]) end
  end
  return table.concat(words, ", ")
end

return M
