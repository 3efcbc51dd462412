-- attn_fuzz_spec.lua - random struct pah_attn, legal and broken, as a user of the FFI may bring them: each call either
-- completes or fails with an error line, and a call that fails has written nothing. PAH_FUZZ_SEED repeats a run,
-- PAH_FUZZ_TRIES makes it longer. Worth most in a build with --enable-sanitizers.
local ffi = require "ffi"
local C = require("pah.ffi").C

local seed = tonumber(os.getenv("PAH_FUZZ_SEED")) or os.time() % 1000000
local tries = tonumber(os.getenv("PAH_FUZZ_TRIES")) or 4000

local random = math.random
local function pick(list) return list[random(#list)] end
local function chance(p) return random() < p end

local handle = ffi.new("struct pah_device *[1]")
assert(C.pah_device_open("cpu", handle) == 0)
local cpu = handle[0]

-- ---- Memory: tensors lie one after the other in an arena of one byte value, with gaps between them ----------------

local ARENA, LARGEST, MARK = 8 * 2^20, 2^18, 0xa5
local arena = ffi.new("uint8_t[?]", ARENA)
local start = math.ceil(tonumber(ffi.cast("uintptr_t", arena)) / 64) * 64 - tonumber(ffi.cast("uintptr_t", arena))
local used, gaps = start, {}
ffi.fill(arena, ARENA, MARK)

local function bytes_of(t)
  if t.ndim < 0 or t.ndim > 8 then return 64 end
  local last = 0
  for d = 0, t.ndim - 1 do
    if t.shape[d] <= 0 then return 0 end
    last = last + (tonumber(t.shape[d]) - 1) * math.abs(tonumber(t.stride[d]))
  end
  return (last + 1) * math.max(1, tonumber(C.pah_dtype_size(t.dtype)))
end

-- Memory for t as it is; what is too large to be backed has no address, so that it can only be refused.
local function place(t)
  local bytes = bytes_of(t)
  t.data = nil
  if bytes > LARGEST then return end
  t.data = arena + used
  used = used + math.ceil(bytes / 64) * 64 + 64
  gaps[#gaps + 1] = used - 64
end

local function gaps_untouched()
  for _, at in ipairs(gaps) do
    for i = at, at + 63 do
      if arena[i] ~= MARK then return false end
    end
  end
  return true
end

-- Any bytes are numbers of any dtype: small ones mostly, a NaN now and then.
local function scramble(t)
  if t.data == nil then return end
  local p, n = ffi.cast("uint8_t *", t.data), bytes_of(t)
  for i = 0, n - 1 do p[i] = chance(.02) and 0xff or random(0, 0x3f) end
end

local function untouched(t)
  local p = ffi.cast("uint8_t *", t.data)
  if p == nil then return true end
  for i = 0, bytes_of(t) - 1 do
    if p[i] ~= MARK then return false end
  end
  return true
end

-- ---- Legal calls ---------------------------------------------------------------------------------------------------

local function tensor(t, dtype, shape)
  t.dtype, t.ndim, t.device = dtype, #shape, cpu
  local stride = 1
  for d = #shape, 1, -1 do
    t.shape[d - 1], t.stride[d - 1] = shape[d], stride
    stride = stride * math.max(1, shape[d])
  end
end

local inputs = {"q", "k_blocks", "v_blocks", "block_table", "cu_seqlens_q", "seqused_k", "tree_mask", "sinks",
  "q_descale", "k_descale", "v_descale"}
local forward_results, gradients = {"out", "lse"}, {"dq", "dk_blocks", "dv_blocks", "dsinks"}

-- Adds a tree in the place of other masks, sinks, and V as a view of K, to some of the calls.
local function vary(a, op, s, H)
  s.least = 0
  if (op == C.PAH_FWD or op == C.PAH_DECODE) and s.table * s.block >= s.Sq and chance(.3) then
    local words = math.ceil(s.Sq / 32)
    tensor(a.tree_mask, C.PAH_I32, s.ragged and {s.total, words} or {s.B, s.Sq, words})
    a.causal, a.window_left, a.window_right, s.least = 0, -1, -1, s.Sq
  end
  if chance(.3) then
    tensor(a.sinks, C.PAH_F32, {H})
    if op == C.PAH_BWD then tensor(a.dsinks, C.PAH_F32, {H}) end
  end
  if op ~= C.PAH_BWD and s.Dv <= s.D and chance(.2) then
    s.view, a.softmax_scale = true, .1
    for d = 0, 2 do a.v_blocks.stride[d] = a.k_blocks.stride[d] end
  end
end

-- Returns a legal problem without memory, and its sizes.
local function problem(op)
  local a = ffi.new("struct pah_attn")
  C.pah_attn_init(a)
  local s = {B = random(0, 3), Hkv = random(2), D = pick{8, 16, 40, 64}, block = pick{1, 2, 3, 16}, blocks = random(5),
    table = random(0, 3), Sq = random(0, 5)}
  local H = s.Hkv * random(3)
  s.Dv = chance(.5) and s.D or pick{8, 24, 40, 72}
  local fp8 = {C.PAH_FP8_E4M3, C.PAH_FP8_E5M2}
  local q = pick{C.PAH_F32, C.PAH_F16, C.PAH_BF16}
  if op == C.PAH_FWD_FP8 and chance(.5) then q = pick(fp8) end
  local cache = (op == C.PAH_FWD_FP8 or op == C.PAH_DECODE) and chance(.5) and pick(fp8) or q
  s.ragged = chance(.3)
  if op == C.PAH_DECODE and not s.ragged then s.Sq = chance(.5) and 1 or random(5) end
  s.total = s.B * s.Sq
  local flat = op == C.PAH_DECODE and s.Sq == 1 and chance(.5)
  local function queries(width)
    if s.ragged then return {s.total, H, width} end
    return flat and {s.B, H, width} or {s.B, H, s.Sq, width}
  end
  local lse_shape = s.ragged and {H, s.total} or {s.B, H, s.Sq}
  local k_shape, v_shape = {s.blocks, s.block, s.Hkv, s.D}, {s.blocks, s.block, s.Hkv, s.Dv}
  tensor(a.q, q, queries(s.D))
  tensor(a.k_blocks, cache, k_shape)
  tensor(a.v_blocks, cache, v_shape)
  tensor(a.block_table, C.PAH_I32, {s.B, s.table})
  tensor(a.seqused_k, C.PAH_I32, {s.B})
  if s.ragged then tensor(a.cu_seqlens_q, C.PAH_I32, {s.B + 1}) end
  tensor(a.out, op == C.PAH_FWD_FP8 and pick{q, C.PAH_BF16} or q, queries(s.Dv))
  tensor(a.lse, C.PAH_F32, lse_shape)
  if op == C.PAH_BWD then
    tensor(a.dout, q, queries(s.Dv))
    tensor(a.dq, q, queries(s.D))
    tensor(a.dk_blocks, q, k_shape)
    tensor(a.dv_blocks, q, v_shape)
  elseif op ~= C.PAH_FWD and chance(.5) then
    tensor(a.k_descale, C.PAH_F32, chance(.5) and {} or {s.B, s.Hkv})
  end
  a.causal, a.window_left, a.window_right = random(0, 2), random(-1, 4), random(-1, 4)
  if chance(.3) then a.softcap = 5 end
  if op == C.PAH_DECODE then a.num_splits = random(0, 5) end
  vary(a, op, s, H)
  return a, s
end

-- Contents of the integer tensors, wrong now and then.
local function fill_tables(a, s, wrong)
  local function each(t, value)
    if t.data == nil or t.dtype ~= C.PAH_I32 then return end
    local p = ffi.cast("int32_t *", t.data)
    for i = 0, math.floor(bytes_of(t) / 4) - 1 do p[i] = value(i) end
  end
  local reach = s.table * s.block
  each(a.block_table, function() return chance(wrong) and pick{-1, s.blocks, 2^31 - 1} or random(0, s.blocks - 1) end)
  each(a.seqused_k, function() return chance(wrong) and pick{-1, reach + 1, 2^31 - 1} or random(s.least, reach) end)
  each(a.cu_seqlens_q, function(i) return chance(wrong) and random(-1, 20) or i * s.Sq end)
end

-- ---- Breaking them -------------------------------------------------------------------------------------------------

local all = {"q", "k_blocks", "v_blocks", "block_table", "cu_seqlens_q", "seqused_k", "tree_mask", "sinks", "q_descale",
  "k_descale", "v_descale", "out", "lse", "dout", "dq", "dk_blocks", "dv_blocks", "dsinks"}
local sizes = {0, -1, 1, 2, 3, 7, 8, 64, 2^31, 2^40, 2^62, -2^62}

local breakers = {
  function(a) a[pick(all)].dtype = pick{-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 2^30, -2^31} end,
  function(a) a[pick(all)].ndim = pick{-2^31, -1, 0, 1, 2, 3, 4, 5, 8, 9, 2^31 - 1} end,
  function(a) a[pick(all)].shape[random(0, 3)] = pick(sizes) end,
  function(a) a[pick(all)].stride[random(0, 3)] = pick(sizes) end,
  function(a) a[pick(all)].device = nil end,
  function(a) a[pick(all)] = a[pick(all)] end,
  function(a) ffi.fill(a[pick(all)], ffi.sizeof("struct pah_tensor")) end,
  function(a) a.softcap, a.softmax_scale = pick{-1, 0 / 0, math.huge, 0}, pick{0 / 0, math.huge, 0, -1} end,
  function(a) a.causal, a.num_splits = pick{-1, 0, 3, 2^30}, pick{-1, 0, 1, 4096, 4097, 2^31 - 1} end,
  function(a) a.window_left, a.window_right = pick{-2, 0, 2^31 - 1}, pick{-2^31, 0, 2^31 - 1} end,
  function(a) a.seqlen_k = pick{-2, 0, 1, 40, 2^31, 2^62} ffi.fill(a.seqused_k, ffi.sizeof("struct pah_tensor")) end,
  function(a) a.kernel = pick{"", "flash", "split-kv", "naive"} end,
  function(a) a.out_dtype, a.intermediate = pick{-1, 0, 1, 100}, pick{-1, 0, 0, 1, 100} end,
}

local function one(op)
  ffi.fill(arena + start, used - start, MARK)
  used, gaps = start, {}
  local a, s = problem(op)
  local broken = chance(.6)
  if broken then
    for _ = 1, random(2) do pick(breakers)(a) end
  end
  for _, name in ipairs(all) do
    if a[name].dtype ~= 0 then place(a[name]) end
  end
  if s.view and bytes_of(a.v_blocks) <= bytes_of(a.k_blocks) then a.v_blocks.data = a.k_blocks.data end
  for _, name in ipairs(inputs) do scramble(a[name]) end
  if op == C.PAH_BWD then scramble(a.out) scramble(a.lse) scramble(a.dout) end
  fill_tables(a, s, broken and .1 or 0)
  if broken and chance(.2) then
    local t = a[pick(all)]
    -- One byte further is misaligned and must be refused; a tensor of bytes would only run past its end.
    local off = (t.data == nil or C.pah_dtype_size(t.dtype) == 1) and 0 or 1
    t.data = chance(.5) and nil or ffi.cast("uint8_t *", t.data) + off
  end
  local aliased = broken and chance(.1)
  if aliased then -- over memory that is large enough: a result there may well be legal, beside an empty input
    local t, other = a[pick(all)], a[pick(all)]
    if bytes_of(other) >= bytes_of(t) then t.data = other.data end
  end
  local status = C.pah_attention(op, a)
  assert(gaps_untouched(), "written outside of the results")
  if status == 0 then return true end
  assert(status < 0 and status >= -6, status)
  assert(broken, ffi.string(C.pah_error()))
  assert(ffi.string(C.pah_error()):match("^[%w_%[%]]+: "), ffi.string(C.pah_error()))
  for _, name in ipairs(op == C.PAH_BWD and gradients or forward_results) do
    assert(aliased or untouched(a[name]), name .. " was written to")
  end
  return false
end

describe("random calls", function()
  for _, name in ipairs{"fwd", "fwd_fp8", "bwd", "decode"} do
    it(("of %s complete or are refused (PAH_FUZZ_SEED=%d)"):format(name, seed), function()
      local op = ({fwd = C.PAH_FWD, fwd_fp8 = C.PAH_FWD_FP8, bwd = C.PAH_BWD, decode = C.PAH_DECODE})[name]
      math.randomseed(seed)
      local completed, count = 0, math.ceil(tries / 4)
      for _ = 1, count do
        if one(op) then completed = completed + 1 end
      end
      -- The mixture stays a mixture: neither all refused nor all accepted.
      assert.is_true(completed > count * .3 and completed < count * .95, completed .. " of " .. count .. " completed")
    end)
  end
end)
