-- decode_rows.lua - the rows of decode.lua: {name, lengths}, and what differs from blocks of 16 (size), bf16 (dtype,
-- cache), 32 query heads over 8 KV heads (H), head_dim 128 (D), one query (queries); or MLA (mla): one KV head of 576
-- elements, the first 512 of which are V too. Run as a script it prints them as JSON lines, which
-- peers/flashinfer_decode.py reads, so that both time the same rows.
local function equal(count, len)
  local lens = {}
  for i = 1, count do lens[i] = len end
  return lens
end

-- 60 to 2500 tokens, evenly over the logarithm.
local function mixed()
  local lens, s = {}, 12345
  for i = 1, 64 do
    s = (s * 1103515245 + 12345) % 2 ^ 31
    lens[i] = math.floor(60 * (2500 / 60) ^ (s / 2 ^ 31))
  end
  return lens
end

local rows = {
  {"32x8192 16", equal(32, 8192)}, {"64x4096 16", equal(64, 4096)}, {"32x8192 1", equal(32, 8192), size = 1},
  {"32x8192 64", equal(32, 8192), size = 64}, {"32x8192 128", equal(32, 8192), size = 128},
  {"128x1024", equal(128, 1024)}, {"8x8192", equal(8, 8192)}, {"1x131072", {131072}}, {"1x8192", {8192}},
  {"1x1024", {1024}}, {"mix bs1", mixed(), size = 1}, {"f16 32x8192", equal(32, 8192), dtype = "f16"},
  {"e4m3 32x8192", equal(32, 8192), cache = "fp8_e4m3"}, {"e4m3 64x4096", equal(64, 4096), cache = "fp8_e4m3"},
  {"e5m2 32x8192", equal(32, 8192), cache = "fp8_e5m2"}, {"H8 32x8192", equal(32, 8192), H = 8},
  {"H16 32x8192", equal(32, 8192), H = 16}, {"H64 32x8192", equal(32, 8192), H = 64},
  {"H128 32x8192", equal(32, 8192), H = 128}, {"D64 32x8192", equal(32, 8192), D = 64},
  {"D256 32x8192", equal(32, 8192), D = 256}, {"4q 32x4096", equal(32, 4096), queries = 4},
  {"8q 32x4096", equal(32, 4096), queries = 8}, {"mla H128", equal(32, 4096), size = 64, H = 128, mla = true},
  {"mla H16", equal(32, 4096), size = 64, H = 16, mla = true},
  {"mla H128 bs1", equal(128, 4096), size = 1, H = 128, mla = true},
  {"mla H128 1x8192", {8192}, size = 64, H = 128, mla = true},
}

if arg and arg[0] and arg[0]:match "decode_rows%.lua$" then
  local json = require "pah.util.json"
  for _, row in ipairs(rows) do
    print(json.encode{name = row[1], lens = row[2], size = row.size or 16, H = row.H or 32, D = row.D or 128,
      dtype = row.dtype or "bf16", cache = row.cache or row.dtype or "bf16", queries = row.queries or 1,
      mla = row.mla or false})
  end
end

return rows
