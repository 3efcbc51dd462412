-- cases.lua - the one table of cases that every kernel of every device has to pass: for each operation and dtype one
-- option at a time away from a plain problem, then mixtures of all options drawn from a fixed seed.
-- A case: op, dtype, cache_dtype, out_dtype, H, Hkv, D, Dv, block_size, len_q (a number, or a list when ragged), len_k
-- (a list), causal, window, softcap, softmax_scale, descales, o_scale, layout, layout_q, num_splits, shared_blocks, mla
-- (V is a view of K), sinks (true or "infinite"), tree ("chain", "random", "bits" or a list of parents), seed.
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

-- Several queries of a sequence in decode: as many as are allowed, none, more than keys, more than a kernel's tile.
local DECODE_QUERIES = {
  {len_q = 2}, {len_q = 4, causal = true}, {len_q = 4, causal = "top-left"}, {len_q = 5, causal = true, H = 6, Hkv = 6},
  {len_q = 16, causal = true, H = 8, Hkv = 1}, {len_q = 64, causal = true, len_k = {64, 70, 200}},
  {len_q = 64, len_k = {5, 90}, causal = true}, {len_q = 33, causal = true, window = {9, 0}},
  {len_q = 3, window = {5, 2}, softcap = 5}, {len_q = 4, causal = true, block_size = 3, layout_q = "BSHD"},
  {len_q = 4, causal = true, num_splits = 1}, {len_q = 4, causal = true, num_splits = 2},
  {len_q = 4, causal = true, num_splits = 17}, {len_q = 7, num_splits = 55, layout = "HND"},
  {ragged = true, len_q = {1, 4, 2}, causal = true}, {ragged = true, len_q = {1, 4, 2}, num_splits = 5},
  {ragged = true, len_q = {0, 3, 0}, causal = true}, {ragged = true, len_q = {0, 0, 0}},
  {ragged = true, len_q = {64, 1, 0}, len_k = {90, 0, 3}, causal = true, num_splits = 3},
  {ragged = true, len_q = {}, len_k = {}}, {ragged = true, len_q = {5, 17, 2}, causal = true, window = {6, -1}},
}

-- A score of each head that has no value; "infinite": minus and plus infinity among them.
local SINKS = {
  {sinks = true}, {sinks = "infinite"}, {sinks = true, len_k = {0, 1, 16}}, {sinks = true, causal = true},
  {sinks = true, window = {3, 0}, H = 6, Hkv = 2}, {sinks = true, softcap = 1.5}, {sinks = true, q_scale = 8},
  {sinks = "infinite", causal = true, len_k = {0, 5, 33}}, {sinks = true, shared_blocks = 1, block_size = 3},
}
local SINKS_SPLIT = {
  {sinks = true, num_splits = 1}, {sinks = true, num_splits = 2}, {sinks = "infinite", num_splits = 17},
  {sinks = true, num_splits = 17, len_k = {0, 2, 300}}, {sinks = true, num_splits = 5, len_q = 4, causal = true},
  {sinks = true, flat = true},
}
local SINKS_RAGGED = {
  {sinks = true, ragged = true, len_q = {7, 0, 12}, causal = true},
  {sinks = "infinite", ragged = true, len_q = {3, 2, 5}, len_k = {1, 0, 40}, causal = true},
}

local TREES = {
  {tree = "chain", len_q = 6}, {tree = {0, 1, 1, 2, 2, 0}, len_q = 6}, {tree = "random", len_q = 12},
  {tree = "bits", len_q = 9}, {tree = "bits", len_q = 9, len_k = {9, 30, 9}}, {tree = "random", len_q = 1},
  {tree = "random", len_q = 40, len_k = {40, 41, 90}}, {tree = "bits", len_q = 64, len_k = {64, 130}, block_size = 17},
  {tree = "random", ragged = true, len_q = {7, 0, 12}}, {tree = "bits", ragged = true, len_q = {33, 5, 1},
    len_k = {33, 64, 20}},
  {tree = "random", len_q = 8, sinks = true, softcap = 5}, {tree = "random", len_q = 8, layout = "HND", H = 8, Hkv = 1},
  {tree = "bits", len_q = 10, block_size = 3, layout_q = "BSHD"}, {tree = "chain", len_q = 4, shared_blocks = 1},
}
local TREES_SPLIT = {
  {tree = "random", len_q = 8, num_splits = 1}, {tree = "random", len_q = 8, num_splits = 2},
  {tree = "bits", len_q = 8, num_splits = 17}, {tree = "bits", len_q = 33, num_splits = 5, len_k = {40, 200, 33}},
  {tree = "random", ragged = true, len_q = {5, 1, 0}, num_splits = 3},
}

