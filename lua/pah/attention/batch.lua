-- batch.lua - pah.batch: a batch of requests from a few letters, in vLLM's grammar: "2q2k_32q1s1k" is two prompts
-- of 2048 tokens and 32 sequences of 1024 that get one token more, "8q4s8k" a decode of four queries each. Promises:
-- an error names the place in the text; the text of a batch gives the same batch again.
-- Read next: block_table.lua, measure/problem.lua.
local C = require("pah.ffi").C
local classes = require "pah.util.classes"
local devices = require "pah.device"
local errors = require "pah.errors"
local tensor = require "pah.tensor"

local M = {}

--- The most new tokens of a sequence in a decode.
M.MOST_DECODED = tonumber(C.PAH_MAX_DECODE_QUERIES)

local MOST = 2 ^ 20 -- requests of a batch, above any sensible number
local LONGEST = 2 ^ 31 - 1 -- tokens: lengths are i32

-- ---- Reading ----------------------------------------------------------------------------------------------------

local grammar = "must be [COUNT]qTOKENS[k][sTOKENS[k]], such as 8q1s1k"

local function fail(text, at, part, ...)
  errors.raise(('batch: "%s" at character %d of "%s": '):format(part, at, text) .. (...):format(select(2, ...)))
end

local function size(digits, k) return tonumber(digits) * (k == "k" and 1024 or 1) end

-- The request of the part that begins at character `at`, and its count.
local function read_part(text, at, part)
  if part == "" then fail(text, at, part, "is empty, %s", grammar) end
  local count, q, q_k, rest = part:match "^(%d*)q(%d+)(k?)(.*)$"
  if not count then
    local bad = #part:match "^%d*" + 1
    if part:sub(bad, bad) ~= "q" then fail(text, at + bad - 1, part, "q is missing, %s", grammar) end
    fail(text, at + bad, part, "q has no number, %s", grammar)
  end
  local s, s_k = rest:match "^s(%d+)(k?)$"
  if rest ~= "" and not s then
    local where = at + #part - #rest
    if rest == "s" or rest:match "^s%D" then fail(text, where + 1, part, "s has no number, %s", grammar) end
    local bad = rest:sub(1, 1) == "s" and #rest:match "^s%d+k?" or 0
    fail(text, where + bad, part, '"%s" is not part of it, %s', rest:sub(bad + 1), grammar)
  end
  local request = {q_len = size(q, q_k)}
  request.seq_len = s and size(s, s_k) or request.q_len
  count = count == "" and 1 or tonumber(count)
  if count < 1 or count > MOST then fail(text, at, part, "count is %.0f, must be 1 to %d", count, MOST) end
  if request.q_len < 1 then fail(text, at, part, "q is 0, must be at least 1") end
  if request.seq_len > LONGEST then fail(text, at, part, "is %.0f tokens long, must be below 2^31", request.seq_len) end
  if request.seq_len < request.q_len then
    fail(text, at, part, "s is %d, must be at least q, %d: the new tokens are part of the sequence", request.seq_len,
      request.q_len)
  end
  return request, count
end

--- The requests of a text, a list of {q_len=, seq_len=} in its order.
function M.parse(text)
  local requests, at = {}, 1
  for part in (text .. "_"):gmatch "(.-)_" do
    local request, count = read_part(text, at, part)
    if #requests + count > MOST then fail(text, at, part, "makes more than %d requests", MOST) end
    for _ = 1, count do requests[#requests + 1] = {q_len = request.q_len, seq_len = request.seq_len} end
    at = at + #part + 1
  end
  return requests
end

-- ---- Writing ----------------------------------------------------------------------------------------------------

local function size_text(n) return n > 0 and n % 1024 == 0 and ("%dk"):format(n / 1024) or ("%d"):format(n) end

--- The shortest text of a list of requests: equal neighbours share one count.
function M.text(requests)
  local parts, i = {}, 1
  while i <= #requests do
    local r, count = requests[i], 1
    while requests[i + count] and requests[i + count].q_len == r.q_len and requests[i + count].seq_len == r.seq_len do
      count = count + 1
    end
    parts[#parts + 1] = (count > 1 and count or "") .. "q" .. size_text(r.q_len)
      .. (r.seq_len ~= r.q_len and "s" .. size_text(r.seq_len) or "")
    i = i + count
  end
  return table.concat(parts, "_")
end

-- ---- pah.batch --------------------------------------------------------------------------------------------------

local function check_request(i, request)
  for _, name in ipairs {"q_len", "seq_len"} do
    local value = type(request) == "table" and request[name]
    if type(value) ~= "number" or value % 1 ~= 0 or value < 1 or value > LONGEST then
      errors.raisef("batch: request %d: %s is %s, must be a whole number >= 1", i, name, tostring(value or nil))
    end
  end
  if request.seq_len < request.q_len then
    errors.raisef("batch: request %d: seq_len is %d, must be at least q_len, %d", i, request.seq_len, request.q_len)
  end
  return {q_len = request.q_len, seq_len = request.seq_len}
end

-- What requests do: "decode" (up to MOST_DECODED new tokens after others, or one alone), "prefill" (nothing before),
-- "extend" (more new tokens after others) or "mixed".
local function kind_of(requests)
  local kind
  for _, r in ipairs(requests) do
    local this = r.q_len == r.seq_len and r.q_len > 1 and "prefill" or r.q_len <= M.MOST_DECODED and "decode"
      or "extend"
    if kind and kind ~= this then return "mixed" end
    kind = this
  end
  return kind
end

local Batch = classes.name("Batch", {})
Batch.__index = Batch
function Batch:__tostring() return self.text end

--- A batch in vLLM's grammar, [COUNT]qTOKENS[k][sTOKENS[k]] joined by _: pah.batch "2q2k_32q1s1k"; q is new tokens, s
--- all tokens of a sequence with the new ones (default: as many as q), k 1024. A list of {q_len=, seq_len=} is
--- accepted too.
-- The result has requests, seqlens (for pah.block_table), q_lens, total_q, max_q, kind ("decode", "prefill",
-- "extend", "mixed"), padded (all q_len are equal), cu_seqlens_q (a tensor, for ragged q) and text; tostring is its
-- text. opts.device: of the tensor.
function M.batch(spec, opts)
  errors.check_keys("batch", opts, {device = true})
  local requests = {}
  if type(spec) == "string" then
    requests = M.parse(spec)
  elseif type(spec) == "table" then
    for i, request in ipairs(spec.requests or spec) do requests[i] = check_request(i, request) end
  else
    errors.raisef("batch: is a %s, must be a text such as 8q1s1k or a list of {q_len=, seq_len=}", type(spec))
  end
  if #requests == 0 then errors.raise "batch: has no requests, must have at least one" end
  local b = {requests = requests, seqlens = {}, q_lens = {}, total_q = 0, max_q = 0, padded = true}
  local offsets = tensor.new({#requests + 1}, "i32", devices.get "cpu")
  offsets:data()[0] = 0
  for i, r in ipairs(requests) do
    b.q_lens[i], b.seqlens[i] = r.q_len, r.seq_len
    b.total_q, b.max_q = b.total_q + r.q_len, math.max(b.max_q, r.q_len)
    b.padded = b.padded and r.q_len == requests[1].q_len
    if b.total_q > LONGEST then errors.raisef("batch: request %d: the new tokens are 2^31 or more", i) end
    offsets:data()[i] = b.total_q
  end
  b.cu_seqlens_q = offsets:to(devices.get(opts and opts.device))
  b.kind, b.text = kind_of(requests), M.text(requests)
  return setmetatable(b, Batch)
end

M.exports = {batch = M.batch}

return M
