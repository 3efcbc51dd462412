-- append_spec.lua - new tokens into the paged cache: every token in its slot, nothing else touched, stored as
-- real / descale with one rounding.
local refused = require "spec.support.refused"

local function nan_cache(dtype)
  return pah.full({5, 4, 2, 16}, 0 / 0, {dtype = dtype})
end

local function slots(list, dtype)
  return pah.tensor(list, {dtype = dtype or "i32"})
end

-- Slot `slot` of the cache as [Hkv, D].
local function row(blocks, slot)
  return blocks:select(1, math.floor(slot / 4) + 1):select(1, slot % 4 + 1)
end

local function equal(a, b)
  local diff = pah.diff(a, b)
  return diff.nan == 0 and diff.mismatched == 0 and diff.max_abs == 0
end

describe("pah.kv_append", function()
  local where = {7, -1, 18, 0, 3}

  for _, dtype in ipairs {"f32", "f16", "bf16"} do
    for _, cache in ipairs {dtype, "fp8_e4m3", "fp8_e5m2"} do
      it(("stores %s as %s and touches nothing else"):format(dtype, cache), function()
        local k, v = pah.randn({5, 2, 16}, {seed = 1, dtype = dtype}), pah.randn({5, 2, 16}, {seed = 2, dtype = dtype})
        local k_blocks, v_blocks = nan_cache(cache), nan_cache(cache)
        pah.kv_append{k = k, v = v, k_blocks = k_blocks, v_blocks = v_blocks, slot_mapping = slots(where)}
        local written = 0
        for t, slot in ipairs(where) do
          if slot >= 0 then
            assert.is_true(equal(row(k_blocks, slot), k[t]:to(cache)))
            assert.is_true(equal(row(v_blocks, slot), v[t]:to(cache)))
            written = written + 1
          end
        end
        assert.equal(k_blocks:numel() - written * 32, pah.diff(k_blocks, k_blocks).nan)
      end)

      it(("divides by the descale, %s into %s"):format(dtype, cache), function()
        local k = pah.randn({5, 2, 16}, {seed = 3, dtype = dtype, scale = 300})
        local v = pah.randn({5, 2, 16}, {seed = 4, dtype = dtype})
        local args = {k = k, v = v, slot_mapping = slots(where), k_descale = 0.7, v_descale = 3}
        args.k_blocks, args.v_blocks = nan_cache(cache), nan_cache(cache)
        pah.kv_append(args)
        local k_descale, v_descale = pah.tensor(0.7):item(), 3 -- as f32 holds it
        for t, slot in ipairs(where) do
          for d = 1, slot >= 0 and 16 or 0 do
            local want = pah.tensor({k:get(t, 2, d) / k_descale, v:get(t, 2, d) / v_descale}, {dtype = "f64"}):to(cache)
            assert.equal(want:get(1), row(args.k_blocks, slot):get(2, d))
            assert.equal(want:get(2), row(args.v_blocks, slot):get(2, d))
          end
        end
      end)
    end
  end

  it("takes i64 slots and caches in HND order", function()
    local k, v = pah.randn({5, 2, 16}, {seed = 1}), pah.randn({5, 2, 16}, {seed = 2})
    local hnd = function() return pah.zeros({5, 2, 4, 16}):transpose(2, 3) end
    local k_blocks, v_blocks = hnd(), hnd()
    pah.kv_append{k = k, v = v, k_blocks = k_blocks, v_blocks = v_blocks, slot_mapping = slots(where, "i64")}
    assert.is_true(equal(row(k_blocks, 18), k[3]))
    assert.is_true(equal(row(v_blocks, 7), v[1]))
  end)

  it("takes values wider and narrower than the keys", function()
    for _, Dv in ipairs {8, 40} do
      local k, v = pah.randn({5, 2, 16}, {seed = 1}), pah.randn({5, 2, Dv}, {seed = 2})
      local k_blocks, v_blocks = nan_cache "f32", pah.full({5, 4, 2, Dv}, 0 / 0)
      pah.kv_append{k = k, v = v, k_blocks = k_blocks, v_blocks = v_blocks, slot_mapping = slots(where)}
      for t, slot in ipairs(where) do
        if slot >= 0 then
          assert.is_true(equal(row(k_blocks, slot), k[t]) and equal(row(v_blocks, slot), v[t]))
        end
      end
      assert.equal(16 * 2 * Dv, pah.diff(v_blocks, v_blocks).nan)
      refused("v: shape is [5, 2, 16], must be [T, Hkv, Dv], as v_blocks", pah.kv_append, {k = k, v = k,
        k_blocks = k_blocks, v_blocks = v_blocks, slot_mapping = slots(where)})
    end
  end)

  it("does nothing for no tokens", function()
    local k_blocks = pah.ones({5, 4, 2, 16})
    local k = pah.empty({0, 2, 16})
    pah.kv_append{k = k, v = k, k_blocks = k_blocks, v_blocks = pah.ones({5, 4, 2, 16}), slot_mapping = slots{}}
    assert.is_true(equal(k_blocks, pah.ones({5, 4, 2, 16})))
  end)

  it("refuses a slot outside the cache and a slot named twice, and writes nothing", function()
    local k = pah.ones({2, 2, 16})
    for _, bad in ipairs {{1, 20}, {0, -2}, {4, 4}} do
      local k_blocks, v_blocks = pah.zeros({5, 4, 2, 16}), pah.zeros({5, 4, 2, 16})
      assert.has_error(function()
        pah.kv_append{k = k, v = k, k_blocks = k_blocks, v_blocks = v_blocks, slot_mapping = slots(bad)}
      end)
      assert.is_true(equal(k_blocks, pah.zeros({5, 4, 2, 16})))
    end
  end)
end)
