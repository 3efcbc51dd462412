-- ptx_reduce_spec.lua - reducing bulk copies (spec/kernels/ptx/reduce.cu) against loops: every operation and type, to
-- global memory, to the memory of a cluster, boxes of a tensor; and what is found when they are used wrongly.
local bit = require "bit"
local ffi = require "ffi"
local ptx = require "spec.support.gpu.ptx"
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

local function as(type, word) return ffi.new("union { uint64_t u; " .. type .. " x; }", {u = word}).x end
local function bits_of(type, x)
  local u = ffi.new("union { uint64_t u; " .. type .. " x; }")
  u.x = x
  return u.u
end

-- The code of the number nearest to x, ties to even, among those of a small format.
local function code_of(form, x)
  local best, distance
  for code = 0, 65535 do
    local d = math.abs(form.value(code) - x)
    if d == d and (not best or d < distance or (d == distance and code % 2 == 0)) then best, distance = code, d end
  end
  return best
end
local function small(name, f)
  local form, kept = ptx.forms[name], {}
  return function(a, b)
    local x = f(form.value(tonumber(a)), form.value(tonumber(b)))
    kept[x] = kept[x] or code_of(form, x)
    return kept[x]
  end
end
local function of(type, f)
  return function(a, b) return bits_of(type, f(as(type, a), as(type, b))) end
end
local function add(a, b) return a + b end
local function least(a, b) return a < b and a or b end
local function most(a, b) return a > b and a or b end

-- As the kernel has them: bytes of an element, and what becomes of the old bits and the new ones.
local function wrapped(a, b) return (tonumber(a) + tonumber(b)) % 2 ^ 32 end
local kinds = {{4, wrapped}, {4, wrapped}, {8, of("uint64_t", add)},
  {4, of("float", function(a, b) return tonumber(ffi.new("float", a + b)) end)}, {8, of("double", add)},
  {2, small("f16", add)}, {2, small("bf16", add)}, {4, of("int32_t", least)}, {4, of("uint32_t", most)},
  {8, of("uint64_t", least)}, {8, of("int64_t", most)}, {2, small("f16", least)}, {2, small("bf16", most)},
  {4, function(old, limit) return old >= limit and 0 or old + 1 end},
  {4, function(old, limit) return (old == 0 or old > limit) and limit or old - 1 end},
  {4, function(a, b) return bit.band(tonumber(a), tonumber(b)) % 2 ^ 32 end}, {8, bit.bor},
  {4, function(a, b) return bit.bxor(tonumber(a), tonumber(b)) % 2 ^ 32 end}}

