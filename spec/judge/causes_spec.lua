-- causes_spec.lua - mistakes that pah.judge must name, each made of pah's own call with other arguments, or of the
-- oracle with another mask or score; what one case cannot tell apart is told by several. Read next: mutants_spec.lua.
local verdicts = require "pah.judge.verdict"

local function changed(a, values)
  local b = {}
  for name, value in pairs(a) do b[name] = value end
  for name, value in pairs(values) do b[name] = value end
  return b
end

local function reversed(t, dim)
  local to, n = t:clone(), t:size(dim)
  for i = 1, n do to:narrow(dim, i, 1):copy(t:narrow(dim, n + 1 - i, 1)) end
  return to
end

-- Slots of a pool moved by one: slot s has what was in s + 1.
local function rolled(pool)
  local to, n = pool:clone(), pool:size(2)
  for s = 1, n do to:narrow(2, s, 1):copy(pool:narrow(2, s % n + 1, 1)) end
  return to
end

local function cut(q, from)
  q = q:clone()
  q:narrow(#q.shape, from, q:size(#q.shape) - from + 1):zero()
  return q
end

local function oracle(a, values)
  local out, lse = pah.reference.decode(changed(a, values))
  a.out:copy(out)
  a.lse:copy(lse)
end

local function heads_of(a, dim, f)
  local out, lse = pah.decode(changed(a, {out = a.out:clone(), lse = a.lse:clone()}))
  for h = 1, out:size(dim) do
    a.out:narrow(dim, h, 1):copy(out:narrow(dim, f.out and f.out(h, out:size(dim)) or h, 1))
    a.lse:narrow(dim, h, 1):copy(lse:narrow(dim, f.lse and f.lse(h, out:size(dim)) or h, 1))
  end
end

local function before(h, n) return (h - 2) % n + 1 end

-- The cause, what the kernel does, and the cases in which it is wrong.
local mutants = {
  {"^wrong K/V head: they are in reverse order", function(a)
    pah.decode(changed(a, {k_blocks = reversed(a.k_blocks, 3), v_blocks = reversed(a.v_blocks, 3)}))
  end, {{}, {H = 8, Hkv = 4}}},
  {"^slot of a block off by one: the next one, around its end %(of K only%)", function(a)
    pah.decode(changed(a, {k_blocks = rolled(a.k_blocks)}))
  end, {{}, {block_size = 7}}},
  {"^only the first half of q and k is multiplied", function(a)
    pah.decode(changed(a, {q = cut(a.q, a.q:size(#a.q.shape) / 2 + 1)}))
  end, {{}, {D = 32}}},
  {"^the last element of q and k is left out", function(a)
    pah.decode(changed(a, {q = cut(a.q, a.q:size(#a.q.shape))}))
  end, {{}}},
  {"^scores ignored", function(a) pah.decode(changed(a, {q = cut(a.q, 1)})) end, {{}}},
  {"^scale is 1 / D, not 1 / sqrt%(D%)", function(a)
    pah.decode(changed(a, {softmax_scale = 1 / a.q:size(#a.q.shape)}))
  end, {{}, {softmax_scale = 0.3}}},
  {"^left of the window taken for both sides", function(a)
    pah.decode(changed(a, {window = {a.window[1], a.window[1]}}))
  end, {{len_q = 9, window = {3, 0}}, {len_q = 6, window = {5, 0}}}},
  {"^v_descale taken for k_descale too", function(a)
    pah.decode(changed(a, {k_descale = a.v_descale or 1}))
  end, {{k_descale = "scalar", v_descale = "scalar"}}},
  {"^q of the neighbour: heads exchanged by pairs", function(a)
    local q = a.q:clone()
    for h = 1, q:size(2) do q:narrow(2, h, 1):copy(a.q:narrow(2, h % 2 == 1 and h + 1 or h - 1, 1)) end
    pah.decode(changed(a, {q = q}))
  end, {{}, {H = 6, Hkv = 3}}},
  {"^out of the head before", function(a) heads_of(a, 2, {out = before}) end, {{}, {H = 6, Hkv = 3}}},
  {"^lse of the head before", function(a) heads_of(a, 2, {lse = before}) end, {{H = 6, Hkv = 3}}},
  {"^causal mask by whole tiles of 16 keys", function(a)
    oracle(a, {causal = false, mask = function(b, _, i, j)
      return math.floor(j / 16) <= math.floor((i + a.seqused_k:get(b + 1) - a.q:size(3)) / 16)
    end})
  end, {{len_q = 9, causal = true}}},
  {"^softcap of scores that are not divided by it", function(a)
    local c = a.softcap
    oracle(a, {softcap = 0, score = function(s) return c * math.tanh(s) end})
  end, {{softcap = 1.5}}},
}

describe("the cause of a failure", function()
  for _, mutant in ipairs(mutants) do
    it("is named: " .. mutant[1]:gsub("[%^%%]", ""), function()
      for _, case in ipairs(mutant[3]) do case.dtype = "f32" end
      local v = pah.judge{op = "decode", device = "cpu", run = mutant[2], cases = mutant[3]}
      assert.equal(#mutant[3], v.failed)
      local causes = verdicts.causes(v)
      assert.is_truthy(causes[1].cause:find(mutant[1]), tostring(v))
      assert.is_true(causes[1].count == #v.failures, tostring(v))
      for _, f in ipairs(v.failures) do assert.is_nil(f.fits) end
    end)
  end

  it("is lse of a tensor that is written as [H, B, Sq]", function()
    local v = pah.judge{op = "decode", device = "cpu", cases = {{dtype = "f32", len_q = 2, H = 6, Hkv = 3}},
      run = function(a)
        local _, lse = pah.decode(changed(a, {lse = a.lse:clone()}))
        local turned = lse:permute(2, 1, 3):contiguous()
        a.lse:copy(turned:view(lse.shape))
      end}
    assert.is_truthy(v.failures[1].cause:find "^lse is written as %[H, B, Sq%]", tostring(v))
  end)
end)
