-- completion_spec.lua - completion of the command line by shells: what the program says may follow, and that bash, zsh
-- and fish, where they are installed, ask it and take it.
local child = require "spec.support.child"
local host = require "pah.host"

local function words(...)
  local quoted = {}
  for i, word in ipairs{...} do quoted[i] = child.quoted(word) end
  local text, code = child.shell(("%s __words %s"):format(host.exe, table.concat(quoted, " ")))
  assert.equal(0, code)
  return (text:gsub("\n", " "):gsub(" $", ""))
end

describe("words of the command line", function()
  it("are commands, options, values of options, examples and names of the manual", function()
    assert.equal("plot", words "pl")
    assert.equal("compare", words "comp")
    assert.equal("--help --json --limits", words("info", "--"))
    assert.equal("--head-dim --head-dim-v --heads --help", words("bench", "--he"))
    assert.equal("cpu cuda", words("bench", "--device", "c"))
    assert.equal("bf16", words("bench", "--dtype", "b"))
    assert.equal("f32,bf16", words("bench", "--dtype", "f32,b"))
    assert.equal("cpu cuda sim", words("bench", "--device", "=", ""))
    assert.equal("hello", words("run", "hel"))
    assert.equal("pah.decode", words("help", "pah.dec"))
    assert.equal("compare", words("help", "comp"))
    assert.equal("clear", words("cache", ""))
    assert.equal("--help --version", words "--")
  end)

  it("are none where a file may stand, or what no command is", function()
    assert.equal("", words("run", "x.lua", ""))
    assert.equal("", words("plot", "run"))
    assert.equal("", words("my.lua", "--b"))
    assert.equal("", words("bench", "-o", ""))
    assert.truthy(#words() > 50) -- all commands
  end)
end)

-- Runs a script in a shell whose path begins with a folder that holds `pah`.
local function in_shell(shell, text)
  if os.execute(("command -v %s >/dev/null"):format(shell)) ~= 0 then return nil end
  local folder, script = child.folder(), os.tmpname()
  os.execute(("ln -s %s %s/pah"):format(child.quoted(host.exe), folder))
  child.write(script, text)
  local found = child.shell(("PATH=%s:$PATH %s %s 2>&1"):format(folder, shell, script))
  os.execute(("rm -r %s %s"):format(folder, script))
  return found
end

describe("completion in", function()
  it("bash", function()
    local text = in_shell("bash", [[
source scripts/completion/pah.bash
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pah; printf '%s\n' "${COMPREPLY[@]}"; }
try pah comp; try pah bench --dtype bf; try pah run hel]])
    assert.equal("compare\nbf16\nhello\n", text)
  end)

  it("zsh", function()
    local text = in_shell("zsh", [[
compadd() { print -l -- "${(@P)2}"; }
_files() { print files; }
try() { words=("$@"); CURRENT=$#; source scripts/completion/_pah; }
try pah comp; try pah bench --dtype bf; try pah run hel; try pah plot x]])
    if not text then pending "zsh is not installed" return end
    assert.equal("compare\nbf16\nhello\nfiles\n", text)
  end)

  it("fish", function()
    local text = in_shell("fish", [[
source scripts/completion/pah.fish
complete -C "pah comp"; complete -C "pah bench --dtype bf"; complete -C "pah run hel"]])
    if not text then pending "fish is not installed" return end
    assert.equal("compare\nbf16\nhello\n", text)
  end)
end)
