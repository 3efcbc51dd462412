-- plain_backward.lua - the gradients of plain.lua: dS = P (dP - dout out), through the slope of whatever made the
-- score; dq = scale dS k, dk = scale dS^T q, dv = P^T dout. With `given`, out and lse are those of the arguments, as a
-- kernel gets them; else both are made again. Slow on purpose. Read next: plain.lua, src/reference/backward.c.
local ffi = require "ffi"
local Problem = require("pah.attention.plain").class
local tensor = require "pah.tensor"

local INF = math.huge

-- The slope of the score of key j at the product s: of softcap by its formula, of a score function by differences.
function Problem:slope(s, b, h, i, j)
  local capped = self:cap(s)
  local slope = self.softcap > 0 and 1 - (capped / self.softcap) ^ 2 or 1
  if not self.score_function then return slope end
  local step = 1e-5 * math.max(1, math.abs(capped))
  local above, below = self.score_function(capped + step, b, h, i, j), self.score_function(capped - step, b, h, i, j)
  return slope * (above - below) / (2 * step)
end

--- Weights of query i by key for the gradients, the lse they go with, and sum of dout out.
function Problem:weights_backward(b, h, i, dout, given)
  local out, sum = ffi.new("double[?]", self.Dv), 0
  local list, lse = self:weights(b, h, i)
  if given then
    lse = given.lse[self:lse_at(b, h, i)]
    list = self:scores(b, h, i)
    for j = 0, self.keys[b] - 1 do
      if list[j] then list[j] = lse > -INF and self.round_weight(math.exp(list[j] - lse)) or nil end
    end
    local at = self:row_at(b, h, i) * self.Dv
    for d = 0, self.Dv - 1 do out[d] = given.out[at + d] end
  else
    self:weigh(b, h, list, out)
  end
  for d = 0, self.Dv - 1 do sum = sum + dout[d] * self.round(out[d]) end
  return list, lse, sum
end

--- The scale of dq and of dk.
function Problem:gradient_scale() return self.scale end

--- The K/V head to which the gradients of key j of sequence b go that head h gives; nil: they are lost.
function Problem:gradient_head(h, _, _) return self:kv_head(h) end

-- Adds what row i gives to the gradients.
local function add_row(self, into, b, h, i, dout, given)
  local g, D, Dv, round = self:kv_head(h, "k"), self.D, self.Dv, self.round
  local list, lse, sum = self:weights_backward(b, h, i, dout, given)
  local from, sink = self:row_at(b, h, i) * D, self:sink(h)
  if sink > -INF and sink < INF and into.dsinks then
    into.dsinks[h] = into.dsinks[h] - math.exp(sink - lse) * sum
  end
  local for_q, for_k = self:gradient_scale "q", self:gradient_scale "k"
  for j = 0, self.keys[b] - 1 do
    local p = list[j]
    if p then
      local k, v, dp = self:key_at(b, g, j, D, "k"), self:key_at(b, self:kv_head(h, "v"), j, Dv, "v"), 0
      for d = 0, Dv - 1 do dp = dp + dout[d] * self.v[v + d] end
      local ds = round(round(p * (round(dp) - sum)) * self:slope(self:product(b, h, i, j, g), b, h, i, j))
      for d = 0, D - 1 do into.dq[from + d] = into.dq[from + d] + for_q * ds * self.k[k + d] end
      local to = self:gradient_head(h, b, j)
      if to then
        local dk, dv = self:key_at(b, to, j, D, "k"), self:key_at(b, to, j, Dv, "v")
        for d = 0, Dv - 1 do into.dv[dv + d] = into.dv[dv + d] + p * dout[d] end
        for d = 0, D - 1 do into.dk[dk + d] = into.dk[dk + d] + for_k * ds * self.q[from + d] end
      end
    end
  end
end

local function rounded(self, t, data)
  for i = 0, t:numel() - 1 do data[i] = self.round(data[i]) end
end

--- Fills f64 tensors dq, dk, dv and dsinks (or nil) on the cpu, contiguous. given: {out=, lse=} tensors, or nil.
function Problem:backward(dq, dk, dv, dsinks, given)
  local into = {dq = dq:zero():data(), dk = dk:zero():data(), dv = dv:zero():data(),
    dsinks = dsinks and dsinks:zero():data()}
  local of_dout, keep = tensor.values(self.args.dout)
  if given then
    local out, of_out = tensor.values(given.out)
    local lse, of_lse = tensor.values(given.lse)
    given = {out = of_out, lse = of_lse, keep = {out, lse}}
  end
  self:each_row(function(b, h, i) add_row(self, into, b, h, i, keep + self:row_at(b, h, i) * self.Dv, given) end)
  rounded(self, dq, into.dq)
  rounded(self, dk, into.dk)
  rounded(self, dv, into.dv)
  return of_dout and nil
end

return Problem
