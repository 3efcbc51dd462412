-- init.lua - the table `pah`: gathers what the files beside it define. Loaded by the host before any script.
-- Read next: tensor/init.lua, attention/init.lua, attention/kv_cache.lua.
local M = {}
package.loaded["pah"] = M

--- Version of the program, as configure.ac says it.
M.version = require("pah.host").version

-- Each module returns a table whose field `exports` holds what it adds to `pah`; the order is that of their dependence.
for _, name in ipairs {
  "ffi", "device", "tensor", "tensor.random", "tensor.closeness", "tensor.npy", "tensor.safetensors",
  "util.json", "attention", "attention.reference", "attention.block_table", "attention.kv_cache",
  "attention.trace", "module", "module.tensor_map", "options", "attention.work", "measure", "measure.attention",
  "results.sqlite", "results", "experiment.axes", "experiment.sweep", "experiment", "plot", "report", "compare",
  "attention.batch",
} do
  if package.searchpath("pah." .. name, package.path) then
    for key, value in pairs(require("pah." .. name).exports or {}) do
      assert(M[key] == nil, key)
      M[key] = value
    end
  end
end

return M