-- Widths of K and of V: odd multiples of 8, the widest, and V wider or narrower than K.
local WIDTHS = {
  {D = 16}, {D = 40}, {D = 80}, {D = 320}, {D = 512}, {D = 576, H = 2}, {D = 192, Dv = 128}, {D = 128, Dv = 64},
  {D = 64, Dv = 128, causal = true}, {D = 8, Dv = 24}, {D = 72, Dv = 40, layout = "HND"}, {D = 576, Dv = 512, H = 2},
  {D = 24, Dv = 576, H = 2, causal = true}, {D = 192, Dv = 128, sinks = true, H = 6, Hkv = 3, shared_blocks = 1},
}

-- V is a view of K: one K/V head, values the first Dv elements of the keys.
local MLA = {
  {mla = true, H = 16, Hkv = 1, D = 576, Dv = 512, softmax_scale = 0.072},
  {mla = true, H = 4, Hkv = 1, D = 64, Dv = 64},
  {mla = true, H = 5, Hkv = 1, D = 72, Dv = 64, softmax_scale = 0.2, layout = "HND", causal = true},
  {mla = true, H = 3, Hkv = 1, D = 80, Dv = 64, softmax_scale = 0.2, block_size = 64, sinks = true},
  {mla = true, H = 8, Hkv = 1, D = 40, Dv = 32, softmax_scale = 0.3, block_size = 1, window = {7, 2}},
  {mla = true, H = 4, Hkv = 2, D = 48, Dv = 40, softmax_scale = 0.3, shared_blocks = 1, block_size = 7},
}
local MLA_MANY = {
  {mla = true, H = 16, Hkv = 1, D = 72, Dv = 64, softmax_scale = 0.2, len_q = 3, causal = true},
  {mla = true, H = 16, Hkv = 1, D = 576, Dv = 512, softmax_scale = 0.072, ragged = true, len_q = {2, 0, 1},
    causal = true},
  {mla = true, H = 8, Hkv = 1, D = 80, Dv = 64, softmax_scale = 0.2, len_q = 6, tree = "random"},
}
local MLA_SPLIT = {
  {mla = true, H = 128, Hkv = 1, D = 72, Dv = 64, softmax_scale = 0.2, num_splits = 2},
  {mla = true, H = 16, Hkv = 1, D = 72, Dv = 64, softmax_scale = 0.2, num_splits = 17},
  {mla = true, H = 16, Hkv = 1, D = 72, Dv = 64, softmax_scale = 0.2, num_splits = 3, len_q = 2,
    causal = true, len_k = {300, 0, 20}},
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
  {op = "fwd", dtypes = {{dtype = "f16"}}, changes = {QUERIES, WIDTHS}},
  {op = "fwd", dtypes = {{dtype = "f32"}}, changes = {WIDTHS, TREES}},
  {op = "fwd", dtypes = {{dtype = "bf16"}}, changes = {SINKS, SINKS_RAGGED, TREES, MLA, MLA_MANY}},
  {op = "bwd", dtypes = {{dtype = "f32"}}, changes = {COMMON, QUERIES, SINKS, SINKS_RAGGED, WIDTHS}},
  {op = "bwd", dtypes = {{dtype = "f16"}, {dtype = "bf16"}}, changes = {QUERIES, SINKS_RAGGED}},
  {op = "bwd", dtypes = {{dtype = "bf16"}}, changes = {WIDTHS}},
  {op = "decode", dtypes = {{dtype = "bf16"}}, changes = {COMMON, SPLITS, DESCALES, SINKS, TREES, WIDTHS, MLA}},
  {op = "decode", dtypes = {{dtype = "f32"}, {dtype = "f16", cache_dtype = "fp8_e4m3"}}, changes = {SPLITS, DESCALES}},
  {op = "decode", dtypes = {{dtype = "bf16", cache_dtype = "fp8_e5m2"}}, changes = {DESCALES}},
  {op = "decode", dtypes = {{dtype = "f32"}}, changes = {DECODE_QUERIES, TREES_SPLIT}},
  {
    op = "decode", dtypes = {{dtype = "bf16"}, {dtype = "bf16", cache_dtype = "fp8_e4m3"}},
    changes = {DECODE_QUERIES, SINKS_SPLIT, SINKS_RAGGED, TREES_SPLIT, MLA_MANY, MLA_SPLIT},
  },
  {op = "fwd_fp8", dtypes = {{dtype = "fp8_e4m3"}}, changes = {FP8, DESCALES, QUERIES, SINKS_RAGGED}},
  {
    op = "fwd_fp8", changes = {FP8, DESCALES},
    dtypes = {{dtype = "fp8_e5m2", cache_dtype = "fp8_e4m3"}, {dtype = "bf16", cache_dtype = "fp8_e4m3"}},
  },
  {op = "fwd_fp8", dtypes = {{dtype = "bf16"}, {dtype = "f32", cache_dtype = "fp8_e5m2"}}, changes = {DESCALES}},
  {op = "fwd_fp8", dtypes = {{dtype = "bf16", cache_dtype = "fp8_e4m3"}}, changes = {WIDTHS, MLA}},
}

