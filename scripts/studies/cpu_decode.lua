-- cpu_decode.lua - decode on the cpu beside what the machine can do: `pah scripts/studies/cpu_decode.lua
-- --rows=bf16`. Every call is measured interleaved with a linear read of memory (or with the call that it is compared
-- to), and the median of the ratios stands beside what it must reach and the goal; the exit code is 1 if one does
-- not. Caches are cold: the read before each call is of four times the last-level cache, 1 GiB at most.
-- doc/log/cpu-decode.md explains the rows.
local C = require("pah.ffi").C
local ffi = require "ffi"
local timer = require "pah.measure.timer"
local median = require("pah.measure.stats").median

local opt = pah.options{
  rows = {"only rows whose names this Lua pattern finds", ""},
  rounds = {"measurements of each", 7},
  bytes = {"bytes of K and V together; 0: four times the last-level cache, 1 GiB at most", 0},
  definition = {"FlashInfer-Trace definition (.json) of captured tables; without it a batch is generated"},
  workloads = {"workloads (.jsonl) of that definition"},
  root = {"folder that the workloads' paths start from"},
}

local H, Hkv, D = 32, 8, 128
local cpu = pah.device "cpu"
local size = {f32 = 4, f16 = 2, bf16 = 2, fp8_e4m3 = 1, fp8_e5m2 = 1}
local total = opt.bytes > 0 and opt.bytes or math.min(2 ^ 30, math.max(2 ^ 28, 4 * cpu:info().cache_bytes))
local failed = false
local has_dots = ({avx512bf16 = true, avx512fp16 = true, amx = true})[cpu:info().isa]

-- ---- Problems -----------------------------------------------------------------------------------------------------

local pools = {dtype = nil}

-- K and V of `bytes` together in a dtype, filled by doubling; the last one is kept, since filling takes a second.
local function pool(dtype, bytes)
  if pools.dtype == dtype and pools.bytes >= bytes then return pools.k, pools.v end
  pools = {dtype = dtype, bytes = bytes}
  collectgarbage()
  for i, name in ipairs {"k", "v"} do
    local elements = bytes / 2 / size[dtype]
    local t = pah.empty({elements}, {device = "cpu", dtype = dtype})
    local filled = math.min(elements, 2 ^ 20)
    t:narrow(1, 1, filled):copy(pah.randn({filled}, {device = "cpu", seed = i}))
    local p = ffi.cast("char *", t:data())
    local done = filled * size[dtype]
    while done < t.nbytes do
      ffi.copy(p + done, p, math.min(done, t.nbytes - done))
      done = math.min(2 * done, t.nbytes)
    end
    pools[name] = t
  end
  return pools.k, pools.v
end

