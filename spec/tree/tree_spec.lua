-- tree_spec.lua - the tree keeps its own rules: every Lua file is installed, files and functions stay short, every
-- file says what it is, no line is too long, nothing is left undone by its own words. Limits: CONTRIBUTING.md.
local child = require "spec.support.child"

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

local list = child.lines

local sources = list("find src lua spec scripts kernels -type f \\( -name '*.[ch]' -o -name '*.lua' -o -name '*.awk' "
  .. "-o -name '*.cu' -o -name '*.cuh' -o -path 'src/sim/include/*' \\) | LC_ALL=C sort")

-- Functions of a C file longer than `limit`, by braces in column 0, which clang-format guarantees.
local function long_functions(path, limit)
  local found, start = {}, nil
  for n, line in ipairs(lines_of(path)) do
    if line:match("^[%a_].*%)%s*{$") then start = n end
    if line == "}" and start then
      if n - start + 1 > limit then found[#found + 1] = ("%s:%d: %d lines"):format(path, start, n - start + 1) end
      start = nil
    end
  end
  return found
end

describe("the tree #quick", function()
  it("has sources", function() assert.is_true(#sources > 40) end)

  it("installs every Lua file that it has", function()
    local listed = {}
    for _, line in ipairs(lines_of("lua/files.am")) do
      local name = line:match("^%s+(lua/%S+%.lua)")
      if name then listed[#listed + 1] = name end
    end
    table.sort(listed)
    assert.same(list("find lua -name '*.lua' | LC_ALL=C sort"), listed)
  end)

  it("installs every kernel and every header of sim", function()
    local listed = {}
    for _, name in ipairs {"SIM_FILES", "KERNEL_FILES"} do
      local text = table.concat(lines_of "Makefile.am", "\n"):gsub("\\\n", " ")
      for path in text:match("\n" .. name .. " = ([^\n]*)"):gmatch "%S+" do listed[#listed + 1] = path end
    end
    table.sort(listed)
    assert.same(list "find kernels src/sim/include src/sim/abi*.h -type f | LC_ALL=C sort", listed)
  end)

  it("keeps files under 400 lines", function()
    local long = {}
    for _, path in ipairs(sources) do
      local n = #lines_of(path)
      if n > 400 then long[#long + 1] = path .. ": " .. n end
    end
    assert.same({}, long)
  end)

  it("keeps lines within 120 characters", function()
    local long = {}
    for _, path in ipairs(sources) do
      for n, line in ipairs(lines_of(path)) do
        -- Characters, not bytes: continuation bytes of UTF-8 do not count.
        if #line:gsub("[\128-\191]", "") > 120 then long[#long + 1] = path .. ":" .. n end
      end
    end
    assert.same({}, long)
  end)

  it("keeps C functions within 70 lines", function()
    local long = {}
    for _, path in ipairs(sources) do
      if path:match("%.[ch]$") then
        for _, found in ipairs(long_functions(path, 70)) do long[#long + 1] = found end
      end
    end
    assert.same({}, long)
  end)

  it("opens every file with what it is", function()
    local silent = {}
    for _, path in ipairs(sources) do
      local lines = lines_of(path)
      local first = (lines[1] or ""):match("^#!") and lines[2] or lines[1] or ""
      local name = path:match("[^/]+$")
      if not first:find(name, 1, true) and not path:match("^lua/examples/") then silent[#silent + 1] = path end
    end
    assert.same({}, silent)
  end)

  it("leaves nothing undone by its own words", function()
    local words = {"TO" .. "DO", "FIX" .. "ME", "XX" .. "X", "being writ" .. "ten", "not impl" .. "emented"}
    local found = {}
    for _, path in ipairs(sources) do
      for n, line in ipairs(lines_of(path)) do
        for _, word in ipairs(words) do
          if line:find(word, 1, true) then found[#found + 1] = path .. ":" .. n end
        end
      end
    end
    assert.same({}, found)
  end)
end)
