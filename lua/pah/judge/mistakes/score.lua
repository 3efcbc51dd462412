-- score.lua - mistakes between the product q k and the weights: scale, softcap, sinks, the exponential, the maximum,
-- lse, descales. Each entry edits a copy of the problem that attention/plain.lua computes. Read next: init.lua.
local LN2, INF = math.log(2), math.huge

-- A copy's lse becomes f(lse, largest score, self).
local function of_lse(f)
  return function(m, base)
    function m.weights(self, b, h, i)
      local list, lse = base.weights(self, b, h, i)
      if lse == -INF then return list, lse end
      local _, largest = self:scores(b, h, i)
      return list, f(lse, largest, self)
    end
  end
end

local function scale(add, base)
  local default, given = base.D ^ -0.5, base.scale
  local function set(cause, value)
    if math.abs(value - given) > 1e-9 then add(cause, function(m) m.scale = value end) end
  end
  set("scale forgotten: scores are not multiplied by softmax_scale", 1)
  set("scale applied twice", given ^ 2)
  set("softmax_scale ignored: 1 / sqrt(D) is used", default)
  set("scale is 1 / D, not 1 / sqrt(D)", 1 / base.D)
  set("scores ignored: all keys that are seen weigh the same", 0)
  set("scores are divided by softmax_scale", given ~= 0 and 1 / given or 1)
  set("scale is 1 / sqrt(Dv): the width of V", base.Dv ^ -0.5)
  set("exp2 for exp: scores are not multiplied by log2(e)", given * LN2)
  set("log2(e) multiplied in, but exp taken, not exp2", given / LN2)
  add("exp2 for exp, and log2 for ln in lse", function(m)
    m.scale = given * LN2
    of_lse(function(lse) return lse / LN2 end)(m, base)
  end)
  add("exp2 for exp: weights are powers of 2, lse has the maximum as it is", function(m)
    m.scale = given * LN2
    of_lse(function(lse, top) return top / LN2 + (lse - top) end)(m, base)
  end)
end

local function softcap(add, base)
  local c = base.softcap
  if c <= 0 then return end
  local function cap(cause, f) add(cause, function(m) function m.cap(_, s) return f(s) end end) end
  add("softcap dropped", function(m) m.softcap = 0 end)
  add("softcap after the mask: a masked key has the score -softcap, not -infinity", function(m)
    function m.visible() return true end
    function m.finish(self, s, b, h, i, j)
      return base.visible(self, b, h, i, j) and base.finish(self, s, b, h, i, j) or -c
    end
  end)
  add("softcap before the scale", function(m)
    local given = base.scale
    m.scale = 1
    function m.cap(_, s) return c * math.tanh(s / c) * given end
  end)
  cap("softcap without its factor: tanh(score / c)", function(s) return math.tanh(s / c) end)
  cap("softcap of scores that are not divided by it: c tanh(score)", function(s) return c * math.tanh(s) end)
  cap("softcap applied twice", function(s) return c * math.tanh(math.tanh(s / c)) end)
  cap("softcap the wrong way round: tanh(c score) / c", function(s) return math.tanh(s * c) / c end)
  cap("softcap cuts off: min and max in the place of tanh", function(s) return math.max(-c, math.min(c, s)) end)
end

local function sinks(add, base)
  if not base.sinks then return end
  local at = base.sinks
  local function set(cause, f) add(cause, function(m) function m.sink(self, h, b) return f(h, self, b) end end) end
  set("sinks ignored", function() return -INF end)
  set("sink multiplied by softmax_scale", function(h) return at[h] * base.scale end)
  set("sink in units of log2", function(h) return at[h] * LN2 end)
  set("sink counted twice", function(h) return at[h] + LN2 end)
  set("sink of another head: of the K/V head", function(h) return at[base:kv_head(h)] end)
  set("sink of another head: of head 0", function() return at[0] end)
  set("sink of another head: of the next one", function(h) return at[(h + 1) % base.H] end)
  if base.softcap > 0 then
    set("sink capped by softcap", function(h) return base.softcap * math.tanh(at[h] / base.softcap) end)
  end
  add("sink left out of lse", function(m)
    function m.weights(self, b, h, i)
      local list = base.weights(self, b, h, i)
      local without = setmetatable({sinks = false}, {__index = self})
      local _, lse = base.weights(without, b, h, i)
      return list, lse
    end
  end)
  add("sink counted in lse, but not in out", function(m)
    function m.weights(self, b, h, i)
      local _, lse = base.weights(self, b, h, i)
      local list = base.weights(setmetatable({sinks = false}, {__index = self}), b, h, i)
      return list, lse
    end
  end)
  add("sink ignored where no key is visible: lse is -infinity", function(m)
    function m.weights(self, b, h, i)
      local list, lse = base.weights(self, b, h, i)
      return list, next(list) and lse or -INF
    end
  end)
