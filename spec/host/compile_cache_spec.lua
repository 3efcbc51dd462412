-- compile_cache_spec.lua - compiled code on disk: what is compiled again and what is not, a cache that is damaged,
-- shared, unsafe, full or full of leftovers, and `pah cache`. By a compiler that counts its calls, in other processes.
local child = require "spec.support.child"
local host = require "pah.host"
local json = require "pah.util.json"

local why = require("spec.support.gpu.sim").why

local write = child.write

local function shell(command, ...)
  local output, code = child.shell(command:format(...))
  return code, output
end

local function done(command, ...) assert.equal(0, (shell(command, ...))) end

describe("compiled code", function()
  if why then return pending(why) end
  local folder, compiler

  -- A compiler that keeps a record of its calls, and a script that uses a header.
  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    done("mkdir -p -m 700 %s %s/cache", folder, folder)
    done("chmod 700 %s/cache", folder)
    compiler = folder .. "/g++"
    write(compiler, ([[#!/bin/sh
      for a; do case $a in *.cpp) echo x >>%s/calls ;; esac; done
      exec g++ "$@"
    ]]):format(folder))
    done("chmod 755 %s", compiler)
    write(folder .. "/value.h", "#define VALUE 1\n")
    write(folder .. "/other.h", "#define OTHER 1\n")
    write(folder .. "/k.cu", '#include "value.h"\nextern "C" __global__ void f(int *x) { x[0] = VALUE + EXTRA; }\n')
    write(folder .. "/run.lua", [[
      local sim = pah.device "sim"
      local x = pah.zeros({1}, {dtype = "i32", device = sim})
      local m = sim:compile{source = "k.cu", defines = {EXTRA = tonumber(arg[1] or 0)}}
      m:launch("f", {}, x)
      print(x:item())]])
  end)
  teardown(function() os.execute("rm -rf " .. folder) end)

  local function run(argument, environment)
    return shell("PAH_CACHE_DIR=%s/cache PAH_SIM_CXX=%s %s '%s' '%s/run.lua' %s", folder, compiler, environment or "",
      host.exe, folder, argument or "")
  end
  local function calls()
    local n = 0
    local file = io.open(folder .. "/calls")
    if not file then return 0 end
    for _ in file:lines() do n = n + 1 end
    file:close()
    return n
  end
  -- `compiled` times, or any number: nil.
  local function check(want, compiled, ...)
    local before = calls()
    local code, output = run(...)
    assert.same({0, want .. "\n"}, {code, output})
    if compiled then assert.equal(compiled, calls() - before) end
  end

  it("is made again when a header or a define changes, and for nothing else", function()
    check("1", 1)
    check("1", 0)
    done("touch %s/k.cu %s/value.h", folder, folder)
    check("1", 0)
    write(folder .. "/other.h", "#define OTHER 2\n")
    check("1", 0)
    check("6", 1, "5")
    check("1", 0)
    write(folder .. "/value.h", "#define VALUE 2\n")
    check("2", 1)
    check("7", 1, "5")
    write(folder .. "/value.h", "#define VALUE 1\n")
    check("1", 0) -- as before
  end)

  it("is made again when the file is damaged", function()
    done("for f in %s/cache/*.so; do head -c 100 $f > $f.x && mv $f.x $f; done", folder)
    check("1", 1)
    done("for f in %s/cache/*.so; do : > $f; done", folder)
    check("1", 1)
    check("1", 0)
  end)

  it("is the same for many processes at once", function()
    done("rm -rf %s/cache/*", folder)
    local one = ("PAH_CACHE_DIR=%s/cache '%s' '%s/run.lua' 3"):format(folder, host.exe, folder)
    local code, output = shell("for i in 1 2 3 4; do %s & done; wait", one)
    assert.same({0, "4\n4\n4\n4\n"}, {code, output})
    local _, left = shell("ls %s/cache | grep -v '\\.so$\\|\\.gch$\\|\\.index$'", folder)
    assert.equal("", left) -- no temporary files
  end)

  it("is made again when any file that went in changes, however it is named", function()
    local kernel = '\nextern "C" __global__ void f(int *x) { x[0] = VALUE + EXTRA; }\n'
    done("mkdir -p %s/lib/deep %s/first", folder, folder)
    write(folder .. "/lib/outer.h", '#include "deep/inner.h"\n')
    write(folder .. "/lib/deep/inner.h", '#include "leaf.h"\n') -- beside itself
    for name, case in pairs {
      ["behind a comment"] = {'/* of the value */ #include "value.h"', "value.h"},
      ["on joined lines"] = {'#in\\\nclude \\\n "value.h"', "value.h"},
      ["by a macro"] = {'#define FILE_NAME "value.h"\n#include FILE_NAME', "value.h"},
      ["by #import"] = {'#import "value.h"', "value.h"},
      ["behind what looks like a comment"] = {'const char *s = "/*";\n#include "value.h"\n//*/', "value.h"},
      ["by a path"] = {('#include "%s/value.h"'):format(folder), "value.h"},
      ["through other headers"] = {'#include "lib/outer.h"', "lib/deep/leaf.h"},
      ["where it may be"] = {'#if __has_include("value.h")\n#include "value.h"\n#endif', "value.h"},
      ["with its own time"] = {'#include "value.h"\nconst char *s = __TIME__;', "value.h", true},
    } do
      write(folder .. "/" .. case[2], "#define VALUE 1\n")
      write(folder .. "/k.cu", case[1] .. kernel)
      check("1", 1)
      if not case[3] then check("1", 0) end
      write(folder .. "/" .. case[2], "#define VALUE 2\n")
      local code, output = run()
      assert.same({0, "2\n"}, {code, output}, name)
    end
    write(folder .. "/lib/deep/leaf.h", "#define VALUE 1\n") -- one that is found first, where there was none
    write(folder .. "/k.cu", '#include "lib/deep/inner.h"' .. kernel)
    write(folder .. "/lib/deep/inner.h", '#include "lib/deep/leaf.h"\n')
    check("1", 1)
    done("mkdir -p %s/lib/deep/lib/deep && echo '#define VALUE 3' > %s/lib/deep/lib/deep/leaf.h", folder, folder)
    check("3", 1)
    write(folder .. "/k.cu", '#if __has_include("later.h")\n#define VALUE 5\n#else\n#define VALUE 4\n#endif' .. kernel)
    check("4", 1)
    check("4", 0)
    write(folder .. "/later.h", "\n") -- one that is asked for
    check("5", 1)
    write(folder .. "/value.h", "#define VALUE 1\n")
    write(folder .. "/k.cu", '#include "value.h"' .. kernel)
  end)

  it("names the files that it is made of now, not those of another folder", function()
    local script = [[
      local sim = pah.device "sim"
      local m = sim:compile{source = "stray.cu"}
      local r = m:launch("f", {on_finding = "report"}, pah.zeros({1}, {device = sim}))
      print(r.findings[1].file, r.findings[1].line)]]
    for _, place in ipairs {"one", "two"} do
      done("mkdir -p %s/%s", folder, place)
      write(("%s/%s/stray.cu"):format(folder, place), '#include "stray.h"\n')
      write(("%s/%s/stray.h"):format(folder, place), 'extern "C" __global__ void f(float *x) {\n  x[1 << 20] = 1; }\n')
      write(("%s/%s/run.lua"):format(folder, place), script)
      local code, output = shell("cd %s/%s && PAH_CACHE_DIR=%s/cache '%s' run.lua", folder, place, folder, host.exe)
      assert.equal(0, code, output)
      local file = output:match "^(%S+)%s+2\n"
      assert.equal(("%s/%s/stray.h"):format(folder, place), ((file or output):gsub("/%./", "/")))
    end
  end)

  it("is made again when a bit of any file has flipped, and the host is not harmed", function()
    check("1", nil)
    for _, kind in ipairs {"so", "gch", "index"} do
      for _, place in ipairs {0.1, 0.5, 0.9} do
        for _, path in ipairs(child.lines("ls " .. folder .. "/cache/*." .. kind)) do
          local text = child.read(path)
          local at = math.floor(#text * place)
          child.write(path, text:sub(1, at) .. string.char(bit.bxor(text:byte(at + 1), 4)) .. text:sub(at + 2))
        end
        if kind == "gch" then write(folder .. "/k.cu", child.read(folder .. "/k.cu") .. "\n") end -- so that it is used
        check("1", 1)
      end
      check("1", 0)
    end
  end)

  it("leaves nothing behind when a compilation is killed", function()
    write(folder .. "/slow", "#!/bin/sh\nsleep 20\n")
    done("chmod 755 %s/slow", folder)
    shell("PAH_CACHE_DIR=%s/cache PAH_SIM_CXX=%s/slow timeout -s KILL 1 '%s' '%s/run.lua' 9", folder, folder, host.exe,
      folder)
    local _, left = shell("ls -d %s/cache/new-* | wc -l", folder)
    assert.equal("1\n", left)
    done("touch -d '1 minute ago' %s/cache/new-*", folder)
    check("10", 1, "9")
    _, left = shell("ls %s/cache | grep -c new-", folder)
    assert.equal("0\n", left)
  end)

  it("holds no more than its limit, and what was used last", function()
    check("1", nil)
    check("8", nil, "7")
    local _, before = shell("du -b --exclude='*.gch' -s %s/cache", folder)
    assert.is_true(tonumber(before:match "%d+") > 40000)
    shell("touch -d '1 hour ago' %s/cache/*", folder)
    check("1", 0) -- used now
    check("12", 1, "11", "PAH_CACHE_SIZE=150K")
    local _, sizes = shell("cat %s/cache/*.* | wc -c", folder)
    assert.is_true(tonumber(sizes) <= 150 * 1024, sizes)
    check("1", 0)
    check("12", 0, "11")
    local code, output = run("", "PAH_CACHE_SIZE=much")
    assert.equal(1, code)
    assert.is_truthy(output:find('PAH_CACHE_SIZE: is "much", must be a number of bytes (512M, 2G), or none', 1, true),
      output)
    check("14", 1, "13", "PAH_CACHE_SIZE=none")
    check("16", 1, "15", "PAH_CACHE_SIZE=0") -- what has just been made stays as long as it is needed
  end)

  it("is shown and cleared by `pah cache`, and nothing else is", function()
    check("1", nil)
    write(folder .. "/cache/notes.txt", "mine")
    local code, output = shell("PAH_CACHE_SIZE=2M PAH_CACHE_DIR=%s/cache '%s' cache --json", folder, host.exe)
    assert.equal(0, code, output)
    local facts = json.decode(output)
    assert.equal(folder .. "/cache", facts.folder)
    assert.equal(2 * 2 ^ 20, facts.limit_bytes)
    assert.is_true(facts.files >= 2 and facts.sim_modules >= 1 and facts.bytes > 10000)
    code, output = shell("env -u PAH_CACHE_SIZE PAH_CACHE_DIR=%s/cache '%s' cache", folder, host.exe)
    assert.equal(0, code)
    assert.is_truthy(output:find("may hold +1 GiB"), output)
    code, output = shell("PAH_CACHE_DIR=%s/cache '%s' cache clear", folder, host.exe)
    assert.equal(0, code)
    assert.is_truthy(output:find("removed " .. facts.files .. " files", 1, true), output)
    local _, left = shell("ls %s/cache", folder)
    assert.equal("notes.txt\n", left)
    check("1", 1)
    code, output = shell("PAH_CACHE_DIR=%s/cache '%s' cache empty", folder, host.exe)
    assert.equal(2, code, output)
  end)

  it("is neither taken from nor put into a folder that others can write to", function()
    done("chmod 777 %s/cache", folder)
    local code, output = run()
    assert.equal(1, code)
    assert.is_truthy(output:find("others can write to it (mode 777), must be writable by you alone", 1, true), output)
    done("chmod 700 %s/cache", folder)
    write(folder .. "/file", "")
    code, output = shell("PAH_CACHE_DIR=%s/file '%s' '%s/run.lua'", folder, host.exe, folder)
    assert.equal(1, code)
    assert.is_truthy(output:find("cache folder", 1, true), output)
  end)
end)
