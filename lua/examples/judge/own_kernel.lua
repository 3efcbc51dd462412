-- own_kernel: the decode kernel of own_kernel.cu (f32, one query, no mask), on the simulated GPU or a real one
local dev = pah.device(os.getenv "PAH_DEVICE" or "sim")
local path = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local modules = {} -- by head_dim

local function run(a, case)
  local D, k = case.D, a.k_blocks.shape
  modules[D] = modules[D] or dev:compile{source = path .. "../own_kernel.cu", defines = {HEAD_DIM = D}}
  if #case.len_k == 0 then return end -- nothing to launch
  modules[D]:launch("own_decode", {grid = {case.H, #case.len_k}, block = D}, a.out, a.lse, a.q, a.k_blocks, a.v_blocks,
    a.block_table, a.seqused_k, case.H, k[3], k[2], a.block_table:size(2), a.softmax_scale)
end

return {
  op = "decode", device = dev, run = run,
  supports = {
    dtype = "f32", cache_dtype = "f32", len_q = {1}, causal = true, -- one query: causal hides nothing
    D = function(D) return D >= 32 end, Dv = false, -- a thread for each element, at least a tile of them
    window = false, softcap = false, sinks = false, tree = false, ragged = false, mla = false, layout = false,
    k_descale = false, v_descale = false,
  },
}
