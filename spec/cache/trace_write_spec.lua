-- trace_write_spec.lua - FlashInfer-Trace written and read back: definitions, workloads with their tables, results; the
-- schema on what is written, on what is broken on purpose, and on the shared files where they are there.
local captured = require "spec.support.captured"
local child = require "spec.support.child"
local json = require "pah.util.json"
local refused = require "spec.support.refused"

local root = child.folder()
teardown(function() os.execute("rm -rf " .. child.quoted(root)) end)

local sizes = {op = "decode", num_heads = 8, num_kv_heads = 2, head_dim = 64, block_size = 16}

local function definition(changes)
  local args = {}
  for key, value in pairs(sizes) do args[key] = value end
  for key, value in pairs(changes or {}) do args[key] = value end
  return pah.trace.new_definition(args)
end

local function lines(path)
  local list = {}
  for line in child.read(root .. "/" .. path):gmatch "[^\n]+" do list[#list + 1] = json.decode(line) end
  return list
end

describe("a definition that is written", function()
  it("has FlashInfer's names, keys in its order, and reads back", function()
    local d = definition()
    local path = pah.trace.save_definition(root, d)
    assert.equal(root .. "/definitions/gqa_paged/gqa_paged_decode_h8_kv2_d64_ps16.json", path)
    local read = pah.trace.definition(path)
    assert.same({num_qo_heads = 8, num_kv_heads = 2, head_dim = 64, page_size = 16}, read.const)
    assert.same({"q", "k_cache", "v_cache", "kv_indptr", "kv_indices", "kv_last_page_len", "sm_scale"},
      json.keys(read.inputs))
    assert.same({"output", "lse"}, json.keys(read.outputs))
    assert.same({"shape", "dtype", "description"}, json.keys(read.inputs.q))
    assert.same({"bfloat16", {"num_pages", "page_size", "num_kv_heads", "head_dim"}},
      {read.inputs.k_cache.dtype, read.inputs.k_cache.shape})
    assert.is_truthy(read.reference:find "def run%(q, k_cache, v_cache, kv_indptr, kv_indices, kv_last_page_len, sm_")
    assert.is_nil(child.read(path):find('"const":', 1, true))
    local prefill = definition{op = "fwd", dtype = "f16", cache_dtype = "fp8_e4m3"}
    assert.equal("gqa_paged_prefill_causal_h8_kv2_d64_ps16", prefill.name)
    assert.same({"q", "k_cache", "v_cache", "qo_indptr", "kv_indptr", "kv_indices", "kv_last_page_len", "sm_scale"},
      json.keys(prefill.inputs))
    assert.same({"float16", "float8_e4m3fn"}, {prefill.inputs.q.dtype, prefill.inputs.v_cache.dtype})
  end)

  it("has the axes, inputs and outputs of FlashInfer's own", function()
    if not captured.present then return pending "the shared data are not there" end
    for op, what in pairs {decode = "decode", fwd = "prefill_causal"} do
      local theirs = pah.trace.definition(("%s/definitions/gqa_paged/gqa_paged_%s_h32_kv8_d128_ps64.json"):format(
        captured.folder, what))
      local ours = definition{op = op, num_heads = 32, num_kv_heads = 8, head_dim = 128, block_size = 64}
      assert.equal(theirs.name, ours.name)
      assert.same(theirs.const, ours.const)
      for _, part in ipairs {"inputs", "outputs"} do
        assert.same(json.keys(theirs[part]), json.keys(ours[part]))
        for name, about in pairs(theirs[part]) do
          assert.same({about.dtype, about.shape}, {ours[part][name].dtype, ours[part][name].shape}, name)
        end
      end
      local axes, own = json.keys(theirs.axes), json.keys(ours.axes)
      table.sort(axes)
      table.sort(own)
      assert.same(axes, own)
    end
  end)

  it("is refused with what is wrong", function()
    refused('op is bwd, must be "decode" or "fwd"', definition, {op = "bwd"})
    refused("head_dim is 0, must be a whole number >= 1", definition, {head_dim = 0})
    refused("dtype is i32, must be f32, f16, bf16", definition, {dtype = "i32"})
    refused('unknown option "heads"', pah.trace.new_definition, {op = "decode", heads = 1})
  end)
end)

describe("a workload that is written", function()
  it("reads back with the same tables", function()
    local d = definition()
    local block_table, seqused_k = pah.block_table{seqlens = {100, 0, 37, 16}, block_size = 16, num_blocks = 40,
      seed = 1, device = "cpu"}
    local saved = pah.trace.save_workload(root, d, {block_table = block_table, seqused_k = seqused_k, num_blocks = 40})
    pah.trace.save_workload(root, d, {block_table = block_table, seqused_k = seqused_k, softmax_scale = 0.5})
    local list = pah.trace.workloads(root .. "/workloads/gqa_paged/" .. d.name .. ".jsonl")
    assert.equal(2, #list)
    assert.is_truthy(saved.uuid:find "^%x+%-%x+%-4%x%x%x%-[89ab]%x%x%x%-%x+$", saved.uuid)
    assert.is_true(list[1].uuid == saved.uuid and list[2].uuid ~= saved.uuid)
    assert.same({batch_size = 4, num_pages = 40, len_indptr = 5, num_kv_indices = 11}, list[1].axes)
    for i, scale in ipairs {0.125, 0.5} do
      local p = pah.trace.load{workload = list[i], definition = d, root = root, device = "cpu"}
      assert.same({seqused_k:totable(), 16, 8, 2, 64, scale}, {p.seqused_k:totable(), p.block_size, p.num_heads,
        p.num_kv_heads, p.head_dim, p.softmax_scale})
      local rows, lengths = p.block_table:totable(), seqused_k:totable()
      for b, row in ipairs(block_table:totable()) do
        for j = 1, math.ceil(lengths[b] / 16) do assert.equal(row[j], rows[b][j]) end
      end
    end
  end)

  it("of a prefill has the queries' places too, and is refused without", function()
    local d = definition{op = "fwd"}
    local block_table, seqused_k = pah.block_table{seqlens = {20, 5}, block_size = 16, seed = 1, device = "cpu"}
    local batch = {block_table = block_table, seqused_k = seqused_k, cu_seqlens_q = pah.tensor({0, 20, 22},
      {dtype = "i32", device = "cpu"})}
    local w = pah.trace.save_workload(root, d, batch)
    assert.equal(22, w.axes.total_q)
    local p = pah.trace.load{workload = w, definition = d, root = root, device = "cpu"}
    assert.same({0, 20, 22}, p.cu_seqlens_q:totable())
    refused("cu_seqlens_q must not be there for gqa_paged_decode", pah.trace.save_workload, root, definition(), batch)
    batch.cu_seqlens_q = nil
    refused("cu_seqlens_q must be there for gqa_paged_prefill", pah.trace.save_workload, root, d, batch)
    refused("batch must have block_table and seqused_k", pah.trace.save_workload, root, d, {})
  end)

  it("may be a step of a replayed trace", function()
    local d = definition{block_size = 16}
    local trace = pah.serving.synthetic{count = 20, rate = 100, input = 200, output = 20, hash_block = 64, prefix = 64}
    local done
    for step in pah.serving.replay{trace = trace, num_blocks = 1000}:steps() do
      local batch = step:batch("decode", "cpu")
      if batch and not done and batch.seqused_k:size(1) > 5 then
        done = pah.trace.save_workload(root, d, {block_table = batch.block_table, seqused_k = batch.seqused_k})
        local p = pah.trace.load{workload = done, definition = d, root = root, device = "cpu"}
        assert.same(batch.seqused_k:totable(), p.seqused_k:totable())
      end
    end
    assert.is_truthy(done)
  end)
end)

describe("a result that is written", function()
  it("has what its status needs, and no more", function()
    local d = definition{name = "mine"}
    local block_table, seqused_k = pah.block_table{seqlens = {20}, block_size = 16, seed = 1, device = "cpu"}
    local w = pah.trace.save_workload(root, d, {block_table = block_table, seqused_k = seqused_k})
    local errors_ = {max_relative_error = 1e-3, max_absolute_error = 1e-4, hardware = "H"}
    local function with(more)
      local r = {}
      for _, t in ipairs {errors_, more} do
        for key, value in pairs(t) do r[key] = value end
      end
      return r
    end
    pah.trace.save_result(root, d, w, "pah", with{latency_ms = 0.5, reference_latency_ms = 2})
    pah.trace.save_result(root, d, w, "pah", with{status = "INCORRECT_NUMERICAL", log = "l"})
    pah.trace.save_result(root, d, w, "pah", {status = "RUNTIME_ERROR", log = "no luck", hardware = "H"})
    local list = lines "traces/gqa_paged/mine.jsonl"
    assert.same({"mine", "pah", w.uuid, "PASSED", 4}, {list[1].definition, list[1].solution, list[1].workload.uuid,
      list[1].evaluation.status, list[1].evaluation.performance.speedup_factor})
    assert.same({json.null, 1e-3}, {list[2].evaluation.performance, list[2].evaluation.correctness.max_relative_error})
    assert.same({json.null, json.null, "no luck"}, {list[3].evaluation.performance, list[3].evaluation.correctness,
      list[3].evaluation.log})
    for _, line in ipairs(list) do assert.is_nil(pah.trace.problem("result", line)) end
    refused("evaluation.performance.latency_ms: is missing", pah.trace.save_result, root, d, w, "pah", errors_)
    refused("evaluation.correctness.max_relative_error: is missing", pah.trace.save_result, root, d, w, "pah", {})
    refused("evaluation.status: must be one of the schema's", pah.trace.save_result, root, d, w, "pah", {status = "OK"})
    assert.equal(3, #lines "traces/gqa_paged/mine.jsonl") -- what is refused is not written
  end)
end)

describe("pah.trace.problem", function()
  it("names what a definition lacks or has wrong", function()
    local text = json.encode(definition())
    local function problem(from, to)
      local changed, n = text:gsub(from, to, 1)
      assert.equal(1, n)
      return pah.trace.problem("definition", json.decode(changed))
    end
    assert.is_nil(pah.trace.problem("definition", json.decode(text)))
    assert.equal("op_type: is missing", problem('"op_type"', '"op"'))
    assert.equal("axes.head_dim.value: must be a whole number", problem('"value":64', '"value":"64"'))
    assert.equal("axes.batch_size.type: must be const or var", problem('"type":"var"', '"type":"other"'))
    assert.equal("inputs.q.dtype: is bf16", problem('"dtype":"bfloat16"', '"dtype":"bf16"'))
    assert.equal("inputs.q.shape: has the axis rows, which is none", problem('%["batch_size"', '["rows"'))
    assert.equal("reference: has no function run", problem("def run", "def go"))
    assert.equal("is no object", pah.trace.problem("definition", 3))
  end)

  it("lets the shared files pass", function()
    if not captured.present then return pending "the shared data are not there" end
    local definitions, workloads = 0, 0
    for _, path in ipairs(child.lines(("find '%s/definitions' -name '*.json'"):format(captured.folder))) do
      assert.is_nil(pah.trace.problem("definition", json.decode(child.read(path))), path)
      definitions = definitions + 1
    end
    for _, path in ipairs(child.lines(("find '%s/workloads' -name '*.jsonl'"):format(captured.folder))) do
      for line in io.lines(path) do
        assert.is_nil(pah.trace.problem("workload", json.decode(line)), path)
        workloads = workloads + 1
      end
    end
    assert.is_true(definitions > 30 and workloads > 10)
  end)
end)
