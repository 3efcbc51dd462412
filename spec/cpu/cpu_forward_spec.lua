-- cpu_forward_spec.lua - forward on the cpu where its panels could show: K and V of a kv_stream packed once for all
-- tiles of rows, in waves of kv_streams, or by each tile where one is too large. The values of a row do not depend on
-- the rows beside it, so a call with one tile of rows, which packs for itself, is the reference for the others.
local judge = require "pah.judge.budget"

describe("forward on the cpu", function()
  local threads = pah.threads()
  before_each(function() pah.threads(2) end) -- the room of a wave follows them
  after_each(function() pah.threads(threads) end)

  -- `count` queries of every head after `from`, all of which see all keys but for a window.
  local function rows_of(p, from, count)
    local part = {}
    for key, value in pairs(p) do part[key] = value end
    part.q = p.q[{{}, {}, {from + 1, from + count}}]
    return part
  end

  local function problem(o)
    local B, group, D = o.B or 1, 8, o.D or 256
    local seqlens = {}
    for b = 1, B do seqlens[b] = o.len_k end
    local blocks = B * math.ceil(o.len_k / 32)
    local block_table, seqused_k = pah.block_table{seqlens = seqlens, block_size = 32, num_blocks = blocks, seed = 1,
      device = "cpu"}
    local function random(shape, seed) return pah.randn(shape, {device = "cpu", seed = seed, dtype = o.dtype}) end
    return {
      q = random({B, o.Hkv * group, o.len_q, D}, 2), k_blocks = random({blocks, 32, o.Hkv, D}, 3),
      v_blocks = random({blocks, 32, o.Hkv, D}, 4), block_table = block_table, seqused_k = seqused_k,
    }
  end

  -- The same as by tiles of rows (240, of 30 queries) in calls of their own.
  local function assert_like_parts(p, len_q)
    local out, lse = pah.fwd(p)
    for from = 0, len_q - 1, 30 do
      local count = math.min(30, len_q - from)
      local want, want_lse = pah.fwd(rows_of(p, from, count))
      for _, pair in ipairs {{want, out[{{}, {}, {from + 1, from + count}}]},
        {want_lse, lse[{{}, {}, {from + 1, from + count}}]}} do
        local e, why = judge.errors(pair[2]:contiguous(), pair[1])
        assert.is_truthy(e, why)
        assert.is_true(e.max < 1e-6, tostring(e.max))
      end
    end
  end

  it("takes kv_streams in several waves", function() -- 32 MiB of panels, where two threads have room for 24
    assert_like_parts(problem{Hkv = 16, len_q = 61, len_k = 1024, dtype = "f32"}, 61)
    assert_like_parts(problem{B = 4, Hkv = 5, len_q = 61, len_k = 900, dtype = "bf16"}, 61)
  end)

  it("leaves a kv_stream that is too large for a wave to its tiles of rows", function()
    assert_like_parts(problem{Hkv = 1, len_q = 61, len_k = 13000, dtype = "f32"}, 61)
  end)

  it("lets no NaN of V through that a row does not see", function()
    local p = problem{Hkv = 1, len_q = 128, len_k = 1024, D = 64, dtype = "f32"}
    p.causal = true
    local clean = pah.fwd(p)
    -- Token 1000 is seen by the queries from 104 on (query i sees up to token 896 + i).
    local id = p.block_table:get(1, math.floor(1000 / 32) + 1) + 1
    p.v_blocks[{id, 1000 % 32 + 1, 1}]:fill(0 / 0)
    local out = pah.fwd(p)
    assert.equal(0, judge.errors(out[{{}, {}, {1, 104}}]:contiguous(), clean[{{}, {}, {1, 104}}]:contiguous()).max)
    for i = 105, 128 do assert.is_true(out:get(1, 1, i, 1) ~= out:get(1, 1, i, 1)) end
  end)

  it("reads nothing that lies before every row's window", function()
    local p = problem{Hkv = 2, len_q = 128, len_k = 2048, D = 64, dtype = "bf16"}
    p.causal, p.window = true, {200, 0}
    local clean, clean_lse = pah.fwd(p)
    for i = 1, 53 do -- of blocks of 32 the first row sees token 1720 and what follows
      local id = p.block_table:get(1, i) + 1
      p.k_blocks[id]:fill(0 / 0)
      p.v_blocks[id]:fill(0 / 0)
    end
    local out, lse = pah.fwd(p)
    assert.equal(0, judge.errors(out, clean).max)
    assert.equal(0, judge.errors(lse, clean_lse).max)
  end)
end)
