-- replay_spec.lua - request traces: files of Mooncake and Azure, made-up ones, and their replay: budgets, block tables,
-- shared prefixes, eviction and preemption, checked at every step against what each sequence must hold.
local child = require "spec.support.child"
local refused = require "spec.support.refused"

local folder = child.folder()
teardown(function() os.execute("rm -rf " .. child.quoted(folder)) end)

local function write(name, text)
  child.write(folder .. "/" .. name, text)
  return folder .. "/" .. name
end

describe("a request trace", function()
  it("of Mooncake is read in order of arrival, in seconds", function()
    local list = pah.serving.read(write("m.jsonl",
      '{"timestamp": 3000, "input_length": 1025, "output_length": 0, "hash_ids": [0, 4, 5]}\n'
      .. '{"timestamp": 1000, "input_length": 512, "output_length": 7, "hash_ids": [0]}\n\n'))
    assert.same({{arrival = 0, input = 512, output = 7, hash_ids = {0}, hash_block = 512, id = 1},
      {arrival = 2, input = 1025, output = 1, hash_ids = {0, 4, 5}, hash_block = 512, id = 2}}, list)
  end)

  it("of Azure is read by its timestamps, over midnight too", function()
    local list = pah.serving.read(write("a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
      .. "2024-02-29 23:59:59.5000000,10,3\r\n2024-03-01 00:00:01.2500000,4808,10"))
    assert.same({{arrival = 0, input = 10, output = 3, id = 1}, {arrival = 1.75, input = 4808, output = 10, id = 2}},
      list)
    assert.equal(1, #pah.serving.read(folder .. "/a.csv", {limit = 1}))
  end)

  it("with a line that is no request is refused, with the line", function()
    refused("(line 1): is neither Mooncake's trace (JSON lines) nor Azure's (CSV)", pah.serving.read,
      write("x.txt", "a,b\n"))
    refused("(line 2): is not TIMESTAMP,ContextTokens,GeneratedTokens", pah.serving.read,
      write("y.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-02-29,1,2\n"))
    refused("(line 1): is no request: arrival 0, input 0, output 3", pah.serving.read,
      write("z.jsonl", '{"timestamp": 0, "input_length": 0, "output_length": 3}\n'))
    refused("hash_ids must have an id for each 512 tokens", pah.serving.read,
      write("h.jsonl", '{"timestamp": 0, "input_length": 1024, "output_length": 3, "hash_ids": [1]}\n'))
    refused("has no request", pah.serving.read, write("e.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n"))
    refused("No such file", pah.serving.read, folder .. "/none")
  end)

  it("can be made up, the same for a seed, with shared prefixes", function()
    local list = pah.serving.synthetic{count = 200, seed = 3, prefixes = 2, prefix = 64, hash_block = 16, input = 200}
    assert.same(list, pah.serving.synthetic{count = 200, seed = 3, prefixes = 2, prefix = 64, hash_block = 16,
      input = 200})
    local seen, sum = {}, 0
    for i, r in ipairs(list) do
      assert.equal(math.ceil(r.input / 16), #r.hash_ids)
      assert.is_true(i == 1 or r.arrival >= list[i - 1].arrival)
      seen[r.hash_ids[1]], sum = true, sum + r.input
      for k = 1, 4 do assert.equal(r.hash_ids[1] + k - 1, r.hash_ids[k]) end
    end
    assert.same({[0] = true, [4] = true}, seen)
    assert.is_true(math.abs(sum / 200 - 200) < 40, sum / 200)
    refused("rate is 0, must be a number above 0", pah.serving.synthetic, {rate = 0})
  end)
end)

-- ---- Replay ---------------------------------------------------------------------------------------------------------

-- What a block must hold: the hash block and place of the prompt, or the sequence and place alone.
local function content(r, j, size)
  local per = r.hash_ids and r.hash_block / size
  local k = per and math.floor(j / per)
  if k and (k + 1) * r.hash_block <= r.input then return ("hash %d %d"):format(r.hash_ids[k + 1], j % per) end
  return ("own %d %d"):format(r.id, j)
end

-- Replays and checks every step from its batches alone: the order of events of each request, budgets, and that no block
-- holds two things at one time. Returns the summary and the steps.
local function checked(o)
  local replay, steps, progress = pah.serving.replay(o), {}, {}
  local size = o.block_size or 16
  for step in replay:steps() do
    steps[#steps + 1] = step
    local tokens, holds, sequences = 0, {}, 0
    for _, kind in ipairs {"decoded", "prefilled"} do
      for _, item in ipairs(step[kind]) do
        tokens, sequences = tokens + item.new, sequences + 1
        assert.is_true(#item.blocks >= math.ceil(item.length / size))
        for j = 1, math.ceil(item.length / size) do
          local id = item.blocks[j]
          assert.is_true(id >= 0 and id < o.num_blocks)
          local is = content(item.request, j - 1, size)
          assert.equal(holds[id] or is, is)
          holds[id] = is
        end
        local p = progress[item.request.id] or 0
        if kind == "decoded" then
          assert.equal(p + 1, item.length)
          assert.is_true(p >= item.request.input)
        else
          assert.is_true(item.length > p or step.index > 1) -- after a preemption it begins anew
        end
        progress[item.request.id] = item.length
      end
    end
    assert.is_true(tokens >= 1 and tokens <= o.tokens_per_step)
    assert.is_true(sequences <= (o.max_sequences or 256))
    assert.equal(o.num_blocks, step.used_blocks + step.idle_blocks + step.free_blocks)
  end
  for _, r in ipairs(o.trace) do
    assert.equal(r.input + r.output - 1, progress[r.id], "request " .. r.id) -- its last token is said, not cached
  end
  return replay:summary(), steps
end

describe("pah.serving.replay", function()
  it("gives every request its tokens within the budget, and the same steps again", function()
    local trace = pah.serving.synthetic{count = 60, rate = 20, input = 300, output = 40, prefixes = 3, prefix = 128,
      hash_block = 64}
    local o = {trace = trace, tokens_per_step = 256, num_blocks = 2000, max_sequences = 12}
    local s, steps = checked(o)
    assert.same({60, 60, 0, 0}, {s.finished, s.requests, s.refused, s.preempted})
    local output = 0
    for _, r in ipairs(trace) do output = output + r.output end
    assert.equal(output, s.output_tokens)
    assert.equal(output - 60, s.decode_tokens)
    assert.is_true(s.hit_tokens > 20 * 128, s.hit_tokens)
    local _, again = checked(o)
    for i, step in ipairs(steps) do assert.equal(step.time, again[i].time) end
    o.prefix_cache = false
    assert.equal(0, checked(o).hit_tokens)
  end)

  it("evicts what is idle and preempts where blocks run out, and loses nothing", function()
    local trace = pah.serving.synthetic{count = 40, rate = 50, input = 150, output = 120, prefixes = 2, prefix = 64,
      hash_block = 32, seed = 5}
    local s = checked{trace = trace, tokens_per_step = 300, num_blocks = 90}
    assert.is_true(s.preempted > 5, s.preempted)
    assert.equal(40, s.finished)
    assert.is_true(s.peak_blocks > 80)
  end)

  it("does not stand still when half-computed prompts hold every block", function()
    local trace = {}
    for i = 1, 4 do trace[i] = {id = i, arrival = 0, input = 100, output = 2} end
    local s = checked{trace = trace, tokens_per_step = 30, num_blocks = 8}
    assert.same({4, true}, {s.finished, s.steps < 60})
  end)

  it("shares a prefix that is computed, keeps it when idle, and leaves a token to compute", function()
    local function request(id, arrival, ids) return {id = id, arrival = arrival, input = 64, output = 2, hash_ids = ids,
      hash_block = 32} end
    local trace = {request(1, 0, {1, 2}), request(2, 10, {1, 2}), request(3, 10.001, {1, 3}), request(4, 20, {9, 2})}
    local s, steps = checked{trace = trace, tokens_per_step = 64, num_blocks = 64}
    local hits = {}
    for i, step in ipairs(steps) do if step.hit_tokens > 0 then hits[#hits + 1] = {i, step.hit_tokens} end end
    assert.same({{3, 48}, {4, 32}}, hits) -- 48 of 64: the last block has the token that is computed
    assert.equal(80, s.hit_tokens)
    local shared = 0
    for _, step in ipairs(steps) do shared = math.max(shared, step.shared_blocks) end
    assert.equal(2, shared)
  end)

  it("has batches that the kernels take, decode as one shot gives it", function()
    local trace = pah.serving.synthetic{count = 6, rate = 1000, input = 50, output = 6, prefixes = 1, prefix = 16,
      hash_block = 16}
    local k = pah.randn({64, 16, 2, 32}, {seed = 1, device = "cpu"})
    local v = pah.randn({64, 16, 2, 32}, {seed = 2, device = "cpu"})
    local replay, seen = pah.serving.replay{trace = trace, tokens_per_step = 40, num_blocks = 64}, {}
    for step in replay:steps() do
      for _, kind in ipairs {"prefill", "decode"} do
        local b = step:batch(kind, "cpu")
        if b then
          seen[kind] = (seen[kind] or 0) + 1
          local rows = kind == "decode" and b.seqused_k.shape[1] or b.total_q
          local q = pah.randn({rows, 4, 32}, {seed = 3, device = "cpu"})
          local args = {q = q, k_blocks = k, v_blocks = v, block_table = b.block_table, seqused_k = b.seqused_k,
            cu_seqlens_q = b.cu_seqlens_q, causal = b.causal}
          local op = kind == "decode" and "decode" or "fwd"
          assert.is_true((pah.allclose(pah[op](args), pah.reference[op](args):to("f32"), {rtol = 1e-4, atol = 1e-5})))
        end
      end
    end
    assert.is_true(seen.prefill >= 2 and seen.decode >= 5)
  end)

  it("takes the time of a step from a function, and waits for requests that are far apart", function()
    local trace = {{id = 1, arrival = 0, input = 10, output = 3}, {id = 2, arrival = 100, input = 10, output = 1}}
    local s = checked{trace = trace, tokens_per_step = 64, num_blocks = 8,
      seconds_per_step = function(step) return step.prefill_tokens > 0 and 0.5 or 0.125 end}
    assert.same({4, 100.5, 0.5, 0.5}, {s.steps, s.seconds, s.first_token_p50, s.first_token_p99})
  end)

  it("names what is wrong with its arguments", function()
    local r = pah.serving.replay
    local trace = {{id = 1, arrival = 0, input = 100, output = 3, hash_ids = {1}, hash_block = 100}}
    refused("trace is a nil, must be a file or a list of requests", r, {})
    refused("block_size is 0, must be a whole number >= 1", r, {trace = trace, block_size = 0})
    refused("block_size is 16, must divide the 100 tokens of a hash id", r, {trace = trace})
    refused("seconds_per_step is -1, must be a number above 0 or a function", r, {trace = trace, seconds_per_step = -1})
    refused('unknown option "tokens"', r, {trace = trace, tokens = 1})
    local small = r{trace = trace, block_size = 20, num_blocks = 5}
    assert.is_nil(small:step())
    assert.equal(1, small:summary().refused)
    refused('kind is x, must be "decode" or "prefill"', function()
      r{trace = trace, block_size = 20, num_blocks = 50}:step():batch "x"
    end)
  end)
end)

describe("the shared traces", function()
  local data = os.getenv "PAH_SHARED_DATA" or "../shared/data"
  for name, most in pairs {["mooncake/conversation_trace_first3000.jsonl"] = 3000,
    ["mooncake/synthetic_trace_first800.jsonl"] = 800, ["azure/AzureLLMInferenceTrace_conv_first4000.csv"] = 4000} do
    it("replay: " .. name, function()
      if not child.contents(data .. "/" .. name) then return pending "the shared data are not there" end
      assert.equal(most, #pah.serving.read(data .. "/" .. name))
      local replay = pah.serving.replay{trace = data .. "/" .. name, limit = 60, num_blocks = 16384, block_size = 16,
        tokens_per_step = 8192}
      local s
      for step in replay:steps() do s = step end
      assert.is_true(s ~= nil)
      s = replay:summary()
      assert.same({60, 60}, {s.requests, s.finished + s.refused})
      assert.equal(name:find "^mooncake" ~= nil, s.hit_tokens > 0)
    end)
  end
end)
