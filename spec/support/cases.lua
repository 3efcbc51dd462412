-- cases.lua - the one table of cases that every kernel of every device has to pass: for each operation and dtype one
-- option at a time away from a plain problem, then mixtures of all options drawn from a fixed seed.
-- A case: op, dtype, cache_dtype, out_dtype, H, Hkv, D, block_size, len_q (a number, or a list when ragged), len_k (a
-- list), causal, window, softcap, softmax_scale, descales, o_scale, layout, layout_q, num_splits, shared_blocks, seed.
-- Read next: problem.lua (how a case becomes tensors), spec/attention/cases_spec.lua.
local M = {}

-- ---- One option at a time -------------------------------------------------------------------------------------

-- Changes that every operation can take; the name of the case says what they are.
local COMMON = {
  {}, {H = 1, Hkv = 1}, {H = 6, Hkv = 1}, {H = 6, Hkv = 2}, {H = 6, Hkv = 6}, {H = 15, Hkv = 5},
  {D = 8}, {D = 24}, {D = 32}, {D = 72}, {D = 96}, {D = 128}, {D = 192}, {D = 256},
  {block_size = 1}, {block_size = 2}, {block_size = 3}, {block_size = 17}, {block_size = 64}, {block_size = 256},
  {len_k = {0, 1, 16}}, {len_k = {15, 17, 31}}, {len_k = {32, 33, 257}}, {len_k = {47}}, {len_k = {}},
  {len_k = {0, 0}}, {len_k = {63, 64, 65}, block_size = 64},
  {causal = true}, {causal = "top-left"}, {window = {3, 0}}, {window = {0, 2}}, {window = {-1, 1}}, {window = {5, -1}},
  {window = {0, 0}}, {window = {7, 4}, causal = true}, {window = {20, 20}, causal = "top-left"},
  {softcap = 1.5}, {softcap = 30, causal = true}, {softmax_scale = 0.35}, {softmax_scale = 0},
  {q_scale = 8, causal = true}, {layout = "HND"}, {layout_q = "BSHD"},
  {layout = "HND", layout_q = "BSHD", causal = true},
  {shared_blocks = 2}, {shared_blocks = 1, causal = true, H = 6, Hkv = 3},
}

-- Queries of a prefill or a backward: more than keys, one, none, ragged with empty sequences.
local QUERIES = {
  {len_q = 1, causal = true}, {len_q = 0}, {len_q = 70, causal = true}, {len_q = 70, causal = "top-left"},
  {len_q = 33, len_k = {5, 33, 40}, causal = true, window = {9, -1}},
  {ragged = true, len_q = {7, 1, 12}}, {ragged = true, len_q = {7, 1, 12}, causal = true},
  {ragged = true, len_q = {0, 19, 0}, causal = true}, {ragged = true, len_q = {40, 3, 35}, causal = "top-left"},
  {ragged = true, len_q = {40, 3, 35}, causal = true, window = {4, 1}, softcap = 5},
  {ragged = true, len_q = {0, 0, 0}}, {ragged = true, len_q = {}, len_k = {}},
  {ragged = true, len_q = {20, 2, 9}, len_k = {0, 2, 64}, causal = true, layout = "HND"},
}

local SPLITS = {
  {num_splits = 1}, {num_splits = 2}, {num_splits = 3}, {num_splits = 5}, {num_splits = 17}, {num_splits = 32},
  {num_splits = 55}, {num_splits = 97}, {num_splits = 133}, {num_splits = 17, block_size = 64, len_k = {192, 130, 1}},
  {num_splits = 5, len_k = {0, 1, 300}}, {num_splits = 3, window = {20, 0}}, {num_splits = 7, causal = "top-left"},
  {flat = true}, {flat = true, num_splits = 4, H = 8, Hkv = 1}, {H = 32, Hkv = 1},
  {H = 32, Hkv = 2, num_splits = 3}, {len_k = {1025, 3, 600}, D = 128},
  {num_splits = 0, len_k = {2000}, H = 8, Hkv = 2},
}

local DESCALES = {
  {k_descale = "scalar"}, {v_descale = "scalar"}, {k_descale = "heads", v_descale = "heads"},
  {k_descale = "heads", v_descale = "scalar", causal = true, H = 6, Hkv = 3},
}

