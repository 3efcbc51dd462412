-- c_function: a C function (c_function.c), compiled here and called through ffi.load
local ffi = require "ffi"

ffi.cdef [[
void attention(float *out, float *lse, const float *q, const float *k_blocks, const float *v_blocks,
               const int32_t *block_table, const int32_t *seqused_k, const int64_t *sizes, int causal, float scale,
               float softcap);
]]
local source = (debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "c_function.c"
local library = os.tmpname()
assert(os.execute(("${CC:-cc} -O2 -shared -fPIC -o %s '%s' -lm"):format(library, source)) == 0, "no C compiler")
local C = ffi.load(library)
os.remove(library)

local function run(a)
  local q, k = a.q.shape, a.k_blocks.shape
  local queries = #q == 4 and q[3] or 1
  local sizes = ffi.new("int64_t[7]", q[1], q[2], queries, k[4], k[3], k[2], a.block_table.shape[2])
  C.attention(a.out:data(), a.lse:data(), a.q:data(), a.k_blocks:data(), a.v_blocks:data(), a.block_table:data(),
    a.seqused_k:data(), sizes, a.causal and 1 or 0, a.softmax_scale, a.softcap or 0)
end

local supports = {
  dtype = "f32", cache_dtype = "f32", causal = true, window = false, sinks = false, tree = false, ragged = false,
  mla = false, layout = false, layout_q = false, k_descale = false, v_descale = false,
  Dv = false,
}
local invariant = {"repeat", "batch", "blocks", "block_size"}
return {
  {op = "decode", device = "cpu", run = run, supports = supports, invariant = invariant},
  {op = "fwd", device = "cpu", run = run, supports = supports, invariant = invariant},
}
