-- gpt_oss: the attention of gpt-oss, 64 query heads on 8, D 64, sinks, a window of 128 tokens in every other layer
local opt = pah.options({
  batch = {"sequences", 2},
  seqlen = {"tokens of each", 400},
  layers = {"layers", 2},
  new = {"tokens to be decoded", 3},
  seed = {"seed of all values", 1},
}, {words = 0})
local H, Hkv, D, block_size = 64, 8, 64, 16
local seed = opt.seed
local function random(shape, options)
  seed = seed + 1
  return pah.randn(shape, {seed = seed, dtype = options and options.dtype or "bf16", scale = options and options.scale})
end

-- A layer has its own cache and sinks; the first and every other see 128 tokens: the token itself and 127 before it.
local blocks = opt.batch * math.ceil((opt.seqlen + opt.new) / block_size)
local layers = {}
for i = 1, opt.layers do
  local cache = pah.cache{num_blocks = blocks, block_size = block_size, num_kv_heads = Hkv, head_dim = D,
    dtype = "bf16"}
  layers[i] = {cache = cache, sinks = random({H}, {dtype = "f32", scale = 2}), sequences = {},
    window = i % 2 == 1 and {127, 0} or nil}
  for b = 1, opt.batch do layers[i].sequences[b] = cache:sequence() end
end

local failed = false
local function check(name, i, args, out, lse)
  local want, want_lse = pah.reference[name](args)
  local ok, report = pah.allclose(out:to("f64"), want, {rtol = 2e-2, atol = 2e-2})
  local lse_ok = pah.allclose(lse:to("f64"), want_lse, {rtol = 1e-3, atol = 1e-3})
  failed = failed or not (ok and lse_ok)
  print(("layer %d %-6s %-7s max error %.1e: %s"):format(i, name, args.window and "window" or "full", report.max_abs,
    ok and lse_ok and "ok" or "WRONG"))
end

-- n new tokens of every sequence through every layer.
local function step(name, n, judged)
  for i, layer in ipairs(layers) do
    for _, sequence in ipairs(layer.sequences) do assert(sequence:append(random {n, Hkv, D}, random {n, Hkv, D})) end
    local args = {q = random {opt.batch, H, n, D}, k_blocks = layer.cache.k_blocks, v_blocks = layer.cache.v_blocks,
      sinks = layer.sinks, window = layer.window, causal = true}
    args.block_table, args.seqused_k = layer.cache:block_table(layer.sequences)
    local start = pah.clock()
    local out, lse = pah[name](args)
    local seconds = pah.clock() - start
    if judged then check(name, i, args, out, lse) end
    print(("layer %d %-6s %d tokens: %.3f ms"):format(i, name, n, seconds * 1e3))
  end
end
step("fwd", opt.seqlen, false)
for i = 1, opt.new do step("decode", 1, i == opt.new) end
assert(not failed, "decode is wrong")
