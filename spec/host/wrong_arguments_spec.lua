-- wrong_arguments_spec.lua - every function, method and option table of pah gets what it cannot use: the error stands
-- at the script's line and in pah's words, never inside lua/pah ("attempt to index ...", "bad argument ..."). The draws
-- are the same in every run. What each rule says: the specs beside the part that makes it.
local child = require "spec.support.child"

local state
local function seed(text) -- so that a function's draws do not depend on which others there are
  state = 1
  for i = 1, #text do state = (state * 31 + text:byte(i)) % 2147483646 + 1 end
end

local function draw(n) -- 1 to n
  state = (state * 48271) % 2147483647
  return state % n + 1
end

local function freed()
  local t = pah.zeros{2}
  t:free()
  return t
end

-- By type and by what is hard about them; made anew for every call.
local wrong = {
  function() return nil end, function() return true end, function() return 5 end, function() return -1 end,
  function() return 0.5 end, function() return 0 / 0 end, function() return 1 / 0 end, function() return 2 ^ 60 end,
  function() return "no/such/folder/x" end, function() return "" end, function() return {} end,
  function() return {5} end, function() return {{}} end, function() return {a = 1} end,
  function() return function() error "its own error" end end, function() return pah.zeros{2} end,
  function() return pah.zeros({}, {dtype = "i64"}) end, freed, function() return 5LL end,
  function() return pah.json.null end, function() return coroutine.create(print) end, function() return io.stdout end,
}

local function check(name, f, ...)
  local ok, why = pcall(f, ...)
  if ok then return end
  local text = tostring(why):match "^[^\n]*"
  local inside = text:find "lua/pah/[%w_/]+%.lua:%d+:" or text:find "attempt to " or text:find "bad argument #"
  if not inside then return end
  local shown = {}
  for i = 1, select("#", ...) do shown[i] = type((select(i, ...))) end
  error(("%s(%s): %s"):format(name, table.concat(shown, ", "), text), 0)
end

