-- repeat.lua - whether a fast forward gives the same bits every time: `pah scripts/studies/gpu/repeat.lua [--runs N]`.
-- Each kernel of pah.fwd that takes a problem computes it N times into results that are NaN before; hashes of out and
-- lse must never change. With small problems it is something for compute-sanitizer, too: `compute-sanitizer --tool
-- memcheck pah scripts/studies/gpu/repeat.lua --runs 2 --tokens 600`. Exit code 1: something differs.
local opt = pah.options{
  device = {"the GPU", "cuda"}, runs = {"of each kernel and problem", 100}, tokens = {"of the longest sequence", 3000},
  only = {"problems with this text in their names", ""},
  compile = {"compile for sm_90a and stop (no GPU needed)", false},
}
local device = pah.device(opt.compile and "cuda:sm_90a" or opt.device)
if opt.compile then device:set{dry = true} end

-- What differs from two sequences, the second an eighth as long, 8 query heads over 2, head_dim 128, bf16, causal.
local problems = {
  {"blocks of 16"}, {"blocks of 1", block_size = 1}, {"blocks of 24", block_size = 24},
  {"f16, blocks of 64", dtype = "f16", block_size = 64}, {"head_dim 64", D = 64}, {"head_dim 256", D = 256},
  {"192/128", D = 192, Dv = 128}, {"softcap", softcap = 20}, {"softcap of 1", softcap = 1},
  {"window", window = {300, 20}}, {"ragged", ragged = true}, {"few queries", queries = 40}, {"sinks", sinks = true},
  {"f32", dtype = "f32"}, {"f32, blocks of 1", dtype = "f32", block_size = 1},
}

local function arguments(o)
  local D, block_size, dtype = o.D or 128, o.block_size or 16, o.dtype or "bf16"
  local H, Hkv, Sq, lens = 8, 2, o.queries or math.floor(opt.tokens / 3), {opt.tokens, math.ceil(opt.tokens / 8)}
  local blocks = 0
  for _, len in ipairs(lens) do blocks = blocks + math.ceil(len / block_size) end
  local table_, used = pah.block_table{seqlens = lens, block_size = block_size, num_blocks = blocks, seed = 1}
  local function random(shape, seed)
    if opt.compile then return pah.empty(shape, {dtype = dtype, device = device}) end
    return pah.randn(shape, {dtype = dtype, device = device, seed = seed})
  end
  return {
    q = o.ragged and random({Sq + 5, H, D}, 1) or random({2, H, Sq, D}, 1),
    cu_seqlens_q = o.ragged and pah.tensor({0, Sq, Sq + 5}, {dtype = "i32", device = device}) or nil,
    k_blocks = random({blocks, block_size, Hkv, D}, 2), v_blocks = random({blocks, block_size, Hkv, o.Dv or D}, 3),
    block_table = table_:to(device), seqused_k = used:to(device), causal = true, window = o.window,
    softcap = o.softcap, sinks = o.sinks and pah.full({H}, 0.5, {device = device}) or nil,
  }
end

-- How many different results N runs give; nil if the kernel does not take the problem.
local function different(a)
  local ok, out, lse = pcall(pah.fwd, a)
  if not ok then
    assert(tostring(out):find(": the " .. a.kernel .. " kernel ", 1, true), out)
    return nil
  end
  if opt.compile then return 1 end
  a.out, a.lse = out, lse
  local seen, count = {}, 0
  for _ = 1, opt.runs do
    out:fill(0 / 0)
    lse:fill(0 / 0)
    pah.fwd(a)
    local hash = out:hash() .. lse:hash()
    if not seen[hash] then seen[hash], count = true, count + 1 end
  end
  return count
end

local failed = false
local function report(o)
  local line = {}
  for _, kernel in ipairs(pah.kernels()) do
    if kernel.op == "fwd" and kernel.device == device.name:match "^%a+" and kernel.name ~= "naive" then
      local a = arguments(o)
      a.kernel = kernel.name
      local count = different(a)
      if count then line[#line + 1] = ("%s %d"):format(kernel.name, count) end
      failed = failed or (count or 1) ~= 1
    end
  end
  if opt.compile then return end
  print(("%-20s different results of %d runs: %s"):format(o[1], opt.runs, table.concat(line, ", ")))
end

for _, o in ipairs(problems) do
  if o[1]:find(opt.only, 1, true) then report(o) end
end
os.exit(failed and 1 or 0)
