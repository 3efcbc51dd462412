-- host_time.lua - what a call costs the host on cuda: microseconds from call to return, while the GPU has work
-- queued and nobody waits. Bursts of calls are timed between two synchronisations; the median burst counts.
-- Run: pah scripts/studies/gpu/host_time.lua. Read next: doc/cuda.md, src/gpu/verdict.c.
local opt = pah.options {
  device = {"a cuda device", "cuda"}, bursts = {"bursts of each row", 101}, calls = {"calls in a burst", 50},
}
local dev = pah.device(opt.device)

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

-- Seconds of a call by the host's clock.
local function host_time(call)
  for _ = 1, 3 do call() end
  local list = {}
  for i = 1, opt.bursts do
    dev:synchronize()
    local start = pah.clock()
    for _ = 1, opt.calls do call() end
    list[i] = (pah.clock() - start) / opt.calls
  end
  dev:synchronize()
  return median(list)
end

local function problem(batch, tokens)
  local blocks = batch * math.ceil(tokens / 16)
  local lengths = {}
  for i = 1, batch do lengths[i] = tokens end
  local block_table, used = pah.block_table {seqlens = lengths, block_size = 16, num_blocks = blocks, seed = 1}
  local pool = pah.randn({blocks, 16, 8, 128}, {seed = 2, dtype = "bf16", device = dev})
  return {q = pah.randn({batch, 32, 1, 128}, {seed = 1, dtype = "bf16", device = dev}), k_blocks = pool,
    v_blocks = pool, block_table = block_table:to(dev), seqused_k = used:to(dev)}
end

print(("%-46s %12s"):format("host time of a call", "us"))
local function row(name, call) print(("%-46s %12.2f"):format(name, host_time(call) * 1e6)) end

local empty = dev:compile {text = 'extern "C" __global__ void nothing() {}'}
row("module:launch of an empty kernel", function() empty:launch("nothing", {}) end)
for _, check in ipairs {false, true} do
  dev:set {check = check}
  local words = check and "checks on" or "checks off"
  local p = problem(1, 256)
  row("decode, 1 x 256, " .. words .. ", results made", function() pah.decode(p) end)
  p.out, p.lse = pah.decode(p)
  row("decode, 1 x 256, " .. words, function() pah.decode(p) end)
  p.num_splits = 4
  row("decode, 1 x 256, 4 splits, " .. words, function() pah.decode(p) end)
  p.num_splits = nil
  row("fwd, 1 x 256, " .. words, function() pah.fwd(p) end)
  local append = {k = pah.zeros({1, 8, 128}, {dtype = "bf16", device = dev}), k_blocks = p.k_blocks,
    v_blocks = p.k_blocks:clone(), slot_mapping = pah.zeros({1}, {dtype = "i32", device = dev})}
  append.v = append.k:clone()
  row("kv_append of 1 token, " .. words, function() pah.kv_append(append) end)
end
dev:set {check = true}
local small = pah.zeros({64}, {device = dev})
row("fill of 64 numbers", function() small:fill(1) end)
row("clone of 64 numbers", function() small:clone() end)
