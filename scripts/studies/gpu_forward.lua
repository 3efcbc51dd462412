-- gpu_forward.lua - TFLOP/s of kernels/sm90/forward.cu, variants of its sizes beside each other, on the shapes of
-- doc/design/gpu-forward.md: `pah scripts/studies/gpu_forward.lua [--rows TEXT] [--variants FILE]`. Every variant of a
-- row is timed in turn, with cold caches, round after round; medians; FLOPs by the exact count of visible pairs. Each
-- variant is first compared with the float64 reference on a small problem. --compile only compiles (no GPU needed).
-- FILE returns a list of {name, DEFINE = value, ...}. --peer FILE: JSON lines of another program's times to stand
-- beside ours.
local gpu_clock = require "pah.measure.gpu_clock"
local json = require "pah.util.json"
local sm90 = require "spec.support.forward_sm90"

local opt = pah.options{
  rows = {"only rows whose name has this text", ""}, variants = {"a file that returns a list of variants", ""},
  seconds = {"of samples, for a variant of a row", 0.12}, compile = {"compile and stop", false},
  peer = {"a file of JSON lines: name, tflops", ""}, output = {"write JSON lines to this file", ""},
}

-- name; queries and keys of each sequence; then what differs from H 32, Hkv 8, D 128, blocks of 16, causal.
local rows = {
  {"causal 1x16384", {{16384, 16384}}},
  {"causal 4x4096", {{4096, 4096, 4}}},
  {"causal 1x2048", {{2048, 2048}}},
  {"causal 16x1024", {{1024, 1024, 16}}},
  {"full 1x16384", {{16384, 16384}}, causal = false},
  {"512 new on 16384", {{512, 16384}}},
  {"8x512 on 4096", {{512, 4096, 8}}},
  {"blocks of 64", {{16384, 16384}}, block_size = 64},
  {"blocks of 128", {{16384, 16384}}, block_size = 128},
  {"blocks of 1", {{16384, 16384}}, block_size = 1},
  {"D 64", {{16384, 16384}}, D = 64},
  {"D 256", {{16384, 16384}}, D = 256},
  {"window 1024", {{16384, 16384}}, window = {1024, 0}},
  {"softcap", {{16384, 16384}}, softcap = 30},
  {"sinks", {{16384, 16384}}, sinks = true},
}

