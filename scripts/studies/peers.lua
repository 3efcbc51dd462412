-- peers.lua - pah beside other CPU attention in one run: `scripts/peers` fetches them and runs this. pah's kernel, its
-- limit and the peers are measured interleaved. The medians of the ratios are printed beside what they must reach; the
-- exit code is 1 if one falls short. Peers get linear, contiguous caches on huge pages, while pah goes through a
-- shuffled block table. What they compute is compared with pah's result before anything is timed.
local folder = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = folder .. "/?.lua;" .. package.path
local ffi = require "ffi"
local C = require("pah.ffi").C
local peaks = require "pah.measure.peaks"
local timer = require "pah.measure.timer"
local median = require("pah.measure.stats").median

local opt = pah.options{
  ggml = {"folder of libggml-base.so and libggml-cpu.so", ""},
  onnxruntime = {"path of libonnxruntime.so", ""},
  only = {"decode or prefill alone", ""},
  rounds = {"measurements of each", 7},
  bytes = {"bytes of K and V together in decode; 0: four times the last-level cache, 1 GiB at most", 0},
}

local H, Hkv, D, BLOCK = 32, 8, 128, 16
local peers = {}
local failed = false

ffi.cdef "int poll(void *fds, unsigned long count, int milliseconds);"

-- Until the threads of the one before, which first wait in a loop, sleep.
local function pause() ffi.C.poll(nil, 0, 20) end

-- Wall and processor seconds of one call.
local function time(call)
  pause()
  local cpu, wall = C.pah_cpu_clock(), pah.clock()
  call()
  return pah.clock() - wall, C.pah_cpu_clock() - cpu
end

-- All `contenders` {name=, runs={function...}, out=} interleaved: wall and processor seconds by name, a list of rounds
-- each. Of several runs that compute the same the fastest counts. `limit` () -> seconds is measured in every round too.
local function interleaved(contenders, limit)
  local wall, cpu = {limit = {}}, {}
  for _, c in ipairs(contenders) do
    wall[c.name], cpu[c.name] = {}, {}
    for _, run in ipairs(c.runs) do run() end
  end
  for i = 1, opt.rounds do
    wall.limit[i] = limit()
    for _, c in ipairs(contenders) do
      wall[c.name][i] = math.huge
      for _, run in ipairs(c.runs) do
        local seconds, processor = time(run)
        if seconds < wall[c.name][i] then wall[c.name][i], cpu[c.name][i] = seconds, processor end
      end
    end
  end
  return wall, cpu
end

