-- includes_spec.lua - which folder may include what: the order is written down here once, from the bottom up. A file
-- includes from its own folder and from those above it in this list, never from one further down; and no header
-- reaches itself. src/cpu and its folders are one object per instruction set and count as one, and so do src/gpu and
-- src/gpu/fast, src/sim/block and src/sim/check (threads and who watches them), src/sim/host and src/sim/compile,
-- src/sim/ptx and its folder; kernels/naive, sm80, ... are beside one another.
local order = {
  "src", -- the interface, errors, what a device is
  "src/tensor", "src/attention", "src/reference", "src/cpu", "src/module", "src/source",
  "src/sim", -- what kernels see of the simulator
  "kernels/ptx", "kernels", "kernels/*", -- kernels/params.h is the host's too
  "src/gpu", "src/cuda", "src/sim/block", "src/sim/ptx", "src/sim/translate", "src/sim/host", "src/host",
}

local rank = {}
for i, folder in ipairs(order) do rank[folder] = i end

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

local function folder_of(path) return path:match "^(.*)/" end

-- "a/b/../c.h" as "a/c.h".
local function plain(path)
  local count
  repeat path, count = path:gsub("[^/]+/%.%./", "", 1) until count == 0
  return path
end

-- The file of the tree that `#include "name"` in `path` means; nil: a generated one.
local function resolve(path, name)
  for _, folder in ipairs {folder_of(path), "src", "kernels"} do
    local found = plain(folder .. "/" .. name)
    if exists(found) then return found end
  end
end

-- file -> list of the files that it includes. What kernels compiled for sim include is a tree of its own.
local includes = {}
local pipe = io.popen("find src kernels -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh'")
for path in pipe:lines() do
  if not path:find("src/sim/include/", 1, true) then
    includes[path] = {}
    for line in io.lines(path) do
      local name = line:match '^%s*#%s*include "([^"]+)"'
      local found = name and resolve(path, name)
      if found then table.insert(includes[path], found) end
    end
  end
end
pipe:close()

local function layer_of(path)
  local folder = folder_of(path)
  if folder:find "^src/cpu" then return "src/cpu" end
  if folder:find "^src/gpu" then return "src/gpu" end
  if folder == "src/sim/check" then return "src/sim/block" end
  if folder:find "^src/sim/ptx" then return "src/sim/ptx" end
  if folder == "src/sim/compile" or folder == "src/sim/compile/indices" then return "src/sim/host" end
  if folder:find "^kernels/" and folder ~= "kernels/ptx" then return "kernels/*" end
  return folder
end

describe("includes #quick", function()
  it("are found", function()
    local files, edges = 0, 0
    for _, list in pairs(includes) do files, edges = files + 1, edges + #list end
    assert.is_true(files > 100 and edges > 300, files .. " files, " .. edges .. " includes")
  end)

  it("come from folders that the order knows", function()
    local unknown, used = {}, {}
    for path in pairs(includes) do
      used[layer_of(path)] = true
      if not rank[layer_of(path)] then unknown[#unknown + 1] = path end
    end
    assert.same({}, unknown)
    for _, folder in ipairs(order) do assert.is_true(used[folder], folder .. " has no files") end
  end)

  it("go one way", function()
    local wrong = {}
    for path, list in pairs(includes) do
      for _, other in ipairs(list) do
        local from, to = rank[layer_of(path)], rank[layer_of(other)]
        if from and to and to > from then wrong[#wrong + 1] = path .. " includes " .. other end
      end
    end
    table.sort(wrong)
    assert.same({}, wrong)
  end)

  it("make no circle", function()
    local state, circles = {}, {} -- state: 1 on the way, 2 done
    local function walk(path)
      state[path] = 1
      for _, other in ipairs(includes[path] or {}) do
        if state[other] == 1 then
          circles[#circles + 1] = path .. " includes " .. other .. ", which reaches it"
        elseif not state[other] then
          walk(other)
        end
      end
      state[path] = 2
    end
    for path in pairs(includes) do
      if not state[path] then walk(path) end
    end
    table.sort(circles)
    assert.same({}, circles)
  end)
end)
