-- plain_spec.lua - the oracle in plain Lua (lua/pah/attention/plain.lua), which functions score and mask take part in:
-- it is the oracle in C where they change nothing, and a softmax written out by hand where they do.
local budget = require "pah.judge.budget"
local cases = require "pah.judge.cases"
local problems = require "pah.judge.problem"
local refused = require "spec.support.refused"

local function all() return true end

describe("the oracle in plain Lua", function()
  it("is the oracle in C for every operation, gradients too", function()
    for n, case in ipairs(cases.all()) do
      if n % 23 == 0 then
        local problem = problems.build(case, "cpu")
        local got = problem.reference{mask = all}
        for name, want in pairs(problem.reference()) do
          local e, why = budget.errors(got[name], want)
          assert.is_truthy(e, case.name .. " " .. name .. ": " .. tostring(why))
          assert.is_true(e.max <= 1e-9 * math.max(1, e.largest), case.name .. " " .. name)
        end
      end
    end
  end)

  it("takes score and mask, with indices from 0", function()
    local problem = problems.build(cases.plain("fwd", {H = 2, Hkv = 2, D = 8, len_q = 4, len_k = {6}}), "cpu")
    local args = problem.args
    args.mask = function(b, h, i, j) return b == 0 and (h == 0 or j % 2 == i % 2) end
    args.score = function(s, _, h, i, j) return s - (h + 1) * math.abs(i - j) end
    local out, lse = pah.reference.fwd(args)
    local q, k, v = args.q:totable(), args.k_blocks:totable(), args.v_blocks:totable()
    local block = problem.plan.table[1][1] + 1
    for h = 0, 1 do
      for i = 0, 3 do
        local total, sum = 0, 0
        for j = 0, 5 do
          local s = 0
          for d = 1, 8 do s = s + q[1][h + 1][i + 1][d] * k[block][j + 1][h + 1][d] / math.sqrt(8) end
          if h == 0 or j % 2 == i % 2 then
            local weight = math.exp(s - (h + 1) * math.abs(i - j))
            total, sum = total + weight, sum + weight * v[block][j + 1][h + 1][3]
          end
        end
        assert.near(sum / total, out:get(1, h + 1, i + 1, 3), 1e-9)
        assert.near(math.log(total), lse:get(1, h + 1, i + 1), 1e-9)
      end
    end
  end)

  it("refuses functions that are none, or that answer with something else", function()
    local args = problems.build(cases.plain("decode"), "cpu").args
    args.mask = 3
    refused.here("mask: is a number, must be a function", pah.reference.decode, args)
    args.mask = function() return 1 end
    refused("mask: returned 1, must return true or false", pah.reference.decode, args)
    args.mask, args.score = nil, function() end
    refused("score: returned nil, must return a number", pah.reference.decode, args)
  end)
end)