-- Bytes of numbers that are none too large or small for their kind.
local function inputs(seed)
  local next_word, bytes = ptx.stream(seed), ffi.new("uint8_t[?]", 64 * #kinds)
  for i = 0, 64 * #kinds / 4 - 1 do ffi.cast("uint32_t *", bytes)[i] = next_word() end
  local function numbers(kind, type, count, f)
    for i = 0, count - 1 do ffi.cast(type .. " *", bytes + 64 * (kind - 1))[i] = f(next_word()) end
  end
  numbers(4, "float", 16, function(w) return (w % 2001 - 1000) / 7 end)
  numbers(5, "double", 8, function(w) return (w % 2001 - 1000) / 7 end)
  for _, kind in ipairs{6, 12} do -- f16 from 2^-9 to 2^9, of either sign
    numbers(kind, "uint16_t", 32, function(w) return bit.bor(bit.band(w, 0x83ff), 0x1800 + w % 19 * 0x400) end)
  end
  for _, kind in ipairs{7, 13} do
    numbers(kind, "uint16_t", 32, function(w) return bit.bor(bit.band(w, 0x807f), 0x3b00 + w % 19 * 0x80) end)
  end
  for _, kind in ipairs{14, 15} do numbers(kind, "uint32_t", 16, function(w) return w % 4 end) end
  return bytes
end

local function tensor_of(bytes, count, device)
  local list = {}
  for i = 0, count / 4 - 1 do list[i + 1] = ffi.cast("int32_t *", bytes)[i] end
  return pah.tensor(list, {dtype = "i32", device = device})
end

describe("reducing bulk copies", function()
  local device, module
  setup(function()
    device = pah.device "sim:sm_90a"
    local names = {"kinds", "boxes"}
    for bug = 0, 5 do names[#names + 1] = ("sums<%d>"):format(bug) end
    for bug = 0, 3 do names[#names + 1] = ("gathered<%d>"):format(bug) end
    module = device:compile{source = "spec/kernels/ptx/reduce.cu", kernels = names}
  end)
  local function launch(name, options, schedule, ...)
    options.schedule, options.seed = schedule[1], schedule[2]
    options.on_finding, options.limit = "report", 60
    local codes = ptx.codes_of(module:launch(name, options, ...))
    local list = {}
    for code in pairs(codes) do list[#list + 1] = code end
    table.sort(list)
    return table.concat(list, " "), codes
  end

  it("have every operation and type", function()
    local old, new = inputs(1), inputs(2)
    local out = tensor_of(old, 64 * #kinds, device)
    assert.equal("", (launch("kinds", {block = 96}, {"order"}, tensor_of(new, 64 * #kinds, device), out)))
    local got = ffi.new("int32_t[?]", 16 * #kinds)
    for i, x in ipairs(out:to "cpu":totable()) do got[i - 1] = x end
    for kind, k in ipairs(kinds) do
      local type = ("uint%d_t *"):format(8 * k[1])
      for i = 0, 64 / k[1] - 1 do
        local function at(p) return ffi.cast(type, ffi.cast("uint8_t *", p) + 64 * (kind - 1))[i] end
        local want = k[2](ffi.cast("uint64_t", at(old)), ffi.cast("uint64_t", at(new)))
        want = bit.band(ffi.cast("uint64_t", want), k[1] == 8 and -1ull or 2ull ^ (8 * k[1]) - 1)
        if ffi.cast("uint64_t", at(got)) ~= want then
          error(("kind %d, element %d is %s, must be %s"):format(kind, i, tostring(at(got)), tostring(want)))
        end
      end
    end
  end)

  it("add what thread blocks bring, in any order", function()
    for _, schedule in ipairs(schedules) do
      local to = pah.zeros({65}, {device = device})
      assert.equal("", (launch("sums<0>", {grid = 4, block = 64}, schedule, to)))
      local got = to:to "cpu":totable()
      for i = 0, 63 do assert.equal(i * (1 + 2 + 3 + 4), got[i + 1]) end
    end
  end)

  it("tell of missing waits and fences, and of accesses beside them", function()
    local bugs = {"async-unfinished", "missing-proxy-fence", "async-source-changed", "race", "race"}
    for _, schedule in ipairs(schedules) do
      for bug, code in ipairs(bugs) do
        local all, codes = launch(("sums<%d>"):format(bug), {grid = 4, block = 64}, schedule,
          pah.zeros({65}, {device = device}))
        assert.is_true(codes[code], ("%d: %s"):format(bug, all))
      end
    end
  end)

  it("add to the memory of a cluster, counted by its mbarrier", function()
    for _, schedule in ipairs(schedules) do
      local out = pah.zeros({32}, {dtype = "i32", device = device})
      assert.equal("", (launch("gathered<0>", {grid = 4, cluster = 4, block = 32}, schedule, out)))
      for i, x in ipairs(out:to "cpu":totable()) do assert.equal(4 * (i - 1) + 600, x) end
      for bug, code in ipairs{"missing-proxy-fence", "race", "race"} do
        local all, codes = launch(("gathered<%d>"):format(bug), {grid = 4, cluster = 4, block = 32}, schedule,
          pah.zeros({32}, {dtype = "i32", device = device}))
        if bug == 2 then codes.race = codes.race or codes.deadlock end -- by how many copies were on their way
        assert.is_true(codes[code], ("%d: %s"):format(bug, all))
      end
    end
  end)

  it("reduce the part of a box that is in the tensor, by its type", function()
    local most_of = pah.full({4, 40}, 95, {dtype = "i32", device = device})
    local sum_of = pah.ones({2, 32}, {device = device})
    local box = {box = {2, 32}}
    local maps = {pah.tensor_map(most_of, box), pah.tensor_map(sum_of, box)}
    assert.equal("", (launch("boxes", {block = 32}, {"order"}, maps[1], maps[2])))
    for row, list in ipairs(most_of:to "cpu":totable()) do
      for i, x in ipairs(list) do assert.equal(row == 4 and i > 16 and math.max(95, 10 * (i - 17)) or 95, x) end
    end
    for row, list in ipairs(sum_of:to "cpu":totable()) do
      for i, x in ipairs(list) do assert.equal(row == 2 and i + 0.5 or 1, x) end
    end
    local _, codes = launch("boxes", {block = 32}, {"order"}, maps[2], maps[2])
    assert.is_true(codes["bad-operand"]) -- no maximum of f32
  end)
end)
