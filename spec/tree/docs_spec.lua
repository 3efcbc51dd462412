-- docs_spec.lua - the documents do not drift: every public name of Lua and of C is documented, every documented name
-- exists, every Lua snippet of every page runs, and every file, folder, link and function that a page names is there.
local function read(path)
  local f = assert(io.open(path))
  local text = f:read "*a"
  f:close()
  return text
end

local function list(command)
  local pipe, names = assert(io.popen(command)), {}
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

local function exists(path)
  local f = io.open(path)
  if f then f:close() end
  return f ~= nil
end

local pages = list "ls *.md; find doc -name '*.md' | LC_ALL=C sort"

local sim_usable = false
for _, d in ipairs(pah.devices()) do sim_usable = sim_usable or d.name == "sim" and d.usable end

-- Runs the snippets of a page one after another as one script would: they share one environment.
local function run_snippets(path)
  local env = setmetatable({print = function() end}, {__index = _G})
  local count, line = 0, 1
  for before, code in read(path):gmatch "(.-)```lua\n(.-)```" do
    line = line + select(2, before:gsub("\n", "")) + 1
    local chunk, why = loadstring(("\n"):rep(line - 1) .. code, "@" .. path)
    assert.is_truthy(chunk, why)
    setfenv(chunk, env)
    if sim_usable or not code:find('"sim', 1, true) then
      local ok, message = xpcall(chunk, debug.traceback)
      assert.is_true(ok, message)
    end
    line = line + select(2, code:gsub("\n", ""))
    count = count + 1
  end
  return count
end

