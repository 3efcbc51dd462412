-- random.lua - tensors of random numbers: pah.randn, rand, randint, randperm.
-- Element i of a seed has the same bits on every device and for every number of threads (src/tensor/random.c).
-- Without a seed a counter is used that starts at $PAH_SEED, else 0, so that a script run twice draws the same numbers.
local ffi = require "ffi"
local errors = require "pah.errors"
local tensor = require "pah.tensor"
local binding = require "pah.ffi"
local C, check = binding.C, binding.check

local M = {}

local next_seed = tonumber(os.getenv "PAH_SEED" or "") or 0

-- A seed as uint64: a whole number >= 0, a 64-bit cdata, or nil for the counter.
local function seed_of(what, seed)
  if seed == nil then
    next_seed = next_seed + 1
    return next_seed - 1
  end
  if type(seed) == "cdata" and tonumber(seed) then return seed end
  if type(seed) ~= "number" or seed % 1 ~= 0 or seed < 0 or seed > 2 ^ 53 then
    errors.raisef("%s: seed is %s, must be a whole number from 0 to 2^53", what, tostring(seed))
  end
  return seed
end

local function number_of(what, value, default)
  if value == nil then return default end
  if type(value) ~= "number" then errors.raisef("%s is a %s, must be a number", what, type(value)) end
  return value
end

local keys = {
  randn = {dtype = 1, device = 1, seed = 1, scale = 1, mean = 1},
  rand = {dtype = 1, device = 1, seed = 1, low = 1, high = 1, scale = 1},
  randint = {dtype = 1, device = 1, seed = 1, low = 1, high = 1},
  randperm = {dtype = 1, device = 1, seed = 1},
}

--- Normal numbers, mean 0 and standard deviation `scale` (1); opts: seed, scale, mean, dtype, device.
local function randn(shape, opts)
  errors.check_keys("randn", opts, keys.randn)
  opts = opts or {}
  local mean, scale = number_of("randn: mean", opts.mean, 0), number_of("randn: scale", opts.scale, 1)
  local seed = seed_of("randn", opts.seed)
  local t = tensor.construct("randn", shape, opts, keys.randn)
  check(C.pah_tensor_randn(t.raw, seed, mean, scale))
  return t
end

--- Uniform numbers in [low, high), by default [0, 1), all times `scale` (1); opts: seed, low, high, scale, dtype,
--- device.
local function rand(shape, opts)
  errors.check_keys("rand", opts, keys.rand)
  opts = opts or {}
  local scale = number_of("rand: scale", opts.scale, 1)
  local low, high = number_of("rand: low", opts.low, 0) * scale, number_of("rand: high", opts.high, 1) * scale
  local seed = seed_of("rand", opts.seed)
  local t = tensor.construct("rand", shape, opts, keys.rand)
  check(C.pah_tensor_rand(t.raw, seed, low, high))
  return t
end

local function with_dtype(what, opts, dtype)
  errors.check_keys(what, opts, keys[what])
  local copy = {}
  for key, value in pairs(opts or {}) do copy[key] = value end
  if copy.dtype == nil then copy.dtype = dtype end
  return copy
end

--- Whole numbers low <= x < high: randint(low, high, shape, opts), or randint(shape, {low=, high=, ...}); i64 by
--- default.
local function randint(low, high, shape, opts)
  if type(low) == "table" then
    shape, opts = low, high
    errors.check_keys("randint", opts, keys.randint)
    low, high = opts and opts.low or 0, opts and opts.high
  end
  opts = with_dtype("randint", opts, "i64")
  local exact = {low = low, high = high}
  for name, value in pairs {low = low == nil and "nothing" or low, high = high == nil and "nothing" or high} do
    local is_exact = ffi.istype("int64_t", value) or ffi.istype("uint64_t", value)
    if not is_exact then exact[name] = tensor.whole("randint: " .. name, value) end
  end
  local seed = seed_of("randint", opts.seed)
  local t = tensor.construct("randint", shape, opts, keys.randint)
  check(C.pah_tensor_randint(t.raw, seed, exact.low, exact.high))
  return t
end

--- A random permutation of 0 to n-1; i64 by default.
local function randperm(n, opts)
  opts = with_dtype("randperm", opts, "i64")
  local seed = seed_of("randperm", opts.seed)
  local t = tensor.construct("randperm", {tensor.whole("randperm: n", n)}, opts, keys.randperm)
  check(C.pah_tensor_randperm(t.raw, seed))
  return t
end

M.exports = {randn = randn, rand = rand, randint = randint, randperm = randperm}

return M
