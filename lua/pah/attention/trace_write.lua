-- trace_write.lua - FlashInfer-Trace written: definitions of decode and causal prefill over a paged cache, workloads
-- with their block tables, results. Promises: what is written is checked against the schema first (trace_schema.lua);
-- keys stand in the order in which FlashInfer has them, inputs in that of the call; trace.lua reads it back.
local devices = require "pah.device"
local errors = require "pah.errors"
local json = require "pah.util.json"
local quoted = require("pah.util.safe_text").shell
local safetensors = require "pah.tensor.safetensors"
local schema = require "pah.attention.trace_schema"
local tensor = require "pah.tensor"
local trace = require "pah.attention.trace"
local whole_file = require "pah.util.whole_file"
local raisef = errors.raisef

local M = {}

local names = {f32 = "float32", f16 = "float16", bf16 = "bfloat16", fp8_e4m3 = "float8_e4m3fn",
  fp8_e5m2 = "float8_e5m2"}

-- An object that keeps the order of its pairs {key, value}; one without a value is left out.
local function ordered(pairs_)
  local parts = {}
  for _, pair in ipairs(pairs_) do
    if pair[2] ~= nil then parts[#parts + 1] = json.encode(pair[1]) .. ":" .. json.encode(pair[2]) end
  end
  return json.decode("{" .. table.concat(parts, ",") .. "}")
end

-- ---- Definitions ----------------------------------------------------------------------------------------------------

-- The definition's meaning in PyTorch, one sequence after the other in float32.
local reference = [[
import math

import torch


@torch.no_grad()
def run(ARGUMENTS):
    heads, group = q.shape[1], q.shape[1] // k_cache.shape[2]
    output = torch.zeros_like(q)
    lse = torch.full(q.shape[:2], -math.inf, dtype=torch.float32, device=q.device)
    for b in range(kv_indptr.shape[0] - 1):
        pages = kv_indices[int(kv_indptr[b]) : int(kv_indptr[b + 1])].long()
        first, last = ROWS
        if pages.numel() == 0 or first == last:
            continue
        tokens = (pages.numel() - 1) * k_cache.shape[1] + int(kv_last_page_len[b])
        k = k_cache[pages].flatten(0, 1)[:tokens].float().repeat_interleave(group, dim=1)
        v = v_cache[pages].flatten(0, 1)[:tokens].float().repeat_interleave(group, dim=1)
        scores = torch.einsum("qhd,khd->hqk", q[first:last].float(), k) * sm_scale
        key = torch.arange(tokens, device=q.device)
        query = torch.arange(last - first, device=q.device) + tokens - (last - first)
        scores = scores.masked_fill(key[None, None, :] > query[None, :, None], -math.inf)
        lse[first:last] = (torch.logsumexp(scores, dim=-1) / math.log(2)).T
        output[first:last] = torch.einsum("hqk,khd->qhd", torch.softmax(scores, dim=-1), v).to(q.dtype)
    return output, lse
]]

local function variable(about) return ordered {{"type", "var"}, {"description", about}} end
local function constant(value) return ordered {{"type", "const"}, {"value", value}} end

local function input(shape, dtype, about)
  return ordered {{"shape", shape}, {"dtype", dtype}, {"description", about}}
end

local sizes = {"num_heads", "num_kv_heads", "head_dim", "block_size"}

-- The variable axes in FlashInfer's order, and the inputs of the call.
local function parts_of(decode, args)
  local q, cache = names[args.dtype], names[args.cache_dtype or args.dtype]
  local axes, rows = {{"batch_size", variable "sequences"}, {"num_qo_heads", constant(args.num_heads)},
    {"num_kv_heads", constant(args.num_kv_heads)}, {"head_dim", constant(args.head_dim)},
    {"num_pages", variable "pages of the cache"}, {"page_size", constant(args.block_size)},
    {"len_indptr", variable "sequences and one"}, {"num_kv_indices", variable "pages of all sequences"}}, "batch_size"
  if not decode then
    rows = "total_q"
    axes[#axes + 1] = {"total_q", variable "query tokens of all sequences"}
  end
  local pool = {"num_pages", "page_size", "num_kv_heads", "head_dim"}
  local inputs = {{"q", input({rows, "num_qo_heads", "head_dim"}, q, "queries")},
    {"k_cache", input(pool, cache, "keys by page")}, {"v_cache", input(pool, cache, "values by page")},
    {"kv_indptr", input({"len_indptr"}, "int32", "where the pages of each sequence begin")},
    {"kv_indices", input({"num_kv_indices"}, "int32", "pages of the sequences")},
    {"kv_last_page_len", input({"batch_size"}, "int32", "tokens of the last page of each sequence")},
    {"sm_scale", input(json.null, "float32", "what scores are multiplied by")}}
  if not decode then
    table.insert(inputs, 4, {"qo_indptr", input({"len_indptr"}, "int32", "where the queries of each sequence begin")})
  end
  local outputs = {{"output", input({rows, "num_qo_heads", "head_dim"}, q, "attention")},
    {"lse", input({rows, "num_qo_heads"}, "float32", "logarithm to base 2 of the sum of exponentials")}}
  return axes, inputs, outputs
end

--- A definition of op "decode" (one query a sequence) or "fwd" (causal prefill, ragged) over a paged cache: num_heads,
--- num_kv_heads, head_dim, block_size, dtype ("bf16"), cache_dtype (dtype), name (by FlashInfer's rule). As
--- pah.trace.definition reads it.
function M.new_definition(args)
  errors.check_keys("trace.new_definition", args, {op = 1, num_heads = 1, num_kv_heads = 1, head_dim = 1,
    block_size = 1, dtype = 1, cache_dtype = 1, name = 1})
  args = args or {}
  if args.op ~= "decode" and args.op ~= "fwd" then
    raisef('trace.new_definition: op is %s, must be "decode" or "fwd"', tostring(args.op))
  end
  local a = {dtype = "bf16"}
  for name, value in pairs(args) do a[name] = value end
  for _, name in ipairs(sizes) do
    if type(a[name]) ~= "number" or a[name] % 1 ~= 0 or a[name] < 1 then
      raisef("trace.new_definition: %s is %s, must be a whole number >= 1", name, tostring(a[name]))
    end
  end
  for _, name in ipairs {"dtype", "cache_dtype"} do
    if a[name] and not names[a[name]] then
      raisef("trace.new_definition: %s is %s, must be f32, f16, bf16, fp8_e4m3 or fp8_e5m2", name, tostring(a[name]))
    end
  end
  local decode = a.op == "decode"
  local axes, inputs, outputs = parts_of(decode, a)
  local arguments = {}
  for i, pair in ipairs(inputs) do arguments[i] = pair[1] end
  local d = ordered {
    {"name", a.name or ("gqa_paged_%s_h%d_kv%d_d%d_ps%d"):format(decode and "decode" or "prefill_causal", a.num_heads,
      a.num_kv_heads, a.head_dim, a.block_size)},
    {"description", (decode and "Decode" or "Causal prefill") .. " of grouped-query attention over a paged cache."},
    {"op_type", "gqa_paged"}, {"tags", {decode and "stage:decode" or "stage:prefill", "status:draft"}},
    {"axes", ordered(axes)}, {"constraints", {"len_indptr == batch_size + 1",
      "num_kv_indices == kv_indptr[-1].item()", not decode and "total_q == qo_indptr[-1].item()" or nil}},
    {"inputs", ordered(inputs)}, {"outputs", ordered(outputs)},
    {"reference", (reference:gsub("ARGUMENTS", table.concat(arguments, ", ")):gsub("ROWS", decode and "b, b + 1"
      or "int(qo_indptr[b]), int(qo_indptr[b + 1])"))}}
  return trace.with_constants(d)
end

-- ---- Files ----------------------------------------------------------------------------------------------------------

local function checked(kind, value, what)
  local why = schema.problem(kind, value)
  if why then raisef("%s: %s", what, why) end
end

-- root/FOLDER/op_type, made if need be, relative to root.
local function folder_of(root, definition, folder)
  local path = ("%s/%s"):format(folder, definition.op_type)
  if os.execute("mkdir -p " .. quoted(root .. "/" .. path)) ~= 0 then
    raisef("trace: the folder %s/%s cannot be made", root, path)
  end
  return path
end

local function append(path, value)
  local file, why = io.open(path, "a")
  if not file then raisef("trace: %s", why) end
  local ok, failure = file:write(json.encode(value), "\n")
  local closed, late = file:close()
  if not (ok and closed) then raisef("trace: %s: %s", path, failure or late) end
end

--- Writes a definition to root/definitions/OP_TYPE/NAME.json; returns the path.
function M.save_definition(root, definition)
  local plain = {}
  for _, name in ipairs(json.keys(definition)) do
    if name ~= "const" then plain[#plain + 1] = {name, definition[name]} end
  end
  plain = ordered(plain)
  checked("definition", plain, "trace.save_definition")
  local path = ("%s/%s/%s.json"):format(root, folder_of(root, plain, "definitions"), plain.name)
  whole_file.write(path, json.encode(plain, {indent = 2}) .. "\n", "trace.save_definition")
  return path
end

-- An id such as 6120f144-b973-4bd9-b884-77ecb132914e, at random.
local function new_uuid()
  local bytes = {(whole_file.read("/dev/urandom", 16)):byte(1, 16)}
  bytes[7], bytes[9] = 0x40 + bytes[7] % 16, 0x80 + bytes[9] % 64
  return ("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x"):format(unpack(bytes))
end

local function i32(list)
  local t = tensor.new({#list}, "i32", devices.get "cpu")
  for i, value in ipairs(list) do t:data()[i - 1] = value end
  return t
end

--- FlashInfer's lists for a block table [B, width] and lengths [B]: kv_indptr, kv_indices, kv_last_page_len (i32).
function M.pages(table_, lengths, page_size)
  local rows, used = tensor.want("trace.pages: block_table", table_):totable(),
    tensor.want("trace.pages: seqused_k", lengths):totable()
  local indptr, indices, last = {0}, {}, {}
  for b, length in ipairs(used) do
    local n = math.ceil(length / page_size)
    for j = 1, n do indices[#indices + 1] = rows[b][j] end
    indptr[b + 1], last[b] = #indices, n > 0 and length - (n - 1) * page_size or 0
  end
  return i32(indptr), i32(indices), i32(last)
end

local function check_place(what, root, definition)
  if type(root) ~= "string" then raisef("%s: root is a %s, must be the path of a folder", what, type(root)) end
  local known = type(definition) == "table"
  if not known or type(definition.name) ~= "string" or type(definition.inputs) ~= "table" then
    raisef("%s: definition is a %s, must be one that trace.definition reads", what,
      known and "table without name and inputs" or type(definition))
  end
end

--- Writes a workload of a definition: its tables to root/blob/workloads/OP_TYPE/NAME/UUID.safetensors, its line behind
--- those of root/workloads/OP_TYPE/NAME.jsonl. batch: block_table, seqused_k, num_blocks (by default as many as its
--- table names), cu_seqlens_q (of "fwd"), softmax_scale (1 / sqrt(head_dim)). Returns what pah.trace.workloads reads.
function M.save_workload(root, definition, batch)
  check_place("trace.save_workload", root, definition)
  if type(batch) ~= "table" or not batch.block_table or not batch.seqused_k then
    raisef("trace.save_workload: batch must have block_table and seqused_k")
  end
  local c, ragged = definition.const, definition.inputs.qo_indptr ~= nil
  if ragged ~= (batch.cu_seqlens_q ~= nil) then
    raisef("trace.save_workload: cu_seqlens_q must %sbe there for %s", ragged and "" or "not ", definition.name)
  end
  local tables, most = {}, 0
  tables.kv_indptr, tables.kv_indices, tables.kv_last_page_len = M.pages(batch.block_table, batch.seqused_k,
    c.page_size)
  for _, id in ipairs(tables.kv_indices:totable()) do most = math.max(most, id + 1) end
  if batch.cu_seqlens_q then tables.qo_indptr = batch.cu_seqlens_q:to("cpu"):contiguous() end
  local uuid = new_uuid()
  local blob = ("%s/%s"):format(folder_of(root, definition, "blob/workloads"), definition.name)
  if os.execute("mkdir -p " .. quoted(root .. "/" .. blob)) ~= 0 then raisef("trace: %s cannot be made", blob) end
  blob = ("%s/%s.safetensors"):format(blob, uuid)
  local axes, inputs = {}, {}
  for _, name in ipairs(json.keys(definition.inputs)) do
    local from = {{"type", "random"}}
    if tables[name] then from = {{"type", "safetensors"}, {"path", "./" .. blob}, {"tensor_key", name}} end
    if name == "sm_scale" then
      from = {{"type", "scalar"}, {"value", batch.softmax_scale or 1 / math.sqrt(c.head_dim)}}
    end
    inputs[#inputs + 1] = {name, ordered(from)}
  end
  local values = {batch_size = #tables.kv_last_page_len, num_pages = batch.num_blocks or most,
    len_indptr = #tables.kv_indptr, num_kv_indices = #tables.kv_indices,
    total_q = tables.qo_indptr and tables.qo_indptr:totable()[#tables.qo_indptr]}
  for _, name in ipairs(json.keys(definition.axes)) do
    if values[name] then axes[#axes + 1] = {name, values[name]} end
  end
  local line = ordered {{"definition", definition.name}, {"workload", ordered {{"uuid", uuid}, {"axes", ordered(axes)},
    {"inputs", ordered(inputs)}}}, {"solution", json.null}, {"evaluation", json.null}}
  checked("workload", line, "trace.save_workload")
  safetensors.save(root .. "/" .. blob, tables)
  append(("%s/%s/%s.jsonl"):format(root, folder_of(root, definition, "workloads"), definition.name), line)
  return {definition = definition.name, uuid = uuid, axes = line.workload.axes, inputs = line.workload.inputs}
end

--- Writes a result behind those of root/traces/OP_TYPE/NAME.jsonl: of `workload` (as read or saved), by `solution` (a
--- name). result: status ("PASSED"), log (""), max_relative_error and max_absolute_error (of PASSED and
--- INCORRECT_NUMERICAL), latency_ms and reference_latency_ms (of PASSED), hardware, libs {name = version}. Returns it.
function M.save_result(root, definition, workload, solution, result)
  errors.check_keys("trace.save_result", result, {status = 1, log = 1, max_relative_error = 1, max_absolute_error = 1,
    latency_ms = 1, reference_latency_ms = 1, hardware = 1, libs = 1})
  check_place("trace.save_result", root, definition)
  if type(workload) ~= "table" then
    raisef("trace.save_result: workload is a %s, must be one as trace.workloads reads it", type(workload))
  end
  if type(solution) ~= "string" then
    raisef("trace.save_result: solution is a %s, must be a name", type(solution))
  end
  local r, status = result or {}, (result or {}).status or "PASSED"
  local judged = status == "PASSED" or status == "INCORRECT_NUMERICAL"
  local correctness = judged and ordered {{"max_relative_error", r.max_relative_error},
    {"max_absolute_error", r.max_absolute_error}} or json.null
  local performance = status == "PASSED" and ordered {{"latency_ms", r.latency_ms},
    {"reference_latency_ms", r.reference_latency_ms},
    {"speedup_factor", (r.reference_latency_ms or 0) / (r.latency_ms or 1)}} or json.null
  local line = ordered {{"definition", definition.name}, {"solution", solution}, {"workload", ordered {
    {"uuid", workload.uuid}, {"axes", workload.axes}, {"inputs", workload.inputs}}}, {"evaluation", ordered {
    {"status", status}, {"log", r.log or ""}, {"correctness", correctness}, {"performance", performance},
    {"environment", ordered {{"hardware", r.hardware or devices.get():info().model},
      {"libs", next(r.libs or {}) and r.libs or {pah = require("pah.host").version}}}},
    {"timestamp", os.date "!%Y-%m-%dT%H:%M:%SZ"}}}}
  checked("result", line, "trace.save_result")
  append(("%s/%s/%s.jsonl"):format(root, folder_of(root, definition, "traces"), definition.name), line)
  return line
end

-- Beside those of trace.lua.
local exports = trace.exports.trace
exports.new_definition, exports.save_definition, exports.problem = M.new_definition, M.save_definition, schema.problem
exports.pages, exports.save_workload, exports.save_result = M.pages, M.save_workload, M.save_result

return M
