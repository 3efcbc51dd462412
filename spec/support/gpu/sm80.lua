-- sm80.lua - the decode kernel of kernels/sm80 launched by itself on sim, with what pah.decode would refuse or does
-- not offer: several queries, trees, sinks, corrupt tables, a chosen number of runs. And what it should give, by plain
-- loops.
local ffi = require "ffi"

local M = {}

--- Kernel structs for FFI.
function M.declare_params() dofile "scripts/studies/gpu/params.lua" end

local function rows_of(t, ragged)
  local s = t.raw.stride
  if ragged then return {t:data(), 0, s[1], s[0]} end
  return {t:data(), s[0], s[1], s[2]}
end

local function fill_rows(rows, values) rows.data, rows.batch, rows.head, rows.row = unpack(values) end

local function fill_blocks(blocks, t)
  local s = t.raw.stride
  blocks.data, blocks.block, blocks.slot, blocks.head = t:data(), s[0], s[1], s[2]
end

local function ints(t) return ffi.cast("int *", t:data()) end

local function params_of(a)
  M.declare_params()
  local p, ragged = ffi.new "struct pah_attn_params", a.cu_seqlens_q ~= nil
  fill_rows(p.q, rows_of(a.q, ragged))
  fill_rows(p.out, rows_of(a.out, ragged))
  local s = a.lse.raw.stride
  fill_rows(p.lse, ragged and {a.lse:data(), 0, s[0], s[1]} or {a.lse:data(), s[0], s[1], s[2]})
  fill_blocks(p.k, a.k_blocks)
  fill_blocks(p.v, a.v_blocks)
  p.block_table, p.table_batch, p.table_block = ints(a.block_table), a.block_table.raw.stride[0], 1
  p.seqused_k, p.seqused_stride = ints(a.seqused_k), 1
  if ragged then p.cu_seqlens_q, p.cu_stride = ints(a.cu_seqlens_q), 1 end
  if a.sinks then p.sinks, p.sinks_stride = ffi.cast("float *", a.sinks:data()), 1 end
  if a.tree_mask then
    local stride = a.tree_mask.raw.stride
    p.tree_mask = ints(a.tree_mask)
    p.tree_batch, p.tree_row = ragged and 0 or stride[0], ragged and stride[0] or stride[1]
  end
  p.num_blocks, p.block_size, p.kv_heads = a.k_blocks.shape[1], a.k_blocks.shape[2], a.k_blocks.shape[3]
  p.batch, p.max_blocks, p.heads = a.block_table.shape[1], a.block_table.shape[2], a.q.shape[2]
  p.seqlen_q, p.total_q = ragged and a.q.shape[1] or a.q.shape[3], ragged and a.q.shape[1] or p.batch * a.q.shape[3]
  p.most_queries = 64
  p.num_splits, p.causal = a.num_splits or 0, a.causal and 1 or 0
  p.window_left, p.window_right = a.window and a.window[1] or -1, a.window and a.window[2] or -1
  p.softmax_scale, p.softcap, p.o_scale = a.q.shape[#a.q.shape] ^ -0.5, a.softcap or 0, 1
  return p
end

local modules = {}

--- Launches with `runs` runs for each KV head -> report (findings are not raised), the counters after it.
-- shape: {octets, team, warps}, defines more (options.cuh) in `known`; `spread`: spread.cu, with as many thread blocks.
function M.decode(a, runs, shape, options)
  local device, D, cache = a.q.device, a.q.shape[#a.q.shape], a.k_blocks.dtype
  local octets, team, warps = unpack(shape)
  local defines = {HEAD_DIM = D, ROW_OCTETS = octets, TEAM_WARPS = team, WARPS = warps, STAGES = 2, Q_T = a.q.dtype,
    KV_T = cache, OUT_T = a.out.dtype}
  local key = {D, octets, team, warps, a.q.dtype, cache}
  for _, name in ipairs {"PLAIN", "GROUP", "BLOCK_SIZE", "QUERIES", "ASIDE"} do
    defines[name] = shape.known and shape.known[name]
    key[#key + 1] = defines[name] or "-"
  end
  local source = shape.spread and "kernels/sm80/spread.cu" or "kernels/sm80/decode.cu"
  key = table.concat(key, " ") .. source
  modules[key] = modules[key] or device:compile{source = source, defines = defines}
  local p = params_of(a)
  local rows = 8 * octets * team
  local most = math.min(64, tonumber(p.seqlen_q))
  local groups = math.ceil(most * p.heads / p.kv_heads / rows) * p.kv_heads * p.batch
  local parts = shape.spread and groups * runs or a.num_splits and groups * a.num_splits or 2 * p.kv_heads * runs
  local arrivals = pah.zeros({groups}, {dtype = "i32", device = device})
  local scratch = pah.empty({parts * rows * (D + 2)}, {device = device})
  p.arrivals, p.partial_out = ffi.cast("unsigned *", arrivals:data()), ffi.cast("float *", scratch:data())
  local bytes = cache:match "^fp8" and 1 or 2
  local launch = {grid = {p.kv_heads, runs, shape.spread and p.batch or 1}, block = 32 * warps, on_finding = "report",
    shared = warps * 2 * ((bytes == 1 or D <= 64) and 32 or 16) * 2 * D * bytes}
  if defines.ASIDE == 1 then launch.shared = launch.shared + warps / team * rows * D * 4 end
  for name, value in pairs(options or {}) do launch[name] = value end
  return modules[key]:launch("decode", launch, p), arrivals
end

-- ---- What it should give ------------------------------------------------------------------------------------------

local function bit_of(word, i) return math.floor(word % 2 ^ 32 / 2 ^ i) % 2 == 1 end

local function sees(a, b, row, len_q, len_k, i, j)
  if a.tree_mask and j >= len_k - len_q then
    local n = j - (len_k - len_q)
    return bit_of(a.tree_mask:get(unpack(a.cu_seqlens_q and {row + 1, math.floor(n / 32) + 1}
      or {b, i + 1, math.floor(n / 32) + 1})), n % 32)
  end
  local diagonal = i + len_k - len_q
  if a.causal and j > diagonal then return false end
  local w = a.window
  return not w or (w[1] < 0 or j >= diagonal - w[1]) and (w[2] < 0 or j <= diagonal + w[2])
end

-- One row: out as a list, lse. `q` a list, key(j) and value(j) lists.
local function attend(q, count, visible, key, value, softcap, sink)
  local scores, top, total, out = {}, sink or -math.huge, 0, {}
  for j = 0, count - 1 do
    if visible(j) then
      local sum, k = 0, key(j)
      for d = 1, #q do sum = sum + q[d] * k[d] end
      sum = sum * (#q) ^ -0.5
      if softcap then sum = softcap * math.tanh(sum / softcap) end
      scores[j], top = sum, math.max(top, sum)
    end
  end
  for d = 1, #q do out[d] = 0 end
  for j, s in pairs(scores) do
    local weight, v = math.exp(s - top), value(j)
    total = total + weight
    for d = 1, #q do out[d] = out[d] + weight * v[d] end
  end
  if sink and top > -math.huge then total = total + math.exp(sink - top) end
  for d = 1, #q do out[d] = total > 0 and out[d] / total or 0 end
  return out, total > 0 and top + math.log(total) or -math.huge
end

--- Calls check(b, h, i, row, out, lse) for every query: b and h from 1, i from 0, row its place in ragged q from 0.
function M.each_row(a, check)
  local q, k, v = a.q:to("f32"):totable(), a.k_blocks:to("f32"):totable(), a.v_blocks:to("f32"):totable()
  local rows, lens, ragged = a.block_table:totable(), a.seqused_k:totable(), a.cu_seqlens_q and a.cu_seqlens_q:totable()
  local size, group = a.k_blocks.shape[2], a.q.shape[2] / a.k_blocks.shape[3]
  for b = 1, #lens do
    local first, len_q = ragged and ragged[b] or 0, ragged and ragged[b + 1] - ragged[b] or a.q.shape[3]
    for h = 1, a.q.shape[2] do
      local g = math.floor((h - 1) / group) + 1
      local function of(pool)
        return function(j) return pool[rows[b][math.floor(j / size) + 1] + 1][j % size + 1][g] end
      end
      for i = 0, len_q - 1 do
        local row = ragged and q[first + i + 1][h] or q[b][h][i + 1]
        local function visible(j) return sees(a, b, first + i, len_q, lens[b], i, j) end
        check(b, h, i, first + i, attend(row, lens[b], visible, of(k), of(v), a.softcap, a.sinks and a.sinks:get(h)))
      end
    end
  end
end

return M