describe("every page", function()
  it("has snippets that run", function()
    local count, of = 0, {}
    for _, page in ipairs(pages) do
      of[page] = run_snippets(page)
      count = count + of[page]
    end
    assert.is_true(of["README.md"] >= 1 and of["doc/lua-api.md"] >= 7 and of["doc/results.md"] >= 2)
    assert.is_true(count >= 16, count)
  end)

  it("links to pages and headings that exist", function()
    local gone, count = {}, 0
    for _, page in ipairs(pages) do
      local folder = page:match "^(.*/)" or ""
      for target in read(page):gmatch "%]%(([^)%s]+)%)" do
        local path, anchor = target:match "^([^#]*)#?(.*)$"
        path = path == "" and page or folder .. path
        local there = target:find "^https?:" or exists(path)
        if there and anchor ~= "" then
          there = false
          for heading in read(path):gmatch "\n#+ ([^\n]+)" do
            there = there or heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-") == anchor
          end
        end
        if not there then gone[#gone + 1] = page .. ": " .. target end
        count = count + 1
      end
    end
    assert.same({}, gone)
    assert.is_true(count > 50, count)
  end)

  -- A word with a slash that ends like a source file, or begins with a folder of the tree. NAME stands for any.
  it("names files and folders that exist", function()
    local gone, count = {}, 0
    local ends = {c = 1, h = 1, cu = 1, cuh = 1, lua = 1, md = 1, awk = 1, am = 1, svg = 1, jsonl = 1}
    local folders = {src = 1, lua = 1, kernels = 1, spec = 1, scripts = 1, doc = 1}
    for _, page in ipairs(pages) do
      local near = {"", page:match "^(.*/)" or "", "kernels/", "src/sim/include/"}
      for path in read(page):gmatch "`([%w_./-]+/[%w_./-]*)`" do
        if (ends[path:match "%.(%w+)$"] or folders[path:match "^(%w+)/"]) and not path:find "NAME" then
          local there = false
          for _, folder in ipairs(near) do there = there or exists(folder .. path) end
          if not there then gone[#gone + 1] = page .. ": " .. path end
          count = count + 1
        end
      end
    end
    assert.same({}, gone)
    assert.is_true(count > 150, count)
  end)

  it("is in the index, and installed", function()
    local index, missing = read "doc/README.md", {}
    for _, page in ipairs(pages) do
      local name = page:match "^doc/(.*)"
      if name and name ~= "README.md" and not index:find("](" .. name .. ")", 1, true) then
        missing[#missing + 1] = name
      end
    end
    assert.same({}, missing)
    local installed = {}
    for path in read("Makefile.am"):gsub("\\\n", " "):match("\nDOC_FILES = ([^\n]*)"):gmatch "%S+" do
      installed[#installed + 1] = path
    end
    table.sort(installed)
    assert.same(list "{ ls *.md LICENSE; find doc -type f ! -name '*.1'; } | LC_ALL=C sort", installed)
  end)

  it("is there when the source names it", function()
    local gone, count = {}, 0
    local named = "grep -rnoE '\\bdoc/[a-z0-9/-]+\\.(md|svg)' src lua kernels scripts doc/pah.1 Makefile.am"
    for _, line in ipairs(list(named)) do
      if not exists(line:match ":([^:]+)$") then gone[#gone + 1] = line end
      count = count + 1
    end
    assert.same({}, gone)
    assert.is_true(count > 20, count)
  end)
end)

describe("doc/design", function()
  it("has pages of at most 900 words", function()
    local long = {}
    for _, page in ipairs(pages) do
      local words = select(2, read(page):gsub("%S+", ""))
      if page:find "^doc/design/" and words > 900 then long[#long + 1] = page .. ": " .. words end
    end
    assert.same({}, long)
  end)
end)

describe("doc/architecture.md", function()
  it("names functions that are in the files beside them", function()
    local gone, count = {}, 0
    for path, name in read("doc/architecture.md"):gmatch "\n| `([^`]+)` | `([^`]+)` |" do
      if not read(path):find("%f[%w_]" .. name:match "[%w_]+$" .. "%f[^%w_]") then
        gone[#gone + 1] = path .. ": " .. name
      end
      count = count + 1
    end
    assert.same({}, gone)
    assert.is_true(count > 35, count)
  end)
end)

describe("doc/lua-api.md", function()
  local page = read "doc/lua-api.md"

  it("documents every name of the table pah", function()
    local missing = {}
    for name, value in pairs(pah) do
      if not page:find("pah." .. name, 1, true) then missing[#missing + 1] = name end
      if type(value) == "table" and getmetatable(value) == nil then
        for inner in pairs(value) do
          if type(inner) == "string" and not page:find(("pah.%s.%s"):format(name, inner), 1, true) then
            missing[#missing + 1] = name .. "." .. inner
          end
        end
      end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("names nothing that pah does not have", function()
    local unknown = {}
    for name in page:gmatch "pah%.([%a_][%w_]*)" do
      if pah[name] == nil and name ~= "lua" and name ~= "h" then unknown[#unknown + 1] = name end
    end
    assert.same({}, unknown)
  end)

  it("documents every method and property of a tensor", function()
    local missing = {}
    for _, name in ipairs(require("pah.tensor").names()) do
      if not page:find("t:" .. name .. "%(") and not page:find("t." .. name, 1, true) then
        missing[#missing + 1] = name
      end
    end
    assert.same({}, missing)
  end)
end)

describe("doc/results.md", function()
  it("names every field of a header and of a row", function()
    local page, schema = read "doc/results.md", require "pah.results.schema"
    for _, names in ipairs {schema.header_order, schema.row_order} do
      for _, name in ipairs(names) do assert.is_truthy(page:find("`" .. name .. "`", 1, true), name) end
    end
  end)
end)

describe("doc/c-api.md", function()
  local header = ""
  for _, path in ipairs(require "spec.support.interface") do header = header .. read(path) end

  it("names every function and struct of the headers", function()
    local page, missing = read "doc/c-api.md", {}
    local code = header:gsub("/%*.-%*/", "")
    for name in code:gmatch "(pah_[%w_]+)%(" do
      if not page:find("`" .. name .. "`", 1, true) then missing[#missing + 1] = name end
    end
    for name in code:gmatch "struct (pah_[%w_]+) {" do
      if not page:find("`struct " .. name .. "`", 1, true) then missing[#missing + 1] = name end
    end
    assert.same({}, missing)
  end)

  it("names no function that they have not", function()
    local unknown = {}
    for name in read("doc/c-api.md"):gmatch "`(pah_[%w_]+)`" do
      if not header:find(name, 1, true) then unknown[#unknown + 1] = name end
    end
    assert.same({}, unknown)
  end)
end)

describe("doc/pah.1", function()
  it("lists every variable of the environment that is read", function()
    local page, missing = read "doc/pah.1", {}
    local pattern = [['getenv[ (]*"[A-Z_]+"|"(PAH_SIM|CUDA)_[A-Z]+"']]
    local pipe = assert(io.popen("grep -rhoE " .. pattern .. " src/*.c src/*/*.c lua/pah"))
    for line in pipe:lines() do
      local name = line:match '"([A-Z_]+)"'
      if not page:find("%f[%w_]" .. name .. "%f[^%w_]") and name ~= "HOME" and name ~= "PATH" then
        missing[#missing + 1] = name
      end
    end
    pipe:close()
    assert.same({}, missing)
  end)
end)

describe("doc/sim.md and doc/ptx.md", function()
  local both = read "doc/sim.md" .. read "doc/ptx.md"

  -- Of a call that reports a finding, the strings before the message, which has a space or a %, are codes.
  local function codes_of(call, codes)
    for text in call:gmatch '"([^"]*)"' do
      if text:find "[ %%]" then return end
      if text:find "^%l[%l-]+$" then codes[text] = true end
    end
  end

  it("list every code of a finding, and none besides", function()
    local codes, missing, unknown, listed, source = {}, {}, {}, 0, ""
    for _, path in ipairs(list "find src/sim -name '*.c'") do
      local text = read(path)
      source = source .. text
      for _, name in ipairs {"sim_find", "sim_find_at", "sim_fatal", "standstill"} do
        for call in text:gmatch(name .. "%b()") do codes_of(call, codes) end
      end
    end
    for code in pairs(codes) do
      if not both:find("`" .. code .. "`", 1, true) then missing[#missing + 1] = code end
    end
    for row in both:gmatch "\n| (`%l[%l`, -]*`) |" do
      for code in row:gmatch "`(%l[%l-]+)`" do
        local quoted = source:find('"' .. code .. '"', 1, true)
          or source:find(": " .. code .. ": ", 1, true) -- an error of the launch
        listed = listed + 1
        if not quoted then unknown[#unknown + 1] = code end
      end
    end
    for _, code in ipairs {"race", "async-pending", "livelock", "wgmma-operand"} do
      assert.is_true(codes[code], code)
    end
    table.sort(missing)
    assert.same({}, missing)
    assert.same({}, unknown)
    assert.is_true(listed > 35, listed)
  end)

  it("list every header of CUDA that sim has", function()
    local names, missing = {}, {}
    for _, path in ipairs(list "find src/sim/include -type f") do
      names[#names + 1] = path:match "src/sim/include/(.*)":gsub("^cccl/", "")
    end
    for text in read "src/sim/compile/headers.c":match "in_pah_sim%[%] = {(.-)}":gmatch '"([^"]+)"' do
      names[#names + 1] = text
    end
    assert.is_true(#names > 40, #names)
    for _, name in ipairs(names) do
      if not name:find "pah_sim" and not name:find "^sm_" and not both:find("`" .. name .. "`", 1, true) then
        missing[#missing + 1] = name
      end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)
end)
