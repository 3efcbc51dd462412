-- forward.lua - TFLOP/s of pah.fwd and fwd_fp8 on the shapes of doc/design/gpu-forward.md and gpu-fp8.md, or of
-- variants of kernels/sm90/forward.cu beside each other:
-- `pah scripts/studies/gpu/forward.lua [--rows TEXT] [--variants FILE]`; `--rows fp8`: those of an fp8 cache.
-- All variants of a row are timed in turn, round after round, each call behind a flush of L2 that the host does not
-- wait for; medians; FLOPs by the exact count of visible pairs. Each is first compared with the float64 reference on a
-- smaller problem. --compile only compiles (no GPU needed). FILE returns a list of {name, DEFINE = value, ...}, D for
-- the head_dim that a variant is for; of kernel = "sm80", "simt" or by itself sm90; without defines it is
-- pah.fwd or fwd_fp8 (op = "decode": pah.decode), with `kernel` if it has one (--kernel without a FILE).
-- --peer FILE: JSON lines {name, tflops, peer}.
local ffi = require "ffi"

local opt = pah.options{
  rows = {"only the row of this name, or those with this text", ""},
  variants = {"a file that returns a list of variants", ""},
  seconds = {"of samples, for a variant of a row", 0.12}, compile = {"compile and stop", false},
  kernel = {"the kernel of pah.fwd; it chooses if none is named", ""},
  peer = {"a file of JSON lines: name, tflops, peer", ""}, output = {"write JSON lines to this file", ""},
}

local folder = arg[0]:gsub("[^/]*$", "")
local rows, sm80 = dofile(folder .. "forward_rows.lua"), dofile(folder .. "forward_sm80.lua")

