-- peer_ort.lua - GroupQueryAttention of ONNX Runtime as scripts/studies/peers.lua calls it: a model of that one node,
-- written here as the protocol buffer that it is, and the C interface of the library. Read next: peers.lua.
local bit, ffi = require "bit", require "ffi"

ffi.cdef [[
struct ort_api_base { void **(*get_api)(uint32_t version); const char *(*version)(void); };
const struct ort_api_base *OrtGetApiBase(void);
]]

local M = {}

-- Places in struct OrtApi, which only ever grows at its end, and the types of what stands there.
local PLACES = {
  GetErrorMessage = {2, "const char *(*)(const void *status)"},
  CreateEnv = {3, "void *(*)(int level, const char *id, void **env)"},
  CreateSessionFromArray = {8, "void *(*)(void *env, const char *model, size_t bytes, void *options, void **session)"},
  Run = {9, [[void *(*)(void *session, void *options, const char *const *names, void *const *inputs, size_t count,
    const char *const *output_names, size_t output_count, void **outputs)]]},
  CreateSessionOptions = {10, "void *(*)(void **options)"},
  SetIntraOpNumThreads = {24, "void *(*)(void *options, int threads)"},
  CreateTensorWithDataAsOrtValue = {49, [[void *(*)(void *info, void *data, size_t bytes, const int64_t *shape,
    size_t dimensions, int type, void **value)]]},
  GetTensorMutableData = {51, "void *(*)(void *value, void **data)"},
  CreateCpuMemoryInfo = {69, "void *(*)(int allocator, int memory, void **info)"},
  ReleaseValue = {96, "void (*)(void *value)"},
}
local FLOAT, INT32 = 1, 6 -- TensorProto.DataType
local library, api, env, info = nil, {}, nil, nil

local function check(status)
  if status ~= nil then error("ONNX Runtime: " .. ffi.string(api.GetErrorMessage(status)), 2) end
end

-- What a function writes through its last argument.
local function made(create, ...)
  local arguments, count = {...}, select("#", ...)
  local result = ffi.new "void *[1]"
  arguments[count + 1] = result
  check(create(unpack(arguments, 1, count + 1)))
  return result[0]
end

--- Opens libonnxruntime.so -> what it is, in words.
function M.open(path)
  library = ffi.load(path)
  local base = library.OrtGetApiBase()
  local slots = base.get_api(17)
  for name, place in pairs(PLACES) do api[name] = ffi.cast(place[2], slots[place[1]]) end
  env = made(api.CreateEnv, 3, "pah")
  info = made(api.CreateCpuMemoryInfo, 0, 0)
  return "ONNX Runtime " .. ffi.string(base.version())
end

-- ---- The model ------------------------------------------------------------------------------------------------------

