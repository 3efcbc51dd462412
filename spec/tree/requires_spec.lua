-- requires_spec.lua - what the files of lua/pah require goes one way: down the list of layers below, and never in a
-- circle inside a layer. A require inside a function counts like one at the top of its file.
local child = require "spec.support.child"

-- From below to above; a layer is a folder or a single file of lua/pah. A file requires its own layer and those before.
local layers = {
  "errors", "traceback", "util", "ffi", "options", "device", "tensor", "attention", "serving", "module",
  "measure", "worker", "judge", "results", "experiment", "plot", "report", "compare", "cluster", "manual",
  "assertions", "init", "prompt", "cli",
}

local rank = {}
for i, layer in ipairs(layers) do rank[layer] = i end

-- Files that put names together from a list: both load what is below them or beside them, and nothing requires them.
local loaders = {["init"] = true, ["cli.init"] = true, ["manual.init"] = true}

-- The modules that a text of Lua requires, as paths below lua/pah: "tensor.npy", "init"; "cli.*" is put together.
local function required(text)
  local names = {}
  for dot, name in text:gmatch "require%s*%(?%s*['\"]pah(%.?)([%w_.]*)['\"]" do
    if dot == "." and (name == "" or name:match "%.$") then name = name .. "*" end
    if name ~= "host" then names[#names + 1] = name == "" and "init" or name end -- pah.host is the program itself
  end
  return names
end

-- file (as "tensor.npy") -> what it requires. `tensor` means the folder's init.lua, which is "tensor.init" here.
local function graph()
  local files, texts = {}, {}
  for _, path in ipairs(child.lines "find lua/pah -name '*.lua'") do
    texts[path:gsub("^lua/pah/", ""):gsub("%.lua$", ""):gsub("/", ".")] = child.read(path)
  end
  for name, text in pairs(texts) do
    local to = {}
    for _, wanted in ipairs(required(text)) do
      if not (loaders[name] and wanted:match "%*$") then to[#to + 1] = texts[wanted] and wanted or wanted .. ".init" end
    end
    files[name] = to
  end
  return files
end

local function layer_of(name) return name:match "^[^.]+" end

-- Requires that go up, and names that are no file.
local function upward(files)
  local wrong = {}
  for name, to in pairs(files) do
    for _, wanted in ipairs(to) do
      local from, at = rank[layer_of(name)], rank[layer_of(wanted)]
      if not (files[wanted] and from and at and at <= from) then wrong[#wrong + 1] = name .. " -> " .. wanted end
    end
  end
  table.sort(wrong)
  return wrong
end

-- The way to the first circle found, as "a -> b -> a", or nil.
local function circle(files)
  local state = {}
  local function visit(name, path)
    if state[name] == "done" then return nil end
    path = path == "" and name or path .. " -> " .. name
    if state[name] then return path end
    state[name] = "open"
    for _, wanted in ipairs(files[name] or {}) do
      local found = visit(wanted, path)
      if found then return found end
    end
    state[name] = "done"
  end
  local names = {}
  for name in pairs(files) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local found = visit(name, "")
    if found then return found end
  end
end

describe("the requires of lua/pah #quick", function()
  it("go down the list of layers", function() assert.same({}, upward(graph())) end)

  it("never go in a circle", function() assert.is_nil(circle(graph())) end)

  it("are of layers that exist, each listed once", function()
    local found = {}
    for name in pairs(graph()) do found[layer_of(name)] = true end
    for _, layer in ipairs(layers) do
      assert.is_true(found[layer], layer)
      found[layer] = nil
    end
    assert.is_nil(next(found))
  end)

  it("are found wherever they stand", function()
    local text = 'local a = require "pah.errors"\nfunction f() return require("pah.plot.data").of, require "pah" end\n'
      .. 'local b, c = require("pah." .. name), require ("pah.cli." .. name)'
    assert.same({"errors", "plot.data", "init", "*", "cli.*"}, required(text))
    assert.same({"tensor -> cli.help", "util.json -> gone"},
      upward{["tensor"] = {"cli.help"}, ["cli.help"] = {"tensor"}, ["util.json"] = {"gone"}})
    assert.equal("a -> b -> a", circle{a = {"b"}, b = {"a"}})
  end)
end)
