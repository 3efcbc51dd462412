-- peaks_spec.lua - the limits of a cpu device (lua/pah/measure/peaks.lua) and the memory that is read for them.
local peaks = require "pah.measure.peaks"
local timer = require "pah.measure.timer"

describe("memory that is read", function()
  local cpu = pah.device "cpu"

  it("belongs to the flush for as long as there is one, whatever is measured meanwhile", function()
    local flush = timer.flusher(cpu)
    flush()
    peaks.forget()
    peaks.read(cpu, 2 ^ 14)
    local others = {} -- in the place of what was freed
    for i = 1, 8 do others[i] = pah.full({2 ^ 20}, 1, {device = cpu}) end
    flush()
    for i = 1, 8 do assert.is_true(pah.allclose(others[i], pah.ones({2 ^ 20}, {device = cpu}))) end
  end)

  it("is the same for the same sizes, and freed when it was for one use", function()
    assert.equal(timer.reader(2 ^ 16), timer.reader(2 ^ 16))
    assert.not_equal(timer.reader(2 ^ 16), timer.reader(2 ^ 16, 4096))
    local seen
    assert.equal(7, timer.with_reader(2 ^ 16, nil, function(reader)
      seen = reader
      return 7
    end))
    assert.not_equal(seen, timer.reader(2 ^ 16))
  end)
end)
