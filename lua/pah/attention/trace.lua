-- trace.lua - FlashInfer-Trace: definitions (JSON), workloads (JSON lines) and the block tables (safetensors) of them.
-- Promises: the order of keys is kept; the pool size is taken from the indices, because axes.num_pages is often too
-- small; garbage indices are refused. An LSE of FlashInfer is base 2: multiply by ln 2 to compare it with pah's.
local errors = require "pah.errors"
local json = require "pah.util.json"
local safetensors = require "pah.tensor.safetensors"
local tensor = require "pah.tensor"
local devices = require "pah.device"
local block_table = require "pah.attention.block_table"
local random = require "pah.tensor.random"
local raisef = errors.raisef

local M = {}

local function read(path)
  if type(path) ~= "string" then raisef("trace: path is a %s, must be a string", type(path)) end
  local file, why = io.open(path, "rb")
  if not file then raisef("%s", why) end
  local text = file:read "*a"
  file:close()
  return text or raisef("%s: cannot be read", path)
end

local dtypes = {float32 = "f32", float16 = "f16", bfloat16 = "bf16", float8_e4m3fn = "fp8_e4m3",
  float8_e5m2 = "fp8_e5m2", int32 = "i32", int64 = "i64", uint8 = "u8", bool = "u8"}

--- The dtype of pah for one of FlashInfer-Trace; raises for those that pah does not have.
function M.dtype(name) return dtypes[name] or raisef("trace: dtype %s is not one that pah has", tostring(name)) end

--- Adds const = {axis = value} to a definition, and returns it.
function M.with_constants(d)
  d.const = {}
  for axis, about in json.pairs(d.axes) do
    if json.is_object(about) and about.type == "const" then d.const[axis] = about.value end
  end
  return d
end

--- A definition: the decoded object (keys in order by pah.json.keys), checked, with `const` = {axis = value} added.
function M.definition(path)
  local d = json.decode(read(path), path)
  if not json.is_object(d) then raisef("%s: not a definition: not a JSON object", path) end
  for _, name in ipairs {"name", "op_type", "axes", "inputs", "outputs"} do
    if d[name] == nil then raisef("%s: not a definition: %s is missing", path, name) end
  end
  for _, name in ipairs {"axes", "inputs", "outputs"} do
    if not json.is_object(d[name]) then raisef("%s: not a definition: %s is not an object", path, name) end
  end
  return M.with_constants(d)
end

