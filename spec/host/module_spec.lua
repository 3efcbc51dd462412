-- module_spec.lua - custom kernels on sim: what the compiler says, launches that break rules, kernels that go wrong
-- without harming the host. What is compiled again and what is not: compile_cache_spec.lua.
local child = require "spec.support.child"
local host = require "pah.host"
local refused = require "spec.support.refused"

local why = require("spec.support.gpu.sim").why

local write = child.write

local function shell(command, ...)
  local output, code = child.shell(command:format(...))
  return code, output
end

describe("a module", function()
  if why then return pending(why) end
  local sim = pah.device "sim"

  it("gives the compiler's words with file and line", function()
    local path = os.tmpname()
    write(path, 'extern "C" __global__ void f(int *x) {\n  x[0] = missing;\n}\n')
    refused(path .. ":2:", sim.compile, sim, {source = path})
    os.remove(path)
    refused("text:3:", sim.compile, sim, {text = '\n\nextern "C" __global__ void f() { oops(); }'})
    refused("source: /nowhere.cu", sim.compile, sim, {source = "/nowhere.cu"})
    refused("source", sim.compile, sim, {})
    refused("source", sim.compile, sim, {source = "a", text = "b"})
    refused('defines: "1X=1" is not NAME', sim.compile, sim, {text = "", defines = {["1X"] = 1}})
    refused("include", sim.compile, sim, {text = "", include = 5})
    refused("did you mean", sim.compile, sim, {txt = ""})
  end)

  it("refuses what does not fit a launch, and names it", function()
    local module = sim:compile{text = [[
      extern "C" __global__ void f(float *x, int n, float a, unsigned char c) { if (c) x[n] = a; }]]}
    local x = pah.zeros({4}, {device = sim})
    local function launch(options, ...) return module:launch("f", options, ...) end
    launch({}, x, 1, 0.5, 1)
    assert.equal(0.5, x:get(2))
    refused("takes 4 arguments, 3 are given", launch, {}, x, 1, 0.5)
    refused("argument 1", launch, {}, 5, 1, 0.5, 1)
    refused("argument 2", launch, {}, x, 1.5, 0.5, 1)
    refused("argument 4", launch, {}, x, 1, 0.5, 256)
    refused("argument 1", launch, {}, pah.zeros({4}, {device = "cpu"}), 1, 0.5, 1)
    refused("block: has 2048 threads, must have at most 1024", launch, {block = {64, 32}}, x, 1, 0.5, 1)
    refused("block: z is 65, must be 1 to 64", launch, {block = {1, 1, 65}}, x, 1, 0.5, 1)
    refused("grid: y is 70000, must be 1 to 65535", launch, {grid = {1, 70000}}, x, 1, 0.5, 1)
    refused("grid: x is 0", launch, {grid = 0}, x, 1, 0.5, 1)
    refused("shared: is -1 bytes", launch, {shared = -1}, x, 1, 0.5, 1)
    for _, key in ipairs {"shared", "seed", "processors"} do
      refused(key .. ": is 1.5, must be a whole number", launch, {[key] = 1.5}, x, 1, 0.5, 1)
    end
    refused("schedule: is sideways, must be order, reverse or random", launch, {schedule = "sideways"}, x, 1, 0.5, 1)
    refused('"g" is not a kernel of text, which has f', module.launch, module, "g", {}, x)
    refused("on_finding", launch, {on_finding = "ignore"}, x, 1, 0.5, 1)
  end)

  it("is not harmed by a kernel that goes wrong", function()
    local module = sim:compile{text = [[
      extern "C" __global__ void wild(long long where) { *(int *)where = 1; }
      extern "C" __global__ void divide(int *x) { x[0] = x[1] / x[2]; }
      extern "C" __global__ void deep(int *x, int n);
      __device__ int down(volatile int *x, int n) { volatile char room[256]; room[n % 256] = 1;
        return n ? down(x, n - 1) + room[n % 256] : 0; }
      extern "C" __global__ void deep(int *x, int n) { x[0] = down(x, n); }
      extern "C" __global__ void endless(volatile int *x) { while (x[0] == 1) x[1] = x[1] + 1; }
      extern "C" __global__ void talk(int *x) { printf("said %d\n", x[0]); }
    ]]}
    local x = pah.ones({4}, {dtype = "i32", device = sim})
    local before = sim:memory()
    local function code(kernel, options, ...)
      options.on_finding = "report"
      local report = module:launch(kernel, options, ...)
      return report.findings[1] and report.findings[1].code
    end
    for _, address in ipairs {0, 8, 1e6, 2 ^ 45} do assert.equal("bad-address", code("wild", {}, pah.i64(address))) end
    x:set(0, 3)
    assert.equal("arithmetic", code("divide", {}, x))
    assert.equal("stack-overflow", code("deep", {}, x, 100000))
    assert.is_nil(code("deep", {}, x, 3))
    x:fill(1)
    assert.equal("time-limit", code("endless", {limit = 0.5}, x))
    assert.is_nil(code("talk", {}, x))
    assert.same(before, sim:memory())
    x:fill(3)
    assert.same({3, 3, 3, 3}, x:totable())
    refused("wild: bad-address: ", module.launch, module, "wild", {}, pah.i64(16)) -- an error, unless it is asked for
  end)

  it("keeps a kernel from other processes and from files, and leaves nothing of it behind", function()
    local module = sim:compile{text = [[
      #include <fcntl.h>
      #include <signal.h>
      #include <stdlib.h>
      #include <unistd.h>
      extern "C" __global__ void forks(int *x) { if (fork() == 0) for (;;) sleep(1); x[0] = 7; }
      extern "C" __global__ void kills(int *x) { kill(getppid(), SIGKILL); }
      extern "C" __global__ void runs(int *x) { x[0] = system("echo harm"); }
      extern "C" __global__ void removes(const char *path) { unlink(path); }
      extern "C" __global__ void writes(const char *path) { open(path, O_WRONLY | O_TRUNC); }
      extern "C" __global__ void reads(int *x) { int f = open("/dev/null", O_RDONLY); x[0] = f >= 0; close(f); }
      extern "C" __global__ void aborts(int *x) { abort(); }
    ]]}
    local x = pah.zeros({2}, {dtype = "i32", device = sim})
    local path = os.tmpname()
    write(path, "mine")
    local name = pah.tensor({path:byte(1, -1)}, {dtype = "u8", device = "cpu"})
    local on_sim = pah.zeros({#path + 1}, {dtype = "u8", device = sim})
    on_sim:narrow(1, 1, #path):copy(name)
    local lines = {forks = 5, kills = 6, removes = 8, writes = 9}
    for kernel, argument in pairs {forks = x, kills = x, removes = on_sim, writes = on_sim} do
      local report = module:launch(kernel, {on_finding = "report"}, argument)
      assert.equal("system-call", report.findings[1] and report.findings[1].code, kernel)
      assert.equal(lines[kernel], report.findings[1].line)
    end
    refused("runs: system-call: made a system call", module.launch, module, "runs", {}, x)
    module:launch("reads", {}, x)
    assert.equal(1, x:get(1))
    refused("was killed by signal 6", module.launch, module, "aborts", {}, x)
    assert.equal("mine", child.read(path))
    os.remove(path)
  end)

  it("leaves no process behind where the system has no filter of calls either", function()
    local folder = child.folder()
    write(folder .. "/no_filter.c", [[
      #include <errno.h>
      #include <stdarg.h>
      #include <sys/syscall.h>
      #include <unistd.h>
      int prctl(int option, ...) {
        va_list a;
        va_start(a, option);
        unsigned long x = va_arg(a, unsigned long);
        va_end(a);
        if (option == 22) return errno = EINVAL, -1; /* PR_SET_SECCOMP */
        return (int)syscall(SYS_prctl, option, x, 0, 0, 0);
      }]])
    write(folder .. "/forks.lua", [[
      local sim = pah.device "sim"
      local x = pah.zeros({4}, {dtype = "i32", device = sim})
      local module = sim:compile{text = '#include <unistd.h>\n' ..
        'extern "C" __global__ void forks(int *x) { int p = fork(); if (p) x[0] = p; else for (;;) sleep(1); }'}
      local start = pah.clock()
      module:launch("forks", {limit = 60}, x)
      print(x:get(1), pah.clock() - start < 30)]])
    local code, output = shell("${CC:-cc} -shared -fPIC -o %s/no_filter.so %s/no_filter.c", folder, folder)
    assert.equal(0, code, output)
    code, output = shell("ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=%s/no_filter.so '%s' %s/forks.lua", folder,
      host.exe, folder)
    assert.equal(0, code, output)
    local pid = output:match "^(%d+)%s+true"
    assert.is_truthy(pid, output)
    local _, state = shell("sed -n 's/^State:.//p' /proc/%s/status", pid)
    assert.is_falsy(state:find "^[RSDT]", state) -- gone, or waits for whoever is the first process here
    os.execute("rm -rf " .. folder)
  end)

  it("runs the constructors of static objects outside the host", function()
    local function compile(words) return sim:compile{text = words .. [[
      extern "C" __global__ void f(int *x) { x[0] = value; value = value + 1; }]]} end
    local module = compile [[
      __device__ int value;
      struct Start { __device__ Start() { value = 41; } __device__ ~Start() { value = 0; } };
      static __device__ Start start;]]
    local x = pah.zeros({1}, {dtype = "i32", device = sim})
    module:launch("f", {}, x)
    module:launch("f", {}, x)
    assert.equal(42, x:item())
    local words = "__device__ int value; struct Start { __device__ Start() { %s; } }; __device__ Start start;"
    refused("text: a constructor of a static object was killed by signal 4", compile, words:format "__builtin_trap()")
    refused("text: a constructor of a static object was killed by signal 11", compile,
      words:format "*(volatile int *)8 = 1")
    refused("text: a constructor of a static object ended the process (status 5)", compile,
      "#include <unistd.h>\n" .. words:format "_exit(5)")
    refused("text: a constructor of a static object was killed by signal 31", compile,
      "#include <unistd.h>\n" .. words:format "fork()")
    refused("text: a constructor of a static object did not end within 10 seconds", compile,
      words:format "for (volatile int i = 0; i < 1; ) { }")
    refused("has an indirect function (ifunc), which sim cannot load", compile, [[
      __device__ int value;
      static __device__ void g() {}
      extern "C" { static __device__ void (*choose())() { __builtin_trap(); return g; } }
      extern "C" __device__ void h() __attribute__((ifunc("choose"), used));]])
    module = compile [[
      __device__ int value = 3;
      __attribute__((destructor)) static __device__ void leave() { __builtin_trap(); }]]
    module:launch("f", {}, x)
    assert.equal(3, x:item())
    module = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
  end)

  it("gives the same findings and bits for the same seed", function()
    local module = sim:compile{text = [[
      extern "C" __global__ void order(int *next, int *log) { log[atomicAdd(next, 1)] = threadIdx.x; }]]}
    local function run(options)
      local next_one = pah.zeros({1}, {dtype = "i32", device = sim})
      local log = pah.zeros({256}, {dtype = "i32", device = sim})
      options.block = 256
      module:launch("order", options, next_one, log)
      return log:totable()
    end
    local forwards, backwards = run {schedule = "order"}, run {schedule = "reverse"}
    assert.equal(0, forwards[1])
    assert.equal(255, backwards[1])
    assert.same(run {seed = 7}, run {schedule = "random", seed = 7})
    assert.are_not.same(run {seed = 7}, run {seed = 8})
  end)

  it("counts what a small kernel moves", function()
    local module = sim:compile{text = [[
      template <int Stride, int Offset> __global__ void copy(float *to, const float *from) {
        to[threadIdx.x * Stride + Offset] = from[threadIdx.x * Stride + Offset];
      }
      template <int Stride> __global__ void banks(float *to) {
        __shared__ float s[32 * 33];
        s[threadIdx.x * Stride] = 1;
        __syncthreads();
        to[threadIdx.x] = s[threadIdx.x * Stride];
      }]]}
    local a, b = pah.ones({2048}, {device = sim}), pah.zeros({2048}, {device = sim})
    local function sectors(stride, offset)
      return module:launch(("copy<%d, %d>"):format(stride, offset), {block = 32}, b, a).global.sectors
    end
    assert.equal(8, sectors(1, 0))  -- 128 bytes read and written, in sectors of 32
    assert.equal(10, sectors(1, 1)) -- one sector more each way
    assert.equal(64, sectors(8, 0)) -- a sector for each thread
    local function wavefronts(stride)
      local shared = module:launch(("banks<%d>"):format(stride), {block = 32}, b).shared
      return shared.wavefronts, shared.ideal
    end
    assert.same({2, 2}, {wavefronts(1)})
    assert.same({4, 2}, {wavefronts(2)})
    assert.same({64, 2}, {wavefronts(32)})
    assert.same({2, 2}, {wavefronts(33)})
  end)
end)

describe("a launch on sim", function()
  if why then return pending(why) end

  it("stops at Ctrl-C", function()
    local path = os.tmpname()
    write(path, [[
      local sim = pah.device "sim"
      local x = pah.ones({2}, {dtype = "i32", device = sim})
      local m = sim:compile{text = 'extern "C" __global__ void f(volatile int *x) { while (x[0] == 1) x[1]++; }'}
      os.execute "(sleep 1; kill -INT $PPID) >/dev/null 2>&1 &"
      print "begun" io.stdout:flush()
      m:launch("f", {limit = 600}, x)]])
    local code, output = shell("timeout -s KILL 300 '%s' '%s'", host.exe, path)
    os.remove(path)
    assert.equal(130, code, output)
    assert.is_truthy(output:find("begun", 1, true), output)
  end)
end)
