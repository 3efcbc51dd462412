-- ptx.lua - what the specs of PTX instructions share: words to and from a device, numbers of small formats, modules.
local bit = require "bit"
local ffi = require "ffi"

local M = {}

local word = ffi.new "union { float f; uint32_t u; int32_t i; }"

function M.f32(code)
  if code % 2 ^ 31 > 0x7f800000 then return 0 / 0 end -- LuaJIT must not see the payload of a NaN
  word.u = code
  return tonumber(word.f)
end

--- NaN as tensor cores write it.
function M.f32_code(x)
  if x ~= x then return 0x7fffffff end
  word.f = x
  return tonumber(word.u)
end

--- The value of a code: sign, exponent, mantissa. `fn`: the top exponent is numbers too, but for the last code.
function M.decode(code, exponent_bits, mantissa_bits, fn)
  local top = 2 ^ exponent_bits - 1
  local mantissa = code % 2 ^ mantissa_bits
  local exponent = math.floor(code / 2 ^ mantissa_bits) % 2 ^ exponent_bits
  local sign = math.floor(code / 2 ^ (exponent_bits + mantissa_bits)) % 2 == 1 and -1 or 1
  local bias = math.floor(top / 2)
  if fn and exponent == top and mantissa == 2 ^ mantissa_bits - 1 then return 0 / 0 end
  if not fn and exponent == top then return mantissa ~= 0 and 0 / 0 or sign / 0 end
  if exponent == 0 then return sign * mantissa * 2 ^ (1 - bias - mantissa_bits) end
  return sign * (mantissa + 2 ^ mantissa_bits) * 2 ^ (exponent - bias - mantissa_bits)
end

local decode = M.decode
M.forms = {
  bf16 = {bits = 16, value = function(c) return decode(c, 8, 7) end},
  f16 = {bits = 16, value = function(c) return decode(c, 5, 10) end},
  tf32 = {bits = 32, value = function(c) return M.f32(bit.band(c, -8192) % 2 ^ 32) end},
  e4m3 = {bits = 8, value = function(c) return decode(c, 4, 3, true) end},
  e5m2 = {bits = 8, value = function(c) return decode(c, 5, 2) end},
  s8 = {bits = 8, value = function(c) return c < 128 and c or c - 256 end},
}

--- A stream of random 32-bit words.
function M.stream(seed)
  local state = seed
  return function()
    state = (state * 1103515245 + 12345) % 2 ^ 31
    local high = math.floor(state / 2 ^ 15)
    state = (state * 1103515245 + 12345) % 2 ^ 31
    return high * 2 ^ 16 + math.floor(state / 2 ^ 15)
  end
end

-- Of a word, the bits that stay free, and the bits that are set: numbers from 1 to 2 with few bits, of either sign.
local simple = {
  bf16 = {0x80708070, 0x3f803f80}, f16 = {0x83008300, 0x3c003c00}, tf32 = {0x80700000, 0x3f800000},
  e4m3 = {0x87878787, 0x38383838}, e5m2 = {0x83838383, 0x3c3c3c3c}, s8 = {0xffffffff, 0},
}

--- A word of numbers of this form whose products and sums are exact in f32 (s8: any).
function M.simple(random, form)
  local masks = simple[form]
  return bit.bor(bit.band(random(), masks[1]), masks[2]) % 2 ^ 32
end

--- Element e of a register that holds several of `bits` bits.
function M.element(register, e, bits)
  if bits == 32 then return register end
  return math.floor(register / 2 ^ (bits * e)) % 2 ^ bits
end

--- 32-bit words as a tensor on the device, and back.
function M.words(list, device)
  local t = pah.empty({#list}, {dtype = "i32", device = "cpu"})
  local data = ffi.cast("uint32_t *", t:data())
  for i, x in ipairs(list) do data[i - 1] = x end
  return t:to(device)
end

function M.read(t)
  local host, list = t:to(pah.device "cpu"), {}
  local data = ffi.cast("uint32_t *", host:data())
  for i = 1, host.nbytes / 4 do list[i] = tonumber(data[i - 1]) end
  return list
end

-- cuda where there is a GPU (of sm_90, when `hopper`), then sim.
local function devices(hopper)
  local list = {}
  for _, d in ipairs(pah.devices()) do
    if d.usable and d.name:match "^cuda" then
      local device = pah.device(d.name)
      if not hopper or device:info().arch:match "^sm_90" then list[#list + 1] = device end
    end
  end
  list[#list + 1] = pah.device "sim:sm_90a"
  return list
end

function M.each_device(f, hopper)
  for _, device in ipairs(devices(hopper)) do f(device, device.name) end
end

--- The set of codes of a report's findings: {race = true}.
function M.codes_of(report)
  local codes = {}
  for _, finding in ipairs(report.findings) do codes[finding.code] = true end
  return codes
end

local modules = {}

--- A file of spec/kernels, compiled once.
function M.compiled(device, file, defines, kernels)
  local key = {device.name, file, kernels and table.concat(kernels, ";") or ""}
  for k, v in pairs(defines or {}) do key[#key + 1] = k .. "=" .. tostring(v) end
  table.sort(key)
  key = table.concat(key, " ")
  modules[key] = modules[key] or
    device:compile{source = "spec/kernels/" .. file, include = {"kernels"}, defines = defines, kernels = kernels}
  return modules[key]
end

return M
