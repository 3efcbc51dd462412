-- turns.lua - times of several functions on a GPU in turn, round after round, each call behind a flush of L2 that the
-- host does not wait for; medians; beside figures of others. What forward.lua and backward.lua share:
-- local turns = dofile(folder .. "turns.lua")(device, {seconds = of samples for each, peer = path, output = path}).
local gpu_clock = require "pah.measure.gpu_clock"
local json = require "pah.util.json"

local flush_text = [[
extern "C" __global__ void flush(float4 *data, long long count) {
  long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step)
    data[i] = make_float4(i, 1, 2, 3);
}
]]

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

-- 256 MB are written while the host puts the launch behind them: the GPU never waits for the host between the events.
local function sampler(device)
  local module, clock = device:compile{text = flush_text}, gpu_clock.of(device)
  local data, shape = pah.empty({2 ^ 26}, {device = device}), {grid = {8 * device:info().sms}, block = {256}}
  return function(run)
    module:launch("flush", shape, data, pah.i64(2 ^ 24))
    if clock then clock.start() end
    local from = device:event()
    run()
    local to = device:event()
    local hz = clock and clock.stop()
    device:synchronize()
    return to:since(from), hz
  end
end

-- The JSON lines {name, tflops, peer} of a file by name; none of "".
local function peers_of(path)
  local peers = {}
  for line in (path == "" and function() end or io.lines(path)) do
    local peer = json.decode(line)
    peers[peer.name] = peer
  end
  return peers
end

return function(device, options)
  local sample, M, peers = sampler(device), {}, peers_of(options.peer)
  local file = options.output ~= "" and assert(io.open(options.output, "w"))

  --- Lists of seconds by the keys of `runs`; names say which one failed.
  function M.measure(runs, names)
    local lists = {}
    for v, run in pairs(runs) do
      local ok, why = pcall(function()
        run()
        device:synchronize()
      end)
      if not ok then error(names[v] .. ": " .. tostring(why), 0) end
      lists[v] = {hz = {}, sum = 0}
    end
    for round = 1, 60 do
      local open = false
      for v, run in pairs(runs) do
        local list = lists[v]
        if round <= 7 or list.sum < options.seconds then
          local t, hz = sample(run)
          list[#list + 1], list.hz[#list.hz + 1], list.sum, open = t, hz, list.sum + t, true
        end
      end
      if not open then break end
    end
    return lists
  end

  --- A line of the table, and a JSON line to the output. Returns TFLOP/s.
  function M.report(row, variant, list, flops)
    local peer = peers[row] and peers[row].tflops and peers[row] -- a peer may have failed
    local n, t, hz = #list, median(list), median(list.hz) or 0 / 0 -- sorted now
    local rate = flops / t / 1e12
    print(("%-18s %-26s %8.1f us  %6.1f TFLOP/s  (best %6.1f, %d, %4.0f MHz, %4.1f %%)%s"):format(row, variant,
      t * 1e6, rate, flops / list[1] / 1e12, n, hz / 1e6, 100 * flops / (t * hz * device:info().sms * 4096),
      peer and ("  %.2f of %s"):format(rate / peer.tflops, peer.peer) or ""))
    io.stdout:flush()
    if file then
      file:write(json.encode{row = row, variant = variant, seconds = t, best = list[1], n = n, hz = hz, flops = flops},
        "\n")
      file:flush()
    end
    return rate
  end

  --- A line that says what part of the time of `whole`, reported before, `list` takes.
  function M.part(row, variant, list, whole)
    local t = median(list)
    print(("%-18s %-26s %8.1f us  %6.2f %% of it"):format(row, variant, t * 1e6, 100 * t / median(whole)))
  end

  return M
end
