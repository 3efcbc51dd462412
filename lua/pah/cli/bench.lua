-- bench.lua - the command `pah bench`: with no script, a standard table of calls measured on this device, each
-- beside its limit; or batches in vLLM's grammar. The measuring is pah.bench_attention at the points of a pah.sweep.
-- Read next: measure/standard_table.lua, measure/problem.lua, init.lua.
local batches = require "pah.attention.batch"
local bench_attention = require "pah.measure.attention"
local bench_problem = require "pah.measure.problem"
local bench_table = require "pah.measure.standard_table"
local beside = require "pah.worker.beside"
local columns = require "pah.util.columns"
local devices = require "pah.device"
local json = require "pah.util.json"
local line_of = require("pah.util.safe_text").line
local misused = require("pah.options").misused
local notice = require "pah.measure.notice"
local peaks = require "pah.measure.peaks"
local peers_of = require "pah.worker.peers"
local schema = require "pah.results.schema"
local screen = require "pah.util.screen"
local sweep = require "pah.experiment.sweep"

-- The longest time that a point is measured; precision and times as in pah.bench.
local efforts = {
  quick = {warmup = 0.2, min_time = 0.1, max_time = 0.5, min_samples = 5, precision = 0.05},
  standard = {warmup = 1, min_time = 0.3, max_time = 2, min_samples = 7, precision = 0.02},
  full = {warmup = 2, min_time = 0.5, max_time = 10, min_samples = 10, precision = 0.01},
}

local function complain(message) return misused("bench", message) end

-- ---- What is measured -------------------------------------------------------------------------------------------

-- A set of the words of an option, or nil if it was not given.
local function set_of(list)
  if #list == 0 then return nil end
  local set = {}
  for _, word in ipairs(list) do set[word] = true end
  return set
end

local function or_default(list, default) return #list > 0 and list or {default} end

-- Points of the batches that were given, with every op, dtype and block size that was given.
local function points_of_batches(opt)
  local points = {}
  for _, text in ipairs(opt.batch) do
    local batch = batches.batch(text, {device = "cpu"})
    for _, op in ipairs(or_default(opt.op, bench_problem.op_of(batch))) do
      for _, dtype in ipairs(or_default(opt.dtype, op == "fwd_fp8" and "fp8_e4m3" or "bf16")) do
        for _, block_size in ipairs(or_default(opt.block_size, 16)) do
          points[#points + 1] = {op = op, batch = batch.text, dtype = dtype, block_size = block_size,
            caches = opt.cold and "cold" or "hot"}
        end
      end
    end
  end
  return points
end

