-- backward.lua - what every fast backward of kernels/ must do beyond the table of cases, on sim with every check on:
-- the same bits for every block size, schedule and call; blocks that sequences share, alike, in part or at different
-- places, against the oracle and against private copies; chunks against the whole; what lies in unused slots, and in
-- other sequences, never matters; what is refused. Cases: spec/attention/cases_spec.lua.
local assert = require "luassert"
local forward = require "spec.gpu.forward"
local refused = require "spec.support.refused"
local same_bits = require("spec.support.bits").same
local spills = require "spec.support.gpu.spills"

local M = {}

local function on_cpu(a)
  local host = {}
  for key, value in pairs(a) do host[key] = type(value) == "cdata" and value:to("cpu") or value end
  host.kernel = nil
  return host
end

--- What the specs of a kernel on a device of sim are made of: with_forward(a), arguments with the oracle's out and lse;
--- shared(o, share), a problem whose table share(get, set) has changed; gradients(a).
local function tools(kernel, sim)
  local T = {}

  -- out and lse by the oracle, and a dout.
  function T.with_forward(a)
    local call = on_cpu(a)
    call.out, call.lse, call.dout = nil, nil, nil
    local out, lse = pah.reference.fwd(call)
    a.out, a.lse = out:to(a.q.dtype):to(sim), lse:to("f32"):to(sim)
    local shape = {}
    for i = 1, out:dim() do shape[i] = out:size(i) end
    a.dout = pah.randn(shape, {dtype = a.q.dtype, seed = 9, device = "cpu"}):to(sim)
    return a
  end

  function T.problem(o) return T.with_forward(forward.problem(sim, o)) end

  -- The table of an unshared problem with entries exchanged: share(get, set), 1-based sequence and place.
  function T.shared(o, share)
    local a = forward.problem(sim, o)
    local host = a.block_table:to("cpu")
    share(function(b, place) return host:get(b, place) end, function(b, place, block) host:set(block, b, place) end)
    a.block_table = host:to(sim)
    return T.with_forward(a)
  end

  -- dq, dk, dv (and dsinks), written over NaN.
  function T.gradients(a)
    local call = {}
    for key, value in pairs(a) do call[key] = value end
    call.kernel = kernel
    local function like(t)
      local shape = {}
      for i = 1, t:dim() do shape[i] = t:size(i) end
      return pah.full(shape, 0 / 0, {dtype = a.q.dtype, device = sim})
    end
    call.dq, call.dk_blocks, call.dv_blocks = like(a.q), like(a.k_blocks), like(a.v_blocks)
    return {pah.bwd(call)}
  end

  function T.right(a)
    local got, want = T.gradients(a), {pah.reference.bwd(on_cpu(a))}
    for i, name in ipairs {"dq", "dk", "dv", "dsinks"} do
      if want[i] then
        local mine, zero = got[i]:to("cpu"):to("f64"), want[i]:to("f64")
        local off = pah.diff(mine, zero)
        assert.equal(0, off.nan, name)
        assert.is_true(off.rel_norm < 5e-3, ("%s is off by %g"):format(name, off.rel_norm))
      end
    end
    return got
  end

  return T
end

--- problem(o), of one content in blocks of any size, with its forward; and right(a), its gradients, compared with the
--- oracle's.
function M.on(kernel, sim)
  local T = tools(kernel, sim)
  return T.problem, T.right
end

