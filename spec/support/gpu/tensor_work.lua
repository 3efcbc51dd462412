-- tensor_work.lua - work on tensors that a device must do with the bits of the cpu: a list of {name =, run =}, where
-- run(device) gives a tensor whose bits are compared. Used for sim by gpu/tensor_kernels_spec.lua and for cuda by
-- driver/cuda_cases.lua.
local ffi = require "ffi"

local M = {}

M.dtypes = {"f32", "f64", "f16", "bf16", "fp8_e4m3", "fp8_e5m2", "i32", "i64", "u8"}
local codes = {f16 = "uint16_t", bf16 = "uint16_t", fp8_e4m3 = "uint8_t", fp8_e5m2 = "uint8_t", u8 = "uint8_t"}

local function add(name, run) M[#M + 1] = {name = name, run = run} end

-- Every code of the small types.
local function every_code(dtype)
  local count = codes[dtype] == "uint8_t" and 256 or 65536
  local memory = ffi.new(codes[dtype] .. "[?]", count)
  for i = 0, count - 1 do memory[i] = i end
  return pah.from(memory, {count}, {dtype = dtype, device = "cpu"}):clone()
end

-- What rounding can go wrong at: the numbers of the small types, the middles between them and what is next to those, in
-- f64 or in f32; random bits too, which are mostly huge, tiny or NaN.
local function edges(dtype)
  local values = {0, -0.0, 1 / 0, -1 / 0, 0 / 0, 2 ^ 31, -2 ^ 31, 2 ^ 31 - 1, 2 ^ 63, -2 ^ 63, 255.5, 256, -0.5, 3e38,
    2 ^ -149, 2 ^ -150, 2 ^ -1074, 1e308, 65519.99, 65520, 448, 464, 480, 57344, 61440}
  for _, small in ipairs {"fp8_e4m3", "fp8_e5m2", "f16", "bf16"} do
    local numbers = every_code(small):to("f64"):totable()
    local step = #numbers == 256 and 1 or 97
    for i = 1, #numbers - step, step do
      local a, b = numbers[i], numbers[i + 1]
      local middle = (a + b) / 2
      for _, x in ipairs {a, middle, middle * (1 + 2 ^ -23), middle * (1 - 2 ^ -23), middle * (1 + 2 ^ -52)} do
        values[#values + 1] = x
      end
    end
  end
  local count, size = 2000, dtype == "f64" and 8 or 4
  local bits = pah.randint({count}, {dtype = "i64", seed = 5, low = -2LL ^ 62, high = 2LL ^ 62, device = "cpu"})
  local memory = ffi.cast(dtype == "f64" and "double *" or "float *", bits:data())
  local random = pah.from(memory, {count * 8 / size}, {dtype = dtype, device = "cpu"}):clone()
  local all = pah.empty({#values + random:numel()}, {dtype = dtype, device = "cpu"})
  all:narrow(1, 1, #values):copy(pah.tensor(values, {dtype = dtype, device = "cpu"}))
  all:narrow(1, #values + 1, random:numel()):copy(random)
  return all
end

local function source(dtype)
  if codes[dtype] then return every_code(dtype) end
  if dtype == "f32" or dtype == "f64" then return edges(dtype) end
  local far = dtype == "i64" and 2LL ^ 62 or 2 ^ 31 - 1
  return pah.randint({3001}, {dtype = dtype, seed = 6, low = -far, high = far, device = "cpu"})
end

for _, from in ipairs(M.dtypes) do
  local x -- made when the first case needs it
  for _, to in ipairs(M.dtypes) do
    add(("%s to %s"):format(from, to), function(device)
      x = x or source(from)
      local there = x:to(device)
      return to == from and there:clone() or there:to(to)
    end)
  end
end

-- Lengths around every width of an access; addresses that are aligned to one element only.
for _, dtype in ipairs(M.dtypes) do
  for _, n in ipairs {0, 1, 3, 16, 17, 1025, 4099} do
    add(("%d of %s"):format(n, dtype), function(device)
      local all = pah.full({3, n + 3}, 7, {dtype = dtype, device = device})
      all:select(1, 1):narrow(1, 2, n):fill(5)
      local x = pah.randint({n}, {dtype = dtype, low = 0, high = 8, seed = n, device = device})
      all:select(1, 2):narrow(1, 2, n):copy(x)
      all:select(1, 3):narrow(1, 1, n):copy(x:to(dtype == "f32" and "bf16" or "f32"))
      return all
    end)
    add(("random numbers, %d of %s"):format(n, dtype), function(device)
      local all = pah.zeros({3, n + 1}, {dtype = dtype, device = device})
      all:select(1, 1):narrow(1, 1, n):copy(pah.randn({n}, {dtype = dtype, seed = 2 ^ 33 + 1, device = device}))
      local low = dtype == "u8" and 0 or -2.5 -- integers too
      local part = {dtype = dtype, low = low, high = 9, seed = 3, device = device}
      all:select(1, 2):narrow(1, 1, n):copy(pah.rand({n}, part))
      part.low, part.high = 0, 7
      all:select(1, 3):narrow(1, 1, n):copy(pah.randint({n}, part))
      return all
    end)
  end
end
add("whole numbers of all 64 bits", function(device)
  return pah.randint({500}, {dtype = "i64", low = -2LL ^ 62, high = 2LL ^ 62, seed = 9, device = device})
end)

-- Views: what lies between the elements stays.
local function whole(device, dtype, ...)
  return pah.randint({...}, {dtype = dtype, low = 0, high = 8, seed = select("#", ...), device = device})
end

add("a transposed copy", function(device)
  return whole(device, "bf16", 37, 65):transpose(1, 2):contiguous()
end)
for _, dtype in ipairs {"u8", "bf16", "i32", "f64"} do -- in tiles of 32 x 32, some cut
  add("turned matrices of " .. dtype, function(device)
    return whole(device, dtype, 3, 70, 2, 33):permute(1, 4, 3, 2):contiguous()
  end)
  add("into a part of a wider matrix, turned, of " .. dtype, function(device)
    local to = whole(device, dtype, 2, 40, 100)
    to:narrow(3, 5, 64):copy(whole(device, dtype, 2, 64, 45):narrow(3, 2, 40):transpose(2, 3))
    return to
  end)
end
add("into a transposed view, converted", function(device)
  local to = whole(device, "f32", 20, 33)
  to:transpose(1, 2):narrow(1, 3, 7):copy(whole(device, "f16", 7, 20))
  return to
end)
add("eight dimensions", function(device)
  return whole(device, "f16", 2, 3, 2, 2, 1, 3, 2, 5):permute(8, 2, 3, 1, 5, 7, 6, 4):to "f32"
end)
add("no dimension", function(device) return pah.full({}, 3, {dtype = "bf16", device = device}):clone() end)
add("an expanded source", function(device)
  return whole(device, "u8", 1, 40):expand(9, 40):to "fp8_e5m2"
end)
add("a view with steps of rows of 128", function(device)
  local to = whole(device, "bf16", 6, 4, 128)
  to:select(2, 3):copy(whole(device, "bf16", 6, 2, 128):select(2, 2))
  return to
end)
add("rows of random numbers in a wider tensor", function(device)
  local C = require("pah.ffi").C
  local to = whole(device, "f32", 9, 11)
  assert(C.pah_tensor_randn(to:narrow(2, 3, 5).raw, 4, 1, 2) == 0)
  assert(C.pah_tensor_rand(to:narrow(2, 8, 3).raw, 4, 1, 2) == 0)
  return to
end)
for _, dtype in ipairs {"u8", "bf16", "f32", "f64"} do
  add("copies of " .. dtype .. " whose source and destination lie differently between words", function(device)
    local count, all = 9000, pah.zeros({5 * 9100}, {dtype = dtype, device = device})
    local from = pah.randint({9100}, {dtype = "i64", low = 0, high = 200, seed = 3, device = device}):to(dtype)
    for i, shift in ipairs {{0, 1}, {1, 0}, {3, 7}, {15, 2}, {1, 1}} do
      all:narrow(1, (i - 1) * 9100 + 1 + shift[1], count):copy(from:narrow(1, 1 + shift[2], count))
    end
    return all
  end)
end
add("a copy onto itself, shifted, both ways and transposed", function(device)
  local x = whole(device, "f32", 300)
  x:narrow(1, 2, 299):copy(x:narrow(1, 1, 299))
  x:narrow(1, 1, 250):copy(x:narrow(1, 51, 250))
  local square = x:narrow(1, 1, 289):view(17, 17)
  square:copy(square:transpose(1, 2))
  return x
end)
add("elements 64 MiB apart", function(device)
  local x = pah.empty({3, 2 ^ 26}, {dtype = "u8", device = device}):narrow(2, 2 ^ 25, 2)
  x:fill(3)
  x:select(2, 2):copy(whole(device, "i32", 3))
  return x:clone()
end)

-- Random shapes, permutations and parts, with different strides on both sides.
local function view(random, device, dtype, shape)
  local ndim, order, sizes = #shape, {}, {}
  for d = 1, ndim do table.insert(order, random(d), d) end
  for d = 1, ndim do sizes[d] = shape[order[d]] + random(3) - 1 end
  local all = pah.randint(sizes, {dtype = dtype, low = 0, high = 8, seed = random(100), device = device})
  local back = {}
  for d = 1, ndim do back[order[d]] = d end
  local part = all:permute(unpack(back))
  for d = 1, ndim do
    local room = part:size(d) - shape[d]
    part = part:narrow(d, 1 + (room > 0 and random(room + 1) - 1 or 0), shape[d])
  end
  return all, part
end

for seed = 1, 60 do
  add("random views " .. seed, function(device)
    local state = seed
    local function random(n)
      state = (state * 1103515245 + 12345) % 2 ^ 31
      return math.floor(state / 2 ^ 12) % n + 1
    end
    local shape, sizes = {}, {1, 2, 3, 4, 8, 16, 19}
    for d = 1, random(4) do shape[d] = sizes[random(#sizes)] end
    local _, from = view(random, device, M.dtypes[random(#M.dtypes)], shape)
    local to, part = view(random, device, M.dtypes[random(#M.dtypes)], shape)
    part:copy(from)
    return to
  end)
end

return M