local FP8 = {
  {q_descale = "scalar"}, {q_descale = "heads", k_descale = "heads", v_descale = "heads"},
  {out_dtype = "bf16"}, {out_dtype = "f16", causal = true}, {out_dtype = "f32", q_descale = "heads"},
  {out_dtype = "fp8_e4m3", o_scale = 16}, {out_dtype = "fp8_e5m2", o_scale = 0.5},
  {out_dtype = "fp8_e4m3", o_scale = 4096}, {ragged = true, len_q = {9, 0, 17}, causal = true, out_dtype = "bf16"},
}

-- Which combinations of dtypes each operation is tried with, and the changes for each.
local AXES = {
  {op = "fwd", dtypes = {{dtype = "f32"}, {dtype = "bf16"}}, changes = {COMMON, QUERIES}},
  {op = "fwd", dtypes = {{dtype = "f16"}}, changes = {QUERIES}},
  {op = "bwd", dtypes = {{dtype = "f32"}}, changes = {COMMON, QUERIES}},
  {op = "bwd", dtypes = {{dtype = "f16"}, {dtype = "bf16"}}, changes = {QUERIES}},
  {op = "decode", dtypes = {{dtype = "bf16"}}, changes = {COMMON, SPLITS, DESCALES}},
  {op = "decode", dtypes = {{dtype = "f32"}, {dtype = "f16", cache_dtype = "fp8_e4m3"}}, changes = {SPLITS, DESCALES}},
  {op = "decode", dtypes = {{dtype = "bf16", cache_dtype = "fp8_e5m2"}}, changes = {DESCALES}},
  {op = "fwd_fp8", dtypes = {{dtype = "fp8_e4m3"}}, changes = {FP8, DESCALES, QUERIES}},
  {
    op = "fwd_fp8", changes = {FP8, DESCALES},
    dtypes = {{dtype = "fp8_e5m2", cache_dtype = "fp8_e4m3"}, {dtype = "bf16", cache_dtype = "fp8_e4m3"}},
  },
  {op = "fwd_fp8", dtypes = {{dtype = "bf16"}, {dtype = "f32", cache_dtype = "fp8_e5m2"}}, changes = {DESCALES}},
}

local PLAIN = {H = 4, Hkv = 2, D = 64, block_size = 16, len_q = 9, len_k = {37, 20, 50}}

M.plain_len_k = PLAIN.len_k

-- ---- Mixtures ---------------------------------------------------------------------------------------------------

-- Numbers in [0, n) from a linear congruential generator: the same on every machine and Lua.
local function generator(state)
  return function(n)
    state = (state * 69069 + 12345) % 2^32
    return math.floor(state / 2^32 * n)
  end
end

local HEADS = {{1, 1}, {2, 1}, {3, 3}, {4, 2}, {6, 2}, {8, 1}, {9, 3}, {5, 5}}
local DIMS = {8, 16, 24, 40, 64, 64, 72, 80, 96, 128, 128, 256}
local BLOCK_SIZES = {1, 2, 3, 7, 16, 16, 17, 32, 64}
local CAUSAL = {false, true, true, "top-left"}
local WINDOWS = {false, false, {0, 0}, {4, 0}, {-1, 3}, {13, -1}, {6, 6}}
local MIXED_DTYPES = {
  fwd = {{"f32"}, {"f16"}, {"bf16"}}, bwd = {{"f32"}, {"f16"}, {"bf16"}},
  decode = {{"f32"}, {"f16"}, {"bf16"}, {"bf16", "fp8_e4m3"}, {"f16", "fp8_e5m2"}, {"f32", "fp8_e4m3"}},
  fwd_fp8 = {{"fp8_e4m3"}, {"fp8_e5m2"}, {"fp8_e4m3", "fp8_e5m2"}, {"bf16", "fp8_e4m3"}, {"f16", "fp8_e5m2"}, {"f32"}},
}
local OUT_DTYPES = {false, "bf16", "f16", "f32", "fp8_e4m3", "fp8_e5m2"}
local DESCALE_KINDS = {false, "scalar", "heads"}
local NUM_SPLITS = {0, 1, 2, 3, 5, 17, 32, 55}