--- The workloads of a JSON-lines file, in order: {definition =, uuid =, axes =, inputs =} each.
function M.workloads(path)
  local list, line = {}, 0
  for text in (read(path) .. "\n"):gmatch "(.-)\r?\n" do
    line = line + 1
    if text:find "%S" then
      local trace, why = json.try_decode(text, ("%s (line %d)"):format(path, line))
      if why then raisef("%s", why) end
      local w = type(trace) == "table" and trace.workload
      if type(w) ~= "table" or type(w.inputs) ~= "table" or type(w.axes) ~= "table" then
        raisef("%s (line %d): has no workload with axes and inputs", path, line)
      end
      list[#list + 1] = {definition = trace.definition, uuid = w.uuid, axes = w.axes, inputs = w.inputs}
    end
  end
  return list
end

-- The values of an i32 or i64 tensor of one dimension.
local function integers(name, t)
  if tensor.is_tensor(t) then tensor.want("trace: " .. name, t) end
  if not tensor.is_tensor(t) or t:dim() ~= 1 or (t.dtype ~= "i32" and t.dtype ~= "i64") then
    raisef("trace: %s must be a one-dimensional i32 or i64 tensor", name)
  end
  return t:to("f64"):contiguous()
end

--- FlashInfer's lists as a block table: kv_indptr [B+1], kv_indices [pages], last_page_len [B] or nil (full pages).
--- Returns block_table, seqused_k, num_blocks = max(kv_indices) + 1; max_blocks (optional) is the largest pool allowed.
function M.block_table(kv_indptr, kv_indices, last_page_len, page_size, max_blocks)
  local indptr, indices = integers("kv_indptr", kv_indptr), integers("kv_indices", kv_indices)
  local last = last_page_len and integers("last_page_len", last_page_len)
  local p, ids, tail = indptr:data(), indices:data(), last and last:data()
  local B, pages = #indptr - 1, #indices
  if B < 0 or p[0] ~= 0 then raisef("trace: kv_indptr must start with 0") end
  if last and #last ~= B then raisef("trace: last_page_len has %d entries, must have %d", #last, B) end
  local num_blocks, rows, lengths, width = 1, {}, {}, 0
  for b = 1, B do
    local from, to = p[b - 1], p[b]
    if to < from or to > pages then
      raisef("trace: kv_indptr[%d] is %d, must be %d to %d", b, to, from, pages)
    end
    rows[b] = {}
    for i = from, to - 1 do
      local id = ids[i]
      if id < 0 or (max_blocks and id >= max_blocks) then
        raisef("trace: kv_indices[%d] is %d, must be a page id from 0 to %d", i, id, (max_blocks or 2 ^ 31) - 1)
      end
      num_blocks = math.max(num_blocks, id + 1)
      rows[b][#rows[b] + 1] = id
    end
    local tokens = tail and to > from and tail[b - 1] or page_size
    if tokens < 1 or tokens > page_size then
      raisef("trace: last_page_len[%d] is %d, must be 1 to %d", b - 1, tokens, page_size)
    end
    lengths[b] = to > from and (to - from - 1) * page_size + tokens or 0
    width = math.max(width, to - from)
  end
  if p[B] ~= pages then raisef("trace: kv_indptr ends with %d, kv_indices has %d entries", p[B], pages) end
  local table_, used = block_table.tensors(rows, lengths, width, devices.get "cpu")
  return table_, used, num_blocks
end

-- ---- What a workload asks for ---------------------------------------------------------------------------------

local function path_of(about, root) return root .. "/" .. tostring(about.path):gsub("^%./", "") end

-- The tensor or number that an input of a workload names; nil for random ones.
local function input_of(workload, name, root, files)
  local about = workload.inputs[name]
  if about == nil or about.type == "random" then return nil end
  if about.type == "scalar" then return about.value end
  if about.type ~= "safetensors" then raisef("trace: input %s has type %s", name, tostring(about.type)) end
  local path = path_of(about, root)
  files[path] = files[path] or safetensors.load(path)
  return files[path][about.tensor_key] or raisef("%s: has no tensor %q", path, tostring(about.tensor_key))
end

-- Constant axes of each kind of definition that is read, and the tensor whose dtype is the cache's.
local kinds = {
  gqa_paged = {axes = {"page_size", "num_qo_heads", "num_kv_heads", "head_dim"}, q = "q", cache = "k_cache"},
  mla_paged = {axes = {"page_size", "num_qo_heads", "head_dim_ckv", "head_dim_kpe"}, q = "q_nope", cache = "ckv_cache"},
}

-- Heads, widths and dtype of a definition, and how many elements of the cache a token has (K and V; once for MLA).
local function sizes_of(definition)
  local op_type, c = tostring(definition.op_type):gsub("^batch_", ""), definition.const
  local kind = kinds[op_type]
  if not kind then raisef("trace.load: op_type is %s, must be gqa_paged or mla_paged", tostring(definition.op_type)) end
  for _, name in ipairs(kind.axes) do
    if type(c[name]) ~= "number" then raisef("trace.load: the definition has no constant axis %s", name) end
  end
  local sizes = {block_size = c.page_size, num_heads = c.num_qo_heads, num_kv_heads = c.num_kv_heads or 1}
  sizes.dtype = M.dtype(definition.inputs[kind.q].dtype)
  sizes.cache_dtype = M.dtype(definition.inputs[kind.cache].dtype)
  if op_type == "mla_paged" then
    sizes.head_dim, sizes.head_dim_v = c.head_dim_ckv + c.head_dim_kpe, c.head_dim_ckv
    return sizes, sizes.head_dim
  end
  sizes.head_dim, sizes.head_dim_v = c.head_dim, c.head_dim
  return sizes, 2 * c.num_kv_heads * c.head_dim
end

-- Blocks that fit into half of the memory of the device.
local function blocks_that_fit(sizes, elements, device)
  local bytes = {f32 = 4, f16 = 2, bf16 = 2}
  return math.floor(device:info().bytes / 2 / (sizes.block_size * elements * (bytes[sizes.cache_dtype] or 1)))
end

-- Prefix sums of `total` things dealt to B sequences as evenly as can be, the first ones get one more.
local function dealt(total, B)
  local t = tensor.new({B + 1}, "i32", devices.get "cpu")
  local p, base, more = t:data(), math.floor(total / B), total % B
  p[0] = 0
  for b = 1, B do p[b] = p[b - 1] + base + (b <= more and 1 or 0) end
  return t
end

-- The tables of a workload: kv_indptr, kv_indices, last_page_len or nil, qo_indptr or nil; and whether they are drawn
-- from its axes, as the file with the captured ones is not there and `seed` is.
local function tables_of(workload, definition, root, seed)
  local axes, about, files = workload.axes, workload.inputs.kv_indices, {}
  local file = seed and about and about.type == "safetensors" and io.open(path_of(about, root))
  if file then file:close() end
  if seed and not file then
    local B = axes.batch_size or (axes.len_indptr or 0) - 1
    if B < 1 or not axes.num_kv_indices then
      raisef("trace.load: axes have no batch_size or no num_kv_indices to draw tables from")
    end
    local ids = random.exports.randperm(axes.num_kv_indices, {seed = seed, dtype = "i32", device = "cpu"})
    local qo = definition.inputs.qo_indptr and dealt(axes.total_q or raisef("trace.load: axes have no total_q"), B)
    return dealt(axes.num_kv_indices, B), ids, nil, qo, true
  end
  local function input(name) return input_of(workload, name, root, files) end
  local indptr, indices = input "kv_indptr", input "kv_indices"
  if not indptr or not indices then raisef("trace.load: the workload has no kv_indptr or no kv_indices") end
  return indptr, indices, input "kv_last_page_len" or input "last_page_len", input "qo_indptr", false
end

--- What a gqa_paged or mla_paged workload asks for: {block_table=, seqused_k=, num_blocks=, block_size=, num_heads=,
--- num_kv_heads=, head_dim=, head_dim_v=, dtype=, softmax_scale=, cu_seqlens_q= (prefill), drawn=}. args: workload,
--- definition, root (folder of its paths), device (limits the pool), seed (draws tables from the axes where the file of
--- the captured ones is not there: drawn = true). Pages that would not fit into half of its memory are refused.
-- MLA: ckv and kpe are one cache of one K/V head, head_dim 576, and V a view of its first head_dim_v = 512 elements.
function M.load(args)
  if args == nil then raisef("trace.load: is called with nothing, must be called with {workload=, definition=}") end
  errors.check_keys("trace.load", args, {workload = 1, definition = 1, root = 1, device = 1, seed = 1})
  local workload, definition = args.workload, args.definition
  if type(workload) ~= "table" or type(definition) ~= "table" then
    raisef("trace.load: needs workload and definition") end
  local result, elements = sizes_of(definition)
  local root, most = args.root or ".", blocks_that_fit(result, elements, devices.get(args.device))
  local indptr, indices, last, qo, drawn = tables_of(workload, definition, root, args.seed)
  result.cache_dtype = nil
  result.block_table, result.seqused_k, result.num_blocks = M.block_table(indptr, indices, last, result.block_size,
    most)
  local scale = input_of(workload, "sm_scale", root, {})
  result.softmax_scale = tensor.is_tensor(scale) and scale:item() or scale
  result.cu_seqlens_q, result.drawn = qo, drawn
  return result
end

--- Two tensors with all dimensions but the last alike, one behind the other in that: q_nope and q_pe, ckv and kpe.
function M.joined(a, b)
  tensor.want("trace.joined: the first", a)
  tensor.want("trace.joined: the second", b)
  local shape, last = a.shape, #a.shape
  for i = 1, math.max(last, #b.shape) do
    if i ~= last and shape[i] ~= b.shape[i] then
      raisef("trace.joined: shapes are [%s] and [%s], must differ in the last dimension only",
        table.concat(shape, ", "), table.concat(b.shape, ", "))
    end
  end
  local first = shape[last]
  shape[last] = first + b.shape[last]
  local t = tensor.new(shape, a.dtype, a.device)
  t:narrow(last, 1, first):copy(a)
  t:narrow(last, first + 1, b.shape[last]):copy(b)
  return t
end

--- k_blocks and v_blocks of FlashInfer's ckv_cache [pages, page_size, 512] and kpe_cache [pages, page_size, 64]:
--- [pages, page_size, 1, 576], a copy, and the view of its first 512.
-- The copy is made once, 2 x 576 elements of traffic and as much memory as both for every slot; then a decode reads
-- every token's 576 elements once, for K and V together.
function M.mla_cache(ckv, kpe)
  local k = M.joined(ckv, kpe)
  local shape, width = k.shape, ckv.shape[3]
  if #shape ~= 3 then
    raisef("trace.mla_cache: ckv has %d dimensions, must be [pages, page_size, width]", #shape)
  end
  local k_blocks = k:view({shape[1], shape[2], 1, shape[3]})
  return k_blocks, k_blocks:narrow(4, 1, width)
end

M.exports = {trace = {
  definition = M.definition, workloads = M.workloads, load = M.load, block_table = M.block_table, dtype = M.dtype,
  joined = M.joined, mla_cache = M.mla_cache,
}}

return M
