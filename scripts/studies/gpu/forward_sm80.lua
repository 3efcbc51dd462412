-- forward_sm80.lua - kernels/sm80/forward/forward.cu and kernels/simt/forward.cu launched by themselves with sizes of
-- your choice, as src/gpu/fast/forward_sm80.c does it: for variants of forward.lua of kernel = "sm80", "tf32", "simt".
local ffi = require "ffi"

local M = {}

--- Fills in struct place_units of kernels/places.cuh: the pool has no gaps between heads.
function M.units(u, pool)
  local s, d = pool.strides, pool:size(4)
  local size = pool.dtype == "f32" and 4 or pool.dtype:match "^fp8" and 1 or 2
  u.bytes, u.block, u.slot, u.head = size * d, s[1] / d, s[2] / d, s[3] / d
end

ffi.cdef "struct place_units { unsigned bytes, block, slot, head; };"

--- Whether a variant of forward.lua is of these kernels.
function M.is(variant) return variant.kernel == "sm80" or variant.kernel == "tf32" or variant.kernel == "simt" end

--- Compiles for the problem `a` (arguments of pah.fwd) and the defines `config`.
function M.compile(device, a, config, name)
  local defines = {TILE_N = 64, WARPS = 4, SLOTS = name == "simt" and 2 or 3}
  if name ~= "simt" then defines.M_TILES = 2 end
  if name == "tf32" then defines.TF32 = 1 end
  for key, value in pairs(config) do defines[key] = value end
  defines.IO_T, defines.DIM, defines.DIM_V = a.q.dtype, a.k_blocks:size(4), a.v_blocks:size(4)
  if a.softcap and a.softcap > 0 then defines.SOFTCAP = 1 end
  if a.tree_mask then defines.TREE = 1 end
  local source = name == "simt" and "kernels/simt/forward.cu" or "kernels/sm80/forward/forward.cu"
  local module = device:compile{source = source, defines = defines, include = {"kernels"}}
  return {module = module, d = defines, name = name == "simt" and "forward_simt" or "forward_sm80"}
end

--- A function that launches it. p: struct pah_attn_params.
function M.prepare(kernel, a, p)
  local d, block_size = kernel.d, a.k_blocks:size(2)
  if not pcall(ffi.typeof, "struct fetch_sizes") then
    ffi.cdef "struct fetch_sizes { struct place_units k, v; int tile_blocks, tile_slots; };"
  end
  local n = ffi.new "struct fetch_sizes"
  M.units(n.k, a.k_blocks)
  M.units(n.v, a.v_blocks)
  n.tile_blocks, n.tile_slots = math.floor(d.TILE_N / block_size), d.TILE_N % block_size
  local simt = kernel.name == "forward_simt"
  local rows, pack = 16 * (d.M_TILES or 1) * d.WARPS, d.PACK or 1
  local function bytes(dim) return math.ceil(dim * (d.IO_T == "f32" and 4 or 2) / 128) * 128 end
  local tiles = a.cu_seqlens_q and math.floor(tonumber(p.total_q) * pack / rows) + p.batch or
    math.ceil(p.seqlen_q * pack / rows) * p.batch
  local launch = {
    grid = tonumber(tiles * p.heads / pack), block = 32 * d.WARPS,
    shared = rows * bytes(d.DIM) + d.SLOTS * d.TILE_N * bytes(math.max(d.DIM, d.DIM_V)) +
      (simt and rows * d.TILE_N * 4 or 0),
  }
  return function() return kernel.module:launch(kernel.name, launch, p, n) end
end

return M
