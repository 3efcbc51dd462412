-- results_file.lua - what the specs of results files share: formats that can be written here, a header, rows with every
-- kind of number and text, and files that hold them.
local child = require "spec.support.child"

local M = {folder = child.folder(), formats = {"jsonl"}}

if require("pah.results.sqlite").usable() then M.formats[2] = "db" end

M.new_path = child.paths(M.folder)

M.axes = {{name = "size", values = {16, 32, 0.1}}, {name = "dtype", values = {"f32", "bf16"}}}

function M.header() return {name = "spec", axes = M.axes, seed = 7, options = {batch = 3}} end

M.rows = {
  {index = 1, round = 1, axes = {size = 16, dtype = "f32"}, seconds = 0.1, measured_at = "2026-11-25T20:40:05Z",
    result = {median = 1 / 3, low = 0.3, high = 0.4, n = 3, samples = {1 / 3, 5e-324, 1.7976931348623157e308},
      notes = {"a", "b"}, cold = false, work = {pairs = 10}, bytes_per_second = 2 ^ 60},
    values = {err = 1e-9, ok = true, text = 'quote " and \\ and \n and \1 and \xc3\xa9', big = 2 ^ 53, minus = -0.5,
      even = 2 ^ 53 + 2, most = 2 ^ 63, least = -2 ^ 63, beyond = 2 ^ 64 + 4096}},
  {index = 2, round = 2, axes = {size = 16, dtype = "bf16"}, error = "line 1\nline 2",
    measured_at = "2026-11-25T20:40:06Z"},
  {index = 6, round = 1, axes = {size = 0.1, dtype = "bf16"}, measured_at = "2026-11-25T20:40:07Z",
    values = {none = 0 / 0, plus = math.huge, minus = -math.huge, zero = -0.0}},
}

--- Makes a file of these rows at the path, or adds a run to it; returns the run's id.
function M.fill(path)
  local store = pah.results.open(path, M.header())
  for _, row in ipairs(M.rows) do store:add(row) end
  store:close()
  return store.run
end

return M
