-- operations_spec.lua - sinks, trees, several queries, widths of K and V and V in K on the cpu, where its kernels part
-- ways: by the number of rows that share a KV head, at 256 elements of a row, where vectors end. Random problems on
-- every instruction set against the oracle, then what is said in two ways. The same for every device:
-- spec/attention/variants_spec.lua. Read next: src/cpu/decode/rows.h, src/cpu/mask.h.
local cases = require "pah.judge.cases"
local child = require "spec.support.child"
local ffi = require "ffi"
local isas = require("spec.support.isas").usable
local judge = require "pah.judge.budget"
local problems = require "pah.judge.problem"

local NAN = 0 / 0

-- Numbers that are the same in every run.
local function generator(seed)
  local state = seed
  return function(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return math.floor(state / 65536) % n + 1
  end
end

local function pick(random, list) return list[random(#list)] end

local WIDTHS = {8, 16, 24, 40, 64, 72, 96, 128, 136, 192, 256, 264, 320, 512, 576}
local GROUPS = {{1, 1}, {2, 2}, {3, 1}, {4, 1}, {6, 2}, {8, 1}, {5, 5}, {12, 1}, {16, 1}, {17, 1}, {32, 2}}

-- The queries of a case: one number, or one for each sequence.
local function add_queries(case, random, op)
  local most = op == "decode" and 20 or 40
  if random(3) > 1 then
    case.len_q = random(most)
    return
  end
  case.ragged, case.len_q = true, {random(most) - 1, random(most), random(3)}
end

local function add_mask(case, random, op)
  local kind = random(4)
  if kind == 1 and op ~= "bwd" and op ~= "fwd_fp8" then
    case.tree = pick(random, {"random", "bits", "chain"})
    for b, len in ipairs(case.len_k) do
      case.len_k[b] = len + (case.ragged and case.len_q[b] or case.len_q)
    end
  elseif kind == 2 then
    case.causal = true
  elseif kind == 3 then
    case.window, case.causal = {random(50) - 1, -1}, true
  end
end

local function random_case(op, seed)
  local random = generator(seed)
  local group, case = pick(random, GROUPS), {seed = seed}
  case.H, case.Hkv = group[1], group[2]
  case.D, case.Dv = pick(random, WIDTHS), pick(random, WIDTHS)
  case.len_k = {random(150), random(40) - 1, random(300)}
  case.block_size = pick(random, {1, 3, 16, 64})
  case.layout = pick(random, {"NHD", "HND"})
  case.dtype = pick(random, {"f32", "bf16", "bf16", "f16"})
  if op == "fwd_fp8" then case.dtype, case.out_dtype = pick(random, {"fp8_e4m3", "fp8_e5m2"}), "bf16" end
  if op == "decode" and random(4) == 1 then case.cache_dtype = pick(random, {"fp8_e4m3", "fp8_e5m2"}) end
  add_queries(case, random, op)
  add_mask(case, random, op)
  case.sinks = pick(random, {false, true, "infinite"}) or nil
  if random(4) == 1 then case.softcap = 5 end
  if op == "decode" then case.num_splits = pick(random, {0, 1, 2, 17}) end
  if op ~= "bwd" and op ~= "fwd_fp8" and random(4) == 1 then
    case.mla, case.softmax_scale = true, case.D ^ -0.5
    case.Dv = math.min(case.D, case.Dv)
  end
  return cases.plain(op, case)
end

-- Complaints about a case on every instruction set; one oracle serves them all.
local function complaints_of(case)
  local complaints, want, low_precision = {}, nil, nil
  for _, isa in ipairs(isas) do
    local problem = problems.build(case, pah.device("cpu:" .. isa))
    local results = problem.run()
    want = want or problem.reference()
    low_precision = low_precision or judge.low_precision(problem)
    for _, line in ipairs(judge.judge(problem, results, want, low_precision)) do
      complaints[#complaints + 1] = isa .. ": " .. line
    end
  end
  return complaints
end

local function bits(t)
  t = t:contiguous()
  return ffi.string(t:data(), t.nbytes)
end

describe("operations on the cpu", function()
  for op, count in pairs {decode = 40, fwd = 25, fwd_fp8 = 10, bwd = 16} do
    it(("%d random problems of %s agree with the oracle"):format(count, op), function()
      for seed = 1, count do
        local case = random_case(op, seed)
        assert.same({}, complaints_of(case), case.name)
      end
    end)
  end

  it("decode takes as many rows of a KV head as there are, each by its own kernel", function()
    for _, dtypes in ipairs {{dtype = "bf16"}, {dtype = "f32"}, {dtype = "bf16", cache_dtype = "fp8_e4m3"}} do
      for _, shape in ipairs { -- heads of a group, queries
        {1, 4}, {1, 5}, {4, 2}, {3, 3}, {4, 3}, {1, 13}, {4, 4}, {17, 1}, {12, 2}, {5, 5}, {8, 6}, {2, 64},
      } do
        local case = cases.plain("decode", cases.merged(dtypes, {
          H = 2 * shape[1], Hkv = 2, len_q = shape[2], causal = true, len_k = {100, 64, 31}, D = 72, Dv = 136,
        }))
        assert.same({}, complaints_of(case), ("%d x %d %s"):format(shape[1], shape[2], dtypes.dtype))
      end
    end
  end)

  it("decode with the other products of bf16 agrees with the oracle", function()
    if ffi.C.pah_isa_usable "avx512bf16" == 0 then return pending "this processor has no products of bf16" end
    local program = child.shell("readlink /proc/$PPID/exe"):gsub("%s+$", "")
    for _, way in ipairs {"fma", "dots"} do
      local command = "PAH_CASES_EVERY=1 PAH_BF16=%s PAH_ISA=avx512bf16 '%s' test --filter='cpu .*decode.*bf16' %s"
      local text = child.shell(command:format(way, program, "spec/attention/cases_spec.lua"))
      local passed, failed, errors = text:match "(%d+) successes / (%d+) failures? / (%d+) errors?"
      assert.is_true(tonumber(passed) > 50 and failed == "0" and errors == "0", text)
    end
  end)

  it("sinks have the same gradient for any number of threads", function()
    local problem = problems.build(cases.plain("bwd", {
      dtype = "bf16", len_q = 90, len_k = {90, 40, 200}, causal = true, sinks = true, H = 6, Hkv = 2,
    }), "cpu")
    local before, first = pah.threads(), nil
    for _, threads in ipairs {1, 2, 5} do
      pah.threads(threads)
      local results = problem.run()
      first = first or bits(results.dsinks)
      assert.equal(first, bits(results.dsinks))
    end
    pah.threads(before)
  end)

  it("a row with nothing but its sink has no gradient, whatever its q holds", function()
    for _, isa in ipairs(isas) do
      local device = pah.device("cpu:" .. isa)
      local function random(shape, seed) return pah.randn(shape, {seed = seed, device = device}) end
      local p = {
        q = random({1, 1, 2, 32}, 1), k_blocks = pah.ones({1, 4, 1, 32}, {device = device}),
        v_blocks = random({1, 4, 1, 32}, 3), dout = random({1, 1, 2, 32}, 4), softmax_scale = 1,
        block_table = pah.zeros({1, 1}, {dtype = "i32", device = device}), sinks = random({1}, 5),
      }
      p.q[1][1][2]:fill(-math.huge) -- all its scores are -infinity
      local dout = p.dout
      p.dout = nil
      p.out, p.lse = pah.fwd(p)
      assert.equal(p.sinks:get(1), p.lse:get(1, 1, 2))
      p.dout = dout
      for _, gradient in ipairs {pah.bwd(p)} do
        for _, x in ipairs(gradient:reshape(-1):totable()) do assert.is_true(x - x == 0, isa) end
      end
    end
  end)

  -- What a query must not see may hold anything: its key a NaN, its value an infinity.
  for _, op in ipairs {"decode", "fwd"} do
    it("what a tree hides is not touched in " .. op, function()
      for _, isa in ipairs(isas) do
        for _, dtypes in ipairs {{dtype = "f32"}, {dtype = "bf16"}, {dtype = "bf16", cache_dtype = "fp8_e5m2"}} do
          if op == "decode" or not dtypes.cache_dtype then
            for _, H in ipairs {1, 4, 16} do -- groups of each kernel
              local problem = problems.build(cases.plain(op, cases.merged(dtypes, {
                H = H, Hkv = 1, len_q = 4, tree = {0, 1, 1, 1}, len_k = {50}, block_size = 1, D = 64,
              })), pah.device("cpu:" .. isa))
              local before = problem.run()
              local out, lse = before.out:narrow(3, 1, 3):clone(), before.lse:narrow(3, 1, 3):clone()
              local last = problem.plan.table[1][50] + 1 -- the block of the last query's key
              problem.args.k_blocks[last]:fill(NAN)
              problem.args.v_blocks[last]:fill(math.huge)
              local after = problem.run()
              local most = pah.diff(after.out:narrow(3, 1, 3):to "f32", out:to "f32")
              assert.is_true(most.nan == 0 and most.max_abs <= (dtypes.dtype == "f32" and 1e-6 or 2e-2), isa)
              assert.equal(0, pah.diff(after.lse:narrow(3, 1, 3), lse).max_abs)
            end
          end
        end
      end
    end)
  end
end)
