-- keys.lua - mistakes in which keys are read: lengths, the block table, tiles, K and V, and the K/V head of a query
-- head. Each entry edits a copy of the problem that attention/plain.lua computes. Read next: init.lua.
local LN2, INF = math.log(2), math.huge

local TILES = {8, 16, 32, 64, 128, 256}
local MOST_TILES = 12 -- that are tried of a size

local function clamp(base, n) return math.max(0, math.min(n, base.table_width * base.block_size)) end

-- The number of keys of each sequence, and with `moves` the length that the masks know too.
local function lengths(add, base)
  local function set(cause, f)
    for _, moves in ipairs {false, true} do
      add(cause, function(m)
        m.keys = {}
        for b = 0, base.B - 1 do m.keys[b] = clamp(base, f(base.len_k[b], b)) end
        if moves then m.len_k = m.keys end
      end)
      if not (base.causal or base.left < INF or base.right < INF) then break end
    end
  end
  local size = base.block_size
  if size > 1 then
    set("tail of the last block read: keys past len_k take part", function(n) return math.ceil(n / size) * size end)
    set("the last block is left out where it is not full", function(n) return math.floor(n / size) * size end)
  end
  set("length off by one: one key too many", function(n) return n > 0 and n + 1 or 0 end)
  set("length off by one: one key too few", function(n) return n - 1 end)
  set("one block too many is read", function(n) return math.ceil(n / size) * size + size end)
  for _, tile in ipairs(TILES) do
    if tile > size then
      set(("keys past len_k take part, up to the end of a tile of %d"):format(tile), function(n)
        return math.ceil(n / tile) * tile
      end)
    end
    if tile ~= size then
      set(("the last tile is left out where it is not full, tiles of %d keys"):format(tile), function(n)
        return math.floor(n / tile) * tile
      end)
    end
  end
  if base.B > 1 then
    set("length of another sequence: of the first", function() return base.len_k[0] end)
    set("length of another sequence: of the next", function(_, b) return base.len_k[(b + 1) % base.B] end)
    set("length of another sequence: the longest", function()
      local most = 0
      for b = 0, base.B - 1 do most = math.max(most, base.len_k[b]) end
      return most
    end)
  end
end

local function tables(add, base)
  local size, width, num_blocks = base.block_size, base.table_width, base.args.k_blocks.shape[1]
  local function place(cause, f)
    for _, which in ipairs {false, "k", "v"} do
      add(which and ("%s (of %s only)"):format(cause, which:upper()) or cause, function(m)
        function m.place(self, b, j, of)
          if which and of ~= which then return base.place(self, b, j) end
          return f(self, b, j)
        end
      end)
    end
  end
  local function row(cause, of)
    place(cause, function(self, b, j) return base.place(self, of(b), j) end)
  end
  if base.B > 1 then
    row("table row of another sequence: of the first", function() return 0 end)
    row("table row of another sequence: of the next", function(b) return (b + 1) % base.B end)
    row("table row of another sequence: of the one before", function(b) return (b - 1) % base.B end)
  end
  place("block table ignored: logical blocks are taken for physical ones", function(_, _, j)
    return math.floor(j / size) % num_blocks, j % size
  end)
  place("block table ignored: each sequence's blocks are taken to follow the ones before", function(_, b, j)
    return (b * width + math.floor(j / size)) % num_blocks, j % size
  end)
  place("block table read one entry too far", function(self, b, j)
    return self.table[b * width + math.min(width - 1, math.floor(j / size) + 1)], j % size
  end)
  if size > 1 then
    place("slot of a block off by one: the next one, around its end", function(self, b, j)
      return base.place(self, b, j), (j + 1) % size
    end)
    place("slot of a block off by one: the one before, around its end", function(self, b, j)
      return base.place(self, b, j), (j - 1) % size
    end)
    place("slot is the token modulo block_size - 1", function(self, b, j)
      return base.place(self, b, j), j % (size - 1)
    end)
    place("the last slot of a block is not read: the one before stands for it", function(self, b, j)
      return base.place(self, b, j), math.min(j % size, size - 2)
    end)
  end
  place("only the first entry of the block table is read", function(self, b, j)
    return self.table[b * width], j % size
  end)
  add("values of the key after: V is read one key too far", function(m)
    function m.place(self, b, j, of) return base.place(self, b, of == "v" and clamp(base, j + 2) - 1 or j) end
  end)
  add("values of the key after: V is read one key too far, but for the last", function(m)
    function m.place(self, b, j, of)
      return base.place(self, b, of == "v" and math.min(j + 1, math.max(j, base.len_k[b] - 1)) or j)
    end
  end)
  add("V in reverse: weights of the first keys go to the last values", function(m)
    function m.place(self, b, j, of) return base.place(self, b, of == "v" and self.keys[b] - 1 - j or j) end
  end)
  if base.D == base.Dv and not base.in_k then
    add("K and V exchanged", function(m) m.k, m.v = base.v, base.k end)
    add("V is read from k_blocks", function(m) m.v = base.k end)
    add("K is read from v_blocks", function(m) m.k = base.v end)
  end
  if base.args.k_blocks.strides[2] < base.args.k_blocks.strides[3] and base.Hkv > 1 and size > 1 then
    add("strides of the cache ignored: it is read as [num_blocks, block_size, Hkv, D]", function(m)
      function m.key_at(self, b, g, j, w, which)
        local block, slot = self:place(b, j, which)
        local at = slot * self.Hkv + g -- row of memory, which is [Hkv, block_size]
        return ((block * size + at % size) * self.Hkv + math.floor(at / size)) * w
      end
    end)
  end
