-- fp8.lua - problems of pah.fwd_fp8 on sim, and whether a result is right: what the specs of its fast kernels share.
local assert = require "luassert"

local M = {}

-- rel_norm of a result: rounding to the type, and weights of fp8 where the result is of fp8.
local LIMIT = {fp8_e4m3 = 0.042, fp8_e5m2 = 0.075, bf16 = 4e-3, f16 = 1e-3, f32 = 1e-3}

-- Contents [tokens, Hkv, D] of each sequence in shuffled blocks; slots past the end are NaN.
function M.problem(sim, o)
  local H, Hkv, D, block_size, total, used = o.H or 2, o.Hkv or 1, o.D or 128, o.block_size or 16, 0, 0
  local q_type = o.q or "fp8_e4m3"
  local kv_type = o.kv or q_type
  for _, len in ipairs(o.len_k) do total, used = total + math.ceil(len / block_size), used + len end
  local function random(shape, seed) return pah.randn(shape, {seed = seed, device = "cpu"}) end
  local k, v = random({used, Hkv, D}, 1), random({used, Hkv, o.Dv or D}, 2)
  local q = random({#o.len_k, H, o.Sq, D}, 3)
  if o.change then o.change(q, k, v) end
  local table_, lens = pah.block_table{seqlens = o.len_k, block_size = block_size, num_blocks = total + 2, seed = 4}
  local function pool(content)
    content = content:to(kv_type)
    local blocks = pah.full({total + 2, block_size, Hkv, content:size(3)}, 0 / 0, {dtype = kv_type, device = "cpu"})
    local at = 0
    for b, len in ipairs(o.len_k) do
      for first = 0, len - 1, block_size do
        local count = math.min(block_size, len - first)
        blocks:select(1, table_:get(b, first / block_size + 1) + 1):narrow(1, 1, count)
          :copy(content:narrow(1, at + first + 1, count))
      end
      at = at + len
    end
    return blocks:to(sim)
  end
  return {
    q = q:to(q_type):to(sim), k_blocks = pool(k), v_blocks = pool(v), block_table = table_:to(sim),
    seqused_k = lens:to(sim), causal = o.causal, window = o.window, softcap = o.softcap, out_dtype = o.out,
    o_scale = o.o_scale, q_descale = o.q_descale, k_descale = o.k_descale, v_descale = o.v_descale,
    softmax_scale = o.softmax_scale, kernel = o.kernel or "sm90",
  }
end

function M.reference(a)
  local host = {}
  for key, value in pairs(a) do host[key] = pah.is_tensor(value) and value:to("cpu") or value end
  return pah.reference.fwd_fp8(host)
end

function M.right(a)
  local out, lse = pah.fwd_fp8(a)
  local want, want_lse = M.reference(a)
  local off = pah.diff(out:to("cpu"):to("f32"), want:to("f32"))
  assert.equal(0, off.nan)
  assert.is_true(off.rel_norm < LIMIT[out.dtype], ("off by %g"):format(off.rel_norm))
  local ok, report = pah.allclose(lse:to("cpu"), want_lse, {atol = 1e-4, rtol = 1e-5})
  assert.is_true(ok, tostring(report))
  return out, lse
end

return M
