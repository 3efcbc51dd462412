-- variants_spec.lua - sinks, several queries, trees and V in K on every device and instruction set: what is said in two
-- ways is the same, to the last bit where the contract says so. What mixes these with everything else: cases_spec.lua.
-- Read next: lua/pah/judge/problem.lua, spec/attention/metamorphic_spec.lua.
local cases = require "pah.judge.cases"
local isas = require "spec.support.isas"
local judge = require "pah.judge.budget"
local problems = require "pah.judge.problem"

-- Largest difference of two lists of results by name, whose infinities must agree.
local function difference(a, b)
  local most = 0
  for name, tensor in pairs(a) do
    local e, why = judge.errors(tensor, b[name])
    assert.is_truthy(e, why and name .. ": " .. why)
    most = math.max(most, e.max)
  end
  return most
end

local function copies(results)
  local own = {}
  for name, tensor in pairs(results) do own[name] = tensor:clone() end
  return own
end

-- Results of the problem with some arguments changed (false: left out) and the number of splits.
local function with(problem, changes, num_splits)
  local kept = problem.args
  problem.args = problem.args_without()
  for name, value in pairs(changes) do problem.args[name] = value or nil end
  local results = copies(problem.run(nil, num_splits))
  problem.args = kept
  return results
end

local names = {}
for _, entry in ipairs(pah.devices()) do
  if entry.name ~= "cpu" then names[#names + 1] = entry end
end
for _, isa in ipairs(isas.usable) do names[#names + 1] = {name = "cpu:" .. isa, usable = true} end

local DTYPES = {{dtype = "f32"}, {dtype = "bf16"}, {dtype = "bf16", cache_dtype = "fp8_e4m3"}}

for _, entry in ipairs(names) do
  describe("variants on " .. entry.name, function()
    if not entry.usable then
      pending(("are not run: %s"):format(entry.why or "the device is not usable"))
      return
    end
    local device = pah.device(entry.name)

    -- f(case's problem) for every dtype that the operation takes.
    local function each(op, change, f)
      for _, dtypes in ipairs(DTYPES) do
        if op == "decode" or not dtypes.cache_dtype then f(problems.build(cases.plain(op,
          cases.merged(dtypes, change)), device), dtypes) end
      end
    end

    it("sinks of minus infinity give the bits of none", function()
      for _, op in ipairs {"fwd", "decode", "bwd"} do
        each(op, {causal = true, softcap = 5}, function(problem)
          local before = copies(problem.run())
          local sinks = pah.full({4}, -math.huge, {device = device})
          local changes = {sinks = sinks}
          if op == "bwd" then changes.dsinks = pah.full({4}, 7, {device = device}) end
          assert.equal(0, difference(before, with(problem, changes)))
          if op == "bwd" then assert.same({0, 0, 0, 0}, changes.dsinks:totable()) end
        end)
      end
    end)

    it("sinks of plus infinity give out 0 and no gradient", function()
      for _, op in ipairs {"fwd", "decode"} do
        each(op, {}, function(problem)
          local results = with(problem, {sinks = pah.full({4}, math.huge, {device = device})})
          assert.equal(0, pah.diff(results.out, results.out:clone():zero()).max_abs)
          for _, x in ipairs(results.lse:reshape(-1):totable()) do assert.equal(math.huge, x) end
        end)
      end
      each("bwd", {sinks = true}, function(problem)
        problem.args.sinks = pah.full({4}, math.huge, {device = device})
        problem.args.out:zero()
        problem.args.lse:fill(math.huge)
        for _, tensor in pairs(problem.run()) do
          assert.equal(0, pah.diff(tensor, tensor:clone():zero()).max_abs)
          assert.equal(0, pah.diff(tensor, tensor).nan)
        end
      end)
    end)

    it("a row without keys has its sink for lse", function()
      for _, op in ipairs {"fwd", "decode"} do
        each(op, {len_k = {0, 3}, sinks = true}, function(problem)
          local results = problem.run()
          for h = 1, 4 do
            assert.equal(problem.args.sinks:get(h), results.lse:get(1, h, 1))
            assert.equal(0, results.out:get(1, h, 1, 64))
          end
        end)
      end
    end)

    it("scores of minus infinity weigh nothing, even if there are no others", function()
      for _, op in ipairs {"fwd", "decode"} do
        each(op, {len_q = 3}, function(problem, dtypes)
          if dtypes.cache_dtype then return end -- e4m3 has no infinity
          problem.args.q:fill(1)
          problem.args.k_blocks:fill(-math.huge)
          local sinks = pah.randn({4}, {seed = 3, device = device})
          for _, given in ipairs {false, sinks} do
            for _, num_splits in ipairs(op == "decode" and {1, 5} or {0}) do
              local results = with(problem, {sinks = given}, num_splits)
              assert.equal(0, pah.diff(results.out, results.out:clone():zero()).max_abs)
              for h = 1, 4 do
                assert.equal(given and sinks:get(h) or -math.huge, results.lse:get(2, h, 3))
              end
            end
          end
          -- One key of a finite score takes all; one of plus infinity makes NaN of the queries that see it.
          local block = problem.plan.table[1][1] + 1
          problem.args.k_blocks[block][3]:fill(0)
          local results = with(problem, {})
          assert.equal(problem.args.v_blocks:get(block, 3, 1, 1), results.out:get(1, 1, 1, 1))
          assert.is_true(math.abs(results.lse:get(1, 1, 1)) < 1e-6)
          problem.args.k_blocks[block][3]:fill(math.huge)
          results = with(problem, {})
          local out, lse = results.out:get(1, 1, 1, 1), results.lse:get(1, 1, 1)
          assert.is_true(out ~= out and lse ~= lse)
          assert.equal(-math.huge, results.lse:get(2, 1, 1))
        end)
      end
    end)

    it("caps of any size cap", function()
      for _, op in ipairs {"fwd", "decode", "bwd"} do
        for _, softcap in ipairs {1e-30, 1e-3, 3e3, 1e30} do
          each(op, {softcap = softcap, causal = true}, function(problem)
            assert.same({}, judge.judge(problem, problem.run()), ("%s softcap %g"):format(op, softcap))
          end)
        end
      end
    end)

    it("splits of the keys change nothing but rounding, with sinks, trees, queries and V in K", function()
      for _, change in ipairs {
        {sinks = true, len_k = {300, 2, 0}}, {len_q = 4, causal = true}, {len_q = 9, tree = "bits", sinks = true},
        {mla = true, H = 16, Hkv = 1, D = 72, Dv = 64, softmax_scale = 0.2, len_q = 2, causal = true},
        {ragged = true, len_q = {3, 0, 1}, causal = true, Dv = 24},
      } do
        each("decode", change, function(problem, dtypes)
          local one = with(problem, {}, 1)
          for _, num_splits in ipairs {2, 17} do
            assert.is_true(difference(one, with(problem, {}, num_splits)) < (dtypes.dtype == "f32" and 1e-5 or 3e-2))
          end
        end)
      end
    end)

    it("a chain equals causal, to the last bit", function()
      for _, op in ipairs {"fwd", "decode"} do
        for _, change in ipairs {
          {len_q = 9}, {len_q = 20, len_k = {20, 33, 90}, block_size = 3, sinks = true}, {len_q = 40, len_k = {70, 40}},
          {len_q = 5, softcap = 3, layout = "HND", H = 8, Hkv = 1}, {ragged = true, len_q = {5, 0, 12}},
        } do
          each(op, cases.merged(change, {tree = "chain"}), function(problem)
            local chain = copies(problem.run())
            assert.equal(0, difference(chain, with(problem, {tree_mask = false, causal = true})))
          end)
        end
      end
    end)

    it("several queries equal each of them by itself", function()
      each("decode", {len_q = 5, causal = true, sinks = true}, function(problem, dtypes)
        local results, q, lengths = copies(problem.run()), problem.args.q, problem.case.len_k
        for i = 1, 5 do
          local used = {}
          for b, len in ipairs(lengths) do used[b] = len - 5 + i end
          local args = problem.args_without("causal")
          args.q, args.seqused_k = q:narrow(3, i, 1), pah.tensor(used, {dtype = "i32", device = device})
          local out, lse = pah.decode(args)
          local whole = {out = results.out:narrow(3, i, 1), lse = results.lse:narrow(3, i, 1)}
          assert.is_true(difference({out = out, lse = lse}, whole) < (dtypes.dtype == "f32" and 1e-5 or 3e-2))
        end
      end)
    end)

    it("V in K equals the same V copied", function()
      for _, op in ipairs {"fwd", "decode"} do
        for _, change in ipairs {
          {H = 16, Hkv = 1, D = 576, Dv = 512, softmax_scale = 0.07}, {H = 6, Hkv = 2, D = 40, Dv = 32,
            softmax_scale = 0.2, layout = "HND"}, {H = 4, Hkv = 1, D = 64, Dv = 64, sinks = true, causal = true},
        } do
          each(op, cases.merged({len_q = 3, causal = true, mla = true}, change), function(problem, dtypes)
            local view = copies(problem.run())
            local copied = with(problem, {v_blocks = problem.args.v_blocks:contiguous()})
            assert.is_true(difference(view, copied) < (dtypes.dtype == "f32" and 1e-5 or 1e-2))
          end)
        end
      end
    end)
  end)
end
