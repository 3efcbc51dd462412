-- neighbours_spec.lua - how busy others kept the machine while something was measured (lua/pah/measure/neighbours.lua),
-- by a file as Linux writes it.
local neighbours = require "pah.measure.neighbours"

describe("neighbours", function()
  local path, before = os.tmpname(), neighbours.path
  setup(function() neighbours.path = path end)
  teardown(function()
    neighbours.path = before
    os.remove(path)
  end)

  local function write(text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end

  it("are what the system counts less what this process used", function()
    write "cpu  100 10 50 9999 99 1 2 3 0 0\ncpu0 50 5 25 1 1 1 1 1 0 0\ncpu1 50 5 25 1 1 0 1 2 0 0\nintr 5\n"
    local watch, start = neighbours.watch(), pah.clock()
    repeat until pah.clock() > start + 0.05 -- this process at work
    write "cpu  100 10 50 99999 999 1 2 3 0 0\ncpu0 50 5 25 1 1 1 1 1 0 0\ncpu1 50 5 25 1 1 0 1 2 0 0\nintr 5\n"
    assert.same({0, 2}, {watch()})
    write "cpu  1100 10 50 99999 999 1 2 1003 0 0\ncpu0 50 5 25 1 1 1 1 1 0 0\ncpu1 50 5 25 1 1 0 1 2 0 0\nintr 5\n"
    assert.same({2, 2}, {watch()})
  end)

  it("are not known where the system does not say", function()
    write "something else\n"
    assert.same({}, {neighbours.watch()()})
    neighbours.path = "/not/there"
    assert.same({}, {neighbours.watch()()})
    neighbours.path = path
  end)

  it("are told in a line where they matter", function()
    assert.is_nil(neighbours.note(nil, nil, 1))
    assert.is_nil(neighbours.note(0.2, 2, 1))
    assert.is_nil(neighbours.note(1.5, 2, 0.1))
    assert.is_nil(neighbours.note(1.5, 2, nil)) -- of interleaved scripts
    assert.equal("the machine was busy: other programs used 1.5 of 2 processors meanwhile", neighbours.note(1.5, 2, 1))
  end)

  it("are noted by a bench", function()
    local watch = neighbours.watch
    neighbours.watch = function() return function() return 1.5, 2 end end
    finally(function() neighbours.watch = watch end)
    local r = pah.bench(function()
      local stop = pah.clock() + 0.002
      repeat until pah.clock() > stop
    end, {name = "spin", device = "cpu", min_time = 0.3, max_time = 1, warmup = 0.01})
    assert.is_truthy(table.concat(r.notes, "\n"):find("other programs used 1.5 of 2 processors", 1, true))
  end)
end)
