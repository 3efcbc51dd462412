-- init.lua - the table `pah`: gathers what the files beside it define. Loaded by the host before any script.
-- Read next: tensor.lua, attention.lua, cache.lua.
local M = {}
package.loaded["pah"] = M

--- Version of the program, as configure.ac says it.
M.version = require("pah.host").version

-- Each module returns a table whose field `exports` holds what it adds to `pah`; the order is that of their dependence.
for _, name in ipairs {
  "ffi", "device", "tensor", "random", "compare", "npy", "safetensors", "json", "attention", "reference",
  "block_table", "cache", "trace", "module", "tensor_map", "options", "work", "bench", "attention_bench",
  "sqlite", "results", "axes", "sweep", "experiment", "plot", "report_html", "comparison", "batch",
} do
  if package.searchpath("pah." .. name, package.path) then
    for key, value in pairs(require("pah." .. name).exports or {}) do
      assert(M[key] == nil, key)
      M[key] = value
    end
  end
end

return M
