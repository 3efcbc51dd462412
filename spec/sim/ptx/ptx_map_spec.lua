-- ptx_map_spec.lua - tensor maps that a kernel changes (spec/kernels/ptx/maps.cu): what they then describe, and the
-- fences without which the unit that copies tensors need not see the change.
local ptx = require "spec.support.gpu.ptx"
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

describe("tensor maps changed by a kernel", function()
  local device, module, a, b
  setup(function()
    device = pah.device "sim:sm_90a"
    local names = {"made"}
    for bug = 0, 6 do names[#names + 1] = ("moved<%d>"):format(bug) end
    module = device:compile{source = "spec/kernels/ptx/maps.cu", kernels = names}
    local hundred = {}
    for i = 0, 39 do hundred[i + 1] = 100 + i end
    a, b = pah.arange(40):to "f32":view(5, 8):to(device), pah.tensor(hundred):view(5, 8):to(device)
  end)

  local function moved(bug, schedule)
    local out = pah.zeros({64}, {device = device})
    local own = pah.zeros({256}, {dtype = "u8", device = device})
    local report = module:launch(("moved<%d>"):format(bug), {block = 32, on_finding = "report", limit = 60,
      schedule = schedule[1], seed = schedule[2]}, pah.tensor_map(a, {box = {4, 8}}), own, a, b, out)
    return report, out:to "cpu":totable()
  end

  it("describe another tensor, of other sizes", function()
    for _, schedule in ipairs(schedules) do
      local report, got = moved(0, schedule)
      assert.same({}, ptx.codes_of(report))
      for i = 0, 31 do
        assert.equal(8 + i, got[i + 1]) -- from row 1 on
        assert.equal(i < 16 and 108 + i or 0, got[33 + i]) -- three rows are left
      end
      assert.same({}, ptx.codes_of((moved(5, schedule)))) -- a copy by all threads, each with its own release
    end
  end)

  it("may be made from zeros", function()
    local own = pah.zeros({128}, {dtype = "u8", device = device})
    local out = pah.zeros({32}, {dtype = "bf16", device = device})
    local from = pah.arange(96):to "bf16":view(6, 16):to(device)
    module:launch("made", {block = 32}, own, from, 4, out)
    for i, x in ipairs(out:to "cpu":totable()) do
      local row, column = math.floor((i - 1) / 8) + 1, (i - 1) % 8
      assert.equal(row < 4 and 16 * row + column or 0, x)
    end
  end)

  it("need a release and an acquire, and order like other memory", function()
    local bugs = {{"missing-proxy-fence", "no fence.proxy.tensormap::generic.acquire of it"},
      {"missing-proxy-fence", "no fence.proxy.tensormap::generic.release after the write"},
      {"race", "of shared memory"},
      {"bad-tensor-map", "the tensor map's global_stride 0 is 40, must be a multiple of 16"}}
    for _, schedule in ipairs(schedules) do
      for bug, expected in ipairs(bugs) do
        local report, found, all = moved(bug, schedule), false, {}
        for _, f in ipairs(report.findings) do
          found = found or (f.code == expected[1] and f.message:find(expected[2], 1, true))
          all[#all + 1] = f.code .. ": " .. f.message
        end
        assert.is_truthy(found, ("%d %s: %s"):format(bug, schedule[1], table.concat(all, "\n")))
      end
      assert.is_true(ptx.codes_of((moved(6, schedule))).race)
    end
  end)
end)
