-- init.lua - the table `pah`: gathers what the files beside it define. Loaded by the host before any script.
-- Read next: tensor/init.lua, attention/init.lua, attention/kv_cache.lua.
local M = {}
package.loaded["pah"] = M

--- Version of the program, as configure.ac says it.
M.version = require("pah.host").version

--- Prints what the manual says of x (lua/pah/manual), which is loaded when it is first asked.
function M.help(x) return require("pah.manual.help").print(x) end

-- Each module returns a table whose field `exports` holds what it adds to `pah`. From below to above, in the order of
-- the layers (spec/tree/requires_spec.lua).
for _, name in ipairs {
  "util.inspect", "util.json", "ffi", "options", "device", "tensor", "tensor.random", "tensor.closeness",
  "tensor.safetensors", "tensor.file", "attention", "attention.plain", "attention.plain_backward",
  "attention.reference", "attention.block_table", "attention.kv_cache", "attention.mask", "attention.trace",
  "attention.trace_write", "attention.batch", "attention.work", "serving.replay", "module", "module.tensor_map",
  "measure", "measure.attention", "worker.arena", "worker", "judge.cases", "judge.problem", "judge.budget",
  "judge.probe", "judge", "results.sqlite", "results", "results.merge", "experiment.axes", "experiment.sweep",
  "experiment", "plot", "report", "compare",
} do
  for key, value in pairs(require("pah." .. name).exports or {}) do
    assert(M[key] == nil, key)
    M[key] = value
  end
end

return M