-- Points of the standard table that the options select.
local function points_of_table(opt, device, length)
  local wanted = {op = set_of(opt.op), dtype = set_of(opt.dtype), block_size = set_of(opt.block_size)}
  if opt.cold then wanted.caches = {cold = true} end
  local points = {}
  for _, point in ipairs(bench_table.points(device, length)) do
    local keep = true
    for name, set in pairs(wanted) do keep = keep and set[point[name]] end
    if keep then points[#points + 1] = point end
  end
  return points
end

-- What names a call, and with its peer, if it has one, the point.
local function call_of(point)
  local axes = {}
  for i, name in ipairs(bench_table.axes) do axes[i] = {name = name} end
  return schema.key(axes, point)
end

local function key_of(point)
  local axes = {}
  for i, name in ipairs(bench_table.axes_of(point)) do axes[i] = {name = name} end
  return schema.key(axes, point)
end

-- Points whose key has that text, none twice, each for pah and for every peer.
local function filtered(points, text, peers)
  local list, seen = {}, {}
  local function add(point)
    local key = key_of(point)
    if not seen[key] then list[#list + 1], seen[key] = point, true end
  end
  for _, point in ipairs(points) do
    if call_of(point):find(text, 1, true) then
      for i = 0, #peers do
        local copy = {peer = #peers > 0 and (i == 0 and beside.OWN or peers_of.name_of(peers[i])) or nil}
        for name, value in pairs(point) do copy[name] = value end
        add(copy)
      end
    end
  end
  return list, seen
end

-- The grid that holds all points: each axis with the values that occur.
local function axes_of(points)
  local axes = {}
  for i, name in ipairs(bench_table.axes_of(points[1])) do
    local seen = {}
    axes[i] = {name = name, values = {}}
    for _, point in ipairs(points) do
      if not seen[point[name]] then table.insert(axes[i].values, point[name]) end
      seen[point[name]] = true
    end
  end
  return axes
end

-- ---- The run ----------------------------------------------------------------------------------------------------

-- What measure/problem.lua needs to know of a point.
local function problem_of(point, device, sizes)
  return point.op, point.batch, {dtype = point.dtype, block_size = point.block_size, device = device,
    heads = sizes.heads, kv_heads = sizes.kv_heads, head_dim = sizes.head_dim, head_dim_v = sizes.head_dim_v,
    sinks = sizes.sinks}
end

-- What measures a point; with peers, all of them by turns.
local function runner(device, sizes, effort, peers)
  local function attention(p, against)
    local args = bench_problem.arguments(problem_of(p, device, sizes))
    local o = {name = call_of(p), cold = p.caches == "cold", against = against}
    for name, value in pairs(effort) do o[name] = value end
    return bench_attention.bench_attention(p.op, args, o)
  end
  return #peers > 0 and beside.run(peers, call_of, attention) or function(p) return attention(p) end
end

-- Rows, the peaks of the device before them and, if they took long, after them, and a note on how these differ.
local function measure(points, keys, device, sizes, effort, opt, peers)
  local device_peaks
  if not device.name:match "^sim" then device_peaks = peaks.collect(device) end
  local rows = sweep.exports.sweep{
    name = "bench", axes = axes_of(points), where = function(p) return keys[key_of(p)] end, device = device,
    store = opt.out, resume = false, quiet = opt.quiet, limits = device_peaks,
    options = sizes, run = runner(device, sizes, effort, peers),
  }
  bench_problem.forget()
  if not device_peaks then return rows end
  local seconds = 0
  for _, row in ipairs(rows) do seconds = seconds + row.seconds end
  return rows, device_peaks, peaks.again(device, device_peaks, seconds)
end

-- Rows in the order of the points.
local function in_order(rows, points)
  local by_key, list = {}, {}
  for _, row in ipairs(rows) do by_key[row.key] = row end
  for _, point in ipairs(points) do list[#list + 1] = by_key[key_of(point)] end
  return list
end

-- A line on standard output, folded into 80 columns.
local function say(line) print(columns.folded(line)) end

local function heading(device, sizes, found)
  local info = device:info()
  say(("%s: %s, %d query heads, %d K/V heads, head_dim %d%s%s; blocks shuffled, causal but for one query"):format(
    device.name, info.model ~= "" and info.model or info.arch, sizes.heads, sizes.kv_heads, sizes.head_dim,
    sizes.head_dim_v and (" (V %d)"):format(sizes.head_dim_v) or "", sizes.sinks and ", sinks" or ""))
  if not found then return print "counted, not timed: sim has no time" end
  local words = {}
  for _, dtype in ipairs(json.keys(found.fma_flops_per_second)) do
    words[#words + 1] = ("%.4g %s"):format(found.fma_flops_per_second[dtype] / 1e9, dtype)
  end
  say(("limits measured in this run, %d threads: %.1f GB/s read from memory (%.1f by shuffled blocks), GFLOP/s of "
    .. "multiply-adds: %s"):format(found.threads, found.read_bytes_per_second / 1e9,
    found.shuffled_read_bytes_per_second / 1e9, table.concat(words, ", ")))
end

local function print_errors(rows)
  for _, row in ipairs(rows) do
    if row.error then say(("error: %s: %s"):format(row.key, row.error:match "^[^\n]*")) end
  end
end

-- What the peers are, and the kernels that they launched, each list once; calls that they do not do, and why.
local function print_peers(rows)
  local told = {}
  for _, row in ipairs(rows) do
    local v = row.values or {}
    if v.pending then print(line_of(("pending: %s: %s"):format(row.key, v.pending))) end
    local line = v.version and ("%s: %s%s"):format(row.axes.peer, v.version ~= "" and v.version or "no version",
      (v.kernels or "") ~= "" and ("; %s launched %s"):format(row.axes.op, v.kernels) or "")
    if line and not told[line] and not v.pending then print(line_of(line)) end
    told[line or ""] = true
    for name, text in pairs {copied = "its tensors were copied, no CUDA IPC: " .. tostring(v.copied),
      late = "the GPU waited for its host between the events"} do
      if v[name] then print(line_of(("note: %s: %s"):format(row.key, text))) end
    end
  end
end

local function print_notes(rows, moved)
  for _, row in ipairs(rows) do
    for _, note in ipairs(row.result and row.result.notes or {}) do
      say(("note: %s: %s"):format(row.key, note))
    end
  end
  if moved then say("note: " .. moved) end
end

-- The sizes asked for, or nil and what is wrong with them.
local function sizes_of(opt, device)
  local sizes = bench_table.sizes(device)
  sizes.sinks = opt.sinks or nil
  for _, name in ipairs {"heads", "kv_heads", "head_dim", "head_dim_v"} do
    sizes[name] = opt[name] or sizes[name]
    if sizes[name] and sizes[name] < 1 then
      return nil, ("--%s is %d, must be at least 1"):format((name:gsub("_", "-")), sizes[name])
    end
  end
  if sizes.heads % sizes.kv_heads ~= 0 then
    return nil, ("--heads is %d, must be a multiple of --kv-heads, %d"):format(sizes.heads, sizes.kv_heads)
  end
  for _, block_size in ipairs(opt.block_size) do
    if block_size < 1 then return nil, ("--block-size is %d, must be at least 1"):format(block_size) end
  end
  return sizes
end

-- Fields that an option gives.
local options_of = {op = "--op", head_dim = "--head-dim"}

-- Why one of the points cannot be run on any device, or nil.
local function wrong_with(points, device, sizes)
  for _, point in ipairs(points) do
    local ok, why = pcall(bench_problem.check, problem_of(point, device, sizes))
    if not ok then
      why = why:gsub("^%w+: ([%w_]+) is", function(field) return options_of[field] and options_of[field] .. " is" end)
      return ("%s (%s)"):format(why, key_of(point))
    end
  end
end

local function run(opt)
  if opt.full and opt.quick then return complain "--full and --quick are both given" end
  if opt.quiet then notice.hold(true) end
  local known, device = pcall(devices.get, opt.device)
  if not known then return complain(device) end
  if #opt.peer > 0 and device.name:match "^sim" then return complain "--peer is given, but sim has no time" end
  local length = opt.full and "full" or opt.quick and "quick" or "standard"
  local sizes, why = sizes_of(opt, device)
  if not sizes then return complain(why) end
  local ok, points, keys = pcall(function()
    return filtered(#opt.batch > 0 and points_of_batches(opt) or points_of_table(opt, device, length), opt.filter,
      opt.peer)
  end)
  if not ok then return complain((tostring(points):gsub("^batch: ", "--batch: "))) end
  if #points == 0 then return complain "no call of the table is left by these options" end
  why = wrong_with(points, device, sizes)
  if why then return complain(why) end
  local opened, peers = pcall(peers_of.open, opt.peer)
  if not opened then return complain(peers) end
  local measured, rows, found, after, moved = pcall(measure, points, keys, device, sizes, efforts[length], opt, peers)
  peers_of.close(peers)
  if not measured then error(rows, 0) end
  local failed = rows.failed
  local header = rows.header
  rows = in_order(rows, points)
  if opt.json then
    print(json.encode{device = device.name, sizes = sizes, limits = found, limits_after = after,
      rows = schema.plain(rows, "rows"), run = header.run})
  else
    heading(device, sizes, found)
    io.stdout:write(bench_table.text(rows, device, screen.width()))
    print_errors(rows)
    print_peers(rows)
    if not opt.quiet then print_notes(rows, moved) end
  end
  return failed > 0 and 1 or 0
end

return {
  usage = "[--batch 8q1s1k,2q2k_32q1s1k] [-o RESULTS.db] [options]",
  about = "measure attention: a standard table beside the limits of the device, or batches of your own",
  text = [=[
Without --batch a standard table for the device: decode, prefill, new tokens after others, a mixed batch, backward;
--op, --dtype, --block-size and --cold then leave only those of its rows. A batch is in vLLM's grammar,
[COUNT]qTOKENS[k][sTOKENS[k]] joined by _: 8q1s1k is 8 sequences of 1024 tokens that get one more token, 2q2k two
prompts of 2048. --peer measures other libraries for the same calls, by turns with pah. Every result is checked against
the float64 oracle, and every timed call gets its blocks and queries in another order. Exit code 1: a call failed.
doc/measuring.md defines all figures.]=],
  options = {
    device = {"cpu, cuda or sim (counted, not timed)"}, batch = {"batches in vLLM's grammar", {}},
    op = {"operations", {}, choices = {"decode", "fwd", "fwd_fp8", "bwd"}},
    dtype = {"of the cache", {}, choices = {"f32", "f16", "bf16", "fp8_e4m3", "fp8_e5m2"}},
    block_size = {"tokens of a block", {}, type = "whole"}, cold = {"with caches flushed before each call", false},
    heads = {"query heads [32; sim: 4]", type = "whole"}, kv_heads = {"key/value heads [8; sim: 2]", type = "whole"},
    head_dim = {"elements of a head [128; sim: 64]", type = "whole"},
    head_dim_v = {"elements of a head of V [as of K]", type = "whole"}, sinks = {"with a sink of every head", false},
    peer = {"measured beside pah: torch, flashinfer, cudnn, or a worker file", {}},
    full = {"more rows, measured longer: takes minutes", false}, quick = {"few rows, measured briefly", false},
    filter = {"only rows whose key has this text, such as dtype=bf16", ""},
    out = {"results file for the rows, .db or .jsonl", short = "o"}, json = {"print JSON", false},
    quiet = {"no progress and no notes", false},
  },
  words = 0,
  run = run,
}