--- The specs of one kernel on one device of sim, within a describe; `it` is busted's.
function M.specs(it, kernel, sim)
  local T = tools(kernel, sim)
  local problem, right, shared, gradients, with_forward = T.problem, T.right, T.shared, T.gradients, T.with_forward

  local function nothing_in(t, places)
    t = t:to("cpu"):to("f32")
    for _, place in ipairs(places) do
      local slot = t:select(1, place[1] + 1):select(1, place[2] + 1)
      assert.is_true(same_bits(slot, pah.zeros({slot:size(1), slot:size(2)}, {device = "cpu"})))
    end
  end

  it("gives dq the same bits for every block size, by bulk copies and token by token", function()
    local first
    for _, block_size in ipairs {16, 8, 24, 128, 1, 5} do
      local dq = right(problem{len_k = {200, 61, 0}, Sq = 40, block_size = block_size, causal = true})[1]
      if first then assert.is_true(same_bits(first, dq), "blocks of " .. block_size) end
      first = dq
    end
    for _, block_size in ipairs {16, 5} do
      right(problem{len_k = {200, 61, 0}, Sq = 40, D = 128, block_size = block_size, causal = true})
    end
  end)

  it("gives the same bits in every schedule and every call #slow", function()
    local first
    for n, schedule in ipairs {"order", "reverse", "random", "random"} do
      sim:set{schedule = schedule, seed = n}
      local got = gradients(shared({len_k = {300, 200}, Sq = 140, H = 2, Hkv = 1, D = 128, block_size = 16,
        causal = true}, function(get, set) for place = 1, 10 do set(2, place, get(1, place)) end end))
      for i = 1, first and 3 or 0 do assert.is_true(same_bits(first[i], got[i]), schedule) end
      first = got
    end
    sim:set{schedule = "order", seed = 0}
  end)

  it("masks windows on both sides, and caps scores", function()
    right(problem{len_k = {500, 222}, Sq = 150, block_size = 16, window = {100, 30}})
    right(problem{len_k = {400}, Sq = 200, block_size = 16, window = {1, 0}, D = 128})
    right(problem{len_k = {90, 30}, Sq = 50, H = 6, Hkv = 3, D = 128, block_size = 32, causal = "top-left"})
    for _, block_size in ipairs {64, 3} do
      right(problem{len_k = {300}, Sq = 60, block_size = block_size, softcap = 2, causal = true, dtype = "f16"})
      right(problem{len_k = {300}, Sq = 60, D = 128, block_size = block_size, softcap = 2, window = {70, 9}})
    end
  end)

  it("does head_dims between its sizes, and a v that is narrower", function()
    for _, D in ipairs {8, 72, 104} do
      right(problem{len_k = {140, 33}, Sq = 70, D = D, block_size = 16, causal = true})
      right(problem{len_k = {140, 33}, Sq = 70, D = D, Dv = 40, block_size = 3, causal = true})
    end
  end)

  it("gives rows and slots that nobody uses exactly 0", function()
    local a = problem{len_k = {5, 0, 70}, Sq = 70, block_size = 16, causal = true}
    local dq, dk, dv = unpack(right(a))
    assert.equal(0, pah.diff(dq:to("cpu"):select(1, 2):to("f32"), pah.zeros({4, 70, 64}, {device = "cpu"})).max_abs)
    local host = a.block_table:to("cpu")
    nothing_in(dk, {{host:get(1, 1), 5}, {host:get(1, 1), 15}, {host:get(3, 5), 6}})
    nothing_in(dv, {{host:get(1, 1), 5}, {host:get(1, 1), 15}, {host:get(3, 5), 6}})
  end)

  it("adds up over blocks that several sequences use alike", function()
    local o = {len_k = {300, 200, 280}, Sq = 60, D = 128, block_size = 16, causal = true}
    local function prefix(places)
      return function(get, set)
        for place = 1, places do set(2, place, get(1, place)) end
        for place = 1, places - 3 do set(3, place, get(1, place)) end
      end
    end
    for _, places in ipairs {8, 11} do right(shared(o, prefix(places))) end
    o.block_size = 3
    right(shared(o, prefix(50)))
  end)

  it("adds up over blocks at different places, twice in a sequence, and of other lengths", function()
    local o = {len_k = {200, 150, 20}, Sq = 50, block_size = 16, causal = true}
    right(shared(o, function(get, set)
      set(2, 3, get(1, 1))
      set(1, 5, get(1, 1))
      set(2, 2, get(1, 2))
      set(3, 1, get(1, 7))
    end))
    o.block_size, o.len_k = 256, {100, 230, 300}
    right(shared(o, function(get, set)
      set(1, 1, get(2, 1))
      set(3, 2, get(2, 1))
    end))
    o.block_size, o.len_k = 24, {500, 300, 10}
    right(shared(o, function(get, set) for place = 1, 8 do set(2, place, get(1, place)) end end))
  end)

  it("gives a shared block what private copies get, added up", function()
    local o = {len_k = {160, 190}, Sq = 32, D = 128, block_size = 16, causal = true}
    local alone = shared(o, function() end)
    local host, places = alone.block_table:to("cpu"), 8
    for _, blocks in ipairs {alone.k_blocks, alone.v_blocks} do -- the second has a copy of the first's blocks
      local content = blocks:to("cpu")
      for place = 1, places do
        content:select(1, host:get(2, place) + 1):copy(content:select(1, host:get(1, place) + 1))
      end
      blocks:copy(content:to(sim))
    end
    with_forward(alone)
    local together = {}
    for key, value in pairs(alone) do together[key] = value end
    local table_ = host:clone()
    for place = 1, places do table_:set(host:get(1, place), 2, place) end
    together.block_table = table_:to(sim)
    local a, b = gradients(alone), gradients(together)
    assert.is_true(same_bits(a[1], b[1]))
    for i = 2, 3 do
      local private, sum = a[i]:to("cpu"):to("f32"), b[i]:to("cpu"):to("f32")
      for place = 1, places do
        local first, second = host:get(1, place) + 1, host:get(2, place) + 1
        for slot = 1, 16, 5 do
          for d = 1, 128, 17 do
            local x, y = private:get(first, slot, 1, d), private:get(second, slot, 1, d)
            local both = math.abs(x) + math.abs(y)
            assert.is_true(math.abs(sum:get(first, slot, 1, d) - x - y) <= both * 2 ^ -7 + 1e-6)
          end
        end
        nothing_in(b[i], {{host:get(2, place), 0}, {host:get(2, place), 15}})
      end
    end
  end)

  it("gives chunks of the queries what the whole gets, added up", function()
    local a = problem{len_k = {180}, Sq = 100, D = 128, block_size = 16, causal = true}
    local whole = gradients(a)
    local function chunk(from, count)
      local part = {}
      for key, value in pairs(a) do part[key] = value end
      for _, name in ipairs {"q", "out", "dout", "lse"} do
        part[name] = a[name]:to("cpu"):narrow(3, from, count):contiguous():to(sim)
      end
      part.seqused_k = pah.tensor({180 - (100 - from - count + 1)}, {dtype = "i32", device = sim})
      return gradients(part)
    end
    local first, second = chunk(1, 64), chunk(65, 36)
    local dq = whole[1]:to("cpu")
    for i, part in ipairs {{1, 64, first[1]}, {65, 36, second[1]}} do
      local off = pah.diff(part[3]:to("cpu"):to("f32"), dq:narrow(3, part[1], part[2]):contiguous():to("f32"))
      assert.is_true(off.rel_norm < 4e-3, "dq of chunk " .. i)
    end
    for i = 2, 3 do
      local x, y, all = first[i]:to("cpu"):to("f32"), second[i]:to("cpu"):to("f32"), whole[i]:to("cpu"):to("f32")
      local sum, square = 0, 0
      for block = 1, all:size(1) do
        for d = 1, 128, 5 do
          local want = all:get(block, 4, 2, d)
          sum, square = sum + (x:get(block, 4, 2, d) + y:get(block, 4, 2, d) - want) ^ 2, square + want ^ 2
        end
      end
      assert.is_true(sum < (6e-3) ^ 2 * square, i)
    end
  end)

  it("keeps the NaN of one ragged sequence out of the others", function()
    local a = problem{len_k = {90, 300, 17, 0}, len_q = {30, 1, 5, 2}, H = 8, block_size = 16, causal = true}
    local clean = right(a)
    for _, name in ipairs {"q", "dout"} do
      local host = a[name]:to("cpu")
      host:narrow(1, 32, 5):fill(0 / 0) -- the third
      a[name] = host:to(sim)
    end
    local got = gradients(a)
    assert.is_true(same_bits(clean[1]:to("cpu"):narrow(1, 1, 31), got[1]:to("cpu"):narrow(1, 1, 31)))
    local host = a.block_table:to("cpu")
    for i = 2, 3 do
      for place = 1, 6 do
        local block = host:get(1, place) + 1
        assert.is_true(same_bits(clean[i]:to("cpu"):select(1, block), got[i]:to("cpu"):select(1, block)))
      end
    end
  end)

  it("lets sinks have a gradient", function()
    local a = forward.problem(sim, {len_k = {150, 0}, Sq = 70, block_size = 16, causal = true})
    a.sinks = pah.tensor({0.5, -1 / 0, 3, -200}, {device = sim})
    right(with_forward(a))
  end)

  it("refuses by name what it cannot do", function()
    local function refuses(words, o, change)
      local a = problem(o)
      if change then change(a) end
      a.kernel = kernel
      refused(words:format(kernel), pah.bwd, a)
    end
    local plain = {len_k = {20}, Sq = 4, block_size = 16}
    refuses("the %s kernel takes bf16 or f16", {len_k = {20}, Sq = 4, block_size = 16, dtype = "f32"})
    refuses("head_dim: the %s kernel takes", {len_k = {20}, Sq = 4, block_size = 16, D = 264})
    refuses("block_m: the %s kernel has tiles of its own", plain, function(a) a.block_m = 64 end)
    refuses("dout: the %s kernel takes data and strides", plain, function(a)
      a.dout = pah.zeros({1, 4, 4, 65}, {dtype = "bf16", device = sim}):narrow(4, 1, 64)
    end)
  end)
end

--- Compiles a kernel for an architecture, a list of {head_dim, softcap, block_size}: of the functions named none may
--- spill. -> how many there were; nil and why if they cannot be compiled.
function M.no_spills(kernel, names, arch, sizes)
  return spills.none(arch, names, function(zeros, add)
    for _, size in ipairs(sizes) do
      local D, softcap, block_size = unpack(size)
      add(function()
        local rows, blocks = zeros{1, 2, 4, D}, zeros{4, block_size or 16, 1, D}
        pah.bwd{q = rows, out = rows, dout = rows, lse = zeros({1, 2, 4}, "f32"), k_blocks = blocks, v_blocks = blocks,
          block_table = zeros({1, 4}, "i32"), softcap = softcap, kernel = kernel}
      end)
    end
  end)
end

return M
