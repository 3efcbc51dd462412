-- fp8_error.lua - how far pah.fwd_fp8 is from float64 on a GPU when rows are long: the norm of the error over the norm
-- of the result, for values around 0 and around 1, and the largest error of lse. `pah scripts/studies/gpu/fp8_error.lua
-- [--keys 1024,16384,131072]`. peers/flashinfer_error.py prints the same of FlashInfer. Values around 1 show sums that
-- lose their last bits always in one direction; doc/design/gpu-fp8.md.
local opt = pah.options{
  keys = {"lengths of a row", "1024,16384,131072"}, device = {"the device", "cuda"},
  kernel = {"its name; empty: the default", ""},
}
local device = pah.device(opt.device)
local H, D, QUERIES, BLOCK = 4, 128, 16, 16

local function problem(keys, mean)
  local table_, lens = pah.block_table{seqlens = {keys}, block_size = BLOCK, num_blocks = math.ceil(keys / BLOCK),
    seed = 1}
  local function random(shape, seed) return pah.randn(shape, {seed = seed, device = "cpu"}) end
  local shape = {math.ceil(keys / BLOCK), BLOCK, 1, D}
  local v = random(shape, 3)
  local values = v:data()
  for i = 0, v:numel() - 1 do values[i] = values[i] + mean end
  return {
    q = random({1, H, QUERIES, D}, 1):to "fp8_e4m3", k_blocks = random(shape, 2):to "fp8_e4m3",
    v_blocks = v:to "fp8_e4m3", block_table = table_, seqused_k = lens,
  }
end

-- Also what rounding the exact result alone would be off by.
local function report(a, keys, mean, out_dtype)
  local call = {kernel = opt.kernel ~= "" and opt.kernel or nil, out_dtype = out_dtype}
  for key, value in pairs(a) do call[key] = value:to(device) end
  a.out_dtype, a.o_scale = out_dtype, out_dtype:match "^fp8" and mean == 0 and 16 or nil
  call.o_scale = a.o_scale
  local out, lse = pah.fwd_fp8(call)
  local want, want_lse = pah.reference.fwd_fp8(a)
  a.out_dtype, a.o_scale = nil, nil
  local off, least = pah.diff(out:to("cpu"):to("f64"), want), pah.diff(want:to(out_dtype):to("f64"), want)
  local off_lse = pah.diff(lse:to("cpu"):to("f64"), want_lse)
  print(("%7d keys, values around %d, to %-8s  off by %.2e (rounded alone %.2e)  lse by %.1e"):format(keys, mean,
    out_dtype, off.rel_norm, least.rel_norm, off_lse.max_abs))
end

for keys in opt.keys:gmatch "%d+" do
  for mean = 0, 1 do
    local a = problem(tonumber(keys), mean)
    for _, out_dtype in ipairs {"bf16", "fp8_e4m3"} do report(a, tonumber(keys), mean, out_dtype) end
  end
end
