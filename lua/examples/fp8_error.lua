-- fp8_error: what storing the cache in a narrower type costs: a table of decode errors by dtype
local opt = pah.options({
  batch = {"sequences", 4},
  seqlen = {"tokens of each", 512},
  head_dim = {"elements of a head", 128},
}, {words = 0})
local B, H, Hkv, D, block_size = opt.batch, 8, 2, opt.head_dim, 16
local lengths = {}
for b = 1, B do lengths[b] = opt.seqlen end
local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = block_size, seed = 1}
local pool = {B * math.ceil(opt.seqlen / block_size), block_size, Hkv, D}
local q = pah.randn({B, H, 1, D}, {seed = 2})
local k, v = pah.randn(pool, {seed = 3}), pah.randn(pool, {seed = 4})
local exact = pah.reference.decode{q = q, k_blocks = k, v_blocks = v, block_table = block_table, seqused_k = seqused_k}

-- The largest value of a type; a descale brings the largest number of the cache there (real = stored x descale).
local largest = {fp8_e4m3 = 448, fp8_e5m2 = 57344}
local function amax(t) return pah.diff(t, pah.zeros(t.shape)).max_abs end

local function store(t, dtype, descale)
  local narrow = pah.empty(t.shape, {dtype = dtype})
  pah.kv_append{k = t:view(-1, Hkv, D), v = t:view(-1, Hkv, D), k_blocks = narrow, v_blocks = pah.empty(t.shape,
    {dtype = dtype}),
    slot_mapping = pah.arange(pool[1] * block_size, {dtype = "i64"}), k_descale = descale, v_descale = descale}
  return narrow
end

print(("%-9s %-8s %12s %12s %12s"):format("cache", "descale", "max error", "mean error", "relative"))
for _, case in ipairs {{"f16", "f16"}, {"bf16", "bf16"}, {"fp8_e4m3", "f32"}, {"fp8_e5m2", "f32"}, {"fp8_e4m3", "f32",
  true},
  {"fp8_e5m2", "f32", true}} do
  local dtype, q_dtype, scaled = unpack(case)
  local kd, vd = 1, 1
  if scaled then kd, vd = amax(k) / largest[dtype], amax(v) / largest[dtype] end
  local args = {q = q:to(q_dtype), block_table = block_table, seqused_k = seqused_k}
  if largest[dtype] then
    args.k_blocks, args.v_blocks = store(k, dtype, kd), store(v, dtype, vd)
    args.k_descale, args.v_descale = kd, vd
  else
    args.k_blocks, args.v_blocks = k:to(dtype), v:to(dtype)
  end
  local d = pah.diff(pah.decode(args):to("f64"), exact)
  print(("%-9s %-8s %12.2e %12.2e %12.2e"):format(dtype, scaled and "amax" or "1", d.max_abs, d.mean_abs, d.rel_norm))
  assert(d.rel_norm < 0.2 and d.nan == 0)
end
