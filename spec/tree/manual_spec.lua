-- manual_spec.lua - the manual (lua/pah/manual) is true and whole: it has every name of pah and none besides, its
-- records have the keys that the functions know, its examples run, and what is made from it is up to date.
local child = require "spec.support.child"
local classes = require "pah.util.classes"
local errors = require "pah.errors"
local help = require "pah.manual.help"
local host = require "pah.host"
local luals = require "pah.manual.luals"
local manual = require "pah.manual"
local page = require "pah.manual.page"
local tensor = require "pah.tensor"

local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

describe("the manual", function()
  it("has every function and table of pah, and every method of its objects", function()
    local missing = {}
    local function look(name) missing[name] = not manual.by_name[name] or nil end
    for name, value in pairs(pah) do
      if type(value) == "table" and getmetatable(value) == nil then
        for inner in pairs(value) do look(("pah.%s.%s"):format(name, inner)) end
      else
        look("pah." .. name)
      end
    end
    for name, value in pairs(tensor.methods) do
      if type(value) == "function" then look("Tensor:" .. name) end
    end
    for name in pairs(tensor.properties) do look("Tensor." .. name) end
    for class in pairs(manual.classes) do
      for name, value in pairs(classes.methods(class) or {}) do
        if type(value) == "function" and not name:find "^_" then look(class .. ":" .. name) end
      end
    end
    assert.same({}, sorted(missing))
  end)

  it("has nothing that pah has not", function()
    local unknown = {}
    for _, e in ipairs(manual.entries) do
      if e.class then
        unknown[e.class] = not (e.class == "Tensor" or classes.methods(e.class)) or nil
      elseif e.params or e.name and e.owner:find "^pah" then
        unknown[e.name] = help.value_of(e) == nil or nil
      end
    end
    assert.same({}, sorted(unknown))
  end)

  it("names fields that the objects have", function()
    local report = select(2, pah.allclose(pah.zeros({2}), pah.ones({2})))
    local objects = {Tensor = pah.zeros({2}), DiffReport = report, Batch = pah.batch "q1s2", Device = pah.device "cpu",
      Cache = pah.cache{num_blocks = 1, num_kv_heads = 1, head_dim = 8}}
    for class, object in pairs(objects) do
      assert.equal(class, help.class_of(object))
      for _, e in ipairs(manual.by_owner[class]) do
        if e.type then assert.is_not_nil(object[e.key], e.name) end
      end
    end
  end)

  it("says every signature in names of types that exist", function()
    local plain = {}
    for name in ("any boolean number integer string table function true false nil ffi.cdata fun"):gmatch "%S+" do
      plain[name] = true
    end
    local unknown = {}
    local function check(list)
      for _, p in ipairs(list or {}) do
        for name in p.type:gsub('"[^"]*"', ""):gmatch "%f[%w_.][%a_][%w_.]*" do
          local known = plain[name] or manual.classes[name] or manual.records[name] or manual.words[name]
          unknown[name] = not known or nil
        end
      end
    end
    for _, e in ipairs(manual.entries) do
      check(e.params)
      check(e.returns)
      check(e.fields)
      if e.type then check{e} end
    end
    assert.same({}, sorted(unknown))
  end)
end)

-- ---- Keys ---------------------------------------------------------------------------------------------------------

local stand_in = {
  ["integer[]"] = function() return {1} end, integer = function() return 1 end,
  number = function() return 1 end, string = function() return "x.npy" end,
  Tensor = function() return pah.zeros({1, 1}) end, any = function() return {} end,
  ["function"] = function() return function() end end, table = function() return {} end,
}

