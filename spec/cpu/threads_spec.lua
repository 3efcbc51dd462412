-- threads_spec.lua - how many threads the cpu kernels get (src/cpu/threads.c) and how their threads wait
-- (src/host/host.c): control groups, OMP_NUM_THREADS, affinity, and calls beside busy programs.
local child = require "spec.support.child"
local ffi = require "ffi"

ffi.cdef "double pah_cgroup_processors(const char *list, const char *root);"

local program = child.shell("readlink /proc/$PPID/exe"):gsub("%s+$", "")

local function printed(environment, code)
  return (child.shell(("%s '%s' -e '%s'"):format(environment, program, code)):gsub("%s+$", ""))
end

describe("the number of threads", function()
  local folder = child.shell("mktemp -d"):gsub("%s+$", "")
  teardown(function() child.shell("rm -r " .. folder) end)

  local function write(name, text)
    child.shell(("mkdir -p $(dirname '%s/%s')"):format(folder, name))
    local file = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end

  local function processors(list)
    write("list", list)
    return ffi.C.pah_cgroup_processors(folder .. "/list", folder .. "/root")
  end

  it("honours the quota of the control group and of those above it", function()
    assert.equal(0, processors "0::/a/b\n")
    write("root/a/b/cpu.max", "max 100000\n")
    assert.equal(0, processors "0::/a/b\n")
    write("root/a/cpu.max", "250000 100000\n")
    assert.equal(2.5, processors "0::/a/b\n")
    write("root/a/b/cpu.max", "50000 100000\n")
    assert.equal(0.5, processors "0::/a/b\n")
    assert.equal(2.5, processors "0::/a\n")
    assert.equal(0, processors "0::/\n")
    write("root/cpu.max", "400000 100000\n")
    assert.equal(4, processors "0::/not/there\n")
    write("root/cpu/x/cpu.cfs_quota_us", "300000\n")
    write("root/cpu/x/cpu.cfs_period_us", "100000\n")
    assert.equal(3, processors "5:cpuset:/x\n4:cpu,cpuacct:/x\n")
    write("root/cpu/x/cpu.cfs_quota_us", "-1\n")
    assert.equal(0, processors "4:cpu,cpuacct:/x\n")
    assert.equal(0, ffi.C.pah_cgroup_processors("/not/there", folder))
  end)

  it("is what the environment or the affinity says", function()
    assert.equal("3", printed("OMP_NUM_THREADS=3", "print(pah.threads())"))
    if child.shell "command -v taskset" == "" then return pending "taskset is not installed" end
    assert.equal("1", printed("taskset -c 0", "print(pah.threads())"))
  end)
end)

describe("threads that wait", function()
  local variable = 'print(os.getenv "GOMP_SPINCOUNT" or os.getenv "KMP_BLOCKTIME")'

  it("do not spin for long, unless the user wants it", function()
    assert.is_truthy(printed("env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT -u KMP_BLOCKTIME", variable):match "^%d+$")
    assert.equal("nil", printed("env -u GOMP_SPINCOUNT -u KMP_BLOCKTIME OMP_WAIT_POLICY=active", variable))
    assert.equal("77", printed("env -u OMP_WAIT_POLICY -u KMP_BLOCKTIME GOMP_SPINCOUNT=77", variable))
    assert.equal("a b", printed("env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT", 'io.write(arg and "a b" or "")'))
  end)

  -- By the processor time that a wait takes, which no neighbour changes: of two threads one works, one waits.
  it("leave the processor to others", function()
    local text = printed("env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT OMP_NUM_THREADS=2", [[
      local C = require("pah.ffi").C
      require("ffi").cdef "int poll(void *fds, unsigned long count, int milliseconds);"
      local q = pah.randn({1, 8, 64}, {device = "cpu"})
      local k = pah.randn({64, 16, 8, 64}, {device = "cpu"})
      local t = pah.arange(64, {dtype = "i32", device = "cpu"}):view(1, 64)
      local total = 0
      for _ = 1, 20 do
        pah.decode{q = q, k_blocks = k, v_blocks = k, block_table = t}
        local cpu, stop = C.pah_cpu_clock(), pah.clock() + 0.02
        C.poll(nil, 0, 20)
        total = total + C.pah_cpu_clock() - cpu
      end
      print(total)]])
    assert.is_truthy(tonumber(text), text)
    assert.is_true(tonumber(text) < 0.05, text .. " s of 0.4 s were spent waiting")
  end)
end)
