-- beside.lua - rows of `pah bench --peer`: pah's kernel and those of other libraries (worker/peers.lua) for one call,
-- measured by turns, each a row of its own. Promises: every result is judged before its time counts; a call that a peer
-- does not do is a row that says why, not an error. Read next: measure/attention.lua (`against`), cli/bench.lua.
local host = require "pah.host"
local peers = require "pah.worker.peers"

local M = {}

--- The value of the axis `peer` in the rows of pah's own kernels.
M.OWN = "pah"

-- Columns of a peer's row: its libraries, what it launched, and how many times pah's time it took.
local function values_of(peer, entry)
  local values = {version = peer.version, kernels = table.concat(peer.worker.kernels or {}, "; ")}
  if peer.worker.refused then values.copied = peer.worker.refused end
  if peer.worker.late then values.late = true end
  if entry.ratio then
    values.times_pah, values.times_pah_low, values.times_pah_high = entry.ratio.ratio, entry.ratio.low, entry.ratio.high
  end
  return values
end

-- All rows of one call: name -> {result=, values=} or {error=}.
local function group(list, op, measure)
  local ok, result, others = pcall(measure, peers.against(list, op))
  if host.interrupted() then error("interrupted", 0) end
  local rows = {[M.OWN] = ok and {result = result} or {error = result}}
  for i, peer in ipairs(list) do
    local entry = ok and others[i] or {error = "not measured: pah's own kernel failed"}
    if entry.error then
      rows[peer.name] = {error = entry.error}
    elseif entry.pending then
      rows[peer.name] = {values = {version = peer.version, pending = entry.pending}}
    else
      rows[peer.name] = {result = entry.result, values = values_of(peer, entry)}
    end
  end
  return rows
end

--- The function `run` of a pah.sweep with an axis `peer`: the first point of a call measures it with all peers, the
--- others get theirs from that. measure(p, against) is pah.bench_attention for a point; call_of(p) names its call.
function M.run(list, call_of, measure)
  local kept = {}
  return function(p)
    local call = call_of(p)
    kept[call] = kept[call] or group(list, p.op, function(against) return measure(p, against) end)
    local row = kept[call][p.peer]
    if row.error then error(row.error, 0) end
    return row.result, row.values
  end
end

return M
