-- decode_half.lua - the ways there are on this machine to decode fp8 caches by f16: the processor's own instructions
-- (cpu:avx512fp16), and the same kernels with those instructions written out (f16_model.c), which any processor with
-- AVX512-BF16 and GFNI can run. A way is {name=, decode= as pah.decode of tensors on the cpu}.
local args_of = require "pah.attention.args"
local attention = require "pah.attention"
local ffi = require "ffi"
local tensor = require "pah.tensor"

local C, check = require("pah.ffi").C, require("pah.ffi").check

local M = {}

ffi.cdef "int f16_model_decode(const struct pah_attn *a);"

local FLAGS = "-std=gnu11 -O1 -shared -fPIC -fopenmp -ffp-contract=fast -fno-math-errno -mavx2 -mfma -mf16c -mavx512f "
  .. "-mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mavx512bf16 -mgfni -Isrc"

local function processor_has(flag)
  for line in io.lines "/proc/cpuinfo" do
    if line:match "^flags" then return (line .. " "):find(" " .. flag .. " ", 1, true) ~= nil end
  end
  return false
end

-- The library of the model, or nil where it cannot be built or run: a bundle has no C sources.
local function build()
  if C.pah_isa_usable "avx512bf16" == 0 or not processor_has "gfni" then return nil end
  local source = io.open "src/cpu/decode/run.h"
  if not source then return nil end
  source:close()
  local path = os.tmpname()
  local command = ("gcc %s -o %s spec/cpu/model/f16_model.c 2>&1"):format(FLAGS, path)
  local pipe = io.popen(command .. "; echo \"exit $?\"")
  local words = pipe:read "*a"
  pipe:close()
  local library = words:match "exit 0%s*$" and ffi.load(path)
  os.remove(path)
  -- An older gcc, clang by that name or none: nothing to be had. What gcc 12 and later refuse is a mistake of ours.
  local version = io.popen "{ gcc -dumpversion; gcc -dM -E - </dev/null | grep -c __clang__; } 2>/dev/null"
  local major, clang = version:read "*l", version:read "*l"
  version:close()
  if not library and tonumber((major or ""):match "^%d+" or 0) >= 12 and clang == "0" then
    error("f16_model.c: " .. words, 0)
  end
  return library
end

local function model(library)
  return function(args)
    local named = {}
    for name, value in pairs(args) do named[name] = value end
    named.out = named.out or tensor.new(args.q.shape, args.q.dtype, args.q.device)
    local a, keep = args_of.fill("decode", "decode", named)
    named.lse = tensor.new(attention.lse_shape(a), "f32", args.q.device)
    a.lse = named.lse.raw
    check(C.pah_attn_check_inputs(args_of.ops.decode, a, 0))
    check(library.f16_model_decode(a))
    return named.out, named.lse, keep
  end
end

--- The ways that can be taken here.
function M.ways()
  local ways = {}
  if C.pah_isa_usable "avx512fp16" ~= 0 then
    ways[1] = {name = "the processor", decode = function(args)
      local there = {}
      for name, x in pairs(args) do there[name] = pah.is_tensor(x) and x:to "cpu:avx512fp16" or x end
      local out, lse = pah.decode(there)
      return out:to "cpu", lse:to "cpu"
    end}
  end
  local library = build()
  if library then ways[#ways + 1] = {name = "the model", decode = model(library)} end
  return ways
end

return M
