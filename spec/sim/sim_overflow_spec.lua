-- sim_overflow_spec.lua - signed numbers that do not fit their type: told where they become an address, by whatever way
-- through variables, members, functions and templates; not in hashes, random numbers, checksums and counters.
local why = require("spec.support.gpu.sim").why
local path = "spec/kernels/arrays/overflows.cu"

local indices, wraps = {}, {}
for line in io.lines(path) do
  local name = line:match "void (index_[%w_]+)" or line:match "void (wraps_[%w_]+)"
  if name then table.insert(name:find "^index" and indices or wraps, name) end
end

describe("signed numbers that overflow on sim", function()
  if why then return pending(why) end
  local sim, module, x, f = pah.device "sim", nil, nil, nil
  local function launch(name)
    if not module then
      local names = {}
      for _, index in ipairs(indices) do
        names[#names + 1], names[#names + 2] = index .. "<0>", index .. "<1>"
      end
      module = sim:compile{source = path, kernels = names}
      x, f = pah.zeros({256}, {dtype = "i32", device = sim}), pah.arange(256, {dtype = "f32", device = sim})
    end
    x:zero()
    return module:launch(name, {block = 64, on_finding = "report"}, x, f, 4)
  end

  it("are told in what becomes an address", function()
    assert.is_true(#indices > 20)
    for _, name in ipairs(indices) do
      local found = false
      for _, finding in ipairs(launch(name .. "<1>").findings) do found = found or finding.code == "overflow" end
      assert.is_true(found, name)
      local twin = launch(name .. "<0>")
      assert.equal(0, #twin.findings, twin:text())
    end
  end)

  it("are not told in hashes, random numbers, checksums and counters", function()
    assert.is_true(#wraps > 20)
    for _, name in ipairs(wraps) do
      local report = launch(name)
      assert.equal(0, #report.findings, report:text())
    end
  end)

  it("wrap as PTX's do", function()
    launch "wraps_lcg"
    local seed = 1
    for _ = 1, 10 do -- in parts, as a double has 53 bits
      seed = (seed % 65536 * 1103515245 + math.floor(seed / 65536) * 1103515245 % 65536 * 65536 + 12345) % 2 ^ 32
    end
    assert.equal(seed, x:to("cpu"):totable()[1] % 2 ^ 32)
  end)
end)