-- What is added for kernels from elsewhere, which may know one dtype only: the changes that others above cover.
local MORE = {
  {op = "fwd", dtypes = {{dtype = "f32"}}, changes = {SINKS, SINKS_RAGGED}},
  {op = "fwd", dtypes = {{dtype = "f16"}}, changes = {COMMON, SINKS, SINKS_RAGGED}},
  {op = "bwd", dtypes = {{dtype = "f16"}, {dtype = "bf16"}}, changes = {COMMON}},
  {op = "decode", dtypes = {{dtype = "f32"}, {dtype = "f16"}}, changes = {COMMON, SINKS, SINKS_SPLIT}},
  {op = "decode", dtypes = {{dtype = "bf16", cache_dtype = "fp8_e4m3"}}, changes = {COMMON}},
  {op = "decode", dtypes = {{dtype = "f16"}}, changes = {SPLITS, DECODE_QUERIES}},
  {op = "fwd_fp8", dtypes = {{dtype = "fp8_e4m3"}, {dtype = "bf16", cache_dtype = "fp8_e4m3"}}, changes = {COMMON}},
}

local PLAIN = {H = 4, Hkv = 2, D = 64, block_size = 16, len_q = 9, len_k = {37, 20, 50}}

-- The plain problem of an operation: one query of each sequence in decode.
local function plain_of(op) return M.merged(PLAIN, {op = op, len_q = op == "decode" and 1 or nil}) end

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
local SINK_KINDS = {false, false, true, true, "infinite"}
local TREE_KINDS = {"chain", "random", "random", "bits"}
local MOST_QUERIES = {fwd = 40, fwd_fp8 = 40, bwd = 40, decode = 8}

-- A length near a multiple of the block size as often as not.
local function length(random, block_size, most)
  if random(2) == 0 then return random(most + 1) end
  return math.max(0, math.min(most, block_size * (1 + random(3)) + random(3) - 1))
end

-- Queries: padded or ragged; in decode one of each as often as several.
local function mix_queries(case, random)
  local most, B = MOST_QUERIES[case.op], #case.len_k
  if case.op == "decode" and random(2) == 0 then
    case.len_q, case.flat = 1, random(3) == 0
  elseif random(2) == 0 then
    case.ragged, case.len_q = true, {}
    for b = 1, B do case.len_q[b] = random(3) > 0 and random(most) or 0 end
  else
    case.len_q = 1 + random(most)
  end
