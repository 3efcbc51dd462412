-- gpu_forward_variant.lua - launches kernels/sm90/forward.cu by itself, compiled with sizes of one's choice: for
-- gpu_forward.lua, which compares them. pah.fwd does the same in src/gpu/forward_sm90.c.
local ffi = require "ffi"

local M = {}

-- Kernel structs for FFI: params.h without its preprocessor lines.
local function declare_params()
  if not pcall(ffi.typeof, "struct sm90_sizes") then
    ffi.cdef "struct sm90_sizes { int box, head_dim, head_dim_v; };"
  end
  if pcall(ffi.typeof, "struct pah_attn_params") then return end
  local lines = {}
  for line in io.lines "kernels/params.h" do
    if not line:match "^#" then lines[#lines + 1] = line end
  end
  ffi.cdef(table.concat(lines, "\n"))
end

local function gcd(a, b)
  while b > 0 do a, b = b, a % b end
  return a
end

--- Compiles for the problem `a` (arguments of pah.fwd) and the defines `config`: TILE_N, CONSUMERS, STAGES, PACK, ...
function M.compile(device, a, config)
  local defines = {TILE_N = 128, STAGES = 2}
  for key, value in pairs(config or {}) do defines[key] = value end
  defines.IO_T = a.q.dtype
  defines.HEAD_DIM = math.ceil(a.k_blocks:size(4) / 64) * 64
  defines.HEAD_DIM_V = math.ceil(a.v_blocks:size(4) / 64) * 64
  local box = gcd(a.k_blocks:size(2), defines.TILE_N)
  if box % 8 ~= 0 then defines.GATHER, box = 1, 8 end
  if a.softcap and a.softcap > 0 then defines.SOFTCAP = 1 end
  if a.tree_mask then defines.TREE = 1 end
  local module = device:compile{source = "kernels/sm90/forward.cu", defines = defines, include = {"kernels"}}
  return {module = module, d = defines, device = device, box = box}
end

local function pointer(t) return t and t:data() or nil end

-- [B, H, Sq, D], whatever q's form.
local function with_batch(t, ragged)
  if not ragged then return t end
  local total, heads, d = t:size(1), t:size(2), t:size(3)
  return t:view(1, total, heads, d):transpose(2, 3)
end

local function rows(field, t, ragged, lse)
  local s = t.strides
  field.data = t:data()
  if not ragged then
    field.batch, field.head, field.row = s[1], s[2], s[3]
  elseif lse then
    field.batch, field.head, field.row = 0, s[1], s[2]
  else
    field.batch, field.head, field.row = 0, s[2], s[1]
  end
end

local function blocks(field, t)
  field.data, field.block, field.slot, field.head = t:data(), t.strides[1], t.strides[2], t.strides[3]
end

local causal = {[false] = 0, [true] = 1, ["bottom-right"] = 1, ["top-left"] = 2}

function M.params(a, out, lse)
  declare_params()
  local p, ragged = ffi.new "struct pah_attn_params", a.cu_seqlens_q ~= nil
  rows(p.q, a.q, ragged)
  rows(p.out, out, ragged)
  rows(p.lse, lse, ragged, true)
  blocks(p.k, a.k_blocks)
  blocks(p.v, a.v_blocks)
  p.block_table = ffi.cast("const int *", pointer(a.block_table))
  p.table_batch, p.table_block = a.block_table.strides[1], a.block_table.strides[2]
  if ragged then p.cu_seqlens_q, p.cu_stride = ffi.cast("const int *", pointer(a.cu_seqlens_q)), 1 end
  if a.seqused_k then p.seqused_k, p.seqused_stride = ffi.cast("const int *", pointer(a.seqused_k)), 1 end
  if a.sinks then p.sinks, p.sinks_stride = ffi.cast("const float *", pointer(a.sinks)), 1 end
  if a.tree_mask then
    p.tree_mask = ffi.cast("const int *", pointer(a.tree_mask))
    p.tree_batch, p.tree_row = ragged and 0 or a.tree_mask.strides[1], a.tree_mask.strides[ragged and 1 or 2]
  end
  p.num_blocks, p.block_size, p.max_blocks = a.k_blocks:size(1), a.k_blocks:size(2), a.block_table:size(2)
  p.seqlen_k = a.seqlen_k or p.max_blocks * p.block_size
  p.batch, p.heads, p.kv_heads = a.block_table:size(1), a.q:size(2), a.k_blocks:size(3)
  p.seqlen_q = ragged and a.q:size(1) or a.q:size(3)
  p.total_q = ragged and a.q:size(1) or p.batch * p.seqlen_q
  p.causal = causal[a.causal or false]
  p.window_left, p.window_right = -1, -1
  if a.window then p.window_left, p.window_right = a.window[1], a.window[2] end
  p.softmax_scale = a.softmax_scale or 1 / math.sqrt(a.q:size(a.q:dim()))
  p.softcap, p.o_scale = a.softcap or 0, 1
  return p
end

--- A function that launches it, and the out and lse that it fills. grid: thread blocks (default: multiprocessors).
function M.prepare(kernel, a, out, lse, options)
  options = options or {}
  local d, ragged = kernel.d, a.cu_seqlens_q ~= nil
  local consumers, pack, dim = d.CONSUMERS or 2, d.PACK or 1, d.HEAD_DIM
  local tile_m = 64 * consumers
  declare_params()
  local n = ffi.new("struct sm90_sizes", kernel.box, a.k_blocks:size(4), a.v_blocks:size(4))
  local p = M.params(a, out, lse)
  local q = with_batch(a.q, ragged)
  local q_map = pack > 1 and pah.tensor_map(q:transpose(2, 3), {box = {1, tile_m / pack, pack, 64}, swizzle = 128}) or
    pah.tensor_map(q, {box = {1, 1, tile_m, 64}, swizzle = 128})
  local box = {box = {1, kernel.box, 1, 64}, swizzle = 128}
  local k_map, v_map = pah.tensor_map(a.k_blocks, box), pah.tensor_map(a.v_blocks, box)
  local shared = tile_m * dim * 2 + d.STAGES * d.TILE_N * (dim + d.HEAD_DIM_V) * 2
  local tiles = ragged and math.floor(tonumber(p.total_q) * pack / tile_m) + p.batch or
    math.ceil(p.seqlen_q * pack / tile_m) * p.batch
  local items = tonumber(tiles * p.heads / pack)
  local grid = math.min(options.grid or kernel.device:info().sms or 4, items)
  local launch = {grid = grid, block = tile_m * 2 + 128, shared = shared, on_finding = options.on_finding}
  return function() return kernel.module:launch("forward_sm90", launch, p, n, q_map, k_map, v_map) end
end

return M
