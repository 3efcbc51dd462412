-- cache.lua - the command `pah cache`: the folder of compiled kernels, what it holds and may hold, and clearing it.
-- Read next: src/module/cache_folder.c.
local binding = require "pah.ffi"
local ffi = require "ffi"
local json = require "pah.util.json"
local misused = require("pah.options").misused
local units = require "pah.util.units"

local C, check = binding.C, binding.check

local function facts()
  local c = ffi.new "struct pah_compile_cache"
  check(C.pah_compile_cache_info(c))
  local limit = tonumber(c.limit)
  return {folder = ffi.string(c.folder), files = tonumber(c.files), bytes = tonumber(c.bytes),
    limit_bytes = limit >= 0 and limit or nil, sim_modules = tonumber(c.sim_modules),
    cuda_modules = tonumber(c.cuda_modules), oldest_seconds = c.oldest}
end

local function age(seconds)
  if seconds >= 2 * 86400 then return ("%d days"):format(seconds / 86400) end
  if seconds >= 2 * 3600 then return ("%d hours"):format(seconds / 3600) end
  return ("%d minutes"):format(seconds / 60)
end

local function print_facts(f)
  local function line(name, ...) print(("%-14s"):format(name) .. (...):format(select(2, ...))) end
  line("folder", "%s", f.folder)
  line("holds", "%s in %d files: %d modules of sim, %d of cuda", units.text("B", f.bytes), f.files, f.sim_modules,
    f.cuda_modules)
  line("may hold", "%s", f.limit_bytes and units.text("B", f.limit_bytes) or "any number of bytes")
  if f.files > 0 then line("next to go", "unused for %s", age(f.oldest_seconds)) end
end

local function clear()
  local files, bytes = ffi.new "int64_t[1]", ffi.new "int64_t[1]"
  check(C.pah_compile_cache_clear(files, bytes))
  print(("removed %d files, %s"):format(tonumber(files[0]), units.text("B", tonumber(bytes[0]))))
end

return {
  usage = "[clear] [--json]",
  about = "the folder of compiled kernels: what it holds, its limit; or clear it",
  text = [[
Kernels of sim and cuda are compiled once and kept, each with what it was made of. The folder is
PAH_CACHE_DIR, else $XDG_CACHE_HOME/pah, else ~/.cache/pah. It holds at most PAH_CACHE_SIZE, 1G if that
is not set (512M, 2G, ...; none: no limit); what has not been used for longest goes first. Whatever is
removed is compiled again when it is needed.]],
  options = {json = {"print JSON", false}}, words = 1,
  run = function(opt)
    if opt[1] and opt[1] ~= "clear" then
      return misused("cache", ('"%s" is no action, must be clear'):format(opt[1]))
    end
    if opt[1] then return clear() or 0 end
    local f = facts()
    if opt.json then print(json.encode(f)) else print_facts(f) end
    return 0
  end,
}
