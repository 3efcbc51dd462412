-- backward.lua - mistakes of gradients alone. Each entry edits a copy of the problem that attention/plain_backward.lua
-- computes, or the gradients themselves. Read next: init.lua.
local LN2 = math.log(2)

-- Gradients of the keys from some sequences or heads only.
local function lost(add, cause, keeps)
  add(cause, function(m, base)
    function m.gradient_head(self, h, b, j) return keeps(self, h, b, j) and base.gradient_head(self, h, b, j) or nil end
  end)
end

local function scales(add, base)
  for _, which in ipairs {"q", "k"} do
    add(("scale forgotten in d%s"):format(which), function(m)
      function m.gradient_scale(self, of) return of == which and 1 or self.scale end
    end)
    add(("scale applied twice in d%s"):format(which), function(m)
      function m.gradient_scale(self, of) return of == which and self.scale ^ 2 or self.scale end
    end)
  end
  add("scale forgotten in dq and dk", function(m) function m.gradient_scale() return 1 end end)
  add("scale applied twice in dq and dk", function(m)
    function m.gradient_scale(self) return self.scale ^ 2 end
  end)
  if base.softcap > 0 then
    add("softcap without its slope: dS is not multiplied by 1 - tanh^2", function(m)
      function m.slope() return 1 end
    end)
    add("softcap with a wrong slope: 1 - tanh", function(m)
      function m.slope(self, s) return 1 - self:cap(s) / self.softcap end
    end)
  end
end

-- Whether sequence b is the last (or first) of those that read the block of key j.
local function owner(base, last)
  return function(self, _, b, j)
    local block = base.place(self, b, j)
    local from, to, step = 0, b - 1, 1
    if last then from, to = b + 1, base.B - 1 end
    for other = from, to, step do
      for key = 0, base.len_k[other] - 1, base.block_size do
        if base.place(self, other, key) == block then return false end
      end
    end
    return true
  end
end

return function(add, base)
  if base.op ~= "bwd" then return end
  scales(add, base)
  add("delta forgotten: the sum of dout out is not taken from dP", function(m)
    function m.weights_backward(self, ...)
      local list, lse = base.weights_backward(self, ...)
      return list, lse, 0
    end
  end)
  add("lse taken for log2", function(m)
    function m.weights_backward(self, b, h, i, dout, given)
      local list, lse, sum = base.weights_backward(self, b, h, i, dout, given)
      for j, p in pairs(list) do list[j] = p * math.exp(lse - lse * LN2) end
      return list, lse, sum
    end
  end)
  local group = base.H / base.Hkv
  if group > 1 then
    lost(add, "GQA: dk and dv are those of the last head of a group, not the sum", function(_, h)
      return h % group == group - 1
    end)
    lost(add, "GQA: dk and dv are those of the first head of a group, not the sum", function(_, h)
      return h % group == 0
    end)
    add("wrong head of GQA: dk and dv are added to head h % Hkv", function(m)
      function m.gradient_head(_, h) return h % base.Hkv end
    end)
  end
  if base.B > 1 then
    lost(add, "shared blocks: gradients of the last sequence only, not the sum", owner(base, true))
    lost(add, "shared blocks: gradients of the first sequence only, not the sum", owner(base, false))
  end
  if base.sinks then
    local function dsinks(cause, factor)
      add(cause, nil, function(results)
        local data = results.dsinks:data()
        for h = 0, base.H - 1 do data[h] = factor * data[h] end
      end)
    end
    dsinks("dsinks with its sign turned", -1)
    dsinks("dsinks left at 0", 0)
    dsinks("dsinks multiplied by softmax_scale", base.scale)
  end
  add("dk and dv exchanged", nil, function(results)
    if base.D == base.Dv then results.dk_blocks, results.dv_blocks = results.dv_blocks, results.dk_blocks end
  end)
end
