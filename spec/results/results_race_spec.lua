-- results_race_spec.lua - a results file when the world around it is unkind: stdin, stdout or stderr closed, two equal
-- sweeps that start at the same moment, a run that fails to begin. Read next: results_spec.lua.
local child = require "spec.support.child"

local folder = child.folder()
local new_path = child.paths(folder)
teardown(function() os.execute("rm -r " .. folder) end)

-- A sweep of six points that prints, and takes its time to begin.
local sweep = [[
  local file = arg[1]
  local rows = pah.sweep{name = "race", axes = {{name = "a", values = {1, 2, 3, 4, 5, 6}}}, store = file,
    limits = function() os.execute "sleep 0.4" return {} end,
    run = function(p)
      print("point", p.a)
      io.stderr:write("point ", p.a, "\n")
      os.execute "sleep 0.05"
      return {twice = 2 * p.a}
    end}
  assert(#rows == 6)]]

local function check_six(path)
  local file = pah.results.read(path)
  assert.same({}, file.notes)
  assert.equal(1, #file.runs)
  local seen = {}
  for _, row in ipairs(file.runs[1].rows) do
    assert.equal(2 * row.axes.a, row.values.twice)
    assert.is_nil(seen[row.index])
    seen[row.index] = true
  end
  assert.equal(6, #file.runs[1].rows)
end

setup(function() child.write(folder .. "/sweep.lua", sweep) end)

for _, format in ipairs {"jsonl", "db"} do
  describe("a results file (" .. format .. ")", function()
    for _, closed in ipairs {"<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"} do
      it("is whole when pah is started with " .. closed, function()
        local path = new_path(format)
        local _, err, code = child.run(folder, ("sweep.lua %s %s"):format(path, closed))
        local lost = (" " .. closed):find(" >&-", 1, true) -- what was printed, which the program says
        assert.equal(lost and 1 or 0, code, err)
        check_six(path)
      end)
    end

    it("has one run and no row twice of two equal sweeps that start at the same moment", function()
      local path = new_path(format)
      local host = require "pah.host"
      local start = "-v >/dev/null; for i in 1 2 3; do { %s sweep.lua %s; echo code $?; } & done; wait"
      local out = child.run(folder, start
        :format(child.quoted(host.exe), path))
      check_six(path)
      -- One measures; the others are refused, or come when it is done and find all rows there.
      assert.is_truthy(out:find "code 0", out)
      local points = 0
      for _ in out:gmatch "point" do points = points + 1 end
      assert.equal(6, points, out)
    end)

    it("is not there when no run could begin, and what was there stays", function()
      local path = new_path(format)
      local ok = pcall(pah.results.resume, path, {name = "x"}, function() error "no" end)
      assert.is_false(ok)
      assert.is_nil(child.contents(path))
      child.write(path, "")
      pcall(pah.results.resume, path, {name = "x"}, function() error "no" end)
      assert.equal("", child.contents(path))
    end)

    it("waits for a run that another process begins", function()
      local path = new_path(format)
      local store, rows
      store, rows = pah.results.resume(path, {name = "outer"}, function()
        local code = ([[pah.results.open("%s", {name = "inner"}):close()]]):format(path)
        os.execute(("cd %s && { PAH_DEVICE=cpu timeout 100 %s -e %s 2>err >out & echo $! >pid; }")
          :format(child.quoted(folder), child.quoted(require("pah.host").exe), child.quoted(code)))
        local limit = pah.clock() + 90
        while not (child.contents(folder .. "/err") or ""):find("waiting for another process, which begins a run", 1,
          true) do
          assert(pah.clock() < limit, child.contents(folder .. "/err"))
          os.execute "sleep 0.05"
        end
        assert.equal(0, os.execute("kill $(cat " .. child.quoted(folder .. "/pid") .. ")"))
      end)
      assert.same({}, rows)
      store:close()
      assert.equal(1, #pah.results.read(path).runs)
    end)
  end)
end
