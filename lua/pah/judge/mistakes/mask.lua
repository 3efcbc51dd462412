-- mask.lua - mistakes in what a query sees: causal, window and tree. Each entry edits a copy of the problem that
-- attention/plain.lua computes. Read next: init.lua.

-- A copy's `visible` becomes f(self, b, h, i, j, right), `right` being what it should be.
local function see(f)
  return function(m, base)
    function m.visible(self, b, h, i, j) return f(self, b, h, i, j, base.visible(self, b, h, i, j)) end
  end
end

local function causal(add, base)
  local align = base.causal
  if not align then
    if next(base.trees) then return end
    for _, name in ipairs {"bottom-right", "top-left"} do
      add(("a causal mask (%s) that was not asked for"):format(name), function(m) m.causal = name end)
    end
    return
  end
  add("mask ignored: causal is not applied", function(m)
    m.causal = false
    function m.offset(self, b) return align == "top-left" and 0 or self.len_k[b] - self.len_q[b] end
  end)
  if align == "bottom-right" then
    add("top-left for bottom-right: the causal mask is aligned with the first key", function(m)
      m.causal = "top-left"
    end)
  else
    add("bottom-right for top-left: the causal mask is aligned with the last key", function(m)
      m.causal = "bottom-right"
    end)
  end
  add("causal mask off by one: a query does not see the key of its own", see(function(self, b, _, i, j, right)
    return right and j < i + self:offset(b)
  end))
  add("causal mask off by one: a query sees one key too many", function(m)
    function m.visible(self, b, h, i, j)
      return base.visible(self, b, h, i, j) or j > 0 and j == i + self:offset(b) + 1 and j < self.len_k[b]
        and base.visible(self, b, h, i, j - 1)
    end
  end)
end

-- The diagonal rounded up to the end of a tile of keys.
local function by_tiles(add, base)
  if not base.causal then return end
  local known = {}
  for _, size in ipairs {base.block_size, 8, 16, 32, 64, 128} do
    if size > 1 and not known[size] then
      known[size] = true
      add(("causal mask by whole tiles of %d keys: that of the diagonal is seen to its end"):format(size), function(m)
        function m.visible(self, b, _, i, j)
          return math.floor(j / size) <= math.floor((i + self:offset(b)) / size)
        end
      end)
    end
  end
end

local function window(add, base)
  local left, right = base.left, base.right
  if left == math.huge and right == math.huge then return end
  local function set(cause, l, r)
    add(cause, function(m) m.left, m.right = l, r end)
  end
  set("window ignored", math.huge, math.huge)
  if left < math.huge and right < math.huge then
    set("left side of the window ignored", math.huge, right)
    set("right side of the window ignored", left, math.huge)
    if left ~= right then
      set("left and right of the window exchanged", right, left)
      set("left of the window taken for both sides", left, left)
      set("right of the window taken for both sides", right, right)
    end
  end
  if left < math.huge then
    set("window off by one: one key too many at the left", left + 1, right)
    set("window off by one: one key too few at the left", left - 1, right)
  end
  if right < math.huge then
    set("window off by one: one key too many at the right", left, right + 1)
    set("window off by one: one key too few at the right", left, right - 1)
  end
  local function moved(cause, offset)
    add(cause, function(m)
      function m.visible(self, b, _, i, j)
        local diagonal = i + offset(self, b)
        if j < diagonal - left or j > diagonal + right then return false end
        return not self.causal or j <= i + self:offset(b)
      end
    end)
  end
  if base.causal ~= "top-left" then
    moved("top-left for bottom-right: the window is counted from the first key", function() return 0 end)
  else
    moved("bottom-right for top-left: the window is counted from the last key", function(self, b)
      return self.len_k[b] - self.len_q[b]
    end)
  end
end

-- Bit `j` of the tree of query i as another row or sequence has it.
local function tree(add, base)
  if not next(base.trees) then return end
  add("mask ignored: tree_mask is not applied", function(m) m.trees = {} end)
  add("tree_mask taken for a chain (causal)", function(m) m.trees, m.causal = {}, "bottom-right" end)
  for b, word in pairs {[0] = "the first", "the next"} do
    add(("tree_mask of another sequence: of %s"):format(word), function(m)
      m.trees = {}
      for s = 0, base.B - 1 do m.trees[s] = base.trees[b == 0 and 0 or (s + 1) % base.B] end
    end)
  end
  for _, step in ipairs {-1, 1} do
    add(("tree_mask of another query: of the one %s"):format(step < 0 and "before" or "after"), function(m)
      m.trees = {}
      for b, sees in pairs(base.trees) do
        m.trees[b] = function(i, j) return sees(math.max(0, math.min(base.len_q[b] - 1, i + step)), j) end
      end
    end)
  end
  add("tree_mask: rows and columns exchanged", function(m)
    m.trees = {}
    for b, sees in pairs(base.trees) do m.trees[b] = function(i, j) return sees(j, i) end end
  end)
  local function bits(cause, f)
    add("tree_mask: " .. cause, function(m)
      m.trees = {}
      for b, sees in pairs(base.trees) do m.trees[b] = function(i, j) return f(sees, i, j, b) end end
    end)
  end
  bits("bits are taken from the most significant one", function(sees, i, j)
    return sees(i, j - j % 32 + 31 - j % 32)
  end)
  bits("the first word of 32 bits is read for all", function(sees, i, j) return sees(i, j % 32) end)
  for _, way in ipairs {"past", "all", "none"} do -- what is seen beside the first len_q keys
    add("tree_mask: bits are counted from the first key of the sequence", function(m)
      function m.visible(self, b, _, i, j)
        local n, sees = self.len_q[b], self.trees[b]
        if way == "past" and j < self.len_k[b] - n then return true end
        if way ~= "past" and j >= n then return way == "all" end
        return not sees or sees(i, math.min(j, math.ceil(n / 32) * 32 - 1))
      end
    end)
  end
  add("tree_mask: only the first word of 32 bits is read", function(m)
    m.trees = {}
    for b, sees in pairs(base.trees) do m.trees[b] = function(i, j) return j < 32 and sees(i, j) end end
  end)
end

return function(add, base)
  causal(add, base)
  by_tiles(add, base)
  window(add, base)
  tree(add, base)
  if base.mask_function then
    add("mask ignored: the mask function is not applied", function(m) m.mask_function = false end)
  end
  if (base.causal and 1 or 0) + (base.left < math.huge and 1 or 0) + (next(base.trees) and 1 or 0) > 1 then
    add("mask ignored: neither causal, window nor tree is applied", see(function() return true end))
  end
end
