-- forward_rows.lua - the rows of forward.lua: {name, kinds}, a kind {queries, keys, sequences}, and what differs from
-- 32 query heads over 8 KV heads (H), head_dim 128 (D, Dv), bf16 (dtype; of the cache, kv; of the result, out), blocks
-- of 16 (block_size), causal. Run as a script it prints them as JSON lines, which peers/flashinfer_forward.py and
-- peers/dense_attention.py read.
local function of(sq, sk, count) return {{sq, sk, count or 1}} end

local E4M3, E5M2 = "fp8_e4m3", "fp8_e5m2"

local rows = {
  {"causal 1x16384", of(16384, 16384)}, {"causal 4x4096", of(4096, 4096, 4)}, {"causal 1x2048", of(2048, 2048)},
  {"causal 16x1024", of(1024, 1024, 16)}, {"full 1x16384", of(16384, 16384), causal = false},
  {"512 new on 16384", of(512, 16384)}, {"8x512 new on 4096", of(512, 4096, 8)},
  {"blocks of 1", of(16384, 16384), block_size = 1}, {"blocks of 8", of(16384, 16384), block_size = 8},
  {"blocks of 64", of(16384, 16384), block_size = 64}, {"blocks of 128", of(16384, 16384), block_size = 128},
  {"D 64", of(16384, 16384), D = 64}, {"D 256", of(16384, 16384), D = 256},
  {"window 1024", of(16384, 16384), window = {1024, 0}}, {"softcap", of(16384, 16384), softcap = 30},
  {"softcap of 2", of(16384, 16384), softcap = 2}, {"softcap f16", of(16384, 16384), softcap = 30, dtype = "f16"},
  {"2q512_30q1s1k", {{512, 512, 2}, {1, 1024, 30}}}, {"2q512", of(512, 512, 2), ragged = true},
  {"30q1s1k", of(1, 1024, 30), ragged = true}, {"sinks", of(16384, 16384), sinks = true},
  {"D 192/128", of(16384, 16384), D = 192, Dv = 128}, {"1 new on 16384", of(1, 16384)},
  {"16 new on 16384", of(16, 16384)}, {"64 new on 16384", of(64, 16384)}, {"32x4 new on 4096", of(4, 4096, 32)},
  {"32x16 new on 4096", of(16, 4096, 32)}, {"32x64 new on 4096", of(64, 4096, 32)},
  {"f32 1x4096", of(4096, 4096), dtype = "f32"},
  {"fp8 causal 1x16384", of(16384, 16384), dtype = E4M3}, {"fp8 causal 4x4096", of(4096, 4096, 4), dtype = E4M3},
  {"fp8 512 new on 16384", of(512, 16384), dtype = E4M3},
  {"fp8 full 1x16384", of(16384, 16384), dtype = E4M3, causal = false},
  {"fp8 to bf16 causal 1x16384", of(16384, 16384), dtype = E4M3, out = "bf16"},
  {"fp8 to bf16 causal 4x4096", of(4096, 4096, 4), dtype = E4M3, out = "bf16"},
  {"fp8 to bf16 512 new on 16384", of(512, 16384), dtype = E4M3, out = "bf16"},
  {"fp8 to bf16 full 1x16384", of(16384, 16384), dtype = E4M3, out = "bf16", causal = false},
  {"fp8 e5m2 causal 1x16384", of(16384, 16384), dtype = E5M2},
  {"fp8 e4m3 x e5m2 causal 1x16384", of(16384, 16384), dtype = E4M3, kv = E5M2},
  {"fp8 cache causal 1x16384", of(16384, 16384), kv = E4M3}, {"fp8 cache causal 4x4096", of(4096, 4096, 4), kv = E4M3},
  {"fp8 D 64", of(16384, 16384), dtype = E4M3, D = 64}, {"fp8 D 256", of(16384, 16384), dtype = E4M3, D = 256},
}

if arg and arg[0] and arg[0]:match "forward_rows%.lua$" then
  local json = require "pah.util.json"
  for _, row in ipairs(rows) do
    print(json.encode{
      name = row[1], kinds = row[2], causal = row.causal ~= false, block_size = row.block_size or 16, H = row.H or 32,
      Hkv = row.Hkv or 8, D = row.D or 128, dtype = row.dtype or "bf16", kv = row.kv or row.dtype or "bf16",
      out = row.out or row.dtype or "bf16", window = row.window, softcap = row.softcap or 0, Dv = row.Dv,
      sinks = row.sinks,
    })
  end
end

return rows