local function only_rows()
  local list = {}
  for _, row in ipairs(rows) do
    if row[1]:find(opt.rows, 1, true) then list[#list + 1] = row end
  end
  return list
end

local variants = opt.variants ~= "" and dofile(opt.variants) or {{"default"}}
local device = pah.device(opt.compile and "cuda:sm_90a" or "cuda")

-- ---- Problems ---------------------------------------------------------------------------------------------------

local function pairs_of(row, sq, sk)
  local causal, left = row.causal ~= false, row.window and row.window[1] or math.huge
  local sum, off = 0, sk - sq
  for i = 0, sq - 1 do
    local last = causal and math.min(sk - 1, i + off) or sk - 1
    local first = math.max(0, i + off - left)
    sum = sum + math.max(0, last - first + 1)
  end
  return sum
end

local function problem(row, heads, kv_heads)
  local sq, sk, batch = row[2][1][1], row[2][1][2], row[2][1][3] or 1
  local D, block_size = row.D or 128, row.block_size or 16
  local H, Hkv = heads or 32, kv_heads or 8
  local per = math.ceil(sk / block_size)
  local lens = {}
  for b = 1, batch do lens[b] = sk end
  local table_, used = pah.block_table{seqlens = lens, block_size = block_size, num_blocks = per * batch, seed = 1}
  local function random(shape, seed)
    if opt.compile then return pah.empty(shape, {dtype = row.dtype or "bf16", device = device}) end
    return pah.randn(shape, {dtype = row.dtype or "bf16", device = device, seed = seed})
  end
  local a = {
    q = random({batch, H, sq, D}, 1), k_blocks = random({per * batch, block_size, Hkv, D}, 2),
    v_blocks = random({per * batch, block_size, Hkv, D}, 3), block_table = table_:to(device),
    seqused_k = used:to(device), causal = row.causal ~= false, window = row.window, softcap = row.softcap,
    sinks = row.sinks and pah.zeros({H}, {device = device}) or nil,
  }
  local flops = 4 * D * H * batch * pairs_of(row, sq, sk)
  return a, flops
end

-- What a variant cannot do is left out of its row.
local function fits(variant, row)
  local D, block_size, n = row.D or 128, row.block_size or 16, variant.TILE_N or 128
  if variant.D and variant.D ~= D or not variant.D and D ~= 128 then return false end
  local a, b = block_size, n
  while b > 0 do a, b = b, a % b end
  return a % 8 == 0 or variant.GATHER == 1
end

local function defines(variant)
  local d = {}
  for key, value in pairs(variant) do
    if type(key) == "string" and key ~= "D" then d[key] = value end
  end
  return d
end

local function outputs(a)
  local q = a.q
  local nan = 0 / 0
  return pah.full({q:size(1), q:size(2), q:size(3), a.v_blocks:size(4)}, nan, {dtype = q.dtype, device = device}),
    pah.full({q:size(1), q:size(2), q:size(3)}, nan, {device = device})
end

local function check(variant, row)
  local small = {}
  for key, value in pairs(row) do small[key] = value end
  small[2] = {{math.min(row[2][1][1], 700), math.min(row[2][1][2], 1100), 2}}
  local a = problem(small, 4, 1)
  local out, lse = outputs(a)
  sm90.prepare(sm90.compile(device, a, defines(variant)), a, out, lse)()
  local host = {}
  for key, value in pairs(a) do host[key] = type(value) == "table" and value.to and value:to("cpu") or value end
  host.sinks = nil
  if a.sinks then return true, 0 end
  local want, want_lse = pah.reference.fwd(host)
  local off = pah.diff(out:to("cpu"):to("f32"), want:to("f32"))
  local same = pah.allclose(lse:to("cpu"), want_lse, {atol = 1e-3, rtol = 1e-4})
  return off.nan == 0 and off.rel_norm < 4e-3 and same, off.rel_norm
end

-- ---- Times ------------------------------------------------------------------------------------------------------

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

local function measure(runs)
  -- Written while the host puts the launch behind it: the GPU never waits for the host between the events.
  local flushed, clock = pah.empty({2 ^ 26}, {device = device}), gpu_clock.of(device)
  local lists = {}
  for v, run in pairs(runs) do
    run()
    local ok, why = pcall(device.synchronize, device)
    if not ok then error(variants[v][1] .. ": " .. tostring(why), 0) end
    lists[v] = {hz = {}, sum = 0}
  end
  device:synchronize()
  local function sample(run)
    flushed:zero()
    clock.start()
    local from = device:event()
    run()
    local to = device:event()
    local hz = clock.stop()
    return to:since(from), hz
  end
  for round = 1, 60 do
    local open = false
    for v, run in pairs(runs) do
      local list = lists[v]
      if round <= 7 or list.sum < opt.seconds then
        local t, hz = sample(run)
        list[#list + 1], list.hz[#list.hz + 1], list.sum, open = t, hz, list.sum + t, true
      end
    end
    if not open then break end
  end
  return lists
end

if opt.compile then
  for _, row in ipairs(only_rows()) do
    local a = problem({row[1], {{128, 128}}, D = row.D, block_size = row.block_size, softcap = row.softcap})
    for _, variant in ipairs(variants) do
      if fits(variant, row) then
        local kernel = sm90.compile(device, a, defines(variant))
        local r = kernel.module:resources "forward_sm90"
        print(row[1], variant[1], "registers", r.registers, "spilled", r.spill_store_bytes)
      end
    end
  end
  return
end

local peers = {}
if opt.peer ~= "" then
  for line in io.lines(opt.peer) do
    local row = json.decode(line)
    peers[row.name] = row
  end
end
local file = opt.output ~= "" and assert(io.open(opt.output, "w"))
device:set{check = false, limit = 3}
for _, row in ipairs(only_rows()) do
  local a, flops = problem(row)
  local out, lse = outputs(a)
  local runs, notes = {}, {}
  for v, variant in ipairs(variants) do
    if fits(variant, row) then
      local ok, right, off = pcall(check, variant, row)
      if ok and (right or (variant.EXPERIMENT or 0) > 0) then
        runs[v] = sm90.prepare(sm90.compile(device, a, defines(variant)), a, out, lse)
      else
        notes[v] = ok and ("wrong: off by %.2g"):format(off) or tostring(right):sub(1, 200)
      end
    end
  end
  local lists = measure(runs)
  for v, variant in ipairs(variants) do
    local list = lists[v]
    if list then
      local fastest = math.huge
      for _, t in ipairs(list) do fastest = math.min(fastest, t) end
      local n, t, hz = #list, median(list), median(list.hz)
      local peer = peers[row[1]]
      print(("%-18s %-28s %9.1f us  %6.1f TFLOP/s  (best %6.1f, %d, %4.0f MHz, %4.1f %%)%s"):format(row[1],
        variant[1], t * 1e6, flops / t / 1e12, flops / fastest / 1e12, n, hz / 1e6,
        100 * flops / (t * hz * device:info().sms * 4096), peer and ("  %.2f of %s"):format(flops / t / 1e12 / peer.tflops,
        peer.peer) or ""))
      if file then
        file:write(json.encode{row = row[1], variant = variant[1], seconds = t, best = fastest, n = n, hz = hz, flops = flops}, "\n")
      end
    elseif notes[v] then
      print(("%-18s %-28s %s"):format(row[1], variant[1], notes[v]))
    end
  end
  io.stdout:flush()
end
if file then file:close() end
