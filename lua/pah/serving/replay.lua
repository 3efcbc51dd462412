-- replay.lua - pah.serving.replay: a request trace through the scheduler and the paged cache of a serving system:
-- arrivals, chunked prefill, decode, reuse of prefixes, eviction, preemption. Each step has the batches that the
-- kernels would get, with real block tables. Promises: no step has more tokens than its budget; a block is in two
-- sequences only where their prefixes are the same; the same trace and options give the same steps. Read next:
-- pool.lua.
local block_table = require "pah.attention.block_table"
local classes = require "pah.util.classes"
local devices = require "pah.device"
local errors = require "pah.errors"
local pools = require "pah.serving.pool"
local requests = require "pah.serving.requests"
local tensor = require "pah.tensor"
local raisef = errors.raisef

local M = {}

-- ---- A step ---------------------------------------------------------------------------------------------------------

local Step = classes.name("ServingStep", {})
Step.__index = Step

--- The arguments of one call of the step: batch("decode") of every sequence that gets one token more: {block_table=,
--- seqused_k=}; batch("prefill") of the chunks of prompts: with cu_seqlens_q, total_q and causal too. nil if there are
--- none. Lengths have the new tokens.
function Step:batch(kind, device)
  local items = kind == "decode" and self.decoded or kind == "prefill" and self.prefilled
  if not items then raisef('batch: kind is %s, must be "decode" or "prefill"', tostring(kind)) end
  if #items == 0 then return nil end
  local rows, lengths, width, starts = {}, {}, 0, {0}
  for i, item in ipairs(items) do
    rows[i], lengths[i] = item.blocks, item.length
    starts[i + 1] = starts[i] + item.new
    width = math.max(width, math.ceil(item.length / self.block_size))
  end
  device = devices.get(device)
  local table_, used = block_table.tensors(rows, lengths, width, device)
  if kind == "decode" then return {block_table = table_, seqused_k = used} end
  local cu = tensor.new({#starts}, "i32", devices.get "cpu")
  for i, start in ipairs(starts) do cu:data()[i - 1] = start end
  return {block_table = table_, seqused_k = used, cu_seqlens_q = cu:to(device), total_q = starts[#starts],
    causal = true}
end

-- ---- The replay -----------------------------------------------------------------------------------------------------

local Replay = classes.name("ServingReplay", {})
Replay.__index = Replay

local defaults = {tokens_per_step = 2048, max_sequences = 256, block_size = 16, num_blocks = 4096, prefix_cache = true,
  seconds_per_step = 0.03}
local known = {trace = 1, tokens_per_step = 1, max_sequences = 1, block_size = 1, num_blocks = 1, prefix_cache = 1,
  seconds_per_step = 1, limit = 1}

local function above_zero(value) return type(value) == "number" and value > 0 end -- a NaN is not

local function read_options(args)
  errors.check_keys("serving.replay", args, known)
  local o = {}
  for name, value in pairs(defaults) do o[name] = value end
  for name, value in pairs(args or {}) do o[name] = value end
  for _, name in ipairs {"tokens_per_step", "max_sequences", "block_size", "num_blocks"} do
    if type(o[name]) ~= "number" or o[name] % 1 ~= 0 or o[name] < 1 then
      raisef("serving.replay: %s is %s, must be a whole number >= 1", name, tostring(o[name]))
    end
  end
  local seconds = o.seconds_per_step
  if type(seconds) ~= "function" and not above_zero(seconds) then
    raisef("serving.replay: seconds_per_step is %s, must be a number above 0 or a function of the step",
      tostring(seconds))
  end
  if type(o.trace) == "string" then o.trace = requests.read(o.trace, {limit = o.limit}) end
  if type(o.trace) ~= "table" or type(o.trace[1]) ~= "table" then
    raisef("serving.replay: trace is a %s, must be a file or a list of requests", type(o.trace))
  end
  for _, r in ipairs(o.trace) do
    if o.prefix_cache and r.hash_ids and r.hash_block % o.block_size ~= 0 then
      raisef("serving.replay: block_size is %d, must divide the %d tokens of a hash id (or prefix_cache = false)",
        o.block_size, r.hash_block)
    end
  end
  return o
end

-- The key of block j (from 0) of a request's prompt, if all of it lies in hash blocks that are full; else nil.
local function key_of(self, request, j)
  if not self.options.prefix_cache or not request.hash_ids then return nil end
  local per = request.hash_block / self.options.block_size
  local k = math.floor(j / per)
  if (k + 1) * request.hash_block > request.input then return nil end
  return request.hash_ids[k + 1] * per + j % per
end

-- The blocks of the pool that have the first blocks of a prompt, at least one token of which stays to be computed.
local function known_prefix(self, s)
  local list, idle = {}, 0
  for j = 0, math.floor((s.prompt - 1) / self.options.block_size) - 1 do
    local key = key_of(self, s.request, j)
    local id, is_idle = nil, nil
    if key then id, is_idle = self.pool:find(key) end
    if not id then break end
    list[#list + 1] = id
    idle = idle + (is_idle and 1 or 0)
  end
  return list, idle
end

local function give_back(self, s)
  for i = #s.blocks, 1, -1 do self.pool:drop(s.blocks[i]) end -- the end of a prefix goes before its beginning
  s.blocks, s.computed = {}, 0 -- a new list: steps that are past keep the old one
end

local function remove(list, item)
  for i = #list, 1, -1 do
    if list[i] == item then return table.remove(list, i) end
  end
end

-- Takes everything from the sequence that began last; it will be computed anew, with what it has said.
local function preempt(self)
  local s = table.remove(self.running)
  give_back(self, s)
  s.prompt = s.request.input + s.said
  table.insert(self.waiting, 1, s)
  self.totals.preempted = self.totals.preempted + 1
  return s
end

-- A block more for each sequence that needs one for its next token; others are preempted until there are enough.
local function grow(self, s)
  if #s.blocks * self.options.block_size > s.computed then return true end
  while true do
    local id = self.pool:take()
    if id then
      s.blocks[#s.blocks + 1] = id
      return true
    end
    if preempt(self) == s then return false end
  end
end

-- What a step remembers of a sequence that gets `new` tokens.
local function item_of(s, new)
  return {sequence = s, request = s.request, blocks = s.blocks, length = s.computed + new, new = new}
end

local function schedule_decode(self, step)
  local i, budget = 1, self.options.tokens_per_step
  while i <= #self.running and budget > 0 do
    local s = self.running[i]
    if s.computed >= s.prompt and grow(self, s) then
      step.decoded[#step.decoded + 1] = item_of(s, 1)
      budget = budget - 1
    end
    if self.running[i] == s then i = i + 1 end
  end
  return budget
end

-- The next tokens of a prompt, as many as the budget has; false if the blocks for them are not there.
local function chunk(self, step, s, budget)
  local n = math.min(budget, s.prompt - s.computed)
  local new = math.ceil((s.computed + n) / self.options.block_size) - #s.blocks
  if new > self.pool:available() then return false end
  for _ = 1, new do s.blocks[#s.blocks + 1] = self.pool:take() end
  step.prefilled[#step.prefilled + 1] = item_of(s, n)
  return n
end

-- Begins with the first that waits; false if there is no place for it.
local function admit(self, step, budget)
  local s = self.waiting[1]
  local prefix, idle = known_prefix(self, s)
  local size = self.options.block_size
  local n = math.min(budget, s.prompt - #prefix * size)
  if math.ceil((#prefix * size + n) / size) - #prefix > self.pool:available() - idle then return false end
  for i, id in ipairs(prefix) do
    self.pool:hold(id)
    s.blocks[i] = id
  end
  s.computed = #prefix * size
  step.hit_tokens = step.hit_tokens + s.computed
  table.remove(self.waiting, 1)
  table.insert(self.running, s)
  return chunk(self, step, s, budget)
end

local function schedule_prefill(self, step, budget)
  for _, s in ipairs(self.running) do
    if budget == 0 then return end
    if s.computed < s.prompt then budget = budget - (chunk(self, step, s, budget) or 0) end
  end
  while budget > 0 and self.waiting[1] and #self.running < self.options.max_sequences do
    local n = admit(self, step, budget)
    if not n then return end
    budget = budget - n
  end
end

-- Requests that have arrived wait; ones that would never fit are refused.
local function arrive(self)
  local list = self.options.trace
  while list[self.next] and list[self.next].arrival <= self.time do
    local r = list[self.next]
    self.next = self.next + 1
    if r.input + r.output > self.options.num_blocks * self.options.block_size then
      self.totals.refused = self.totals.refused + 1
    else
      self.waiting[#self.waiting + 1] = {request = r, prompt = r.input, computed = 0, said = 0, blocks = {}}
    end
  end
end

-- The tokens of a step are in the cache: prefixes can be found, sequences say their next token or end.
local function complete(self, step)
  for _, item in ipairs(step.prefilled) do
    local s, from = item.sequence, item.sequence.computed
    s.computed = item.length
    for j = math.floor(from / step.block_size), math.floor(s.computed / step.block_size) - 1 do
      local key = key_of(self, s.request, j)
      if key then self.pool:publish(s.blocks[j + 1], key) end
    end
    if s.computed == s.prompt then
      if s.said == 0 then table.insert(self.first_token, self.time - s.request.arrival) end
      s.said = s.said + 1
    end
  end
  for _, item in ipairs(step.decoded) do
    item.sequence.computed, item.sequence.said = item.length, item.sequence.said + 1
  end
  for _, list in ipairs {step.prefilled, step.decoded} do
    for _, item in ipairs(list) do
      local s = item.sequence
      if s.computed >= s.prompt and s.said >= s.request.output then
        remove(self.running, s)
        give_back(self, s)
        step.finished = step.finished + 1
        self.totals.output_tokens = self.totals.output_tokens + s.said
      end
      item.sequence = nil
    end
  end
end

local function describe(self, step)
  local pool = self.pool
  step.running, step.waiting = #self.running, #self.waiting
  step.used_blocks, step.idle_blocks, step.free_blocks = pool:used(), pool.idle, #pool.free
  step.shared_blocks, step.num_blocks = pool.shared, pool.num_blocks
  step.utilisation = step.used_blocks / pool.num_blocks
  step.decode_tokens, step.prefill_tokens, step.tokens = #step.decoded, 0, 0
  for _, item in ipairs(step.prefilled) do
    step.prefill_tokens, step.tokens = step.prefill_tokens + item.new, step.tokens + item.length
  end
  for _, item in ipairs(step.decoded) do step.tokens = step.tokens + item.length end
end

local function count(self, step)
  local t = self.totals
  t.steps, t.finished = t.steps + 1, t.finished + step.finished
  t.prefill_tokens, t.decode_tokens = t.prefill_tokens + step.prefill_tokens, t.decode_tokens + step.decode_tokens
  t.hit_tokens, t.peak_blocks = t.hit_tokens + step.hit_tokens, math.max(t.peak_blocks, step.used_blocks)
end

--- The next step, or nil when every request has ended.
function Replay:step()
  arrive(self)
  if #self.running == 0 and #self.waiting == 0 then
    local following = self.options.trace[self.next]
    if not following then return nil end
    self.time = following.arrival
    return self:step()
  end
  local step = setmetatable({index = self.totals.steps + 1, time = self.time, block_size = self.options.block_size,
    decoded = {}, prefilled = {}, hit_tokens = 0, finished = 0}, Step)
  local preempted = self.totals.preempted
  schedule_prefill(self, step, schedule_decode(self, step))
  while #step.decoded + #step.prefilled == 0 do -- half-computed prompts hold every block and wait for each other
    preempt(self)
    schedule_prefill(self, step, schedule_decode(self, step))
  end
  step.preempted = self.totals.preempted - preempted
  describe(self, step)
  local seconds = self.options.seconds_per_step
  step.seconds = type(seconds) == "function" and seconds(step) or seconds
  if not above_zero(step.seconds) then
    raisef("serving.replay: seconds_per_step returned %s, must be a number above 0", tostring(step.seconds))
  end
  self.time = self.time + step.seconds
  complete(self, step)
  count(self, step)
  return step
end

--- An iterator over the steps.
function Replay:steps()
  return function() return self:step() end
end

local function quantile(list, p)
  if #list == 0 then return nil end
  local sorted = {}
  for i, v in ipairs(list) do sorted[i] = v end
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(p * #sorted))]
end

--- What has happened so far: steps, seconds, requests, finished, refused, preempted, prefill_tokens, decode_tokens,
--- output_tokens, hit_tokens (of prompts, found in the cache), hit_rate, peak_blocks, first_token_p50 and
--- first_token_p99 (seconds).
function Replay:summary()
  local s = {seconds = self.time, requests = self.next - 1, first_token_p50 = quantile(self.first_token, 0.5),
    first_token_p99 = quantile(self.first_token, 0.99)}
  for name, value in pairs(self.totals) do s[name] = value end
  local prompts = s.hit_tokens + s.prefill_tokens
  s.hit_rate = prompts > 0 and s.hit_tokens / prompts or 0
  return s
end

--- A replay of `trace` (a file of pah.serving.read, or a list of requests). Options: tokens_per_step (2048, of decode
--- and prefill together), max_sequences (256), block_size (16), num_blocks (4096), prefix_cache (true: full hash blocks
--- of prompts are shared and kept), seconds_per_step (0.03, or a function of the step), limit (requests of a file).
function M.replay(args)
  local o = read_options(args)
  return setmetatable({options = o, pool = pools.new(o.num_blocks), running = {}, waiting = {}, next = 1, time = 0,
    first_token = {}, totals = {steps = 0, finished = 0, refused = 0, preempted = 0, prefill_tokens = 0,
      decode_tokens = 0, output_tokens = 0, hit_tokens = 0, peak_blocks = 0}}, Replay)
end

M.exports = {serving = {replay = M.replay, read = requests.read, synthetic = requests.synthetic}}

return M
