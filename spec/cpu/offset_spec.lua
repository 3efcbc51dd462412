-- offset_spec.lua - tensors that begin at an odd element of their memory, and rows that lie an odd number of elements
-- apart: every operation gives the same bits as on its own copies. The sanitizer build refuses a load that takes more
-- alignment for granted than an element has.
local isas = require "spec.support.isas"

-- The same values, as a view whose rows begin wherever `odd` says.
local function moved(t, odd)
  local shape, n = {}, #t.shape
  for i = 1, n do shape[i] = t.shape[i] + (i == n and odd or 0) end
  local whole = pah.zeros(shape, {dtype = t.dtype, device = t.device})
  local view = whole:narrow(n, odd + 1, t.shape[n])
  view:copy(t)
  return view
end

local function problem(device, dtype, cache_dtype, D, sq)
  local function random(shape, seed, of) return pah.randn(shape, {seed = seed, dtype = of, device = device}) end
  return {
    q = random({2, 4, sq, D}, 1, dtype), k_blocks = random({5, 16, 2, D}, 2, cache_dtype),
    v_blocks = random({5, 16, 2, D}, 3, cache_dtype),
    block_table = pah.tensor({{3, 1, 4}, {0, 2, 0}}, {dtype = "i32", device = device}),
    seqused_k = pah.tensor({37, 20}, {dtype = "i32", device = device}),
  }
end

local function same(op, args)
  local results = {pah[op](args)}
  for _, odd in ipairs {1, 3} do
    local there = {}
    for name, x in pairs(args) do
      local rows = pah.is_tensor(x) and name ~= "block_table" and name ~= "seqused_k" and name ~= "lse"
      there[name] = rows and moved(x, odd) or x
    end
    for i, x in ipairs {pah[op](there)} do
      assert.equal(results[i]:contiguous():hash(), x:contiguous():hash(), ("%s, %d, result %d"):format(op, odd, i))
    end
  end
  return results
end

describe("rows at odd elements", function()
  for _, isa in ipairs(isas.usable) do
    it("change nothing on cpu:" .. isa, function()
      local device = pah.device("cpu:" .. isa)
      for _, dtype in ipairs {"f32", "f16", "bf16"} do
        for _, D in ipairs {64, 72} do
          local p = problem(device, dtype, dtype, D, 5)
          local forward = same("fwd", p)
          p.out, p.lse = forward[1], forward[2]
          p.dout = pah.randn({2, 4, 5, D}, {seed = 4, dtype = dtype, device = device})
          same("bwd", p)
          for _, cache in ipairs {dtype, "fp8_e4m3", "fp8_e5m2"} do
            same("decode", problem(device, dtype, cache, D, 1))
          end
        end
      end
      for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do same("fwd_fp8", problem(device, dtype, dtype, 64, 5)) end
    end)
  end
end)