-- A decode problem over the first blocks of the pool: `len` tokens in each of as many sequences as fill `bytes`.
local function problem(s)
  local h, hkv, d, bs = s.H or H, s.Hkv or Hkv, s.D or D, s.block_size or 16
  local bytes = s.bytes or total
  local token = 2 * hkv * d * size[s.dtype]
  local seqlens, num_blocks, block_table, seqused_k = s.seqlens, s.num_blocks, s.block_table, s.seqused_k
  if not block_table then
    if not seqlens then
      seqlens = {}
      local len = math.min(s.len, math.floor(bytes / token / bs) * bs)
      for b = 1, math.max(1, math.floor(bytes / token / len)) do seqlens[b] = len end
    end
    num_blocks = 0
    for _, n in ipairs(seqlens) do num_blocks = num_blocks + math.ceil(n / bs) end
    block_table, seqused_k = pah.block_table{seqlens = seqlens, block_size = bs, num_blocks = num_blocks, seed = 1,
      device = "cpu"}
    if s.linear then
      local first = 0
      for b, n in ipairs(seqlens) do
        local blocks = math.ceil(n / bs)
        local row = block_table[b]
        for i = 1, blocks do row[i] = first + i - 1 end
        first = first + blocks
      end
    end
  end
  local elements = num_blocks * bs * hkv * d
  local k, v = pool(s.dtype, math.max(total, 2 * elements * size[s.dtype]))
  local q_shape = s.queries and {#seqused_k, h, s.queries, d} or {#seqused_k, h, d}
  local p = {
    q = pah.randn(q_shape, {device = "cpu", seed = 3, dtype = size[s.dtype] == 1 and "bf16" or s.dtype}),
    k_blocks = k:narrow(1, 1, elements):view(num_blocks, bs, hkv, d),
    v_blocks = v:narrow(1, 1, elements):view(num_blocks, bs, hkv, d),
    block_table = block_table, seqused_k = seqused_k, causal = s.queries ~= nil,
  }
  p.out, p.lse = pah.decode(p)
  local work = pah.work("decode", p)
  return function() pah.decode(p) end, work.tokens * token
end

-- ---- Measuring and printing ---------------------------------------------------------------------------------------

local function wall(call)
  local start = C.pah_clock()
  call()
  return C.pah_clock() - start
end

-- Seconds of a linear read of `total` bytes.
local function read_all() return C.pah_reader_pass(timer.reader(cpu, total), 1) end

-- Median of the fractions of linear read bandwidth, and of the GB/s.
local function of_bandwidth(call, bytes)
  local fraction, rate, limit = {}, {}, {}
  for i = 1, opt.rounds do
    local line = total / read_all()
    local seconds = wall(call)
    fraction[i], rate[i], limit[i] = bytes / seconds / line, bytes / seconds / 1e9, line / 1e9
  end
  return median(fraction), ("%.1f of %.1f GB/s, %.0f MiB"):format(median(rate), median(limit), bytes / 2 ^ 20)
end

-- Median of time a over time b.
local function ratio(a, b)
  local list = {}
  for i = 1, opt.rounds do
    read_all()
    local first = wall(a)
    read_all()
    list[i] = first / wall(b)
  end
  return median(list)
end

local function print_row(row, value, text)
  local ok = not row.must or (row.sign == "<=" and value <= row.must) or (row.sign ~= "<=" and value >= row.must)
  failed = failed or not ok
  local bounds = row.must and ("must %s %5.2f, goal %5.2f   %-4s"):format(row.sign or ">=", row.must, row.goal,
    ok and "ok" or "FAIL") or (" "):rep(32)
  print(("%-46s %6.2f   %s %s"):format(row.name, value, bounds, text or ""))
  io.stdout:flush()
end

-- ---- Rows ---------------------------------------------------------------------------------------------------------

local rows = {}

local function row(name, must, goal, measure, sign)
  rows[#rows + 1] = {name = name, must = must, goal = goal, measure = measure, sign = sign}
end

for _, dtype in ipairs {"bf16", "f16"} do
  for _, bs in ipairs {16, 64} do
    for _, len in ipairs {4096, 8192, 16384, 32768} do
      row(("%s, blocks of %d shuffled, len_k %d"):format(dtype, bs, len), 0.72, 0.85, function()
        return of_bandwidth(problem{dtype = dtype, block_size = bs, len = len})
      end)
    end
    row(("%s, blocks of %d in order, len_k 8192"):format(dtype, bs), 0.78, 0.92, function()
      return of_bandwidth(problem{dtype = dtype, block_size = bs, len = 8192, linear = true})
    end)
  end
end

-- The same tokens in bf16 and in fp8: both pools are needed at once.
for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do
  for _, bs in ipairs {16, 64} do
    row(("%s against bf16, blocks of %d"):format(dtype, bs), 1.6, 1.85, function()
      local wide = problem{dtype = "bf16", block_size = bs, len = 8192}
      local narrow, bytes = problem{dtype = dtype, block_size = bs, len = 8192, bytes = total / 2}
      return ratio(wide, narrow), select(2, of_bandwidth(narrow, bytes))
    end)
  end
end

-- Lengths log-normal around 400, the first token shared by all, or captured ones; page size 1.
local function mixed()
  if opt.definition then
    local definition = pah.trace.definition(opt.definition)
    local p = pah.trace.load{workload = pah.trace.workloads(opt.workloads)[1], definition = definition, root = opt.root}
    p.dtype, p.H, p.Hkv, p.D = "bf16", p.num_heads, p.num_kv_heads, p.head_dim
    return p
  end
  local normal, lengths = pah.randn({128}, {seed = 1, device = "cpu"}):totable(), {}
  for b = 1, 128 do lengths[b] = math.max(1, math.min(8192, math.floor(400 * math.exp(0.9 * normal[b])))) end
  return {dtype = "bf16", block_size = 1, seqlens = lengths}
end

row("mixed lengths, blocks of 1, bf16", 0.55, 0.75, function() return of_bandwidth(problem(mixed())) end)

row("time with 32 heads against 8, of 8 KV heads", 1.2, 1.05, function()
  local many, few = problem{dtype = "bf16", len = 8192}, problem{dtype = "bf16", len = 8192, H = 8}
  return ratio(many, few)
end, "<=")

-- Several queries of a sequence read K and V once: their time over that of one.
for _, dtype in ipairs {"bf16", "f16", "f32", "fp8_e4m3"} do
  for _, queries in ipairs {2, 4, 8} do
    local must = queries == 4 and (dtype == "bf16" and has_dots and 1.25 or 1.6) or nil
    row(("%d queries over one, %s, len_k 8192"):format(queries, dtype), must, 1, function()
      local many = problem{dtype = dtype, len = 8192, queries = queries}
      return ratio(many, (problem{dtype = dtype, len = 8192}))
    end, "<=")
  end
end

-- Other shapes: time per byte against that of the first row's shape.
local function against(name, shape)
  row("time per byte: " .. name, 1.5, 1, function()
    shape.dtype, shape.len, shape.bytes = shape.dtype or "bf16", shape.len or 8192, total / 4
    local base, base_bytes = problem{dtype = shape.dtype, len = 8192, bytes = total / 4}
    local call, bytes = problem(shape)
    return ratio(call, base) * base_bytes / bytes
  end, "<=")
end
for _, d in ipairs {32, 64, 80, 96, 112, 192, 256} do against("D=" .. d, {D = d}) end
for _, group in ipairs {1, 2, 3, 5, 6, 7, 8} do against("group of " .. group, {H = 8 * group}) end
against("32 heads of one KV head", {H = 32, Hkv = 1})
for _, bs in ipairs {1, 2, 4, 8, 32, 128, 256} do against("blocks of " .. bs, {block_size = bs}) end
against("f32", {dtype = "f32"})

-- A call that does nearly nothing: from Lua with results given, and the same through C.
row("a call from Lua over one from C, us", 5, 1, function()
  local p = {
    q = pah.randn({1, 1, 8}, {device = "cpu"}), k_blocks = pah.randn({1, 1, 1, 8}, {device = "cpu"}),
    v_blocks = pah.randn({1, 1, 1, 8}, {device = "cpu"}),
    block_table = pah.zeros({1, 1}, {dtype = "i32", device = "cpu"}),
  }
  p.out, p.lse = pah.decode(p)
  local a = ffi.new("struct pah_attn", (require("pah.attention.args").fill("decode", "decode", p)))
  local op = require("pah.attention.args").ops.decode
  local calls, list, lua, c = 2000, {}, {}, {}
  for i = 1, opt.rounds do
    lua[i] = wall(function() for _ = 1, calls do pah.decode(p) end end) / calls * 1e6
    c[i] = wall(function() for _ = 1, calls do C.pah_attention(op, a) end end) / calls * 1e6
    list[i] = lua[i] - c[i]
  end
  return median(list), ("%.2f us and %.2f us"):format(median(lua), median(c))
end, "<=")

print(("cpu: %s, %s, %d threads; %.0f MiB"):format(cpu:info().model, cpu:info().isa, pah.threads(), total / 2 ^ 20))
for _, r in ipairs(rows) do
  if r.name:find(opt.rows) then print_row(r, r.measure()) end
end
os.exit(failed and 1 or 0)
