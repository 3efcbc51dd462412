-- trace.lua - FlashInfer-Trace: definitions (JSON), workloads (JSON lines) and the block tables (safetensors) of them.
-- Promises: the order of keys is kept; the pool size is taken from the indices, because axes.num_pages is often too
-- small; garbage indices are refused. An LSE of FlashInfer is base 2: multiply by ln 2 to compare it with pah's.
local errors = require "pah.errors"
local json = require "pah.util.json"
local safetensors = require "pah.tensor.safetensors"
local tensor = require "pah.tensor"
local devices = require "pah.device"
local block_table = require "pah.attention.block_table"
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

--- A definition: the decoded object (keys in order by pah.json.keys), checked, with `const` = {axis = value} added.
function M.definition(path)
  local d = json.decode(read(path), path)
  if not json.is_object(d) then raisef("%s: not a definition: not a JSON object", path) end
  for _, name in ipairs {"name", "op_type", "axes", "inputs", "outputs"} do
    if d[name] == nil then raisef("%s: not a definition: %s is missing", path, name) end
  end
  d.const = {}
  for _, name in ipairs {"axes", "inputs", "outputs"} do
    if not json.is_object(d[name]) then raisef("%s: not a definition: %s is not an object", path, name) end
  end
  for axis, about in json.pairs(d.axes) do
    if json.is_object(about) and about.type == "const" then d.const[axis] = about.value end
  end
  return d
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

-- The tensor or number that an input of a workload names; nil for random ones.
local function input_of(workload, name, root, files)
  local about = workload.inputs[name]
  if about == nil or about.type == "random" then return nil end
  if about.type == "scalar" then return about.value end
  if about.type ~= "safetensors" then raisef("trace: input %s has type %s", name, tostring(about.type)) end
  local path = root .. "/" .. tostring(about.path):gsub("^%./", "")
  files[path] = files[path] or safetensors.load(path)
  return files[path][about.tensor_key] or raisef("%s: has no tensor %q", path, tostring(about.tensor_key))
end

-- Blocks that fit into half of the memory of the device, K and V together.
local function blocks_that_fit(definition, page_size, device)
  local c = definition.const
  local size = {f32 = 4, f16 = 2, bf16 = 2}
  local bytes = 2 * page_size * c.num_kv_heads * c.head_dim * (size[M.dtype(definition.inputs.k_cache.dtype)] or 1)
  return math.floor(device:info().bytes / 2 / bytes)
end

--- What a gqa_paged workload asks for: {block_table=, seqused_k=, num_blocks=, block_size=, num_heads=, num_kv_heads=,
--- head_dim=, dtype=, softmax_scale=, cu_seqlens_q= (prefill)}. args: workload, definition, root (folder of its paths),
--- device (limits the pool). Pages that would not fit into half of its memory are refused as garbage.
function M.load(args)
  errors.check_keys("trace.load", args, {workload = 1, definition = 1, root = 1, device = 1})
  local workload, definition = args.workload, args.definition
  if type(workload) ~= "table" or type(definition) ~= "table" then
    raisef("trace.load: needs workload and definition") end
  if tostring(definition.op_type):gsub("^batch_", "") ~= "gqa_paged" then
    raisef("trace.load: op_type is %s, must be gqa_paged", tostring(definition.op_type))
  end
  local c, files, root = definition.const, {}, args.root or "."
  for _, name in ipairs {"page_size", "num_qo_heads", "num_kv_heads", "head_dim"} do
    if type(c[name]) ~= "number" then raisef("trace.load: the definition has no constant axis %s", name) end
  end
  local page_size = c.page_size
  local last = input_of(workload, "kv_last_page_len", root, files) or input_of(workload, "last_page_len", root, files)
  local indptr, indices = input_of(workload, "kv_indptr", root, files), input_of(workload, "kv_indices", root, files)
  if not indptr or not indices then raisef("trace.load: the workload has no kv_indptr or no kv_indices") end
  local most = blocks_that_fit(definition, page_size, devices.get(args.device))
  local result = {block_size = page_size, num_heads = c.num_qo_heads, num_kv_heads = c.num_kv_heads,
    head_dim = c.head_dim}
  result.block_table, result.seqused_k, result.num_blocks = M.block_table(indptr, indices, last, page_size, most)
  result.dtype = M.dtype(definition.inputs.q.dtype)
  local scale = input_of(workload, "sm_scale", root, files)
  result.softmax_scale = tensor.is_tensor(scale) and scale:item() or scale
  result.cu_seqlens_q = input_of(workload, "qo_indptr", root, files)
  return result
end

M.exports = {trace = {
  definition = M.definition, workloads = M.workloads, load = M.load, block_table = M.block_table, dtype = M.dtype,
}}

return M
