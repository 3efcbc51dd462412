-- requests.lua - request traces of serving systems: Mooncake's (JSON lines with prefix hashes), Azure's (CSV), and
-- made-up ones. Promises: requests come in the order of their arrival, in seconds from 0; a line that is none is an
-- error with its number. Read next: replay.lua.
local errors = require "pah.errors"
local json = require "pah.util.json"
local random = require("pah.tensor.random").exports
local whole_file = require "pah.util.whole_file"
local raisef = errors.raisef

local M = {}

local MOONCAKE_BLOCK = 512 -- tokens that one of its hash ids stands for

local function whole(value) return type(value) == "number" and value % 1 == 0 and value >= 0 end

local function check(where, arrival, input, output)
  if type(arrival) ~= "number" or not whole(input) or not whole(output) or input < 1 then
    raisef("%s: is no request: arrival %s, input %s, output %s", where, tostring(arrival), tostring(input),
      tostring(output))
  end
end

-- {"timestamp": ms, "input_length": n, "output_length": n, "hash_ids": [...]}
local function mooncake(text, where)
  local r, why = json.try_decode(text, where)
  if why then raisef("%s", why) end
  if type(r) ~= "table" then raisef("%s: is no JSON object", where) end
  check(where, tonumber(r.timestamp), r.input_length, r.output_length)
  local ids = r.hash_ids
  if ids ~= nil and (type(ids) ~= "table" or #ids < math.floor(r.input_length / MOONCAKE_BLOCK)) then
    raisef("%s: hash_ids must have an id for each %d tokens of the input", where, MOONCAKE_BLOCK)
  end
  return {arrival = r.timestamp / 1000, input = r.input_length, output = math.max(1, r.output_length), hash_ids = ids,
    hash_block = ids and MOONCAKE_BLOCK}
end

-- Days since some day, of the proleptic Gregorian calendar.
local function days(y, m, d)
  if m <= 2 then y, m = y - 1, m + 12 end
  return 365 * y + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400) + math.floor((153 * m - 457) / 5) + d
end

-- 2023-11-16 18:17:03.9799600,4808,10
local function azure(text, where)
  local y, mo, d, h, mi, s, input, output = text:match "^(%d+)-(%d+)-(%d+) (%d+):(%d+):([%d.]+),(%d+),(%d+)$"
  if not y then raisef("%s: is not TIMESTAMP,ContextTokens,GeneratedTokens", where) end
  local arrival = days(tonumber(y), tonumber(mo), tonumber(d)) * 86400 + h * 3600 + mi * 60 + tonumber(s)
  check(where, arrival, tonumber(input), tonumber(output))
  return {arrival = arrival, input = tonumber(input), output = math.max(1, tonumber(output))}
end

-- The requests by their arrival, the first at 0.
local function in_order(list)
  for i, r in ipairs(list) do r.place = i end
  table.sort(list, function(a, b) return a.arrival < b.arrival or a.arrival == b.arrival and a.place < b.place end)
  local first = list[1] and list[1].arrival or 0
  for i, r in ipairs(list) do r.arrival, r.place, r.id = r.arrival - first, nil, i end
  return list
end

--- The requests of a trace file, Mooncake's JSON lines or Azure's CSV: a list of {id=, arrival= (seconds), input=,
--- output= (tokens), hash_ids=, hash_block=}. options.limit: only the first so many.
function M.read(path, options)
  if type(path) ~= "string" then raisef("serving.read: path is a %s, must be a string", type(path)) end
  errors.check_keys("serving.read", options, {limit = true})
  local text, why = whole_file.read(path)
  if not text then raisef("serving.read: %s", why) end
  local parse, list, number, limit = nil, {}, 0, options and options.limit or math.huge
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do
    number = number + 1
    if #list >= limit then break end
    if line:find "%S" then
      local where = ("%s (line %d)"):format(path, number)
      if parse then
        list[#list + 1] = parse(line, where)
      elseif line:find "^%s*{" then
        parse = mooncake
        list[1] = parse(line, where)
      elseif line == "TIMESTAMP,ContextTokens,GeneratedTokens" then
        parse = azure
      else
        raisef("%s: is neither Mooncake's trace (JSON lines) nor Azure's (CSV)", where)
      end
    end
  end
  if #list == 0 then raisef("serving.read: %s has no request", path) end
  return in_order(list)
end

local synthetic_keys = {count = 1, rate = 1, input = 1, output = 1, prefixes = 1, prefix = 1, hash_block = 1, seed = 1}

--- Made-up requests in the same shape: count (100) of them, rate (4) a second with exponential gaps, input (1024) and
--- output (128) tokens on average, exponential too; the first `prefix` (512) tokens are one of `prefixes` (4) system
--- prompts; hash_block (512) tokens to a hash id; seed (1).
function M.synthetic(options)
  errors.check_keys("serving.synthetic", options, synthetic_keys)
  local o = {count = 100, rate = 4, input = 1024, output = 128, prefixes = 4, prefix = 512, hash_block = 512, seed = 1}
  for name, value in pairs(options or {}) do
    if type(value) ~= "number" or value <= 0 then
      raisef("serving.synthetic: %s is %s, must be a number above 0", name, tostring(value))
    end
    o[name] = value
  end
  local draws, at = random.rand({o.count, 4}, {seed = o.seed, dtype = "f64", device = "cpu"}):totable(), 0
  local list, fresh, shared = {}, o.prefixes * math.ceil(o.prefix / o.hash_block), math.floor(o.prefix / o.hash_block)
  local function exponential(mean, u) return math.max(1, math.floor(-mean * math.log(1 - u) + 0.5)) end
  for i, u in ipairs(draws) do
    at = at - math.log(1 - u[1]) / o.rate
    local input, ids = o.prefix + exponential(math.max(1, o.input - o.prefix), u[2]), {}
    local which = math.floor(u[4] * o.prefixes)
    for k = 1, math.ceil(input / o.hash_block) do
      if k <= shared then
        ids[k] = which * shared + k - 1
      else
        ids[k], fresh = fresh, fresh + 1
      end
    end
    list[i] = {arrival = at, input = input, output = exponential(o.output, u[3]), hash_ids = ids,
      hash_block = o.hash_block}
  end
  return in_order(list)
end

return M
