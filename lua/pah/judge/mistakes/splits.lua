-- splits.lua - mistakes where parts of the keys are put together: splits of decode, and tiles of an online softmax.
-- Each entry edits a copy of the problem that attention/plain.lua computes. Read next: init.lua.
local ffi = require "ffi"

local INF = math.huge

-- Ways to cut n keys into so many parts: the keys of a part.
local function chunks(base, parts)
  local size = base.block_size
  return {
    function(n) return math.max(1, math.ceil(math.ceil(n / size) / parts) * size) end,
    function(n) return math.max(1, math.ceil(n / parts)) end,
  }
end

-- The parts of a row by itself: a list of {out=, lse=, top=, total=}; `sink` takes part in each if it is given.
local function parts_of(self, base, b, h, i, chunk, sink)
  local scores, n, list = self:scores(b, h, i), self.keys[b], {}
  for from = 0, math.max(0, n - 1), chunk do
    local part = {top = sink or -INF, total = 0, out = ffi.new("double[?]", self.Dv)}
    local weights = {}
    for j = from, math.min(n, from + chunk) - 1 do
      if scores[j] then part.top = math.max(part.top, scores[j]) end
    end
    for j = from, math.min(n, from + chunk) - 1 do
      if scores[j] and part.top > -INF then
        weights[j] = math.exp(scores[j] - part.top)
        part.total = part.total + weights[j]
      end
    end
    if sink and sink > -INF then part.total = part.total + math.exp(sink - part.top) end
    base.weigh(self, b, h, weights, part.out)
    list[#list + 1] = part
  end
  return list
end

-- Adds weight x out of a part, divided by its sum, to out.
local function put(out, part, weight, Dv)
  if part.total == 0 then return end
  for d = 0, Dv - 1 do out[d] = out[d] + weight * part.out[d] / part.total end
end

local function lse_of(part) return part.total > 0 and part.top + math.log(part.total) or -INF end

-- lse of all parts together, and the number that hold something.
local function together(parts)
  local top, total, count = -INF, 0, 0
  for _, part in ipairs(parts) do top = math.max(top, lse_of(part)) end
  for _, part in ipairs(parts) do
    if part.total > 0 then total, count = total + math.exp(lse_of(part) - top), count + 1 end
  end
  return total > 0 and top + math.log(total) or -INF, count
end

-- Only the splits count that `counts(k, last)` says, k and last from 0.
local function some_split(add, base, cause, chunk_of, counts)
  add(cause, function(m)
    function m.visible(self, b, h, i, j)
      local chunk = chunk_of(self.keys[b])
      return counts(math.floor(j / chunk), math.floor((self.keys[b] - 1) / chunk)) and base.visible(self, b, h, i, j)
    end
  end)
end

local function splits(add, base)
  local asked = base.num_splits or 0
  for _, n in ipairs(asked > 1 and {asked} or asked == 1 and {} or {2, 3, 4, 8, 16}) do
    for _, chunk_of in ipairs(chunks(base, n)) do
      local function combine(cause, weigh)
        add(cause, function(m)
          function m.row(self, b, h, i, out)
            local parts = parts_of(self, base, b, h, i, chunk_of(self.keys[b]))
            local lse, count = together(parts)
            local told = lse
            for _, part in ipairs(parts) do
              local weight, other = weigh(part, lse, count)
              put(out, part, weight, self.Dv)
              if other then told = other end
            end
            return told
          end
        end)
      end
      combine("split weights forgotten: the parts are averaged", function(_, _, count) return 1 / count end)
      combine("split weights forgotten: the parts are averaged, empty ones too", function() return 1 / n end)
      combine("split weights forgotten: the parts are added", function() return 1 end)
      combine("split weights forgotten: the parts are averaged, lse is that of the last", function(part, _, count)
        return 1 / count, part.total > 0 and lse_of(part) or nil
      end)
      combine("split weights without the sum: exp(maximum) only", function(part, lse)
        return math.exp(part.top - lse)
      end)
      some_split(add, base, "only the first split counts", chunk_of, function(k) return k == 0 end)
      some_split(add, base, "only the last split counts", chunk_of, function(k, last) return k == last end)
      some_split(add, base, "the first split is left out", chunk_of, function(k) return k > 0 end)
      some_split(add, base, "the last split is left out", chunk_of, function(k, last) return k < last end)
      combine("split weights in units of log2: 2 to the lse", function(part, lse) return 2 ^ (lse_of(part) - lse) end)
    end
  end
end

local function sinks(add, base)
  if not base.sinks then return end
  local asked = base.num_splits or 0
  for _, n in ipairs(asked > 1 and {asked} or asked == 1 and {} or {2, 3, 4, 5, 6, 7, 8, 16}) do
    add(("sink in every split (%d of them)"):format(n), function(m)
      function m.sink(self, h, b) return base.sink(self, h, b) + math.log(n) end
    end)
    for _, chunk_of in ipairs(chunks(base, n)) do
      add(("sink in every split that holds keys (%d at most)"):format(n), function(m)
        function m.sink(self, h, b)
          return base.sink(self, h, b) + math.log(math.max(1, math.ceil(self.keys[b] / chunk_of(self.keys[b]))))
        end
      end)
    end
  end
end

-- Online softmax without the correction when a tile raises the maximum.
local function online(add, base)
  local longest = 0
  for b = 0, base.B - 1 do longest = math.max(longest, base.len_k[b]) end
  for _, tile in ipairs {1, 8, 16, 32, 64, 128, base.block_size} do
    if tile < longest then
      for what, forgets in pairs {["the sums of V"] = {out = true}, ["the sum of exponentials"] = {total = true},
        ["anything"] = {out = true, total = true}} do
        add(("online softmax does not rescale %s when the maximum grows (tiles of %d keys)"):format(what, tile),
          function(m)
            function m.row(self, b, h, i, out)
              local top, total = -INF, 0
              for _, part in ipairs(parts_of(self, base, b, h, i, tile)) do
                local raised = math.max(top, part.top)
                if raised > -INF then
                  local shrink, factor = math.exp(top - raised), math.exp(part.top - raised)
                  total = total * (forgets.total and top > -INF and 1 or shrink) + part.total * factor
                  for d = 0, self.Dv - 1 do
                    out[d] = out[d] * (forgets.out and top > -INF and 1 or shrink) + part.out[d] * factor
                  end
                  top = raised
                end
              end
              local sink = self:sink(h, b)
              if sink > -INF and top > -INF then total = total + math.exp(sink - top) end
              for d = 0, self.Dv - 1 do out[d] = total > 0 and out[d] / total or 0 end
              return total > 0 and top + math.log(total) or -INF
            end
          end)
      end
    end
  end
end

return function(add, base)
  if base.op == "bwd" then return end
  splits(add, base)
  sinks(add, base)
  online(add, base)
end
