-- scripts_spec.lua - scripts/specs, by which CI runs the specs: every file is run with what is handed on, and one that
-- breaks off counts as a failure (the program is a shell script here). And the list of all scripts.
local child = require "spec.support.child"

local program = os.tmpname()

local function run(script)
  child.write(program, "#!/bin/sh\n" .. script)
  os.execute("chmod +x " .. program)
  return child.shell("scripts/specs " .. program .. " --tags=x")
end

local function count(text, pattern) return select(2, ("\n" .. text):gsub("\n" .. pattern, "")) end

describe("scripts", function()
  teardown(function() os.remove(program) end)

  it("specs runs every spec file once", function()
    local text, code = run [[echo "ok 1 - $*"; echo 1..1]]
    for _, path in ipairs(child.lines "find spec -name '*_spec.lua'") do
      assert.equal(1, count(text, "ok 1 %- test %-o TAP %-%-tags=x " .. path:gsub("%p", "%%%0") .. "\n"), path)
    end
    assert.equal(0, code)
  end)

  it("specs names only files that exist, and finds whatever holds specs", function()
    local found, text = {}, child.read "scripts/specs"
    for _, path in ipairs(child.lines "find spec -name '*_spec.lua'") do
      found[path:match "([^/]+)_spec%.lua$"] = true
    end
    for names in text:gmatch '\n%l+="([%l_ ]+)"' do
      for name in names:gmatch "%S+" do assert.is_true(found[name], name) end
    end
    -- Files that another spec runs in a process of its own.
    local handed_on = {["spec/driver/cuda_cases.lua"] = "spec/gpu/cuda_spec.lua",
      ["spec/driver/fault_cases.lua"] = "spec/gpu/cuda_spec.lua",
      ["spec/driver/check_cases.lua"] = "spec/gpu/cuda_spec.lua",
      ["spec/driver/graph_cases.lua"] = "spec/gpu/cuda_spec.lua",
      ["spec/driver/load_cases.lua"] = "spec/gpu/cuda_spec.lua"}
    for _, path in ipairs(child.lines "grep -rlE '^describe\\(' spec") do
      if not path:match "_spec%.lua$" then
        assert.is_truthy(handed_on[path] and child.read(handed_on[path]):find(path, 1, true), path)
      end
    end
  end)

  it("are listed in scripts/README.md, every one", function()
    local text = child.read "scripts/README.md"
    for _, path in ipairs(child.lines "find scripts -type f ! -name README.md") do
      assert.is_truthy(text:find("`" .. path:match "^scripts/(.+)":gsub("^studies/", "") .. "`", 1, true), path)
    end
  end)

  it("specs counts what fails, what breaks off and what ends with an error", function()
    local text, code = run [[
      case "$*" in
        *json_spec*) echo "ok 1 - begun"; echo "because of this" >&2; exit 3 ;;
        *tree_spec*) echo "not ok 1 - fails"; echo 1..1; exit 1 ;;
        *npy_spec*) echo "ok 1 - fine"; echo 1..1; exit 134 ;;
        *) echo 1..0 ;;
      esac]]
    assert.equal(3, count(text, "not ok "))
    local told = "not ok 0 - spec/results/json_spec.lua ended with status 3\n# because of this"
    assert.is_truthy(text:find(told, 1, true), text)
    assert.is_truthy(text:find("not ok 1 - fails", 1, true))
    assert.is_truthy(text:find("not ok 0 - spec/tensor/npy_spec.lua ended with status 134", 1, true))
    assert.is_true(code > 0)
  end)
end)
