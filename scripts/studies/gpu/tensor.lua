-- tensor.lua - work on tensors of a GPU against the speed of its memory: fractions of a copy of the same bytes by
-- kernels/measure/peaks.cu in the same run. First, that it gives the bits of the cpu. Medians by the GPU's clock.
-- Run: pah scripts/studies/gpu/tensor.lua. Read next: kernels/tensor/copy.cu.
local opt = pah.options {device = {"a cuda device", "cuda"}, megabytes = {"MiB of a tensor", 128}}
local dev, cpu = pah.device(opt.device), pah.device "cpu"

-- ---- The same bits ----------------------------------------------------------------------------------------------

local dtypes = {"f32", "f64", "f16", "bf16", "fp8_e4m3", "fp8_e5m2", "i32", "i64", "u8"}
local pairs_of_dtypes = 0
for _, from in ipairs(dtypes) do
  local x = pah.randn({100003}, {seed = 4, dtype = from == "u8" and "f32" or from, scale = 30, device = cpu}):to(from)
  if from:match "f" then x:narrow(1, 1, 3):copy(pah.tensor({0 / 0, 1 / 0, -1 / 0}, {device = cpu})) end
  for _, to in ipairs(dtypes) do
    local got, want = x:to(dev):to(to), x:to(to)
    assert(got:hash() == want:hash(), from .. " to " .. to)
    pairs_of_dtypes = pairs_of_dtypes + 1
  end
  local low, high = from == "u8" and 0 or -3, 5
  for name, draw in pairs {
    randn = function(device) return pah.randn({100001}, {seed = 7, dtype = from, device = device}) end,
    rand = function(device)
      return pah.rand({9999}, {seed = 7, low = low, high = high, dtype = from, device = device})
    end,
    randint = function(device) return pah.randint({9999}, {seed = 7, high = 8, dtype = from, device = device}) end,
  } do
    assert(draw(dev):hash() == draw(cpu):hash(), name .. " of " .. from)
  end
end
local tall = pah.randn({300, 70, 5}, {seed = 1, device = cpu})
assert(tall:permute(3, 1, 2):contiguous():hash() == tall:to(dev):permute(3, 1, 2):contiguous():hash(), "permute")
for _, dtype in ipairs {"u8", "bf16", "f32", "i64"} do
  local x = pah.randint({3, 1000, 2, 777}, {dtype = dtype, high = 100, seed = 1, device = cpu}):permute(1, 4, 3, 2)
  assert(x:contiguous():hash() == x:to(dev):contiguous():hash(), "turned")
  local there = x:permute(1, 4, 3, 2):to(dev):permute(1, 4, 3, 2):contiguous()
  assert(x:contiguous():hash() == there:hash(), "turned on the GPU")
end
print(("ok   %d pairs of dtypes, random numbers of %d, a permuted copy: the bits of the cpu"):format(pairs_of_dtypes,
  #dtypes))

-- ---- The speed --------------------------------------------------------------------------------------------------

local function median_time(call)
  call()
  local list = {}
  for i = 1, 31 do
    local from = dev:event()
    for _ = 1, 3 do call() end
    list[i] = dev:event():since(from) / 3
  end
  table.sort(list)
  return list[16]
end

local bytes = opt.megabytes * 2 ^ 20
local function tensor(dtype, megabytes)
  local size = ({f32 = 4, bf16 = 2, f16 = 2, fp8_e4m3 = 1, fp8_e5m2 = 1, i32 = 4, f64 = 8, u8 = 1})[dtype]
  return pah.zeros({(megabytes or opt.megabytes) * 2 ^ 20 / size / 128, 128}, {dtype = dtype, device = dev})
end

local a, b = tensor "f32", tensor "f32"
local peaks = dev:compile {source = require("pah.host").datadir .. "/kernels/measure/peaks.cu"}
local grid = dev:info().sms * 8
local limit = 2 * bytes / median_time(function()
  peaks:launch("copy", {grid = grid, block = 512}, b, a, pah.i64(bytes / 16))
end)
print(("%-44s %10s %10s %10s"):format(("tensors of %d MiB"):format(opt.megabytes), "us", "GB/s", "of copy"))
local function row(name, moved, call)
  local seconds = median_time(call)
  print(("%-44s %10.1f %10.0f %10.2f"):format(name, seconds * 1e6, moved / seconds / 1e9, moved / seconds / limit))
end
print(("%-44s %10.1f %10.0f"):format("copy of peaks.cu", 2 * bytes / limit * 1e6, limit / 1e9))
row("copy, f32", 2 * bytes, function() b:copy(a) end)
local h, h2 = tensor "bf16", tensor "bf16"
row("copy, bf16", 2 * bytes, function() h2:copy(h) end)
row("clone, bf16", 2 * bytes, function() h:clone():free() end)
row("fill, f32", bytes, function() b:fill(3) end)
local small = tensor "fp8_e4m3"
row("zero, fp8_e4m3", bytes, function() small:zero() end)
for _, pair in ipairs {{"f32", "bf16"}, {"bf16", "f32"}, {"f32", "f16"}, {"bf16", "f16"}, {"bf16", "fp8_e4m3"},
  {"bf16", "fp8_e5m2"}, {"fp8_e4m3", "bf16"}, {"f32", "fp8_e4m3"}, {"fp8_e5m2", "f32"}, {"f32", "f64"},
  {"f64", "f32"}, {"i32", "f32"}} do
  local from = tensor(pair[1])
  local to = pah.empty(from.shape, {dtype = pair[2], device = dev})
  row(pair[1] .. " to " .. pair[2], from.nbytes + to.nbytes, function() to:copy(from) end)
end
local rows = h:view(-1, 8, 128)
local back = pah.empty({8, rows:size(1), 128}, {dtype = "bf16", device = dev})
row("contiguous of heads first, rows of 128 bf16", 2 * bytes, function() back:copy(rows:transpose(1, 2)) end)
local square = a:view(2 ^ 12, -1)
local turned = pah.empty({square:size(2), square:size(1)}, {device = dev})
row("contiguous of a transposed f32 matrix", 2 * bytes, function() turned:copy(square:transpose(1, 2)) end)
row("shifted by one bf16 (not aligned)", 2 * bytes, function()
  h2:view(-1):narrow(1, 2, h:numel() - 1):copy(h:view(-1):narrow(1, 1, h:numel() - 1))
end)
row("randn, bf16", bytes, function() pah.randn(h.shape, {seed = 1, dtype = "bf16", device = dev}):free() end)
row("randn, f32", bytes, function() pah.randn(a.shape, {seed = 1, device = dev}):free() end)
row("rand, bf16", bytes, function() pah.rand(h.shape, {seed = 1, dtype = "bf16", device = dev}):free() end)
row("randint, i32", bytes, function() pah.randint(a.shape, {high = 1000, dtype = "i32", device = dev}):free() end)
row("hash, bf16 (waits)", bytes, function() h:hash() end)