end

local function lse(add, base)
  local function set(cause, f) add(cause, of_lse(f)) end
  set("log2 for ln in lse", function(x) return x / LN2 end)
  set("lse multiplied by ln(2): ln of what is log2 already", function(x) return x * LN2 end)
  set("lse mixes logarithms: the maximum natural, that of the sum by 2", function(x, top)
    return top + (x - top) / LN2
  end)
  set("lse mixes logarithms: the maximum in powers of 2, that of the sum natural", function(x, top)
    return top / LN2 + (x - top)
  end)
  set("lse without the maximum: the logarithm of the sum only", function(x, top) return x - top end)
  set("lse is the maximum only", function(_, top) return top end)
  set("lse is the sum of the exponentials, without a logarithm", function(x, top) return math.exp(x - top) end)
  set("lse is the maximum plus the sum, without a logarithm", function(x, top) return top + math.exp(x - top) end)
  set("lse with its sign turned", function(x) return -x end)
  set("lse: the maximum is not multiplied by softmax_scale", function(x, top)
    return base.scale ~= 0 and top / base.scale + (x - top) or x
  end)
  add("out not divided by the sum of the exponentials", function(m)
    function m.weights(self, b, h, i)
      local list, x = base.weights(self, b, h, i)
      local _, top = self:scores(b, h, i)
      for j, p in pairs(list) do list[j] = p * math.exp(x - top) end
      return list, x
    end
  end)
end

local function descales(add, base)
  local args = base.args
  local function set(name, cause, f)
    add(cause:format(name), function(m)
      local right = base[name]
      m[name] = function(self, b, g) return f(right, self, b, g) end
    end)
  end
  for _, name in ipairs {"q_descale", "k_descale", "v_descale"} do
    if args[name] then
      set(name, "descale forgotten: %s is not applied", function() return 1 end)
      set(name, "%s the wrong way round: divided by, not multiplied", function(f, m, b, g) return 1 / f(m, b, g) end)
      set(name, "%s applied twice", function(f, m, b, g) return f(m, b, g) ^ 2 end)
      if type(args[name]) ~= "number" then
        set(name, "%s of another head: of K/V head 0", function(f, m, b) return f(m, b, 0) end)
        set(name, "%s of another head: of the next one", function(f, m, b, g) return f(m, b, (g + 1) % base.Hkv) end)
        set(name, "%s of another sequence: of the first", function(f, m, _, g) return f(m, 0, g) end)
      end
    end
  end
  for _, which in ipairs {"k", "v"} do
    local other = (which == "k" and "v" or "k") .. "_descale"
    if args.k_descale or args.v_descale then
      add(("%s_descale taken for %s too"):format(which, other), function(m) m[other] = base[which .. "_descale"] end)
    end
  end
  if args.k_descale or args.v_descale then
    add("k_descale and v_descale exchanged", function(m) m.k_descale, m.v_descale = base.v_descale, base.k_descale end)
    add("descales forgotten: none is applied", function(m)
      for _, name in ipairs {"q_descale", "k_descale", "v_descale"} do m[name] = function() return 1 end end
    end)
  end
  for cause, f in pairs {["head 0"] = function(f, m, b) return f(m, b, 0) end,
    ["the next head"] = function(f, m, b, g) return f(m, b, (g + 1) % base.Hkv) end} do
    if args.k_descale and args.v_descale and type(args.k_descale) ~= "number" and base.Hkv > 1 then
      add("descales of another head: all of " .. cause, function(m)
        for _, name in ipairs {"q_descale", "k_descale", "v_descale"} do
          local right = base[name]
          m[name] = function(self, b, g) return f(right, self, b, g) end
        end
      end)
    end
  end
  if args.o_scale and args.o_scale ~= 1 then
    add("o_scale forgotten", function(m) m.o_scale = 1 end)
    add("o_scale the wrong way round: divided by, not multiplied", function(m) m.o_scale = 1 / args.o_scale end)
  end
end

return function(add, base)
  softcap(add, base)
  scale(add, base)
  sinks(add, base)
  descales(add, base)
  if base.score_function then
    add("the score function is not applied", function(m) m.score_function = false end)
  end
  if base.op ~= "bwd" then lse(add, base) end
end
