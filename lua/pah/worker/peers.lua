-- peers.lua - the kernels of other libraries that `pah bench --peer` measures beside pah's own: workers that ship
-- (peers/*.py), or a worker file of your own. Promises: one that cannot be had here says what to install before
-- anything is measured; `version` and `kernels` say what was really run. Read next: init.lua, cli/bench.lua.
local errors = require "pah.errors"
local host = require "pah.host"
local readable = require("pah.util.whole_file").readable
local worker = require("pah.worker").worker

local M = {}

-- name -> words behind python3; lse = false: it gives none.
local known = {
  torch = {"dense_attention.py", "torch", lse = false}, cudnn = {"dense_attention.py", "cudnn", lse = false},
  flashinfer = {"flashinfer_attention.py"},
}

--- The names of the peers that ship.
M.names = {"torch", "flashinfer", "cudnn"}

--- What a peer is called in rows: its name, or that of its file without folder and ending.
function M.name_of(word) return word:match "([^/]+)%.py$" or word end

-- The program and its words for a name, or for a worker file such as my_kernel.py.
local function command_of(name)
  local python, peer = os.getenv "PYTHON" or "python3", known[name]
  if peer then
    return {python, ("%s/lua/pah/worker/peers/%s"):format(host.datadir, peer[1]), peer[2]}, peer.lse
  end
  if name:match "%.py$" and readable(name) then return {python, name} end
  errors.raisef("peer: \"%s\" is none of %s, nor a worker file (doc/judging.md) that can be read", name,
    table.concat(M.names, ", "))
end

-- "flashinfer 0.6.4, torch 2.11.0": the libraries that a worker has named, but for those of every worker.
local function version_of(info)
  local parts = {}
  for name, version in pairs(type(info.versions) == "table" and info.versions or {}) do
    if name ~= "python" and name ~= "numpy" then parts[#parts + 1] = ("%s %s"):format(name, tostring(version)) end
  end
  table.sort(parts)
  return table.concat(parts, ", ")
end

--- Starts the workers of a list of names: {name=, version=, worker=, lse=} each. Raises what one of them lacks.
function M.open(names)
  local list = {}
  for i, name in ipairs(names) do
    local command, lse = command_of(name)
    local ok, w = pcall(worker, {command = command, name = name})
    if not ok then
      M.close(list)
      error(w, 0)
    end
    list[i] = {name = M.name_of(name), version = version_of(w.info), worker = w, lse = lse}
  end
  return list
end

--- What pah.bench_attention takes as `against`, for an operation.
function M.against(list, op)
  local against = {}
  for i, peer in ipairs(list) do against[i] = {name = peer.name, run = peer.worker.run(op), lse = peer.lse} end
  return against
end

--- Ends them.
function M.close(list)
  for _, peer in ipairs(list) do peer.worker:close() end
end

return M