-- Says how far the results of the others are from the first one's: the norm of the difference over that of the result.
-- Stops if it is above 0.1: a wrong mask or head makes it about 1, and ggml, which sums V in f16, 0.01 and more.
local function compare(contenders)
  local want = contenders[1].out():to("f32"):contiguous()
  local words = {}
  for i = 2, #contenders do
    local c = contenders[i]
    for _, run in ipairs(c.runs) do
      run()
      local norm = pah.diff(c.out():to("f32"):contiguous(), want).rel_norm
      if norm ~= norm or norm > 0.1 then error(("%s: differs from pah by %.2g of the result"):format(c.name, norm)) end
      words[#words + 1] = ("%s %.1e"):format(c.name, norm)
    end
  end
  print(("differences from %s: %s"):format(contenders[1].name, table.concat(words, ", ")))
end

-- One line: how many times faster pah's `mine` is than the peer, and how many times a kernel at the limit would be.
local function line(what, wall, cpu, mine, peer, must)
  if not wall[peer] then return end
  local ratios, processor, most = {}, {}, {}
  for i = 1, opt.rounds do
    ratios[i], processor[i] = wall[peer][i] / wall[mine][i], cpu[peer][i] / cpu[mine][i]
    most[i] = wall[peer][i] / wall.limit[i]
  end
  local ratio = median(ratios)
  local ok = ratio >= must
  failed = failed or not ok
  print(("%-20s %-8s %7.1f ms, %-20s %7.1f ms: %5.2fx (cpu %.2fx, limit %.2fx), must be >= %.1fx %s"):format(what, mine,
    median(wall[mine]) * 1e3, peer, median(wall[peer]) * 1e3, ratio, median(processor), median(most), must,
    ok and "ok" or "FAIL"))
end

local function of_limit(what, wall, mine, text)
  local part = {}
  for i = 1, opt.rounds do part[i] = wall.limit[i] / wall[mine][i] end
  print(("%-20s %-8s %.2f of %s"):format(what, mine, median(part), text))
end

-- ---- Decode ---------------------------------------------------------------------------------------------------------

-- pah's pool with the tokens of `source` [tokens, Hkv, D], in the blocks that `ids` (0-based) names.
local function pool(source, ids, dtype)
  local blocks = pah.empty({#ids, BLOCK, Hkv, D}, {dtype = dtype, device = "cpu"})
  local parts = source:view(#ids, BLOCK, Hkv, D)
  for i, id in ipairs(ids) do blocks:select(1, id + 1):copy(parts:select(1, i)) end
  return blocks
end

local function decode(len, tokens, k, v, pools)
  local B = tokens / len
  local q = pah.randn({B, H, 1, D}, {device = "cpu", seed = 3})
  local block_table = pools.block_table:view(B, len / BLOCK)
  local seqused_k = pah.full({B}, len, {dtype = "i32", device = "cpu"})
  local contenders = {}
  for _, dtype in ipairs {"f16", "bf16"} do
    local args = {q = q:to(dtype), k_blocks = pools[dtype].k, v_blocks = pools[dtype].v, block_table = block_table,
      seqused_k = seqused_k}
    args.out, args.lse = pah.decode(args)
    contenders[#contenders + 1] = {name = "pah " .. dtype, runs = {function() pah.decode(args) end},
      out = function() return args.out end}
  end
  if peers.ggml then
    local rounded = q:to("f16"):to("f32") -- what pah is given
    local function add(name, layout, token_major)
      local peer = peers.ggml.attention(rounded, layout(k), layout(v), {token_major = token_major})
      peer.name = "ggml f16 " .. name
      contenders[#contenders + 1] = peer
    end
    add("head-major", function(t) return t:view(B, len, Hkv, D):permute(1, 3, 2, 4):contiguous() end)
    add("token-major", function(t) return t:view(B, len, Hkv, D) end, true)
  end
  compare(contenders)
  local total = k.nbytes + v.nbytes
  local wall, cpu = interleaved(contenders, function()
    pause()
    return C.pah_reader_pass(timer.reader(pah.device "cpu", total), 1)
  end)
  local what = ("decode %d x %d"):format(B, len)
  for _, mine in ipairs {"pah f16", "pah bf16"} do
    line(what, wall, cpu, mine, "ggml f16 head-major", 3)
    line(what, wall, cpu, mine, "ggml f16 token-major", 5)
    of_limit(what, wall, mine, ("linear read, %.1f GB/s"):format(total / median(wall.limit) / 1e9))
  end
end

local function decodes()
  local cache = pah.device("cpu"):info().cache_bytes
  local bytes = opt.bytes > 0 and opt.bytes or math.min(2 ^ 30, math.max(2 ^ 28, 4 * cache))
  local tokens = math.max(32768, math.floor(bytes / (4 * Hkv * D) / 32768) * 32768)
  local k = pah.randn({tokens, Hkv, D}, {seed = 1, dtype = "f16", device = "cpu"})
  local v = pah.randn({tokens, Hkv, D}, {seed = 2, dtype = "f16", device = "cpu"})
  local ids = pah.randperm(tokens / BLOCK, {seed = 4, dtype = "i32", device = "cpu"})
  local pools, list = {block_table = ids}, ids:totable()
  for _, dtype in ipairs {"f16", "bf16"} do pools[dtype] = {k = pool(k, list, dtype), v = pool(v, list, dtype)} end
  for _, len in ipairs {4096, 32768} do
    decode(len, tokens, k, v, pools)
    collectgarbage()
  end
end

-- ---- Prefill --------------------------------------------------------------------------------------------------------

local function prefill(n, len)
  local q = pah.randn({1, H, n, D}, {device = "cpu", seed = 1})
  local k = pah.randn({1, Hkv, len, D}, {device = "cpu", seed = 2})
  local v = pah.randn({1, Hkv, len, D}, {device = "cpu", seed = 3})
  local ids = pah.randperm(len / BLOCK, {seed = 4, dtype = "i32", device = "cpu"})
  local function tokens(t) return t:permute(1, 3, 2, 4):contiguous():view(len, Hkv, D) end
  local contenders = {}
  for _, dtype in ipairs {"f32", "bf16"} do
    local list = ids:totable()
    local args = {q = q:to(dtype), k_blocks = pool(tokens(k), list, dtype), v_blocks = pool(tokens(v), list, dtype),
      block_table = ids:view(1, len / BLOCK), seqused_k = pah.full({1}, len, {dtype = "i32", device = "cpu"}),
      causal = true}
    args.out, args.lse = pah.fwd(args)
    contenders[#contenders + 1] = {name = "pah " .. dtype, runs = {function() pah.fwd(args) end},
      out = function() return args.out end}
  end
  if peers.ggml then
    for _, dtype in ipairs {"f32", "f16"} do
      local peer = peers.ggml.attention(q, k:to(dtype), v:to(dtype), {causal = true})
      peer.name = "ggml " .. dtype
      contenders[#contenders + 1] = peer
    end
  end
  if peers.ort then
    local peer = peers.ort.attention(q, k, v)
    peer.name = "onnxruntime f32"
    contenders[#contenders + 1] = peer
  end
  compare(contenders)
  local flops = 4 * (n * len - n * (n - 1) / 2) * H * D
  local wall, cpu = interleaved(contenders, function()
    pause()
    return flops / peaks.flops(pah.device "cpu", "f32", 0.2)
  end)
  local what = ("prefill %d of %d"):format(n, len)
  line(what, wall, cpu, "pah f32", "ggml f32", 2.8)
  line(what, wall, cpu, "pah bf16", "ggml f16", 5)
  line(what, wall, cpu, "pah f32", "onnxruntime f32", 1.2)
  local peak = ("the f32 FMA peak, %.0f GFLOP/s"):format(flops / median(wall.limit) / 1e9)
  of_limit(what, wall, "pah f32", peak)
  of_limit(what, wall, "pah bf16", peak)
end

local info = pah.device("cpu"):info()
print(("cpu: %s, %s, %d threads"):format(info.model, info.isa, pah.threads()))
if opt.ggml ~= "" then
  peers.ggml = require "peer_ggml"
  print(peers.ggml.open(opt.ggml))
else
  print "ggml is not there: its rows are left out"
end
if opt.onnxruntime ~= "" then
  peers.ort = require "peer_ort"
  print(peers.ort.open(opt.onnxruntime))
else
  print "ONNX Runtime is not there: its rows are left out"
end
if opt.only ~= "prefill" then decodes() end
if opt.only ~= "decode" then
  prefill(2048, 2048)
  prefill(512, 4096)
end
os.exit(failed and 1 or 0)
