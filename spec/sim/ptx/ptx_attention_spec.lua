-- ptx_attention_spec.lua - forwards by mma.sync (sm_80) and by wgmma (sm_90a): right on every device, no finding on sim
-- in any schedule, every planted mistake found, and all checks of sim within the time that a researcher waits.
local ptx = require "spec.support.gpu.ptx"
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local heads, sq, sk, d = 2, 128, 512, 128
local q = pah.randn({heads, sq, d}, {dtype = "bf16", seed = 1})
local k = pah.randn({heads, sk, d}, {dtype = "bf16", seed = 2})
local v = pah.randn({heads, sk, d}, {dtype = "bf16", seed = 3})

local scale = pah.f32(1.4426950408889634 / math.sqrt(d))

-- Run on the device by the kernel for sm_80: the report, the result, the seconds that it took.
local function by_mma(device, bug, schedule, seed)
  local out, inputs = pah.zeros({heads, sq, d}, {device = device}), {q:to(device), k:to(device), v:to(device)}
  local module = ptx.compiled(device, "ptx_attention.cu", {BUG = bug}, {"attention"})
  local options = {grid = {sq / 64, heads}, block = 128, shared = 4 * 64 * d * 2, schedule = schedule, seed = seed,
    on_finding = "report", limit = 60}
  local start = pah.clock()
  local report = module:launch("attention", options, inputs[1], inputs[2], inputs[3], out, sq, sk, scale)
  return report, out, pah.clock() - start
end

local function by_wgmma(device, bug, schedule, seed)
  local out, inputs = pah.zeros({heads, sq, d}, {device = device}), {q:to(device), k:to(device), v:to(device)}
  local module = ptx.compiled(device, "ptx_attention90.cu", {BUG = bug}, {"attention"})
  local maps = {}
  for i, t in ipairs(inputs) do maps[i] = pah.tensor_map(t, {box = {1, 64, 64}, swizzle = 128}) end
  local options = {grid = {sq / 128, heads}, block = 384, shared = 3 * 4 * 64 * 128, schedule = schedule, seed = seed,
    on_finding = "report", limit = 60}
  local start = pah.clock()
  local report = module:launch("attention", options, maps[1], maps[2], maps[3],
    pah.tensor_map(out, {box = {1, 64, 32}, swizzle = 128}), sk, scale)
  return report, out, pah.clock() - start
end

local codes_of = ptx.codes_of

-- Attention as its definition says, in double.
local function expected()
  local plain_q, plain_k, plain_v = q:to("f32"):totable(), k:to("f32"):totable(), v:to("f32"):totable()
  local result = {}
  for h = 1, heads do
    result[h] = {}
    for i = 1, sq do
      local row, weights, total, largest = plain_q[h][i], {}, 0, -math.huge
      for j = 1, sk do
        local sum, key = 0, plain_k[h][j]
        for l = 1, d do sum = sum + row[l] * key[l] end
        weights[j] = sum / math.sqrt(d)
        largest = math.max(largest, weights[j])
      end
      local out = {}
      for l = 1, d do out[l] = 0 end
      for j = 1, sk do
        local weight, value = math.exp(weights[j] - largest), plain_v[h][j]
        total = total + weight
        for l = 1, d do out[l] = out[l] + weight * value[l] end
      end
      for l = 1, d do out[l] = out[l] / total end
      result[h][i] = out
    end
  end
  return result
end

local function behaves(launch, hopper, mistakes)
  local sim = pah.device "sim:sm_90a"
  it("is right on every device and causes no finding", function()
    local want = expected()
    ptx.each_device(function(device, name)
      local report, out = launch(device, 0)
      assert.equal(0, #report.findings, report:text())
      local got = out:totable()
      for h = 1, heads do
        for i = 1, sq do
          for l = 1, d do
            local off = math.abs(got[h][i][l] - want[h][i][l])
            assert.is_true(off < 4e-3, ("%s: head %d, query %d, %d: off by %g"):format(name, h, i, l, off))
          end
        end
      end
    end, hopper)
  end)

  it("gives the same bits in every schedule, with no finding #slow", function()
    local _, first = launch(sim, 0)
    for _, schedule in ipairs {{"reverse"}, {"random", 1}, {"random", 2}} do
      local report, out = launch(sim, 0, schedule[1], schedule[2])
      assert.equal(0, #report.findings, report:text())
      assert.same(ptx.read(first), ptx.read(out))
    end
  end)

  for bug, codes in ipairs(mistakes) do
    it(("with mistake %d: %s"):format(bug, table.concat(codes, " or ")), function()
      for _, schedule in ipairs {{"order"}, {"reverse"}, {"random", 1}} do
        local report = launch(sim, bug, schedule[1], schedule[2])
        local found, any = codes_of(report), false
        for _, code in ipairs(codes) do any = any or found[code] end
        assert.is_true(any, schedule[1] .. ": " .. report:text())
      end
    end)
  end

  -- Slow: not with sanitizers, which take three times as long.
  it("simulates in less than a second, with every check #slow", function()
    local best = math.huge
    for _ = 1, 5 do best = math.min(best, select(3, launch(sim, 0))) end
    assert.is_true(best < 1, ("%.3f s"):format(best))
  end)
end

describe("attention by mma.sync", function()
  behaves(by_mma, false, {{"async-pending"}, {"async-pending"}, {"async-pending", "async-overwrite"}, {"race"}})
end)

describe("attention by wgmma", function()
  behaves(by_wgmma, true, {{"wgmma-pending"}, {"wgmma-not-fenced"}, {"race"}, {"missing-proxy-fence"},
    {"async-unfinished"}})
end)