-- Those of opt.rows: the one of that name, or all that have the text in their names.
local function only_rows()
  local list = {}
  for _, row in ipairs(rows) do
    if row[1] == opt.rows then return {row} end
    if row[1]:find(opt.rows, 1, true) then list[#list + 1] = row end
  end
  return list
end

local variants = opt.variants ~= "" and dofile(opt.variants) or {{"pah.fwd", kernel = opt.kernel}}
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

-- Arguments of pah.fwd and the flops. limit: lengths at most this.
local function problem(row, heads, kv_heads, limit)
  local D, block_size = row.D or 128, row.block_size or 16
  local Dv, q = row.Dv or D, row.dtype or "bf16"
  local kv, out = row.kv or q, row.out or q
  local H, Hkv, total, flops, lens, sums = heads or 32, kv_heads or 8, 0, 0, {}, {0}
  limit = limit or math.huge
  for _, kind in ipairs(row[2]) do
    local sq, sk = math.min(kind[1], limit), math.min(kind[2], limit)
    for _ = 1, kind[3] do
      lens[#lens + 1], sums[#sums + 1] = sk, sums[#sums] + sq
      total = total + math.ceil(sk / block_size)
      flops = flops + 2 * (D + Dv) * H * pairs_of(row, sq, sk)
    end
  end
  local table_, used = pah.block_table{seqlens = lens, block_size = block_size, num_blocks = total, seed = 1}
  local function random(shape, seed, dtype)
    if opt.compile then return pah.empty(shape, {dtype = dtype, device = device}) end
    return pah.randn(shape, {dtype = dtype, device = device, seed = seed})
  end
  local a = {
    k_blocks = random({total, block_size, Hkv, D}, 2, kv), v_blocks = random({total, block_size, Hkv, Dv}, 3, kv),
    block_table = table_:to(device), seqused_k = used:to(device), causal = row.causal ~= false, window = row.window,
    softcap = row.softcap, sinks = row.sinks and pah.randn({H}, {device = device, seed = 4}) or nil,
  }
  if row.ragged or #row[2] > 1 then
    a.q, a.cu_seqlens_q = random({sums[#sums], H, D}, 1, q), pah.tensor(sums, {dtype = "i32", device = device})
    a.out, a.lse = pah.empty({sums[#sums], H, Dv}, {dtype = out, device = device}),
      pah.empty({H, sums[#sums]}, {device = device})
  else
    a.q = random({#lens, H, sums[2], D}, 1, q)
    a.out, a.lse = pah.empty({#lens, H, sums[2], Dv}, {dtype = out, device = device}),
      pah.empty({#lens, H, sums[2]}, {device = device})
  end
  return a, flops
end

-- ---- The kernel by itself, with sizes of one's choice: as src/gpu/fast/forward_sm90.c does it -----------------------

local sm90 = {}

local function declare_params()
  if not pcall(ffi.typeof, "struct sm90_sizes") then
    ffi.cdef "struct sm90_sizes { int box, head_dim, head_dim_v; struct place_units k, v; };"
  end
  dofile(folder .. "params.lua")
end

local function gcd(a, b)
  while b > 0 do a, b = b, a % b end
  return a
end

local function is_fp8(t) return t.dtype:match "^fp8" ~= nil end

--- Compiles for the problem `a` (arguments of pah.fwd) and the defines `config`: TILE_N, CONSUMERS, STAGES, PACK, ...
function sm90.compile(a, config)
  local defines = {TILE_N = 128, STAGES = 2, DESCALED = is_fp8(a.out) and 1 or 0}
  defines.WIDE_VALUES = is_fp8(a.q) and not is_fp8(a.out) and 1 or 0
  for key, value in pairs(config or {}) do defines[key] = value end
  defines.Q_T, defines.KV_T, defines.OUT_T = a.q.dtype, a.k_blocks.dtype, a.out.dtype
  defines.HEAD_DIM = math.ceil(a.k_blocks:size(4) / 64) * 64
  defines.HEAD_DIM_V = math.ceil(a.v_blocks:size(4) / 64) * 64
  local box = gcd(a.k_blocks:size(2), defines.TILE_N)
  if box % 8 ~= 0 then
    box = 8
    if a.q.dtype == a.k_blocks.dtype or is_fp8(a.q) then defines.GATHER = 1 end
  end
  if a.softcap and a.softcap > 0 then
    local bounded = a.softcap <= 50 and a.q.dtype == "bf16" and a.k_blocks.dtype == "bf16" and not defines.GATHER
    if defines.BOUNDED == nil and bounded and math.max(defines.HEAD_DIM, defines.HEAD_DIM_V) <= 128 then
      defines.BOUNDED = 1
    end
    defines.SOFTCAP = 1
  end
  if a.tree_mask then defines.TREE = 1 end
  local module = device:compile{source = "kernels/sm90/forward.cu", defines = defines, include = {"kernels"}}
  return {module = module, d = defines, box = box}
end

local function pointer(t) return t and t:data() or nil end

-- [B, H, Sq, D], whatever q's form.
local function with_batch(t, ragged)
  if not ragged then return t end
  local total, heads, d = t:size(1), t:size(2), t:size(3)
  return t:view(1, total, heads, d):transpose(2, 3)
end

local function set_rows(field, t, ragged, lse)
  local s = t.strides
  field.data = t:data()
  if not ragged then
    field.batch, field.head, field.row = s[1], s[2], s[3]
  elseif lse then
    field.batch, field.head, field.row = 0, s[1], s[2]
  else
    field.batch, field.head, field.row = 0, s[2], s[1]
  end
end

local function blocks(field, t)
  field.data, field.block, field.slot, field.head = t:data(), t.strides[1], t.strides[2], t.strides[3]
end

local causal = {[false] = 0, [true] = 1, ["bottom-right"] = 1, ["top-left"] = 2}

function sm90.params(a, out, lse)
  declare_params()
  local p, ragged = ffi.new "struct pah_attn_params", a.cu_seqlens_q ~= nil
  set_rows(p.q, a.q, ragged)
  set_rows(p.out, out, ragged)
  set_rows(p.lse, lse, ragged, true)
  blocks(p.k, a.k_blocks)
  blocks(p.v, a.v_blocks)
  p.block_table = ffi.cast("const int *", pointer(a.block_table))
  p.table_batch, p.table_block = a.block_table.strides[1], a.block_table.strides[2]
  if ragged then p.cu_seqlens_q, p.cu_stride = ffi.cast("const int *", pointer(a.cu_seqlens_q)), 1 end
  if a.seqused_k then p.seqused_k, p.seqused_stride = ffi.cast("const int *", pointer(a.seqused_k)), 1 end
  if a.sinks then p.sinks, p.sinks_stride = ffi.cast("const float *", pointer(a.sinks)), 1 end
  if a.tree_mask then
    p.tree_mask = ffi.cast("const int *", pointer(a.tree_mask))
    p.tree_batch, p.tree_row = ragged and 0 or a.tree_mask.strides[1], a.tree_mask.strides[ragged and 1 or 2]
  end
  p.num_blocks, p.block_size, p.max_blocks = a.k_blocks:size(1), a.k_blocks:size(2), a.block_table:size(2)
  p.seqlen_k = a.seqlen_k or p.max_blocks * p.block_size
  p.batch, p.heads, p.kv_heads = a.block_table:size(1), a.q:size(2), a.k_blocks:size(3)
  p.seqlen_q = ragged and a.q:size(1) or a.q:size(3)
  p.total_q = ragged and a.q:size(1) or p.batch * p.seqlen_q
  p.causal = causal[a.causal or false]
  p.window_left, p.window_right = -1, -1
  if a.window then p.window_left, p.window_right = a.window[1], a.window[2] end
  p.softmax_scale = a.softmax_scale or 1 / math.sqrt(a.q:size(a.q:dim()))
  p.softcap, p.o_scale = a.softcap or 0, 1
  return p
end

-- As shared_of() there.
function sm90.shared(a, d, tile_m)
  local q, k, v, n = is_fp8(a.q) and 1 or 2, d.HEAD_DIM, d.HEAD_DIM_V, d.TILE_N
  local v_size = d.WIDE_VALUES == 1 and 2 or q
  local raw = is_fp8(a.q) and n * v or 0
  return q * k * tile_m + (q * k + v_size * v) * d.STAGES * n + raw + (v_size == 1 and 4 * tile_m * v or 0)
end

--- A function that launches it, and the out and lse that it fills.
function sm90.prepare(kernel, a, out, lse)
  local d, ragged = kernel.d, a.cu_seqlens_q ~= nil
  local consumers, pack, dim = d.CONSUMERS or 2, d.PACK or 1, d.HEAD_DIM
  local tile_m = 64 * consumers
  declare_params()
  local n = ffi.new("struct sm90_sizes", kernel.box, a.k_blocks:size(4), a.v_blocks:size(4))
  sm80.units(n.k, a.k_blocks)
  sm80.units(n.v, a.v_blocks)
  local p = sm90.params(a, out, lse)
  local q = with_batch(a.q, ragged)
  local function map(t, box, width)
    local size = is_fp8(t) and 1 or 2
    box[4] = width % (128 / size) == 0 and 128 / size or 64 / size
    return pah.tensor_map(t, {box = box, swizzle = box[4] * size})
  end
  local q_map = pack > 1 and map(q:transpose(2, 3), {1, tile_m / pack, pack}, dim) or map(q, {1, 1, tile_m}, dim)
  local k_map = map(a.k_blocks, {1, kernel.box, 1}, dim)
  local v_map = map(a.v_blocks, {1, kernel.box, 1}, d.HEAD_DIM_V)
  local shared = sm90.shared(a, d, tile_m)
  local tiles = ragged and math.floor(tonumber(p.total_q) * pack / tile_m) + p.batch or
    math.ceil(p.seqlen_q * pack / tile_m) * p.batch
  local items = tonumber(tiles * p.heads / pack)
  local grid = math.min(device:info().sms, items)
  local loaders = is_fp8(a.k_blocks) and not is_fp8(a.q) and 2 or 1
  local launch = {grid = grid, block = tile_m * 2 + 128 * loaders, shared = shared}
  return function() return kernel.module:launch("forward_sm90", launch, p, n, q_map, k_map, v_map) end
end

-- ---- Variants ---------------------------------------------------------------------------------------------------

local function defines(variant)
  local d, any = {}, false
  for key, value in pairs(variant) do
    if type(key) == "string" and key:match "^%u[%u_]+$" then d[key], any = value, true end
  end
  return any and d
end

-- A function that computes a.out and a.lse.
local function prepare(variant, a)
  local d = defines(variant)
  if d and sm80.is(variant) then
    return sm80.prepare(sm80.compile(device, a, d, variant.kernel), a, sm90.params(a, a.out, a.lse))
  end
  if d then return sm90.prepare(sm90.compile(a, d), a, a.out, a.lse) end
  local call = {}
  for key, value in pairs(a) do call[key] = value end
  if (variant.kernel or "") ~= "" then call.kernel = variant.kernel end
  local op = pah[variant.op or (is_fp8(a.k_blocks) and "fwd_fp8" or "fwd")]
  return function() op(call) end
end

local function fits(variant, row) return (variant.D or not defines(variant) and row.D or 128) == (row.D or 128) end

-- What a smaller problem of the row should give, by the float64 reference.
local wanted = {}
local function reference(row, a)
  if not wanted[row] then
    local host = {}
    for key, value in pairs(a) do
      if key ~= "out" and key ~= "lse" then host[key] = type(value) == "cdata" and value:to("cpu") or value end
    end
    host.out_dtype = is_fp8(a.k_blocks) and a.out.dtype or nil
    wanted[row] = pah.reference[is_fp8(a.k_blocks) and "fwd_fp8" or "fwd"](host):to("f32")
  end
  return wanted[row]
end

-- How far a variant is off there.
local function check(variant, row)
  local a = problem(row, 4, 1, 700)
  a.out:fill(0 / 0)
  prepare(variant, a)()
  local off = pah.diff(a.out:to("cpu"):to("f32"), reference(row, a))
  local limit = a.out.dtype == "fp8_e5m2" and 0.08 or is_fp8(a.out) and 0.04 or 4e-3
  if off.nan > 0 or off.rel_norm > limit then error(("wrong: off by %.2g, %d NaN"):format(off.rel_norm, off.nan), 0) end
end

-- ---- The rows ---------------------------------------------------------------------------------------------------

if opt.compile then
  device:set{dry = true}
  for _, row in ipairs(only_rows()) do
    local a = problem(row, 32, 8, 64)
    for _, variant in ipairs(variants) do
      local d = defines(variant)
      if fits(variant, row) and d then
        local kernel = sm80.is(variant) and sm80.compile(device, a, d, variant.kernel) or sm90.compile(a, d)
        local r = kernel.module:resources(kernel.name or "forward_sm90")
        print(row[1], variant[1], "registers", r.registers, "spilled", r.spill_store_bytes)
      elseif fits(variant, row) then
        prepare(variant, a)()
      end
    end
  end
  return
end

local turns = dofile((arg[0]:gsub("[^/]*$", "")) .. "turns.lua")(device, opt)
local names = {}
for v, variant in ipairs(variants) do names[v] = variant[1] end
device:set{check = false, limit = 3}
for _, row in ipairs(only_rows()) do
  local a, flops = problem(row)
  local runs = {}
  for v, variant in ipairs(variants) do
    if fits(variant, row) then
      local ok, why = pcall(check, variant, row)
      if ok then runs[v] = prepare(variant, a) else print(row[1], variant[1], why) end
    end
  end
  local lists = turns.measure(runs, names)
  for v, name in ipairs(names) do
    if lists[v] then turns.report(row[1], name, lists[v], flops) end
  end
end