-- A length near a multiple of the block size as often as not.
local function length(random, block_size, most)
  if random(2) == 0 then return random(most + 1) end
  return math.max(0, math.min(most, block_size * (1 + random(3)) + random(3) - 1))
end

local function mixture(op, random)
  local function pick(list) return list[1 + random(#list)] end
  local heads, dtypes = pick(HEADS), pick(MIXED_DTYPES[op])
  local case = {
    op = op, dtype = dtypes[1], cache_dtype = dtypes[2], H = heads[1], Hkv = heads[2], D = pick(DIMS),
    block_size = pick(BLOCK_SIZES), len_k = {}, causal = pick(CAUSAL) or nil, window = pick(WINDOWS) or nil,
    softcap = random(4) == 0 and 0.5 + random(20) or nil,
    softmax_scale = random(5) == 0 and 0.05 + random(5) / 10 or nil,
    layout = random(3) == 0 and "HND" or nil, layout_q = random(3) == 0 and "BSHD" or nil,
  }
  local B, most = 1 + random(4), op == "decode" and 200 or 80
  for b = 1, B do case.len_k[b] = length(random, case.block_size, most) end
  if op == "decode" then
    case.num_splits, case.flat = pick(NUM_SPLITS), random(3) == 0
  elseif random(2) == 0 then
    case.ragged, case.len_q = true, {}
    for b = 1, B do case.len_q[b] = random(3) > 0 and random(40) or 0 end
  else
    case.len_q = 1 + random(40)
  end
  if op == "decode" or op == "fwd_fp8" then
    case.k_descale, case.v_descale = pick(DESCALE_KINDS) or nil, pick(DESCALE_KINDS) or nil
  end
  if op == "fwd_fp8" then
    case.q_descale, case.out_dtype = pick(DESCALE_KINDS) or nil, pick(OUT_DTYPES) or nil
    case.o_scale = random(2) == 0 and 2 ^ (random(9) - 3) or nil
  end
  if random(4) == 0 then case.shared_blocks = 1 + random(2) end
  return case
end

-- ---- The table --------------------------------------------------------------------------------------------------

--- A case of several tables of fields; later ones win.
function M.merged(...)
  local case = {}
  for _, fields in ipairs {...} do
    for name, value in pairs(fields) do case[name] = value end
  end
  return case
end

local function word(value)
  if type(value) == "table" then return "{" .. table.concat(value, ",") .. "}" end
  return tostring(value)
end

-- "fwd bf16 D=96 causal=true": the dtypes and the fields of `fields`.
local function name_of(case, fields)
  local words, names = {case.op, case.dtype .. (case.cache_dtype and "/" .. case.cache_dtype or "")}, {}
  local unnamed = {op = true, dtype = true, cache_dtype = true, seed = true}
  for name in pairs(fields) do
    if not unnamed[name] then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do words[#words + 1] = name .. "=" .. word(fields[name]) end
  return table.concat(words, " ")
end

local function add(list, case, fields)
  case.seed = 10 * (#list + 1)
  case.name = ("%03d %s"):format(#list + 1, name_of(case, fields))
  list[#list + 1] = case
end

--- All cases, in a fixed order; `mixtures` (default 60) of each operation.
function M.all(mixtures)
  local list = {}
  for _, axis in ipairs(AXES) do
    for _, dtypes in ipairs(axis.dtypes) do
      for _, changes in ipairs(axis.changes) do
        for _, change in ipairs(changes) do
          local case = M.merged(PLAIN, {op = axis.op}, dtypes, change)
          if case.ragged then case.layout_q = nil end
          add(list, case, change)
        end
      end
    end
  end
  for n, op in ipairs {"fwd", "fwd_fp8", "bwd", "decode"} do
    local random = generator(1000 + n)
    for _ = 1, mixtures or 60 do
      local case = mixture(op, random)
      add(list, case, case)
    end
  end
  return list
end

--- The plain case of an operation with some fields changed; `seed` defaults to 1.
function M.plain(op, change)
  local case = M.merged(PLAIN, {op = op, dtype = "f32", seed = 1}, change or {})
  case.name = name_of(case, change or {})
  return case
end

return M
