-- bench_cheats_spec.lua - pah.bench_attention on ragged queries, fwd_fp8, fp8 caches and backward: what is right is
-- measured and leaves the arguments as they were; a kernel that cheats in each way is caught. Decode and padded
local refused = require "spec.support.refused"

local quick = {min_time = 0, max_time = 60, max_samples = 4, min_samples = 3, warmup = 0, limits = false}

local function with(options)
  for key, value in pairs(quick) do options[key] = value end
  return options
end

-- Arguments of `op` for requests in vLLM's grammar; options: dtype of q and cache, block_table rows that are shared.
local function problem(op, text, options)
  options = options or {}
  local H, Hkv, D, blocks, batch = 4, options.mla and 1 or 2, 64, 40, pah.batch(text, {device = "cpu"})
  local Dv = options.Dv or D
  local function random(shape, seed, dtype)
    return pah.randn(shape, {seed = seed, dtype = dtype or options.dtype or "f32", device = "cpu"})
  end
  local args = {k_blocks = random({blocks, 16, Hkv, D}, 2, options.cache), causal = options.causal ~= false,
    v_blocks = random({blocks, 16, Hkv, Dv}, 3, options.cache), softcap = options.softcap, window = options.window}
  if op == "decode" and batch.max_q == 1 then args.causal = nil end
  if options.mla then args.v_blocks, args.softmax_scale = args.k_blocks:narrow(4, 1, Dv), 0.1 end
  if options.sinks then args.sinks = random({H}, 7, "f32") end
  if options.parents then
    args.causal, args.tree_mask = nil, pah.mask.from_parents(options.parents, {ragged = not batch.padded,
      device = "cpu"})
  end
  args.block_table, args.seqused_k = pah.block_table{seqlens = batch.seqlens, block_size = 16, num_blocks = blocks,
    seed = 3, device = "cpu"}
  if options.share then args.block_table:set(args.block_table:get(1, 1), 2, 1) end
  if options.ragged or not batch.padded then
    args.q, args.cu_seqlens_q = random({batch.total_q, H, D}, 1), batch.cu_seqlens_q
  else
    args.q = random({#batch.seqlens, H, batch.max_q, D}, 1)
  end
  if options.descales then
    args.k_descale = pah.rand({#batch.seqlens, Hkv}, {low = 0.5, high = 2, seed = 4, device = "cpu"})
    args.v_descale = pah.rand({#batch.seqlens, Hkv}, {low = 0.5, high = 2, seed = 5, device = "cpu"})
  end
  if op == "bwd" then
    args.out, args.lse = pah.fwd(args)
    args.dout = random(args.out.shape, 6)
  end
  return args
end

local function hashes(args)
  local all = {}
  for name, value in pairs(args) do
    if type(value) == "table" and value.hash then all[name] = value:hash() end
  end
  return all
end

local cases = {
  {"a ragged forward", "fwd", "q5s100_q30_q1s64"},
  {"a ragged forward, bf16, softcap and window", "fwd", "q5s100_q30_q1s64", {dtype = "bf16", softcap = 3,
    window = {40, 0}}},
  {"a ragged forward with nothing masked", "fwd", "q5s100_q30_q1s64", {causal = false}},
  {"a padded forward, top-left", "fwd", "3q20s50", {causal = "top-left"}},
  {"an fp8 forward", "fwd_fp8", "2q20s50", {dtype = "fp8_e4m3"}},
  {"a ragged fp8 forward with descales", "fwd_fp8", "q20s50_q33", {dtype = "fp8_e4m3", descales = true}},
  {"a decode of an fp8 cache with descales", "decode", "3q1s70", {dtype = "bf16", cache = "fp8_e4m3",
    descales = true}},
  {"a padded backward", "bwd", "3q20s50"},
  {"a padded backward, bf16, with nothing masked", "bwd", "2q20s50", {dtype = "bf16", causal = false}},
  {"a ragged backward with softcap", "bwd", "q5s100_q30_q1s64", {softcap = 2}},
  {"a ragged backward with a window", "bwd", "q5s100_q30_q1s64", {window = {20, 0}}},
  {"a backward of sequences that share a block", "bwd", "2q20s50", {share = true}},
  {"a decode of several queries", "decode", "3q4s70", {dtype = "bf16"}},
  {"a ragged decode with sinks", "decode", "q5s100_q1s64_2q3s9", {sinks = true}},
  {"a decode of trees", "decode", "2q5s70", {parents = {{0, 1, 1, 2, 0}, {0, 1, 2, 1, 4}}}},
  {"a ragged decode of trees with sinks", "decode", "q3s40_q5s70", {parents = {{0, 0, 2}, {0, 1, 2, 1, 4}},
    sinks = true}},
  {"a decode with V a view of K", "decode", "3q2s70", {mla = true, Dv = 56}},
  {"a padded forward of trees, values of their own width", "fwd", "2q5s70", {parents = {{0, 1, 1, 2, 0},
    {0, 0, 0, 0, 0}}, Dv = 40}},
  {"a ragged forward with sinks and a window", "fwd", "q5s100_q30_q1s64", {sinks = true, window = {20, 0}}},
  {"a backward with sinks, values of their own width", "bwd", "3q20s50", {sinks = true, Dv = 24}},
  {"a ragged backward with sinks, values wider than keys", "bwd", "q5s100_q30_q1s64", {sinks = true, Dv = 96}},
}

describe("pah.bench_attention measures", function()
  for _, case in ipairs(cases) do
    local title, op, text, options = unpack(case)
    it(title, function()
      local args = problem(op, text, options)
      local before = hashes(args)
      local r = pah.bench_attention(op, args, with {})
      assert.is_true(r.verified and r.median > 0 and r.work.op == op)
      assert.same(before, hashes(args))
    end)
  end
end)

describe("pah.bench_attention catches a kernel", function()
  -- Its own operation, with an argument changed.
  local function cheats(message, op, text, options, change)
    refused(message, pah.bench_attention, op, problem(op, text, options), with {name = "cheat", run = function(args)
      local own = {}
      for key, value in pairs(args) do own[key] = value end
      change(own)
      pah[op](own)
    end})
  end

  it("that leaves sinks out", function()
    cheats("an element of out", "decode", "3q1s70", {sinks = true}, function(own) own.sinks = nil end)
    refused("an element of dsinks (all heads) differs from the float64 oracle", pah.bench_attention, "bwd",
      problem("bwd", "2q20s50", {sinks = true}), with {name = "cheat", run = function(args)
        pah.bwd(args)
        args.dsinks:fill(args.dsinks:get(1))
      end})
  end)

  it("that takes a tree for a chain", function()
    cheats("an element of out", "decode", "2q5s70", {parents = {{0, 1, 1, 2, 0}, {0, 1, 2, 1, 4}}}, function(own)
      own.tree_mask = pah.mask.chain(5, {batch = 2, device = "cpu"})
    end)
  end)

  it("that answers the last query only", function()
    cheats("an element of out", "decode", "3q4s70", {}, function(own)
      own.q = own.q:narrow(3, 4, 1):expand(3, 4, 4, 64):contiguous()
    end)
  end)
end)

local outputs = {bwd = {"dq", "dk_blocks", "dv_blocks"}, fwd = {"out", "lse"}, fwd_fp8 = {"out", "lse"}}

-- Calls the operation itself for `calls` calls, and then cheat(args).
local function after(op, calls, cheat)
  local n = 0
  return function(args)
    n = n + 1
    if n > calls then return cheat(args) end
    pah[op](args)
  end
end

-- The arguments with other tensors for the results, and these.
local function elsewhere(op, args)
  local own, results = {}, {}
  for key, value in pairs(args) do own[key] = value end
  for i, name in ipairs(outputs[op]) do
    own[name] = args[name]:clone()
    results[i] = own[name]
  end
  return own, results
end

local function put(op, args, results)
  for i, name in ipairs(outputs[op]) do args[name]:copy(results[i]) end
end

for _, case in ipairs {{"a ragged forward", "fwd", "q5s100_q30_q9s64"}, {"a backward", "bwd", "3q20s50"},
  {"a ragged backward #slow", "bwd", "q5s100_q30_q9s64"},
  {"an fp8 forward #slow", "fwd_fp8", "3q20s50", {dtype = "fp8_e4m3"}}} do
  local title, op, text, options = unpack(case)
  describe("pah.bench_attention catches " .. title, function()
    local function cheats(message, run)
      refused(message, pah.bench_attention, op, problem(op, text, options), with {run = run, name = "cheat"})
    end

    it("that caches its results by pointer", function()
      local cache = {}
      cheats("cheat gives another " .. outputs[op][1] .. " for the same problem in another order",
        after(op, 2, function(args)
          local key = tostring(args.q:data())
          if not cache[key] then
            local own, results = elsewhere(op, args)
            pah[op](own)
            cache[key] = results
          end
          put(op, args, cache[key])
        end))
    end)

    it("that leaves half of the keys out", function()
      local function half(args)
        local own = {}
        for key, value in pairs(args) do own[key] = value end
        own.seqused_k = args.seqused_k:clone()
        for b = 1, 3 do own.seqused_k:set(math.ceil(args.seqused_k:get(b) / 2), b) end
        pah[op](own)
      end
      cheats("differs from the float64 oracle by", half)
      cheats("cheat gives another", after(op, 3, half))
    end)

    it("that does half of the queries and writes 0 for the rest", function()
      local function half(args)
        local own, results = elsewhere(op, args)
        pah[op](own)
        local first = results[1]
        local dim = #first.shape == 4 and 3 or 1
        first:narrow(dim, 1, math.floor(first:size(dim) / 2)):zero()
        put(op, args, results)
      end
      cheats("differs from the float64 oracle by", half)
      cheats("cheat gives another " .. outputs[op][1], after(op, 3, half))
    end)

    it("that leaves results unwritten", function()
      for i, name in ipairs(outputs[op]) do
        local function some(args)
          local own, results = elsewhere(op, args)
          pah[op](own)
          for k, other in ipairs(outputs[op]) do
            if k ~= i then args[other]:copy(results[k]) end
          end
          args[name]:narrow(1, 1, 1):copy(results[i]:narrow(1, 1, 1))
        end
        cheats(("elements of %s unwritten (or wrote NaN)"):format(name), some)
        cheats("unwritten (or wrote NaN) when it returned", after(op, 3, some))
      end
    end)

    it("that writes late", function()
      local waiting
      cheats("when it returned", after(op, 2, function(args)
        local own, results = elsewhere(op, args)
        pah[op](own)
        waiting = waiting or results
        for _, name in ipairs(outputs[op]) do args[name]:fill(0 / 0) end
      end))
    end)

    it("that changes its inputs", function()
      local names = {"q", "block_table", "seqused_k"}
      if op == "bwd" then names = {"q", "dout", "out", "lse", "block_table"} end
      if text:find "_" then names[#names + 1] = "cu_seqlens_q" end
      for _, name in ipairs(names) do
        local function spoil(args)
          pah[op](args)
          args[name]:narrow(1, 1, 1):fill(name == "block_table" and 39 or 1)
        end
        cheats("cheat changes its inputs: " .. name, after(op, 0, spoil))
        cheats("cheat changes its inputs: " .. name, after(op, 3, spoil))
      end
      cheats("cheat changes its inputs: v_blocks", after(op, 0, function(args)
        pah[op](args)
        args.v_blocks:narrow(1, 1, 1):fill(1)
      end))
    end)
  end)
end

describe("pah.bench_attention catches a backward", function()
  local function cheats(message, spoil)
    refused(message, pah.bench_attention, "bwd", problem("bwd", "2q20s50"), with {name = "cheat", run = function(args)
      pah.bwd(args)
      spoil(args)
    end})
  end

  it("that leaves out the gradients of keys", function()
    cheats("an element of dk_blocks (sequence", function(args) args.dk_blocks:zero() end)
    cheats("an element of dv_blocks (sequence", function(args) args.dv_blocks:zero() end)
  end)

  -- Spoils head g of what no key of a sequence of 50 is in: blocks that no table names, or the last slots of others.
  local function spoil_unused(args, name, g, tail)
    local used = {}
    for _, row in ipairs(args.block_table:totable()) do
      for j, id in ipairs(row) do used[id] = j end
    end
    for id = 0, 39 do
      local block = args[name]:narrow(1, id + 1, 1):narrow(3, g, 1)
      if not tail and not used[id] then block:fill(1e-6) end
      if tail and used[id] == 4 then block:narrow(2, 16, 1):fill(1e-6) end
    end
  end

  it("that writes gradients of blocks that no sequence uses", function()
    for g = 1, 2 do
      cheats("which no sequence uses) differs", function(args) spoil_unused(args, "dk_blocks", g) end)
      cheats("which no sequence uses) differs", function(args) spoil_unused(args, "dv_blocks", g) end)
    end
    cheats("which no sequence uses) differs", function(args) -- the last one alone
      local used, free = {}, nil
      for _, row in ipairs(args.block_table:totable()) do
        for _, id in ipairs(row) do used[id] = true end
      end
      for id = 0, 39 do free = used[id] and free or id end
      args.dv_blocks:narrow(1, free + 1, 1):fill(9)
    end)
  end)

  it("that writes gradients of slots behind the last key", function()
    for name, g in pairs {dk_blocks = 2, dv_blocks = 1} do
      cheats("from slot 2 on, which no sequence uses) differs", function(args) spoil_unused(args, name, g, true) end)
    end
  end)
end)

-- Masks with which a query sees keys that those behind it do not, or the other way round.
describe("pah.bench_attention looks at the first queries with", function()
  for _, case in ipairs {
    {"a window to both sides", {causal = false, window = {16, 16}}},
    {"a window to the left, nothing masked to the right", {causal = false, window = {8, -1}}},
    {"a window to the right", {causal = false, window = {-1, 8}}},
    {"top-left and more queries than keys", {causal = "top-left"}, 20},
    {"top-left, a window and more queries than keys", {causal = "top-left", window = {8, 0}}, 20},
    {"more queries than keys", {causal = true}, 20},
  } do
    it(case[1], function()
      local args = problem("fwd", "2q100s100", case[2])
      if case[3] then
        args.seqused_k:fill(case[3])
        args.block_table = args.block_table:narrow(2, 1, 2):contiguous()
      end
      assert.is_true(pah.bench_attention("fwd", args, with {}).verified)
      for _, from in ipairs {1, 97} do
        refused("differs from the float64 oracle by", pah.bench_attention, "fwd", args, with {name = "cheat",
          run = function(own)
            pah.fwd(own)
            own.lse:narrow(3, from, 4):fill(3)
          end})
      end
    end)
  end
end)
