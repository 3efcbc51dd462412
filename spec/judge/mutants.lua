-- mutants.lua - mutant.c compiled and called as a kernel of a user's own: run(mistake) is what pah.judge takes, and the
-- list says which mistake is which and what words its cause must have. Read next: mutants_spec.lua.
local ffi = require "ffi"

local M = {}

-- The struct of mutant.c, read from there: it is written once.
local function declare()
  local text = assert(io.open "spec/judge/mutant.c"):read "*a"
  local words = text:match "(struct problem {.-\n};)":gsub("/%*.-%*/", "")
  ffi.cdef((words:gsub("struct problem", "struct mutant_problem")))
  ffi.cdef "void attend(const struct mutant_problem *, int);"
  local names, n = {}, 0
  for name in text:match "enum {(.-)}":gmatch "[%w_]+" do names[name], n = n, n + 1 end
  return names, n
end

local library

local function compiled()
  if library then return library end
  local path = os.tmpname()
  local command = ("${CC:-cc} -std=gnu11 -O2 -shared -fPIC -o %s spec/judge/mutant.c -lm"):format(path)
  if os.execute(command) ~= 0 then error("cannot be compiled: " .. command, 0) end
  library = ffi.load(path)
  os.remove(path)
  return library
end

M.numbers, M.count = declare()

--- What the kernel takes: f32, anywhere in memory.
M.supports = {dtype = {"f32"}, cache_dtype = {"f32"}, k_descale = {"scalar"}, v_descale = {"scalar"}}

local function number(value, otherwise) return type(value) == "number" and value or otherwise end

local function floats(t) return ffi.cast("float *", t:data()) end

local function ints(t) return ffi.cast("const int32_t *", t:data()) end

local function strides(to, t, ragged, flat)
  local s = t.strides
  if ragged then to[0], to[1], to[2] = s[1], s[2], 0 else to[0], to[1], to[2] = s[1], s[2], flat and 0 or s[3] end
end

local function problem_of(a)
  local p, ragged, flat = ffi.new "struct mutant_problem", a.cu_seqlens_q ~= nil, not a.cu_seqlens_q and #a.q.shape == 3
  p.out, p.lse, p.q, p.k, p.v = floats(a.out), floats(a.lse), floats(a.q), floats(a.k_blocks), floats(a.v_blocks)
  strides(p.q_stride, a.q, ragged, flat)
  strides(p.out_stride, a.out, ragged, flat)
  local s = a.lse.strides
  p.lse_stride[0], p.lse_stride[1], p.lse_stride[2] = s[1], s[2], s[3] or 0
  for name, t in pairs {k_stride = a.k_blocks, v_stride = a.v_blocks} do
    for i = 0, 2 do p[name][i] = t.strides[i + 1] end
  end
  p.table, p.lengths = ints(a.block_table), ints(a.seqused_k)
  if ragged then p.cu = ints(a.cu_seqlens_q) end
  if a.sinks then p.sinks = floats(a.sinks) end
  if a.tree_mask then p.tree, p.tree_words = ints(a.tree_mask), a.tree_mask.shape[#a.tree_mask.shape] end
  local k = a.k_blocks.shape
  p.num_blocks, p.block_size, p.Hkv, p.D, p.Dv = k[1], k[2], k[3], k[4], a.v_blocks.shape[4]
  p.B, p.H, p.width = a.block_table.shape[1], a.q.shape[2], a.block_table.shape[2]
  p.queries = (ragged or flat) and 1 or a.q.shape[3]
  p.causal = a.causal == "top-left" and 2 or a.causal and 1 or 0
  p.left, p.right = a.window and a.window[1] or -1, a.window and a.window[2] or -1
  p.splits, p.scale, p.softcap = a.num_splits or 0, a.softmax_scale, a.softcap or 0
  p.k_descale, p.v_descale = number(a.k_descale, 1), number(a.v_descale, 1)
  return p
end

--- run(a) with that mistake planted; "RIGHT": none.
function M.run(mistake)
  local attend, which = compiled().attend, assert(M.numbers[mistake], mistake)
  return function(a) attend(problem_of(a), which) end
end

-- Mistake -> what its cause says (a Lua pattern).
M.causes = {
  NO_CAUSAL = "^mask ignored: causal", TOP_LEFT = "^top%-left for bottom%-right: the causal mask",
  CAUSAL_STRICT = "^causal mask off by one", CAUSAL_ONE_MORE = "^causal mask off by one", NO_WINDOW = "^window ignored",
  LEFT_ONE_MORE = "^window off by one: one key too many at the left",
  RIGHT_ONE_LESS = "^window off by one: one key too few at the right",
  WINDOW_TOP_LEFT = "^top%-left for bottom%-right: the window", NO_SOFTCAP = "^softcap dropped",
  CAP_AFTER_MASK = "^softcap after the mask", CAP_BEFORE_SCALE = "^softcap before the scale",
  CAP_ONCE_MORE = "^softcap applied twice", NO_SCALE = "^scale forgotten", SCALE_TWICE = "^scale applied twice",
  LSE_LOG2 = "^log2 for ln in lse", LSE_NO_MAX = "^lse without the maximum",
  HEAD_MODULO = "^wrong head of GQA: h %% Hkv", HEAD_ZERO = "^wrong K/V head: head 0",
  TAIL_READ = "^tail of the last block read", ONE_KEY_MORE = "one key too many",
  ONE_KEY_LESS = "one key too few", PARTIAL_BLOCK_LOST = "^the last block is left out where it is not full",
  TILE_SKIPPED = "^tile 1 of 16 keys .* skipped", TILE_TWICE = "^tile 0 of 32 keys .* counted twice",
  SPLITS_AVERAGED = "^split weights forgotten", SINK_EVERY_SPLIT = "^sink in every split",
  LAST_SPLIT_LOST = "^the last split is left out", NO_SINKS = "^sinks ignored",
  SINK_SCALED = "^sink multiplied by softmax_scale", SINK_OTHER_HEAD = "^sink of another head",
  K_AND_V_EXCHANGED = "^K and V exchanged", NEXT_ROW = "^table row of another sequence",
  NO_TABLE = "^block table ignored", FIRST_LENGTH = "^length of another sequence",
  FIRST_BLOCK_ONLY = "^only the first entry of the block table",
  NO_RESCALE = "^online softmax does not rescale the sums of V", EMPTY_NAN = "^a row that sees no key",
  EMPTY_MEAN = "^a row that sees no key", NOT_DIVIDED = "^out not divided", EXP2 = "^exp2 for exp",
  NO_TREE = "^mask ignored: tree_mask", FIRST_TREE = "^tree_mask of another sequence: of the first",
  NO_K_DESCALE = "^descale forgotten: k_descale", NO_V_DESCALE = "^descale forgotten: v_descale",
  V_ONE_ON = "^values of the key after", LAST_QUERY_UNWRITTEN = "are not written",
  ZERO_TIMES_NAN = "^reads what is not",
}

-- Only imprecise: refused, and no mistake is named.
M.imprecise = {"NOISE", "COARSE_SCORES", "COARSE_WEIGHTS"}

return M
