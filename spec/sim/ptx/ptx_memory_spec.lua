-- ptx_memory_spec.lua - accesses of PTX that CUDA C++ has no words for (spec/kernels/ptx/memory.cu) against sums worked
-- out here: atomics of vectors, 128 bits at once, vectors with an order; and what is found when they are used wrongly.
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

describe("memory in PTX on sim", function()
  local device, module
  setup(function()
    device = pah.device "sim:sm_90a"
    module = device:compile{source = "spec/kernels/ptx/memory.cu", kernels = {"added<0>", "added<1>", "added<2>",
      "wide<0>", "wide<1>", "flagged<0>", "flagged<1>"}}
  end)
  local function zeros(count, dtype) return pah.zeros({count}, {dtype = dtype or "f32", device = device}) end
  local function list(t) return t:to "cpu":totable() end
  local function launch(name, schedule, ...)
    local report = module:launch(name, {block = 64, on_finding = "report", schedule = schedule[1], seed = schedule[2],
      limit = 60}, ...)
    local codes = {}
    for _, f in ipairs(report.findings) do codes[#codes + 1] = f.code end
    return table.concat(codes, " ")
  end

  it("has atomics of vectors: every element for itself", function()
    for _, schedule in ipairs(schedules) do
      local sums, pairs_, halves = zeros(8), zeros(2), zeros(8, "f16")
      local most, before = zeros(4, "bf16"), zeros(128)
      assert.equal("", launch("added<0>", schedule, sums, pairs_, halves, most, before))
      local total = 64 * 65 / 2
      assert.same({total, 2 * total, 3 * total, -total, 0, 0, 0, 0}, list(sums))
      assert.same({64, 640}, list(pairs_))
      assert.same({64, 64, 64, 64, 64, -128, 64, -128}, list(halves))
      assert.same({1 + 63 / 128, 0.5, 1 + 63 / 128, 0.5}, list(most))
      local seen = list(before)
      for i = 1, 64 do assert.equal(10 * seen[2 * i - 1], seen[2 * i]) end
      table.sort(seen, function(a, b) return a < b end)
      assert.same({0, 0, 1}, {seen[1], seen[2], seen[3]})
    end
  end)

  it("tells of a plain write beside them, and of an address between elements", function()
    for _, schedule in ipairs(schedules) do
      for bug, code in ipairs{"race", "misaligned"} do
        local told = launch(("added<%d>"):format(bug), schedule, zeros(8), zeros(2), zeros(4, "i32"), zeros(2, "i32"),
          zeros(128))
        assert.equal("", (told:gsub(code .. " ?", ""))) -- and no other
        assert.is_truthy(told:find(code))
      end
    end
  end)

  it("exchanges, compares, loads and stores 128 bits", function()
    for _, schedule in ipairs(schedules) do
      local head, before, copy = zeros(2, "i64"), zeros(64, "i64"), zeros(4, "i64")
      assert.equal("", launch("wide<1>", schedule, head, before, copy))
      local seen = {}
      for _, who in ipairs(list(before)) do seen[tonumber(who)] = (seen[tonumber(who)] or 0) + 1 end
      local last = tonumber(list(head)[1])
      for i = 0, 64 do assert.equal(i == last and 0 or 1, seen[i] or 0, tostring(i)) end
    end
    local head, before, copy = zeros(2, "i64"), zeros(64, "i64"), zeros(4, "i64")
    assert.equal("", launch("wide<0>", {"order"}, head, before, copy)) -- thread 63 is the last
    assert.same({7, 8, 7, 8}, {tonumber(list(copy)[1]), tonumber(list(copy)[2]), tonumber(list(copy)[3]),
      tonumber(list(copy)[4])})
  end)

  it("orders what comes before a vector's release and after its acquire, and no more", function()
    for _, schedule in ipairs(schedules) do
      local out = zeros(4, "i32")
      assert.equal("", launch("flagged<0>", schedule, zeros(4, "i32"), out))
      assert.same({41, 41, 41, 5}, list(out))
      assert.equal("race", launch("flagged<1>", schedule, zeros(4, "i32"), zeros(4, "i32")))
    end
  end)
end)
