-- verdict_spec.lua - pah.judge by itself: what it takes and refuses, what a verdict holds, kernels of low precision and
-- backward with mistakes planted, merge and kv_append, functions score and mask, and the command `pah judge`.
local child = require "spec.support.child"
local host = require "pah.host"
local refused = require "spec.support.refused"
local verdicts = require "pah.judge.verdict"

local function own(op)
  return function(a) pah[op](a) end
end

-- A verdict on pah's own kernel of an operation with arguments changed.
local function changed(op, cases, change, more)
  local spec = {op = op, device = "cpu", cases = cases, run = function(a)
    local copy = {}
    for name, value in pairs(a) do copy[name] = value end
    change(copy)
    pah[op](copy)
  end}
  for name, value in pairs(more or {}) do spec[name] = value end
  return pah.judge(spec)
end

local function cause_of(v)
  local causes = verdicts.causes(v)
  return causes[1] and causes[1].cause or "no cause"
end

describe("pah.judge", function()
  it("refuses what it does not know, before anything runs", function()
    local run = function() error "must not run" end
    refused.here("is called with a nil, must be called with a table", pah.judge)
    refused.here("op is decod, must be fwd", pah.judge, {op = "decod", run = run})
    refused.here('did you mean "decode"?', pah.judge, {op = "decod", run = run})
    refused.here("run is a nil, must be a function", pah.judge, {op = "fwd"})
    refused.here('unknown option "suports", did you mean "supports"?', pah.judge, {op = "fwd", run = run, suports = {}})
    refused.here('supports: unknown option windo, did you mean "window"?', pah.judge,
      {op = "fwd", run = run, supports = {windo = true}})
    refused.here("supports: D is true, must be a value", pah.judge, {op = "fwd", run = run, supports = {D = true}})
    refused.here("supports is a number", pah.judge, {op = "fwd", run = run, supports = 3})
    refused.here('invariant: unknown name batsh, did you mean "batch"?', pah.judge,
      {op = "fwd", run = run, invariant = {"batsh"}})
    refused.here("splits is of decode only, op is fwd", pah.judge, {op = "fwd", run = run, invariant = {"splits"}})
    refused.here("schedules are given, but the device is cpu", pah.judge,
      {op = "fwd", run = run, device = "cpu", schedules = {"order"}})
    refused.here('no case of fwd has "nothing like it"', pah.judge, {op = "fwd", run = run, cases = "nothing like it"})
    refused.here("cases: item 1: unknown field len", pah.judge, {op = "fwd", run = run, cases = {{len = 3}}})
    refused.here("cases: item 1 is of bwd, must be of fwd", pah.judge, {op = "fwd", run = run, cases = {{op = "bwd"}}})
    refused.here("merge has only repeat, not batch", pah.judge, {op = "merge", run = run, invariant = {"batch"}})
    refused.here("kv_append has no scores", pah.judge, {op = "kv_append", run = run, mask = run})
  end)

  it("counts what is passed, failed and pending, and says what is not run", function()
    local v = pah.judge{op = "decode", device = "cpu", run = own "decode", cases = "quick",
      supports = {dtype = {"bf16"}, cache_dtype = "bf16", D = {64, 128}, causal = true, window = false}}
    assert.is_true(v.ok and v.passed > 40 and v.failed == 0 and v.pending > 20)
    for _, p in ipairs(v.pendings) do
      assert.is_truthy(p.why:find "^c?a?c?h?e?_?dtype = " or p.why:find "^D = " or p.why:find "^causal = top%-left"
        or p.why:find "^window = ", p.why)
    end
    local text = tostring(v)
    assert.is_truthy(text:find(("decode on cpu: %d passed, 0 failed, %d pending"):format(v.passed, v.pending), 1, true))
    assert.is_truthy(text:find "option +passed +failed +pending")
    assert.is_nil(text:find "FAILED")
  end)

  it("is not ok where nothing was run", function()
    local none = function() return false, "no" end
    local v = pah.judge{op = "fwd", device = "cpu", run = own "fwd", cases = {{}}, supports = none}
    assert.same({false, 0, 0, 1}, {v.ok, v.passed, v.failed, v.pending})
    assert.equal("no", v.pendings[1].why)
    v = pah.judge{op = "fwd", device = "cpu", run = function() return false, "not today" end, cases = {{}}}
    assert.same({false, 1, "not today"}, {v.ok, v.pending, v.pendings[1].why})
  end)

  it("gives run the arguments of the operation, results that are NaN, and the case", function()
    local seen
    pah.judge{op = "decode", device = "cpu", cases = {{num_splits = 3, sinks = true}}, run = function(a, case)
      seen = {a.out:get(1, 1, 1, 1), a.lse:get(1, 1, 1), a.num_splits, a.softmax_scale, case.block_size,
        a.sinks:size(1)}
      pah.decode(a)
    end}
    assert.is_true(seen[1] ~= seen[1] and seen[2] ~= seen[2])
    assert.same({3, 0.125, 16, 4}, {unpack(seen, 3)})
  end)

  it("tells an error of run as a failure of its case, and goes on", function()
    local v = pah.judge{op = "fwd", device = "cpu", cases = {{}, {causal = true}}, run = function(a)
      if a.causal then error "no causal here" end
      pah.fwd(a)
    end}
    assert.same({1, 1}, {v.passed, v.failed})
    assert.is_truthy(v.failures[1].what:find "^run failed: .*no causal here")
    assert.equal("fwd f32 causal=true", v.failures[1].case)
  end)

  it("names the option that a kernel of low precision leaves out", function()
    for _, row in ipairs {
      {"decode", {{dtype = "bf16", len_q = 6, causal = true}}, "causal", "^mask ignored: causal"},
      {"decode", {{dtype = "bf16", softcap = 1.5}}, "softcap", "^softcap dropped"},
      {"decode", {{dtype = "f16", window = {7, 0}}}, "window", "^window ignored"},
      {"decode", {{dtype = "bf16", sinks = true}}, "sinks", "^sinks ignored"},
      {"decode", {{dtype = "bf16", cache_dtype = "fp8_e4m3", k_descale = "heads"}}, "k_descale",
        "^descale forgotten: k"},
      {"decode", {{dtype = "f16", cache_dtype = "fp8_e5m2", v_descale = "scalar"}}, "v_descale",
        "^descale forgotten: v"},
      {"fwd", {{dtype = "bf16", tree = "random", len_q = 9}}, "tree_mask", "^mask ignored: tree_mask"},
      {"fwd", {{dtype = "f16", softmax_scale = 0.35}}, "softmax_scale", "^softmax_scale ignored"},
      {"fwd_fp8", {{dtype = "fp8_e4m3", q_descale = "scalar"}}, "q_descale", "^descale forgotten: q_descale"},
      {"fwd_fp8", {{dtype = "fp8_e4m3", o_scale = 16}}, "o_scale", "^o_scale forgotten"},
      {"bwd", {{dtype = "f32", len_q = 20, causal = true}}, "causal", "^mask ignored: causal"},
      {"bwd", {{dtype = "bf16", softcap = 1.5}}, "softcap", "^softcap dropped"},
    } do
      local op, cases, name, words = unpack(row)
      local v = changed(op, cases, function(a)
        a[name] = nil
        if name == "softmax_scale" then a.softmax_scale = a.q.shape[#a.q.shape] ^ -0.5 end
      end)
      assert.equal(1, v.failed, name .. " passes")
      assert.is_truthy(cause_of(v):find(words), cause_of(v))
    end
  end)

  it("names mistakes of gradients", function()
    for words, change in pairs {
      ["^scale forgotten in dq"] = function(a)
        pah.bwd(a)
        local values = a.dq:to "f64"
        for i = 0, values:numel() - 1 do values:data()[i] = values:data()[i] * 8 end
        a.dq:copy(values)
      end,
      ["^dsinks with its sign turned"] = function(a)
        pah.bwd(a)
        for h = 1, a.dsinks:size(1) do a.dsinks:set(-a.dsinks:get(h), h) end
      end,
      ["^dk and dv exchanged"] = function(a)
        pah.bwd(a)
        local dk = a.dk_blocks:clone()
        a.dk_blocks:copy(a.dv_blocks)
        a.dv_blocks:copy(dk)
      end,
    } do
      local v = pah.judge{op = "bwd", device = "cpu", cases = {{sinks = true, len_q = 8}}, run = change}
      assert.equal(1, v.failed, words)
      assert.is_truthy(cause_of(v):find(words), cause_of(v))
    end
  end)

  it("judges merge and kv_append, and names their mistakes", function()
    local function merge(a) pah.merge(a.out_a, a.lse_a, a.out_b, a.lse_b, {out = a.out, lse = a.lse}) end
    assert.is_true(pah.judge{op = "merge", device = "cpu", run = merge, invariant = {"repeat"}}.ok)
    assert.is_true(pah.judge{op = "kv_append", device = "cpu", run = own "kv_append"}.ok)
    local v = pah.judge{op = "merge", device = "cpu", run = function(a)
      a.lse_a, a.lse_b = a.lse_b, a.lse_a
      merge(a)
    end, cases = {{}}}
    assert.is_truthy(cause_of(v):find "weights are exchanged", cause_of(v))
    v = pah.judge{op = "kv_append", device = "cpu", run = function(a)
      a.k, a.v = a.v, a.k
      pah.kv_append(a)
    end, cases = {{}, {skipped = "some"}}}
    assert.equal(2, v.failed)
    assert.is_truthy(cause_of(v):find "K and V exchanged", cause_of(v))
    assert.is_truthy(v.failures[1].where.token)
    v = pah.judge{op = "kv_append", device = "cpu", run = function(a)
      a.k_descale, a.v_descale = 1 / a.k_descale, 1 / a.v_descale
      pah.kv_append(a)
    end, cases = {{dtype = "bf16", cache_dtype = "fp8_e4m3", k_descale = 0.5, v_descale = 2}}}
    assert.is_truthy(cause_of(v):find "descale the wrong way round", cause_of(v))
  end)

  it("judges a variant that is not in pah, by functions score and mask", function()
    local function alibi(s, _, h, i, j) return s - 2 ^ (-8 * (h + 1) / 4) * math.abs(i - j) end
    local function chunked(_, _, i, j) return math.floor(i / 8) == math.floor(j / 8) end
    local spec = {op = "fwd", device = "cpu", score = alibi, mask = chunked, cases = {{len_q = 20, len_k = {20, 20}}}}
    function spec.run(a) -- slow and right: the oracle's own
      local out, lse = pah.reference.fwd{q = a.q, k_blocks = a.k_blocks, v_blocks = a.v_blocks,
        block_table = a.block_table, seqused_k = a.seqused_k, score = alibi, mask = chunked}
      a.out:copy(out)
      a.lse:copy(lse)
    end
    assert.is_true(pah.judge(spec).ok)
    spec.run = own "fwd"
    local v = pah.judge(spec)
    assert.equal(1, v.failed)
    assert.equal("no known mistake explains it", cause_of(v)) -- both are left out: two mistakes at once
    spec.mask, spec.cases = nil, {{len_q = 20, len_k = {20, 20}}}
    assert.equal("the score function is not applied", cause_of(pah.judge(spec)))
  end)
end)

describe("pah.probe", function()
  local function problem()
    local table_, used = pah.block_table{seqlens = {40, 21}, block_size = 16, num_blocks = 12, seed = 3}
    local pool = {12, 16, 2, 16}
    return {q = pah.randn({2, 4, 3, 16}, {seed = 1}), k_blocks = pah.randn(pool, {seed = 2}),
      v_blocks = pah.randn(pool, {seed = 3}), block_table = table_, seqused_k = used, causal = true,
      out = pah.zeros {2, 4, 3, 16}, lse = pah.zeros {2, 4, 3}}
  end

  it("reads the weights of a black box, and finds the first key that is wrong", function()
    local a = problem()
    local got, want, key = pah.probe(function(x) pah.fwd(x) end, a, {sequence = 0, query = 1, head = 2})
    assert.is_nil(key)
    assert.same({48, 48}, {#got, #want})
    local sum = 0
    for j = 1, 48 do
      assert.near(want[j], got[j], 1e-5)
      sum = sum + got[j]
    end
    assert.near(1, sum, 1e-5)
    assert.equal(0, want[40]) -- query 1 of 3 does not see the last key
    got, want, key = pah.probe(function(x)
      x.causal = false
      pah.fwd(x)
    end, a, {sequence = 0, query = 1, head = 2})
    assert.equal(39, key)
    assert.is_true(got[40] > 0 and want[40] == 0)
    assert.is_truthy(tostring(got):find "^{0: ")
  end)

  it("leaves the values as they are, and refuses what has none of their own", function()
    local a = problem()
    local before = a.v_blocks:hash()
    pah.probe(function(x) pah.fwd(x) end, a, {sequence = 1, query = 0, head = 0})
    assert.equal(before, a.v_blocks:hash())
    local run = function() end
    refused.here("sequence is 2, must be a whole number from 0 to 1", pah.probe, run, a, {sequence = 2, head = 0})
    refused.here("query is 3", pah.probe, run, a, {sequence = 0, query = 3, head = 0})
    refused.here("head is nil", pah.probe, run, a, {sequence = 0, query = 0})
    refused.here("run is a nil", pah.probe, nil, a, {sequence = 0, head = 0})
    a.v_blocks = a.k_blocks
    refused.here("v_blocks is a view of k_blocks", pah.probe, run, a, {sequence = 0, head = 0})
    a.v_blocks = nil
    refused.here("v_blocks is a nil, must be a tensor", pah.probe, run, a, {sequence = 0, head = 0})
  end)
end)

describe("pah judge", function()
  local folder = child.folder()
  teardown(function() os.execute("rm -r " .. folder) end)

  local function judge(text, words)
    child.write(folder .. "/my kernel.lua", text)
    return child.run(folder, "judge 'my kernel.lua' " .. (words or ""))
  end

  local GOOD = [[return {op = "decode", device = "cpu", run = function(a) pah.decode(a) end,
    supports = {dtype = {"f32"}}, cases = "block_size"}]]
  local BAD = GOOD:gsub("pah.decode", "a.softcap = nil pah.decode"):gsub('"block_size"', '"softcap"')

  it("exits with 0 where all passes, and prints the table", function()
    local out, err, code = judge(GOOD)
    assert.same({"", 0}, {err, code})
    assert.is_truthy(out:find "decode on cpu: %d+ passed, 0 failed, %d+ pending")
    local one = GOOD:gsub("return ", "")
    out, err, code = judge("return {" .. one .. ", " .. one .. "}", "--quick")
    assert.same({"", 0, 2}, {err, code, select(2, out:gsub("decode on cpu", ""))})
  end)

  it("exits with 1 where something fails, with the line that runs it alone", function()
    local out, _, code = judge(BAD)
    assert.equal(1, code)
    assert.is_truthy(out:find("cause: softcap dropped", 1, true), out)
    local line = out:match "alone: pah judge ([^\n]+)"
    assert.is_truthy(line:find "^'my kernel.lua' %-%-case '%d+ decode f32 .*softcap")
    local again, _, second = child.run(folder, "judge " .. line)
    assert.equal(1, second)
    assert.is_truthy(again:find(" 0 passed, 1 failed, 0 pending of 1 cases", 1, true), again)
  end)

  it("prints JSON", function()
    local out, _, code = judge(BAD, "--json")
    local value = pah.json.decode(out)
    assert.same({1, false}, {code, value.ok})
    local v = value.verdicts[1]
    assert.is_true(v.failed > 0 and v.failed <= #v.failures and v.op == "decode")
    assert.equal("softcap dropped", v.causes[1].cause)
    assert.is_truthy(v.failures[1].where.sequence)
  end)

  it("exits with 2 on wrong usage, and with 1 where FILE itself fails", function()
    local _, err, code = child.run(folder, "judge")
    assert.equal(2, code)
    assert.is_truthy(err:find("no file is named", 1, true))
    for text, words in pairs {
      ["return 3"] = "returns a number, must return the table", ["return {}"] = "a table without op and run",
      ["return {3}"] = "a list whose item 1 is a number", ['return {op = "fwd"}'] = "run is a nil, must be a function",
      ["return {"] = "unexpected symbol",
    } do
      _, err, code = judge(text)
      assert.same({2, true}, {code, err:find(words, 1, true) ~= nil}, err)
    end
    _, err, code = judge(GOOD, "--case 'no such case'")
    assert.same({2, true}, {code, err:find('no case of decode has "no such case"', 1, true) ~= nil})
    _, err, code = judge(GOOD, "--case x --quick")
    assert.same({2, true}, {code, err:find("are both given", 1, true) ~= nil})
    _, err, code = judge "error 'of my own'"
    assert.same({1, true}, {code, err:find("of my own", 1, true) ~= nil})
  end)

  it("judges the files that ship by their names", function()
    local out, code = child.shell(host.exe .. " judge c_function")
    assert.equal(0, code, out)
    if require("spec.support.gpu.sim").why then return pending(require("spec.support.gpu.sim").why) end
    out, code = child.shell(("PAH_DEVICE=sim %s judge own_kernel --quick"):format(host.exe))
    assert.equal(0, code, out)
  end)

  -- cases_spec.lua runs all cases; here the kernels that ship go the public way, a part of the cases each.
  local parts = {"block_size=7", "softcap", "HND", "sinks=infinite", "len_q=7", "ragged"}
  for n, isa in ipairs(require("spec.support.isas").usable) do
    it("passes the kernels that ship, on cpu:" .. isa, function()
      local out, code = child.shell(("PAH_DEVICE=cpu:%s %s judge shipped --case %s"):format(isa, host.exe, parts[n]))
      assert.equal(0, code, out)
      local passed = 0
      for count in out:gmatch " on cpu:%w+: (%d+) passed, 0 failed, 0 pending" do passed = passed + count end
      assert.is_true(passed > 20, out)
    end)
  end

  it("passes the kernels that ship, on sim", function()
    if require("spec.support.gpu.sim").why then return pending(require("spec.support.gpu.sim").why) end
    local out, code = child.shell(("PAH_DEVICE=sim %s judge shipped --case 'len_q=7 '"):format(host.exe))
    assert.equal(0, code, out)
  end)
end)
