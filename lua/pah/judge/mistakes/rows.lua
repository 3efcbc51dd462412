-- rows.lua - mistakes in which row is read or written: q of another head, query or sequence, results put where those of
-- another row belong, and a product of q and k that leaves elements out. Each entry edits a copy of the problem that
-- attention/plain.lua computes. Read next: init.lua.

-- Other rows of a problem, {cause, f(b, h, i) -> b, h, i}.
local function others(base)
  local list = {}
  local function add(cause, f) list[#list + 1] = {cause, f} end
  if base.H > 1 then
    add("of the next head", function(b, h, i) return b, (h + 1) % base.H, i end)
    add("of the head before", function(b, h, i) return b, (h - 1) % base.H, i end)
    add("of head 0", function(b, _, i) return b, 0, i end)
    if base.Hkv > 1 and base.H > base.Hkv then
      add("of head g + group * Hkv, heads of a group apart", function(b, h, i)
        local group = base.H / base.Hkv
        return b, h % group * base.Hkv + math.floor(h / group), i
      end)
    end
    if base.H % 2 == 0 then
      add("of the neighbour: heads exchanged by pairs", function(b, h, i)
        return b, h % 2 == 0 and h + 1 or h - 1, i
      end)
    end
  end
  local longest, least = 0, math.huge
  for b = 0, base.B - 1 do
    longest, least = math.max(longest, base.len_q[b]), math.min(least, base.len_q[b])
  end
  if longest > 1 then
    add("of the next query", function(b, h, i) return b, h, (i + 1) % base.len_q[b] end)
    add("of the query before", function(b, h, i) return b, h, (i - 1) % base.len_q[b] end)
    add("of query 0", function(b, h) return b, h, 0 end)
    add("of queries in reverse", function(b, h, i) return b, h, base.len_q[b] - 1 - i end)
  end
  if base.B > 1 and least == longest then
    add("of the next sequence", function(b, h, i) return (b + 1) % base.B, h, i end)
    add("of the first sequence", function(_, h, i) return 0, h, i end)
  end
  return list
end

return function(add, base)
  for _, other in ipairs(others(base)) do
    local cause, f = other[1], other[2]
    add("q " .. cause, function(m)
      function m.product(self, b, h, i, j, g)
        local b2, h2, i2 = f(b, h, i)
        return base.product(setmetatable({row_at = function(_, ...) return base.row_at(self, ...) end,
          key_at = function(_, _, ...) return self:key_at(b, ...) end}, {__index = self}), b2, h2, i2, j, g)
      end
    end)
    if base.op ~= "bwd" then
      add("out " .. cause, function(m)
        function m.row(self, b, h, i, out)
          local b2, h2, i2 = f(b, h, i)
          base.row(self, b2, h2, i2, out)
          local _, lse = base.weights(self, b, h, i)
          return lse
        end
      end)
      add("lse " .. cause, function(m)
        function m.row(self, b, h, i, out)
          base.row(self, b, h, i, out)
          local _, lse = base.weights(self, f(b, h, i))
          return lse
        end
      end)
    end
  end
  local D = base.D
  add("the last element of q and k is left out of their product", function(m) m.dot = D - 1 end)
  for _, part in ipairs {{2, "half"}, {4, "quarter"}} do
    if D % part[1] == 0 then
      add(("only the first %s of q and k is multiplied"):format(part[2]), function(m) m.dot = D / part[1] end)
    end
  end
  if base.op ~= "bwd" and not base.first and base.B > 1 and base.H > 1 then
    add("lse is written as [H, B, Sq]", function(m)
      function m.lse_at(self, b, h, i) return (h * self.B + b) * self.queries + i end
    end)
  end
end
