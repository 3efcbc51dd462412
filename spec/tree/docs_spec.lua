-- docs_spec.lua - the documents do not drift: every public name of Lua and of C is documented, every documented name
-- exists, and every Lua snippet of README.md and doc/ runs.
local function read(path)
  local f = assert(io.open(path))
  local text = f:read "*a"
  f:close()
  return text
end

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
    if sim_usable or not code:find('"sim"', 1, true) then
      local ok, message = xpcall(chunk, debug.traceback)
      assert.is_true(ok, message)
    end
    line = line + select(2, code:gsub("\n", ""))
    count = count + 1
  end
  return count
end

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

  it("has snippets that run", function() assert.is_true(run_snippets "doc/lua-api.md" >= 7) end)
end)

describe("doc/measuring.md", function()
  it("has snippets that run", function() assert.is_true(run_snippets "doc/measuring.md" >= 1) end)
end)

describe("doc/report.md", function()
  it("has snippets that run", function() assert.is_true(run_snippets "doc/report.md" >= 1) end)
end)

describe("doc/comparing.md", function()
  it("has snippets that run", function() assert.is_true(run_snippets "doc/comparing.md" >= 1) end)
end)

describe("doc/results.md", function()
  it("has snippets that run", function() assert.is_true(run_snippets "doc/results.md" >= 2) end)

  it("names every field of a header and of a row", function()
    local page, schema = read "doc/results.md", require "pah.results.schema"
    for _, list in ipairs {schema.header_order, schema.row_order} do
      for _, name in ipairs(list) do assert.is_truthy(page:find("`" .. name .. "`", 1, true), name) end
    end
  end)
end)

describe("README.md", function()
  it("has snippets that run", function() assert.is_true(run_snippets "README.md" >= 1) end)

  it("tours files that exist", function()
    local gone = {}
    for path in read("README.md"):gmatch "`([%w_./-]+%.[chlua]+)`" do
      if path:find "/" then
        local f = io.open(path)
        if f then f:close() else gone[#gone + 1] = path end
      end
    end
    assert.same({}, gone)
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
  local pages = read "doc/sim.md" .. read "doc/ptx.md"

  local function files(pattern)
    local pipe, names = assert(io.popen("find " .. pattern)), {}
    for name in pipe:lines() do names[#names + 1] = name end
    pipe:close()
    return names
  end

  -- Of a call that reports a finding, the strings before the message, which has a space or a %, are codes.
  local function codes_of(call, codes)
    for text in call:gmatch '"([^"]*)"' do
      if text:find "[ %%]" then return end
      if text:find "^%l[%l-]+$" then codes[text] = true end
    end
  end

  it("list every code of a finding, and none besides", function()
    local codes, missing, unknown, listed, source = {}, {}, {}, 0, ""
    for _, path in ipairs(files "src/sim -name '*.c'") do
      local text = read(path)
      source = source .. text
      for _, name in ipairs {"sim_find", "sim_find_at", "sim_fatal", "standstill"} do
        for call in text:gmatch(name .. "%b()") do codes_of(call, codes) end
      end
    end
    for code in pairs(codes) do
      if not pages:find("`" .. code .. "`", 1, true) then missing[#missing + 1] = code end
    end
    for row in pages:gmatch "\n| (`%l[%l`, -]*`) |" do
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
    local missing = {}
    for _, path in ipairs(files "src/sim/include -type f") do
      local name = path:match "src/sim/include/(.*)"
      if not name:find "pah_sim" and not name:find "^sm_" and not pages:find("`" .. name .. "`", 1, true) then
        missing[#missing + 1] = name
      end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)
end)
