-- backward.lua - TFLOP/s of pah.bwd on the shapes of doc/design/gpu-backward.md, by 2.5 times the forward's FLOPs:
-- `pah scripts/studies/gpu/backward.lua [--rows TEXT] [--peer FILE]`. Rows are timed as turns.lua says, after a smaller
-- problem of each has been compared with the float64 reference; the last rows compare a shared prefix with private
-- copies, in turn, and say whether 100 calls give the same bits. Below each row: what the plan of who uses which block
-- (kernels/backward/plan.cu) takes of it. --peer FILE: JSON lines {name, tflops, peer}.
local opt = pah.options{
  rows = {"only rows whose name has this text", ""}, seconds = {"of samples, for a row", 0.2},
  kernel = {"the kernel by name; empty: pah's choice", ""}, peer = {"a file of JSON lines: name, tflops, peer", ""},
  repeats = {"calls whose bits are compared", 100}, output = {"write JSON lines to this file", ""},
}

-- name; queries, keys, sequences; then what differs from H 32, Hkv 8, D 128, blocks of 16, causal. prefix: tokens that
-- all sequences share.
local rows = {
  {"causal 1x16384", 16384, 16384, 1}, {"full 1x16384", 16384, 16384, 1, causal = false},
  {"causal 4x4096", 4096, 4096, 4}, {"causal 1x2048", 2048, 2048, 1}, {"causal 16x1024", 1024, 1024, 16},
  {"D 64", 16384, 16384, 1, D = 64}, {"D 64 4x4096", 4096, 4096, 4, D = 64},
  {"blocks of 1", 4096, 4096, 4, block_size = 1}, {"blocks of 128", 4096, 4096, 4, block_size = 128},
  {"window 1024", 16384, 16384, 1, window = {1024, 0}}, {"softcap", 4096, 4096, 4, softcap = 30},
  {"prefix private", 512, 4608, 8}, {"prefix shared", 512, 4608, 8, prefix = 4096},
}

local device = pah.device "cuda"

local function pairs_of(row, sq, sk)
  local causal, left = row.causal ~= false, row.window and row.window[1] or math.huge
  local sum, off = 0, sk - sq
  for i = 0, sq - 1 do
    local last = causal and math.min(sk - 1, i + off) or sk - 1
    sum = sum + math.max(0, last - math.max(0, i + off - left) + 1)
  end
  return sum
end

-- The table and lengths of `count` sequences of sk keys, the first `prefix` of them (whole blocks) the same for all,
-- and the blocks in the pool: exactly those in use.
local function tables(count, sk, size, prefix)
  local places, lens, used = math.floor(prefix / size), {sk}, {sk}
  for b = 2, count do lens[b], used[b] = sk - places * size, sk end
  local total = math.ceil(sk / size) + (count - 1) * math.ceil((sk - places * size) / size)
  local own = pah.block_table{seqlens = lens, block_size = size, num_blocks = total, seed = 1}
  local table_ = pah.zeros({count, math.ceil(sk / size)}, {dtype = "i32", device = "cpu"})
  for b = 1, count do
    for place = 1, table_:size(2) do
      local shared = b > 1 and place <= places
      table_:set(own:get(shared and 1 or b, b > 1 and not shared and place - places or place), b, place)
    end
  end
  return table_, pah.tensor(used, {dtype = "i32", device = "cpu"}), total
end

-- Arguments of pah.bwd and the flops. limit: lengths at most this, of two sequences at most.
local function problem(row, heads, kv_heads, limit)
  local D, size, H, Hkv = row.D or 128, row.block_size or 16, heads or 32, kv_heads or 8
  local sq, sk, count = row[2], row[3], row[4]
  if limit then sq, sk, count = math.min(sq, row.prefix and 50 or limit), math.min(sk, limit), math.min(count, 2) end
  local block_table, used, total = tables(count, sk, size, math.min(row.prefix or 0, sk - sq))
  local function random(shape, seed) return pah.randn(shape, {dtype = "bf16", device = device, seed = seed}) end
  local function empty(shape, dtype) return pah.empty(shape, {dtype = dtype or "bf16", device = device}) end
  local q_shape, kv_shape = {count, H, sq, D}, {total, size, Hkv, D}
  local a = {
    q = random(q_shape, 1), k_blocks = random(kv_shape, 2), v_blocks = random(kv_shape, 3),
    block_table = block_table:to(device), seqused_k = used:to(device), causal = row.causal ~= false,
    window = row.window, softcap = row.softcap,
  }
  a.out, a.lse = pah.fwd(a)
  a.dout = random(q_shape, 4)
  a.dq, a.dk_blocks, a.dv_blocks = empty(q_shape), empty(kv_shape), empty(kv_shape)
  a.kernel = opt.kernel ~= "" and opt.kernel or nil
  return a, 2.5 * 4 * D * H * count * pairs_of(row, sq, sk)
end

local gradients = {"dq", "dk_blocks", "dv_blocks"}

local function check(row)
  local a = problem(row, 4, 1, 200)
  for _, name in ipairs(gradients) do a[name]:fill(0 / 0) end
  pah.bwd(a)
  local host = {}
  for key, value in pairs(a) do host[key] = type(value) == "cdata" and value:to("cpu") or value end
  for _, name in ipairs(gradients) do host[name] = nil end
  host.kernel = nil
  for i, want in ipairs {pah.reference.bwd(host)} do
    local off = pah.diff(a[gradients[i]]:to("cpu"):to("f64"), want:to("f64"))
    if off.nan > 0 or off.rel_norm > 6e-3 then
      error(("%s: %s is off by %.2g, %d NaN"):format(row[1], gradients[i], off.rel_norm, off.nan), 0)
    end
  end
end

-- Whether so many calls give the same bits.
local function repeats(a)
  local first
  for _ = 1, opt.repeats do
    pah.bwd(a)
    local bits = ""
    for _, name in ipairs(gradients) do bits = bits .. a[name]:hash() end
    first = first or bits
    if bits ~= first then return false end
  end
  return true
end

local folder = arg[0]:gsub("[^/]*$", "")
local turns, plan_of = dofile(folder .. "turns.lua")(device, opt), dofile(folder .. "backward_plan.lua")
device:set{check = false, limit = 5}
local rates = {}
for _, row in ipairs(rows) do
  if row[1]:find(opt.rows, 1, true) then
    check(row)
    local a, flops = problem(row)
    local lists = turns.measure({function() pah.bwd(a) end, plan_of(device, a)}, {row[1], "its plan"})
    rates[row[1]] = turns.report(row[1], opt.kernel ~= "" and opt.kernel or "pah.bwd", lists[1], flops)
    turns.part(row[1], "its plan", lists[2], lists[1])
  end
end
if rates["prefix shared"] and rates["prefix private"] then
  print(("%-18s %.2f of private copies"):format("prefix shared", rates["prefix shared"] / rates["prefix private"]))
end
if opt.repeats > 0 then
  local same = repeats((problem({"", 700, 900, 3, prefix = 160})))
  print(("%-18s %s"):format("repeat", same and opt.repeats .. " calls, the same bits" or "DIFFERENT BITS"))
  assert(same)
end