end

-- V of a width of its own, or a view of K.
local function mix_values(case, random, pick)
  if case.op ~= "bwd" and random(6) == 0 then
    case.mla, case.Dv, case.softmax_scale = true, 8 + 8 * random(case.D / 8), 0.1 + random(4) / 10
    case.Hkv = random(2) == 0 and 1 or case.Hkv
  elseif random(3) == 0 then
    case.Dv = pick(DIMS)
  end
end

-- A tree in the place of the other masks, and no sequence shorter than its queries.
local function mix_tree(case, pick)
  case.tree, case.causal, case.window = pick(TREE_KINDS), nil, nil
  for b, len in ipairs(case.len_k) do
    case.len_k[b] = math.max(len, case.ragged and case.len_q[b] or case.len_q)
  end
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
  local most = op == "decode" and 200 or 80
  for b = 1, 1 + random(4) do case.len_k[b] = length(random, case.block_size, most) end
  mix_queries(case, random)
  mix_values(case, random, pick)
  if op == "decode" and random(3) == 0 or op == "fwd" and random(4) == 0 then mix_tree(case, pick) end
  case.sinks = pick(SINK_KINDS) or nil
  if op == "decode" then case.num_splits = pick(NUM_SPLITS) end
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

M.name_of = name_of

local function add(list, case, fields)
  case.seed = 10 * (#list + 1)
  case.name = ("%03d %s"):format(#list + 1, name_of(case, fields))
  list[#list + 1] = case
end

local function add_axes(list, axes)
  for _, axis in ipairs(axes) do
    for _, dtypes in ipairs(axis.dtypes) do
      for _, changes in ipairs(axis.changes) do
        for _, change in ipairs(changes) do
          local case = M.merged(plain_of(axis.op), dtypes, change)
          if case.ragged then case.layout_q = nil end
          add(list, case, change)
        end
      end
    end
  end
end

--- All cases, in a fixed order; `mixtures` (default 60) of each operation.
function M.all(mixtures)
  local list = {}
  add_axes(list, AXES)
  for n, op in ipairs {"fwd", "fwd_fp8", "bwd", "decode"} do
    local random = generator(1000 + n)
    for _ = 1, mixtures or 60 do
      local case = mixture(op, random)
      add(list, case, case)
    end
  end
  return list
end

--- The cases of one operation that a kernel from elsewhere is judged by: those of M.all, under the same names, and more
--- for each dtype by itself.
function M.of(op)
  local all, list = M.all(), {}
  add_axes(all, MORE)
  for _, case in ipairs(all) do
    if case.op == op then list[#list + 1] = case end
  end
  return list
end

--- A part of a list of cases: of those of the first dtype that change one option all, every sixth of the others.
function M.quick(list)
  local part, first, count = {}, list[1], 0
  for _, case in ipairs(list) do
    local same = case.dtype == first.dtype and case.cache_dtype == first.cache_dtype
    if not (same and case.len_k == M.plain_len_k) then count = count + 1 end
    if same and case.len_k == M.plain_len_k or count % 6 == 1 then part[#part + 1] = case end
  end
  return part
end

--- The case with shorter sequences where no length was asked for: sim is slow.
function M.shortened(case)
  if not case.len_k then return case end
  local copy = M.merged(case)
  copy.len_k = {}
  for b, len in ipairs(case.len_k) do copy.len_k[b] = len > 400 and math.floor(len / 5) or len end
  if case.len_k == M.plain_len_k and not case.tree then -- a tree is no longer than its sequence
    copy.len_k = case.op == "decode" and {37, 5, 50} or {19, 5, 34}
  end
  return copy
end

--- The plain case of an operation with some fields changed; `seed` defaults to 1.
function M.plain(op, change)
  local case = M.merged(plain_of(op), {dtype = "f32", seed = 1}, change or {})
  case.name = name_of(case, change or {})
  return case
end

return M
