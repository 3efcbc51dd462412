-- trace_spec.lua - FlashInfer-Trace files made by hand: order of keys, both names of the last page's length, pools
-- larger than axes.num_pages, indices and offsets that lie; and, where the shared data are there, their captured
-- workloads.
local captured = require "spec.support.captured"
local child = require "spec.support.child"
local refused = require "spec.support.refused"

local function i32(list) return pah.tensor(list, {dtype = "i32"}) end

local root = child.folder()
teardown(function() os.execute(("rm -r '%s'"):format(root)) end)

local function write(name, text)
  child.write(root .. "/" .. name, text)
  return root .. "/" .. name
end

local definition_text = [[{"name": "d", "op_type": "gqa_paged", "axes": {"z": {"type": "var"},
  "num_qo_heads": {"type": "const", "value": 8}, "num_kv_heads": {"type": "const", "value": 2},
  "head_dim": {"type": "const", "value": 64}, "page_size": {"type": "const", "value": 4}},
  "inputs": {"q": {"dtype": "bfloat16"}, "k_cache": {"dtype": "bfloat16"}, "a": {"dtype": "int32"}}, "outputs": {}}]]

local function workload_text(last)
  return ([[{"definition": "d", "workload": {"uuid": "u", "axes": {"num_pages": 3}, "inputs": {"q": {"type": "random"},
  "kv_indptr": {"type": "safetensors", "path": "./t.safetensors", "tensor_key": "p"},
  "kv_indices": {"type": "safetensors", "path": "t.safetensors", "tensor_key": "i"},
  "%s": {"type": "safetensors", "path": "t.safetensors", "tensor_key": "l"},
  "sm_scale": {"type": "scalar", "value": 0.25}}}}]]):format(last):gsub("\n", "") .. "\n"
end

describe("a definition", function()
  it("keeps the order of its keys and lists its constants", function()
    local d = pah.trace.definition(write("d.json", definition_text))
    assert.same({"z", "num_qo_heads", "num_kv_heads", "head_dim", "page_size"}, pah.json.keys(d.axes))
    assert.same({"q", "k_cache", "a"}, pah.json.keys(d.inputs))
    assert.same({num_qo_heads = 8, num_kv_heads = 2, head_dim = 64, page_size = 4}, d.const)
    assert.equal("bf16", pah.trace.dtype(d.inputs.q.dtype))
    refused("trace: dtype float4 is not one that pah has", pah.trace.dtype, "float4")
    refused("not a definition: op_type is missing", pah.trace.definition, write("e.json", '{"name": "d"}'))
    refused("/none.json", pah.trace.definition, root .. "/none.json")
  end)
end)

describe("a workload", function()
  it("loads with either name of the last page's length, the pool taken from the indices", function()
    pah.safetensors.save(root .. "/t.safetensors", {p = i32 {0, 2, 2, 3}, i = i32 {9, 1, 4}, l = i32 {3, 1, 4}})
    local path = write("w.jsonl", workload_text "last_page_len" .. "\n" .. workload_text "kv_last_page_len")
    local list = pah.trace.workloads(path)
    assert.equal(2, #list)
    for _, w in ipairs(list) do
      assert.same({"d", "u", 3}, {w.definition, w.uuid, w.axes.num_pages})
      local p = pah.trace.load{workload = w, definition = pah.trace.definition(write("d.json", definition_text)),
        root = root}
      assert.same({{9, 1}, {-1, -1}, {4, -1}}, p.block_table:totable())
      assert.same({7, 0, 4}, p.seqused_k:totable())
      assert.same({10, 4, 8, 2, 64, "bf16", 0.25}, {p.num_blocks, p.block_size, p.num_heads, p.num_kv_heads,
        p.head_dim, p.dtype, p.softmax_scale})
    end
  end)

  it("that is none is refused with its line", function()
    refused("w2.jsonl (line 2)", pah.trace.workloads, write("w2.jsonl", workload_text "last_page_len" .. "{\n"))
    refused("(line 1): has no workload with axes and inputs", pah.trace.workloads, write("w3.jsonl", "{}\n"))
  end)
end)

describe("lists of pages", function()
  it("that lie are refused", function()
    local f = pah.trace.block_table
    refused("trace: kv_indptr must start with 0", f, i32 {1, 2}, i32 {0, 1}, nil, 4)
    refused("trace: kv_indptr[2] is 1, must be 2 to 3", f, i32 {0, 2, 1}, i32 {0, 1, 2}, nil, 4)
    refused("trace: kv_indptr[1] is 4, must be 0 to 3", f, i32 {0, 4}, i32 {0, 1, 2}, nil, 4)
    refused("trace: kv_indptr ends with 2, kv_indices has 3 entries", f, i32 {0, 2}, i32 {0, 1, 2}, nil, 4)
    refused("trace: kv_indices[1] is -1, must be a page id", f, i32 {0, 2}, i32 {0, -1}, nil, 4)
    refused("trace: kv_indices[0] is 2130241652, must be a page id from 0 to 99", f, i32 {0, 1}, i32 {2130241652}, nil,
      4, 100)
    refused("trace: last_page_len[0] is 5, must be 1 to 4", f, i32 {0, 1}, i32 {0}, i32 {5}, 4)
    refused("trace: last_page_len has 2 entries, must have 1", f, i32 {0, 1}, i32 {0}, i32 {1, 1}, 4)
    refused("trace: kv_indptr must be a one-dimensional i32", f, pah.zeros {2}, i32 {0}, nil, 4)
    refused("trace: kv_indptr must start with 0", f, i32 {}, i32 {}, nil, 4)
  end)
end)

describe("the captures", function()
  if not captured.present then return pending "the shared data are not there" end

  it("load, with a pool of the largest index and one", function()
    local list = pah.trace.workloads(captured.folder .. "/decode_captures/workloads.jsonl")
    assert.equal(7, #list)
    local definition = pah.trace.definition(captured.definition)
    for _, w in ipairs(list) do
      local p = pah.trace.load{workload = w, definition = definition, root = captured.folder}
      local raw = pah.safetensors.load(captured.folder .. "/" .. w.inputs.kv_indices.path)
      local most, p64 = 0, raw.kv_indices:data()
      for i = 0, #raw.kv_indices - 1 do most = math.max(most, tonumber(p64[i])) end
      assert.equal(most + 1, p.num_blocks)
      assert.is_true(p.num_blocks > w.axes.num_pages)
      assert.same({64}, p.seqused_k.shape)
      assert.equal(64, p.block_table:size(1))
      assert.same({1, 32, 8, 128, "bf16"}, {p.block_size, p.num_heads, p.num_kv_heads, p.head_dim, p.dtype})
    end
  end)

  it("of garbage are refused", function()
    local files = io.popen(("ls '%s'/decode_captures_garbage/*.safetensors"):format(captured.folder))
    local count = 0
    for path in files:lines() do
      local t = pah.safetensors.load(path)
      refused("must be a page id from 0 to", pah.trace.block_table, t.kv_indptr, t.kv_indices, nil, 1, 2 ^ 22)
      count = count + 1
    end
    files:close()
    assert.equal(2, count)
  end)
end)