-- Up to four wrong arguments, in 60 draws ($PAH_DRAWS).
local function throw_at(name, f)
  seed(name)
  for _ = 1, tonumber(os.getenv "PAH_DRAWS" or 60) do
    local args, n = {}, draw(5) - 1
    for i = 1, n do args[i] = wrong[draw(#wrong)]() end
    check(name, f, unpack(args, 1, n))
  end
end

local function functions_of(prefix, where, list)
  for name, value in pairs(where) do
    if value == pah.help then value = require("pah.manual.help").text end -- which prints nothing
    if type(value) == "function" then
      list[#list + 1] = {prefix .. name, value}
    elseif type(value) == "table" and value ~= pah.json.null then
      functions_of(prefix .. name .. ".", value, list)
    end
  end
  return list
end

local function methods(prefix, object, meta, list)
  for name, f in pairs(meta) do
    if type(f) == "function" and not name:match "^__" then
      list[#list + 1] = {prefix .. name, function(...) return f(object, ...) end}
    end
  end
end

local function everything()
  local list = functions_of("pah.", pah, {})
  for _, name in ipairs(require("pah.tensor").names()) do
    list[#list + 1] = {"t:" .. name, function(...)
      local t = pah.zeros{2, 3}
      return type(t[name]) == "function" and t[name](t, ...)
    end}
  end
  local cache = pah.cache{num_blocks = 4, block_size = 2, num_kv_heads = 1, head_dim = 8}
  methods("cache:", cache, getmetatable(cache).__index, list)
  for _, name in ipairs{"append", "fork", "truncate", "blocks"} do
    list[#list + 1] = {"seq:" .. name, function(...) return cache:sequence()[name](cache:sequence(), ...) end}
  end
  local device = pah.device "cpu"
  methods("device:", device, getmetatable(device).__index, list)
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

describe("a wrong argument of", function()
  local folder, threads
  setup(function() folder, threads = child.folder(), pah.threads() end)
  teardown(function()
    pah.threads(threads)
    os.execute("rm -rf " .. folder)
  end)

  for _, entry in ipairs(everything()) do
    it(entry[1] .. " is told at the script's line", function() throw_at(entry[1], entry[2]) end)
  end

  -- An option table that is right but for one field: {a call, its right table, further names of fields}.
  local q, k = pah.zeros{1, 2, 1, 32}, pah.zeros{2, 4, 1, 32}
  local table_ = pah.zeros({1, 2}, {dtype = "i32"})
  local problem = {q = q, k_blocks = k, v_blocks = k, block_table = table_}
  local bench = {min_time = 0, max_time = 0.001, min_samples = 1, max_samples = 1, warmup = 0, limits = false}
  local run = {axes = {{name = "a", values = {1}}}, run = function() return 1 end, quiet = true}
  local tables = {
    ["pah.empty"] = {function(o) return pah.empty({2}, o) end, {}, {"dtype", "device"}},
    ["pah.randn"] = {function(o) return pah.randn({2}, o) end, {}, {"seed", "scale", "mean", "dtype", "device"}},
    ["pah.randint"] = {function(o) return pah.randint({2}, o) end, {high = 5}, {"low", "seed", "dtype"}},
    ["pah.allclose"] = {function(o) return pah.allclose(q, q, o) end, {}, {"rtol", "atol"}},
    ["pah.cache"] = {pah.cache, {num_blocks = 1, num_kv_heads = 1, head_dim = 8}, {"block_size", "dtype", "device"}},
    ["pah.block_table"] = {pah.block_table, {seqlens = {3}, block_size = 2}, {"num_blocks", "order", "seed", "device"}},
    ["pah.decode"] = {pah.decode, problem, {"seqused_k", "k_descale", "softmax_scale", "causal", "window", "seqlen_k",
      "num_splits", "kernel", "softcap", "out", "lse"}},
    ["pah.work"] = {function(o) return pah.work("fwd", o) end, problem, {"window", "causal", "seqlen_k"}},
    ["pah.reference.fwd"] = {pah.reference.fwd, problem, {"intermediate", "window", "causal"}},
    ["pah.bench"] = {function(o) return pah.bench(function() end, o) end, bench, {"cold", "setup", "after", "bytes",
      "flops", "name", "device", "precision", "pin", "dtype"}},
    ["pah.bench_attention"] = {function(o) return pah.bench_attention("decode", problem, o) end, bench, {"run",
      "verify", "seed", "cold", "name"}},
    ["pah.sweep"] = {pah.sweep, run, {"name", "where", "store", "seed", "rounds", "resume", "fresh", "on_error",
      "options", "files", "limits", "device", "setup"}},
    ["pah.results.open"] = {function(o) pah.results.open(folder .. "/r.jsonl", o):close() end, {}, {"name", "script",
      "axes", "device", "host", "env", "seed", "options", "files", "run", "started", "argv", "rounds"}},
    ["pah.results.resume"] = {function(o) pah.results.resume(folder .. "/s.jsonl", o):close() end, {name = "x"},
      {"script", "axes", "device", "options", "files", "run", "started"}},
    ["pah.options"] = {function(o) return pah.options{size = o} end, {"size", 5}, {"choices", "type", "short", 1, 2}},
  }
  for name, entry in pairs(tables) do
    it(name .. "'s table is told at the script's line", function()
      local f, right, fields = unpack(entry)
      seed(name)
      local names = {}
      for _, field in ipairs(fields) do names[#names + 1] = field end
      for field in pairs(right) do names[#names + 1] = field end
      for _, field in ipairs(names) do
        for _, make in ipairs(wrong) do
          local options, value = {}, make()
          for key, given in pairs(right) do options[key] = given end
          options[field] = value
          local long = right == bench and type(value) == "number" -- it may measure for as long as that says
          local slow = name:match "sweep" or name:match "results" -- each looks at the machine and at git
          if not long and (not slow or draw(10) == 1) then check(name .. " " .. field, f, options) end
        end
      end
    end)
  end
end)
