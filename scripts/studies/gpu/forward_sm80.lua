-- forward_sm80.lua - kernels/sm80/forward/forward.cu launched by itself with sizes of your choice, as
-- src/gpu/forward_sm80.c does it: for variants of forward.lua that define M_TILES.
local ffi = require "ffi"

local M = {}

--- Fills in struct place_units of kernels/places.cuh: the pool has no gaps between heads.
function M.units(u, pool)
  local s, d = pool.strides, pool:size(4)
  u.bytes, u.block, u.slot, u.head = 2 * d, s[1] / d, s[2] / d, s[3] / d
end

ffi.cdef "struct place_units { unsigned bytes, block, slot, head; };"

local function padded(dim) return math.ceil(dim / 64) * 64 end

--- Compiles for the problem `a` (arguments of pah.fwd) and the defines `config`.
function M.compile(device, a, config)
  local defines = {TILE_N = 64, M_TILES = 2, WARPS = 4, SLOTS = 3}
  for key, value in pairs(config) do defines[key] = value end
  defines.IO_T, defines.DIM, defines.DIM_V = a.q.dtype, a.k_blocks:size(4), a.v_blocks:size(4)
  if a.softcap and a.softcap > 0 then defines.SOFTCAP = 1 end
  if a.tree_mask then defines.TREE = 1 end
  local module = device:compile{source = "kernels/sm80/forward/forward.cu", defines = defines, include = {"kernels"}}
  return {module = module, d = defines, name = "forward_sm80"}
end

--- A function that launches it. p: struct pah_attn_params.
function M.prepare(kernel, a, p)
  local d, block_size = kernel.d, a.k_blocks:size(2)
  if not pcall(ffi.typeof, "struct sm80_sizes") then
    ffi.cdef "struct sm80_sizes { struct place_units k, v; int tile_blocks, tile_slots; };"
  end
  local n = ffi.new "struct sm80_sizes"
  M.units(n.k, a.k_blocks)
  M.units(n.v, a.v_blocks)
  n.tile_blocks, n.tile_slots = math.floor(d.TILE_N / block_size), d.TILE_N % block_size
  local rows, pack, dim, dim_v = 16 * d.M_TILES * d.WARPS, d.PACK or 1, padded(d.DIM), padded(d.DIM_V)
  local tiles = a.cu_seqlens_q and math.floor(tonumber(p.total_q) * pack / rows) + p.batch or
    math.ceil(p.seqlen_q * pack / rows) * p.batch
  local launch = {
    grid = tonumber(tiles * p.heads / pack), block = 32 * d.WARPS,
    shared = 2 * (rows * dim + d.SLOTS * d.TILE_N * math.max(dim, dim_v)),
  }
  return function() return kernel.module:launch("forward_sm80", launch, p, n) end
end

return M
