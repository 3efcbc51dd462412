-- shipped: pah's own kernels by the public way, on $PAH_DEVICE or the default device
local dev = pah.device()
local list = {}
for n, op in ipairs {"fwd", "decode", "fwd_fp8", "bwd"} do
  list[n] = {op = op, device = dev, run = function(a) pah[op](a) end}
end
list[#list + 1] = {op = "merge", device = dev, run = function(a)
  pah.merge(a.out_a, a.lse_a, a.out_b, a.lse_b, {out = a.out, lse = a.lse})
end}
list[#list + 1] = {op = "kv_append", device = dev, run = function(a) pah.kv_append(a) end}
return list