-- The keys that the function of `e` knows in its parameter number `at`: what it tells check_keys.
local function known_keys(e, at)
  local arguments, found = {}, nil
  for i, p in ipairs(e.params) do
    arguments[i] = i == at and {["no such key"] = 1} or (stand_in[p.type] or stand_in.any)()
    if e.name:find "from_parents" and i == 1 then arguments[i] = {0} end
    if e.name:find "batch" and i == 1 then arguments[i] = "q1" end
  end
  local check_keys = errors.check_keys
  errors.check_keys = function(_, options, known) -- luacheck: ignore 122
    if options and options["no such key"] then
      found = known
      error "seen"
    end
  end
  local f = help.value_of(e)
  if e.colon then
    pcall(f, {}, unpack(arguments, 1, #e.params))
  else
    pcall(f, unpack(arguments, 1, #e.params))
  end
  errors.check_keys = check_keys -- luacheck: ignore 122
  return found
end

describe("records of the manual", function()
  -- All operations share their keys; what one does not take is refused in C. The oracle knows one more.
  local shared = {FwdArgs = true, DecodeArgs = true, FwdFp8Args = true, BwdArgs = true}
  -- Read by C; handed on to pah.bench.
  local elsewhere = {DeviceSettings = true, BenchAttentionOptions = true}

  it("have the keys that the functions know", function()
    local looked = {}
    for _, e in ipairs(manual.entries) do
      for at, p in ipairs(e.params or {}) do
        local record = manual.records[p.type]
        if record and not shared[p.type] and not elsewhere[p.type] then
          local known, keys = known_keys(e, at), {}
          assert.is_truthy(known, e.name)
          for _, field in ipairs(record.fields) do keys[field.name] = true end
          local names = {}
          for key in pairs(known) do
            if key ~= 1 then names[key] = true end -- 1: the results of plot and report, which have no name
          end
          assert.same(sorted(names), sorted(keys), e.name)
          looked[p.type] = true
        end
      end
    end
    for name in pairs(manual.records) do
      assert.is_true(looked[name] or shared[name] or elsewhere[name] or false, name)
    end
  end)

  it("of the operations have all keys together, each what its operation takes", function()
    local known, all = known_keys(manual.by_name["pah.fwd"], 1), {}
    for name in pairs(shared) do
      for _, field in ipairs(manual.records[name].fields) do
        assert.is_truthy(known[field.name], name .. " " .. field.name)
        all[field.name] = true
      end
    end
    assert.same(sorted(known), sorted(all))
  end)
end)

-- ---- Examples -------------------------------------------------------------------------------------------------------

local sim_usable = false
for _, d in ipairs(pah.devices()) do sim_usable = sim_usable or d.name == "sim" and d.usable end

-- The examples of a group as a script that runs each by itself.
local function script_of(group)
  local lines = {"local function run(name, text)",
    "  local chunk = loadstring('return ' .. text, name) or assert(loadstring(text, name))",
    "  assert(xpcall(chunk, debug.traceback))", "end"}
  for _, e in ipairs(manual.in_group[group]) do
    if e.example and (sim_usable or not e.example:find('"sim', 1, true)) then
      lines[#lines + 1] = ("run(%q, %q)"):format("=" .. e.name, e.example)
    end
  end
  return table.concat(lines, "\n")
end

describe("examples of the manual", function()
  for _, group in ipairs(manual.groups) do
    it("run: " .. group, function()
      local folder = child.folder()
      child.write(folder .. "/examples.lua", script_of(group))
      local text, code = child.shell(("cd %s && %s examples.lua 2>&1 >/dev/null"):format(folder, host.exe))
      os.execute("rm -r " .. folder)
      assert.equal("", text)
      assert.equal(0, code)
    end)
  end
end)

-- ---- What is made from it ------------------------------------------------------------------------------------------

describe("what scripts/manual writes", function()
  it("is doc/lua-api.md as it stands", function()
    local text = child.read "doc/lua-api.md"
    assert.is_true(text == page.fill(text), "run scripts/manual")
    for _, group in ipairs(manual.groups) do
      assert.truthy(text:find("<!-- manual: " .. group, 1, true), group)
    end
    for name in pairs(manual.records) do
      if name ~= "DeviceOption" and name ~= "JsonOptions" then
        assert.truthy(text:find("<!%-%- manual: [%w ]*" .. name), name)
      end
    end
  end)

  it("is a manual page for every command, installed", function()
    local names = child.lines(host.exe .. " __man")
    assert.is_true(#names > 12)
    local makefile, pages = child.read "Makefile.am", {}
    for i, name in ipairs(names) do
      local path = ("doc/man/pah-%s.1"):format(name)
      local printed = child.shell(("%s __man %s"):format(host.exe, name))
      assert.is_true(child.read(path) == printed, path .. ": run scripts/manual")
      assert.truthy(makefile:find(path, 1, true), path .. " is not in MAN_FILES of Makefile.am")
      pages[i] = path
    end
    assert.equal(#names, #child.lines "ls doc/man")
    if os.execute "command -v mandoc >/dev/null" ~= 0 then pending "mandoc is not installed" return end
    assert.equal("", (child.shell("mandoc -Tlint -Wwarning " .. table.concat(pages, " "))))
  end)

  it("is lua/meta as it stands", function()
    for _, group in ipairs(manual.groups) do
      local path = ("lua/meta/%s.lua"):format(group)
      assert.is_true(child.read(path) == luals.text(group), path .. ": run scripts/manual")
      assert.is_truthy(loadfile(path), path)
    end
  end)
end)
