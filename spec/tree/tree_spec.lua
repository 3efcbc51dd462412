-- tree_spec.lua - the tree keeps its own rules: every Lua file is installed, files, functions and folders stay small,
-- every file says what it is, no line is too long, nothing is left undone by its own words. Limits: CONTRIBUTING.md.
local child = require "spec.support.child"

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

local list = child.lines

-- What the build knows of files, in one text.
local function build_lists()
  local text = {}
  for _, path in ipairs {"Makefile.am", "lua/files.am", "src/sim/files.am"} do
    text[#text + 1] = table.concat(lines_of(path), "\n") .. "\n"
  end
  return table.concat(text)
end

local sources = list("find src lua spec scripts kernels -type f \\( -name '*.[ch]' -o -name '*.lua' -o -name '*.awk' "
  .. "-o -name '*.cu' -o -name '*.cuh' -o -path 'src/sim/include/*' -o -path 'scripts/*' \\) ! -name README.md "
  .. "| LC_ALL=C sort")

-- Functions of a C or CUDA file longer than `limit`. clang-format guarantees that a body's last brace stands under the
-- first character of its declaration. Bodies inside a struct count too.
local function long_functions(lines, limit)
  local found, declared, start, ending = {}, nil, nil, nil
  for n, line in ipairs(lines) do
    local indent = line:match "^ *"
    if start then
      if line == ending then
        if n - start + 1 > limit then found[#found + 1] = {start, n - start + 1} end
        start = nil
      end
    elseif line:match "^%s*[#/}]" or line:match "[;}:]$" or line == "" then
      declared = nil
    else
      declared = declared or {n, indent, ""}
      declared[3] = declared[3] .. line
      if line:match "{$" then
        declared[3] = declared[3]:gsub("__attribute__%b()", "") -- a struct may have some
        if declared[3]:find("(", 1, true) and not declared[3]:find("=[^()]*{$") then
          start, ending = declared[1], declared[2] .. "}"
        end
        declared = nil
      end
    end
  end
  return found
end

-- Functions of a Lua file longer than `limit`, without the functions inside them: a describe holds its specs.
local function long_lua_functions(chunk, limit)
  local util, found = require "jit.util", {}
  local function visit(prototype)
    local info, inside = util.funcinfo(prototype), 0
    local all = info.lastlinedefined - info.linedefined + 1
    local i = -1
    while true do
      local constant = util.funck(prototype, i)
      if constant == nil then break end
      if type(constant) == "proto" then inside = inside + visit(constant) end
      i = i - 1
    end
    if info.linedefined > 0 and all - inside > limit then found[#found + 1] = {info.linedefined, all - inside} end
    return all - 1
  end
  visit(chunk)
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

  it("hands on every source: a file that Makefile.am does not name is not in `make dist`", function()
    local text, missing = build_lists(), {}
    for _, path in ipairs(list "find src -name '*.[ch]' | LC_ALL=C sort") do
      if not text:find("%f[%S]" .. path:gsub("%p", "%%%0") .. "%f[%s]") then missing[#missing + 1] = path end
    end
    assert.same({}, missing)
  end)

  it("installs every kernel and every header of sim", function()
    local listed = {}
    for _, name in ipairs {"SIM_FILES", "KERNEL_FILES"} do
      local text = build_lists():gsub("\\\n", " ")
      for path in text:match("\n" .. name .. " = ([^\n]*)"):gmatch "%S+" do listed[#listed + 1] = path end
    end
    table.sort(listed)
    assert.same(list "find kernels src/sim/include src/sim/abi*.h -type f | LC_ALL=C sort", listed)
  end)

  it("keeps files under 400 lines", function() -- lua/meta is made by scripts/manual
    local long = {}
    for _, path in ipairs(sources) do
      local n = #lines_of(path)
      if n > 400 and not path:find "^lua/meta/" then long[#long + 1] = path .. ": " .. n end
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

  it("keeps functions within 70 lines", function()
    local long = {}
    for _, path in ipairs(sources) do
      local found = {}
      if path:match "%.lua$" then
        found = long_lua_functions(assert(loadfile(path)), 70)
      elseif path:match "%.[ch]$" or path:match "%.cuh?$" then
        found = long_functions(lines_of(path), 70)
      end
      for _, f in ipairs(found) do long[#long + 1] = ("%s:%d: %d lines"):format(path, f[1], f[2]) end
    end
    assert.same({}, long)
  end)

  it("would see a long function", function()
    local body = ("\n  x();"):rep(3) .. "\n}"
    for _, head in ipairs {"void f(int a) {", "template <int N>\n__global__ void f(int a,\n   int b) {"} do
      local lines = {}
      for line in (head .. body):gmatch "[^\n]+" do lines[#lines + 1] = line end
      assert.same({{1, #lines}}, long_functions(lines, #lines - 1))
      assert.same({}, long_functions(lines, #lines))
    end
    assert.same({{2, 3}}, long_functions({"struct s {", "  int f() const {", "    return 1;", "  }", "};"}, 2))
    assert.same({}, long_functions({"static const int f[] = {", "    (1),", "    2,", "};"}, 1))
    local chunk = loadstring "local function f()\n  x = 1\n  y(function()\n    z = 1\n  end)\nend\nreturn f"
    assert.same({{1, 4}}, long_lua_functions(chunk, 3))
    assert.same({{3, 3}, {1, 4}}, long_lua_functions(chunk, 2))
  end)

  it("keeps folders small", function()
    -- At most 18 files and 16 nouns: a source and its header are one.
    local exceptions = {
      ["lua/pah/manual"] = 20, -- a file for each group of the manual
      ["lua/examples"] = 24, -- a list that `pah run NAME` finds by name
    }
    local seen, files, nouns, large = {}, {}, {}, {}
    for _, path in ipairs(list "find src lua spec scripts kernels -type f ! -name '.*' ! -name '*.o'") do
      local folder, name = path:match "^(.*)/([^/]+)$"
      local noun = folder .. "/" .. name:gsub("%.[ch]$", "")
      files[folder] = (files[folder] or 0) + 1
      if not seen[noun] then nouns[folder] = (nouns[folder] or 0) + 1 end
      seen[noun] = true
    end
    for folder, count in pairs(files) do
      local most = exceptions[folder]
      if count > (most or 18) or nouns[folder] > (most or 16) then
        large[#large + 1] = ("%s: %d files, %d nouns"):format(folder, count, nouns[folder])
      end
    end
    assert.same({}, large)
  end)

  it("opens every file with what it is", function()
    local silent = {}
    for _, path in ipairs(sources) do
      local lines = lines_of(path)
      local first = (lines[1] or ""):match("^#[!c]") and lines[2] or lines[1] or "" -- #!/bin/sh, #compdef pah
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
          if line:find("%f[%w]" .. word .. "%f[%W]") then found[#found + 1] = path .. ":" .. n end
        end
      end
    end
    assert.same({}, found)
  end)
end)