end

-- Keys [from(b), to(b)) skipped, or counted twice.
local function range(add, base, what, from, to)
  add(what .. " skipped", function(m)
    function m.visible(self, b, h, i, j)
      return (j < from(b) or j >= to(b)) and base.visible(self, b, h, i, j)
    end
  end)
  add(what .. " counted twice", function(m)
    function m.finish(self, s, b, h, i, j)
      s = base.finish(self, s, b, h, i, j)
      return j >= from(b) and j < to(b) and s + LN2 or s
    end
  end)
end

local function tiles(add, base)
  local longest, sizes = 0, {base.block_size}
  for b = 0, base.B - 1 do longest = math.max(longest, base.len_k[b]) end
  for _, size in ipairs(TILES) do
    if size ~= base.block_size then sizes[#sizes + 1] = size end
  end
  range(add, base, "key 0", function() return 0 end, function() return 1 end)
  range(add, base, "the last key", function(b) return base.len_k[b] - 1 end, function(b) return base.len_k[b] end)
  for _, size in ipairs(sizes) do
    if size > 1 and size < longest then
      for t = 0, math.min(MOST_TILES, math.ceil(longest / size)) - 1 do
        range(add, base, ("tile %d of %d keys (keys %d to %d)"):format(t, size, t * size, t * size + size - 1),
          function() return t * size end, function() return t * size + size end)
      end
      range(add, base, ("the last tile of %d keys"):format(size),
        function(b) return math.floor((base.len_k[b] - 1) / size) * size end, function(b) return base.len_k[b] end)
    end
  end
end

local function heads(add, base)
  if base.H == base.Hkv and base.Hkv == 1 then return end
  local group = base.H / base.Hkv
  local function map(cause, f)
    for _, which in ipairs {false, "k", "v"} do
      add(which and ("%s (of %s only)"):format(cause, which:upper()) or cause, function(m)
        function m.kv_head(self, h, of)
          if which and of ~= which then return base.kv_head(self, h) end
          return f(h)
        end
      end)
    end
  end
  if base.Hkv > 1 then
    if group > 1 then map("wrong head of GQA: h % Hkv for h / (H / Hkv)", function(h) return h % base.Hkv end) end
    map("wrong K/V head: head 0 for all", function() return 0 end)
    map("wrong K/V head: they are in reverse order", function(h) return base.Hkv - 1 - base:kv_head(h) end)
    map("wrong K/V head: the next one", function(h) return (base:kv_head(h) + 1) % base.Hkv end)
    if group > 1 then
      map("wrong K/V head: min(h, Hkv - 1)", function(h) return math.min(h, base.Hkv - 1) end)
      map("wrong head of GQA: h / Hkv for h / (H / Hkv)", function(h) return math.floor(h / base.Hkv) % base.Hkv end)
      map("wrong head of GQA: h / Hkv for h / (H / Hkv), at most the last", function(h)
        return math.min(math.floor(h / base.Hkv), base.Hkv - 1)
      end)
    end
  end
end

return function(add, base)
  lengths(add, base)
  tables(add, base)
  heads(add, base)
  tiles(add, base)
end
