-- tutorial_spec.lua - README.md, doc/tutorial.md and doc/gallery.md are true: their files are written to a folder,
-- their commands run there one after another, and the output is what stands on the page but for figures. "..." stands
-- for any lines, "! " begins a line of standard error, DIR (/tmp in the README) is the folder, SHARE that of the
-- program's files. What `cat` prints of a file that is not there is its text.
local child = require "spec.support.child"
local host = require "pah.host"

local no_sim = require("spec.support.gpu.sim").why

-- The blocks of a page in order: {file =, text =} and {commands = {{line =, output = lines}, ...}}.
local function blocks_of(path)
  local blocks = {}
  for info, text in child.read(path):gmatch "\n```([^\n]+)\n(.-)\n```" do
    local file = info:match "^%w+ (%S+)$"
    if file then
      blocks[#blocks + 1] = {file = file, text = text .. "\n"}
    elseif info == "console" then
      local commands = {}
      for line in (text .. "\n"):gmatch "(.-)\n" do
        if line:sub(1, 2) == "$ " then
          commands[#commands + 1] = {line = line:sub(3), output = {}}
        else
          table.insert(commands[#commands].output, line)
        end
      end
      blocks[#blocks + 1] = {commands = commands}
    end
  end
  return blocks
end

-- What stays the same from run to run: figures, times, ids and drawn curves are only signs.
local function normal(line)
  line = line:gsub("/tmp/", "DIR/")
  line = line:gsub("%x%x%x%x%x%x%x%x%f[^%w]", "#"):gsub("[-+]?%d[%d.:TZ]*e?[-+]?%d*%f[^%d]", "#")
  line = line:gsub("[\226][\128-\191][\128-\191]", "~"):gsub("[~%s]+", " "):gsub("# [munp]?s%f[%W]", "# s")
  return (line:gsub("# [KMGkmg]?i?B%f[%W]", "# B"):gsub("# [KMGTkmg]?FLOP/s", "# FLOP/s"):gsub("%s+$", ""))
end

-- Whether `line` is as `want` says, which may end in "...".
local function alike(want, line)
  local head = want:match "^(.-)%.%.%.$"
  if head then return normal(line):sub(1, #normal(head)) == normal(head) end
  return normal(want) == normal(line)
end

-- The first line of the page that the output lacks, nil if there is none.
local function lacks(wanted, lines)
  local at, any = 1, false
  for _, want in ipairs(wanted) do
    if want == "..." then
      any = true
    else
      while any and lines[at] and not alike(want, lines[at]) do at = at + 1 end
      if not lines[at] or not alike(want, lines[at]) then return want, lines[at] end
      at, any = at + 1, false
    end
  end
  return not any and lines[at] and "the end" or nil, lines[at]
end

local function run(folder, command)
  local text, lines = child.shell(("cd %s; { %s ; } 2>err; sed 's/^/! /' err"):format(folder, command)), {}
  text = text:gsub(folder:gsub("%p", "%%%0"), "DIR"):gsub(host.datadir:gsub("%p", "%%%0"), "SHARE")
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

-- Runs a page in a new folder.
local function follow(path)
  local folder = child.folder()
  local program = ("ln -s %s %s/pah"):format(child.quoted(host.exe), folder)
  assert.equal(0, os.execute(program))
  local count = 0
  for _, block in ipairs(blocks_of(path)) do
    if block.file then child.write(folder .. "/" .. block.file, block.text) end
    for _, command in ipairs(block.commands or {}) do
      local shown = command.line:match "^cat (%S+)$"
      if shown and not child.contents(folder .. "/" .. shown) then
        child.write(folder .. "/" .. shown, table.concat(command.output, "\n") .. "\n")
      end
      local lines = run(folder, "PATH=.:$PATH NO_COLOR=1; " .. command.line)
      local want, got = lacks(command.output, lines)
      assert.is_nil(want, ("%s: $ %s\nis to print: %s\nprints:      %s\nin all:\n%s"):format(path, command.line,
        tostring(want), tostring(got), table.concat(lines, "\n")))
      count = count + 1
    end
  end
  os.execute("rm -r " .. folder)
  return count
end

describe("the page", function()
  for path, least in pairs {["README.md"] = 3, ["doc/tutorial.md"] = 10, ["doc/gallery.md"] = 6} do
    it(path .. " prints what it says", function()
      if no_sim then pending(no_sim) return end
      assert.is_true(follow(path) >= least)
    end)
  end

  it("is compared line by line", function()
    assert.is_nil(lacks({"a 1", "...", "c 5 ms"}, {"a 2", "b", "b", "c 7 us"}))
    assert.equal("b", (lacks({"a", "b"}, {"a", "c"})))
    assert.equal("the end", (lacks({"a"}, {"a", "b"})))
    assert.equal("c", (lacks({"...", "c"}, {"a", "b"})))
    assert.is_nil(lacks({"run 1, ..."}, {"run 2, on sim"}))
  end)
end)