local function varint(n)
  local bytes = {}
  repeat
    local low = n % 128
    n = (n - low) / 128
    bytes[#bytes + 1] = string.char(bit.bor(low, n > 0 and 128 or 0))
  until n == 0
  return table.concat(bytes)
end

local function number(field, n) return varint(field * 8) .. varint(n) end
local function bytes(field, text) return varint(field * 8 + 2) .. varint(#text) .. text end

-- ValueInfoProto: a tensor of a type and a shape.
local function value_info(name, type, shape)
  local dims = {}
  for i, size in ipairs(shape) do dims[i] = bytes(1, number(1, size)) end
  return bytes(1, name) .. bytes(2, bytes(1, number(1, type) .. bytes(2, table.concat(dims))))
end

local function attribute(name, value) return bytes(5, bytes(1, name) .. number(3, value) .. number(20, 2)) end

-- ModelProto; `inputs` and `outputs` are lists of {name, type, shape}, "" a name that is left out.
local function model(inputs, outputs, H, Hkv)
  local node, values = {}, {}
  for _, x in ipairs(inputs) do node[#node + 1] = bytes(1, x[1]) end
  for _, x in ipairs(outputs) do node[#node + 1] = bytes(2, x[1]) end
  node[#node + 1] = bytes(4, "GroupQueryAttention") .. bytes(7, "com.microsoft")
  node[#node + 1] = attribute("num_heads", H) .. attribute("kv_num_heads", Hkv)
  for _, x in ipairs(inputs) do
    if x[1] ~= "" then values[#values + 1] = bytes(11, value_info(unpack(x))) end
  end
  for _, x in ipairs(outputs) do values[#values + 1] = bytes(12, value_info(unpack(x))) end
  local graph = bytes(1, table.concat(node)) .. bytes(2, "attention") .. table.concat(values)
  return number(1, 8) .. bytes(7, graph) .. bytes(8, bytes(1, "") .. number(2, 17))
    .. bytes(8, bytes(1, "com.microsoft") .. number(2, 1))
end

-- ---- The call -------------------------------------------------------------------------------------------------------

local function tensor_value(t, type)
  local shape = ffi.new("int64_t[?]", #t.shape, t.shape)
  return made(api.CreateTensorWithDataAsOrtValue, info, t:data(), t.nbytes, shape, #t.shape, type)
end

-- [1, heads, tokens, D] as [1, tokens, heads * D], which is how new tokens come.
local function rows(t) return t:permute(1, 3, 2, 4):contiguous():view(1, t.shape[3], t.shape[2] * t.shape[4]) end

--- Causal attention of q [1, H, n, D] over k and v [1, Hkv, len_k, D], all f32: the last n tokens are new, those before
--- are the past. Returns {runs = {function}, out = function -> [1, H, n, D]}.
function M.attention(q, k, v)
  local _, H, n, D = unpack(q.shape)
  local Hkv, len_k = k.shape[2], k.shape[3]
  local past = len_k - n
  local i32 = {dtype = "i32", device = "cpu"}
  local kept, inputs, names = {}, {}, {}
  local function input(name, t, type)
    kept[#kept + 1], inputs[#inputs + 1], names[#names + 1] = t, {name, type, t.shape}, name
  end
  input("query", rows(q), FLOAT)
  input("key", rows(k:narrow(3, past + 1, n)), FLOAT)
  input("value", rows(v:narrow(3, past + 1, n)), FLOAT)
  if past > 0 then
    input("past_key", k:narrow(3, 1, past):contiguous(), FLOAT)
    input("past_value", v:narrow(3, 1, past):contiguous(), FLOAT)
  else
    inputs[4], inputs[5] = {""}, {""}
  end
  input("seqlens_k", pah.full({1}, len_k - 1, i32), INT32)
  input("total_sequence_length", pah.full({1}, len_k, i32), INT32)
  local outputs = {{"output", FLOAT, {1, n, H * D}}, {"present_key", FLOAT, {1, Hkv, len_k, D}},
    {"present_value", FLOAT, {1, Hkv, len_k, D}}}
  local options = made(api.CreateSessionOptions)
  check(api.SetIntraOpNumThreads(options, pah.threads()))
  local text = model(inputs, outputs, H, Hkv)
  local session = made(api.CreateSessionFromArray, env, text, #text, options)
  local count = #names
  local values, results = ffi.new("void *[?]", count), ffi.new "void *[3]"
  for i, t in ipairs(kept) do
    values[i - 1] = tensor_value(t, (names[i] == "seqlens_k" or names[i] == "total_sequence_length") and INT32 or FLOAT)
  end
  local output_names = ffi.new("const char *[3]", {"output", "present_key", "present_value"})
  local input_names = ffi.new("const char *[?]", count, names)
  return {
    kept = {kept, names, text},
    runs = {function()
      for i = 0, 2 do
        if results[i] ~= nil then api.ReleaseValue(results[i]) end
        results[i] = nil
      end
      check(api.Run(session, nil, input_names, values, count, output_names, 3, results))
    end},
    out = function()
      local out = pah.empty({1, n, H, D}, {device = "cpu"})
      ffi.copy(out:data(), made(api.GetTensorMutableData, results[0]), out.nbytes)
      return out:permute(1, 3, 2, 4)
    end,
  }
end

return M
