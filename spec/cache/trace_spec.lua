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

local mla_text = [[{"name": "m", "op_type": "mla_paged", "axes": {"num_qo_heads": {"type": "const", "value": 4},
  "head_dim_ckv": {"type": "const", "value": 32}, "head_dim_kpe": {"type": "const", "value": 8},
  "page_size": {"type": "const", "value": 4}}, "inputs": {"q_nope": {"dtype": "bfloat16"},
  "ckv_cache": {"dtype": "bfloat16"}%s}, "outputs": {}}]]

local mla_workload = [[{"definition": "m", "workload": {"uuid": "u", "axes": {"batch_size": 3, "len_indptr": 4,
  "total_q": 5, "num_pages": 99, "num_kv_indices": 8}, "inputs": {"sm_scale": {"type": "scalar", "value": 0.25},
  "kv_indptr": {"type": "safetensors", "path": "none.safetensors", "tensor_key": "p"},
  "kv_indices": {"type": "safetensors", "path": "none.safetensors", "tensor_key": "i"}}}}]]

describe("an MLA workload", function()
  local function load(inputs, seed)
    local definition = pah.trace.definition(write("m.json", mla_text:format(inputs)))
    local w = pah.trace.workloads(write("m.jsonl", mla_workload:gsub("\n", "") .. "\n"))[1]
    return pah.trace.load{workload = w, definition = definition, root = root, seed = seed, device = "cpu"}
  end

  it("is one K/V head of which V is the first part, and its tables are drawn where their file is not there", function()
    local p = load("", 7)
    assert.same({4, 4, 1, 40, 32, "bf16", 0.25, 8, true}, {p.block_size, p.num_heads, p.num_kv_heads, p.head_dim,
      p.head_dim_v, p.dtype, p.softmax_scale, p.num_blocks, p.drawn})
    assert.same({12, 12, 8}, p.seqused_k:totable()) -- 3, 3 and 2 pages, all full
    local seen = {}
    for _, row in ipairs(p.block_table:totable()) do
      for _, id in ipairs(row) do seen[id] = (seen[id] or 0) + 1 end
    end
    for id = 0, 7 do assert.equal(1, seen[id]) end
    assert.is_nil(p.cu_seqlens_q)
    p = load(', "qo_indptr": {"dtype": "int32"}', 7)
    assert.same({0, 2, 4, 5}, p.cu_seqlens_q:totable())
    refused("none.safetensors", load, "")
  end)

  it("gives what its definition says, from ckv and kpe joined", function()
    local p, cpu = load("", 1), {device = "cpu"}
    local function random(shape, seed) return pah.randn(shape, {seed = seed, device = "cpu"}) end
    local ckv, kpe = random({8, 4, 32}, 1), random({8, 4, 8}, 2)
    local q_nope, q_pe = random({3, 4, 32}, 3), random({3, 4, 8}, 4)
    local k_blocks, v_blocks = pah.trace.mla_cache(ckv, kpe)
    assert.same({{8, 4, 1, 40}, {8, 4, 1, 32}}, {k_blocks.shape, v_blocks.shape})
    local out = pah.reference.decode{q = pah.trace.joined(q_nope, q_pe), k_blocks = k_blocks, v_blocks = v_blocks,
      block_table = p.block_table, seqused_k = p.seqused_k, softmax_scale = p.softmax_scale}
    for b = 1, 3 do -- softmax(q_nope ckv + q_pe kpe) ckv of every head
      for h = 1, 4 do
        local total, sum = 0, pah.zeros({32}, cpu):totable()
        for t = 0, p.seqused_k:get(b) - 1 do
          local page, slot, score = p.block_table:get(b, math.floor(t / 4) + 1) + 1, t % 4 + 1, 0
          for d = 1, 32 do score = score + q_nope:get(b, h, d) * ckv:get(page, slot, d) end
          for d = 1, 8 do score = score + q_pe:get(b, h, d) * kpe:get(page, slot, d) end
          local weight = math.exp(0.25 * score)
          total = total + weight
          for d = 1, 32 do sum[d] = sum[d] + weight * ckv:get(page, slot, d) end
        end
        for d = 1, 32 do assert.is_true(math.abs(out:get(b, h, d) - sum[d] / total) < 1e-12) end
      end
    end
    refused("trace.joined: shapes are [8, 4, 32] and [8, 3, 8], must differ in the last dimension only",
      pah.trace.mla_cache, ckv, random({8, 3, 8}, 2))
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

describe("the workloads of MLA", function()
  if not captured.present then return pending "the shared data are not there" end

  -- Every workload is loaded; those of up to `most` keys and queries are run and compared with the oracle.
  local function run(what, op, count, most)
    local definition_path, path = captured.mla(what)
    local definition, list, compared = pah.trace.definition(definition_path), pah.trace.workloads(path), 0
    assert.equal(count, #list)
    for i, w in ipairs(list) do
      local p = pah.trace.load{workload = w, definition = definition, root = captured.folder, seed = i, device = "cpu"}
      assert.same({1, 16, 1, 576, 512, "bf16", true}, {p.block_size, p.num_heads, p.num_kv_heads, p.head_dim,
        p.head_dim_v, p.dtype, p.drawn})
      assert.equal(w.axes.num_kv_indices, p.num_blocks)
      local rows = p.cu_seqlens_q and w.axes.total_q or w.axes.batch_size
      if w.axes.num_kv_indices * rows <= most then
        local function random(shape, seed) return pah.randn(shape, {seed = seed, dtype = p.dtype, device = "cpu"}) end
        local k_blocks = random({p.num_blocks, 1, 1, 576}, 2)
        local args = {q = random({rows, 16, 576}, 1), k_blocks = k_blocks, v_blocks = k_blocks:narrow(4, 1, 512),
          block_table = p.block_table, seqused_k = p.seqused_k, softmax_scale = p.softmax_scale,
          cu_seqlens_q = p.cu_seqlens_q, causal = p.cu_seqlens_q and true}
        local out, lse = pah[op](args)
        local want, want_lse = pah.reference[op](args)
        assert.is_true(pah.allclose(out:to "f64", want, {rtol = 2e-2, atol = 2e-2}))
        assert.is_true(pah.allclose(lse:to "f64", want_lse, {rtol = 1e-3, atol = 1e-3}))
        compared = compared + 1
      end
    end
    return compared
  end

  it("load, and decode as the oracle does", function() assert.is_true(run("decode", "decode", 47, 3000) > 5) end)

  it("load, and prefill as the oracle does", function() assert.is_true(run("prefill_causal", "fwd", 38, 700) > 5) end)
end)
