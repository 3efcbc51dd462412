-- ptx_module_spec.lua - whole PTX modules on sim: dev:load{ptx=}. Instructions against known answers, what modules
-- consist of, findings at lines of the PTX and of the source that .loc names, and what is refused.
-- The answers are worked out by hand from the PTX ISA.
local describe = require("spec.support.gpu.sim").needed(describe, pending)
local answers = require "spec.support.gpu.ptx_answers"

local head = ".version 8.0\n.target sm_90a\n.address_size 64\n"

local function loaded(text, arch)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local ok, module = pcall(function() return pah.device(arch or "sim:sm_90a"):load{ptx = path} end)
  os.remove(path)
  if not ok then error(module, 0) end
  return module, path
end

local function words(count, device) return pah.zeros({count}, {dtype = "i32", device = device}) end

local function unsigned(t)
  local list = t:to "cpu":totable()
  for i, x in ipairs(list) do list[i] = x % 2 ^ 32 end
  return list
end

local features = head .. [[
.extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);
.extern .func missing (.param .b32 a);
.extern .shared .align 16 .b8 dynamic[];
.global .align 4 .u32 count = 5;
.global .align 8 .u64 place = generic(count);
.func (.param .b32 result) fact (.param .b32 n) {
  .reg .b32 %r<4>; .reg .pred %p;
  ld.param.u32 %r0, [n];
  setp.gt.u32 %p, %r0, 1;
  mov.u32 %r1, 1;
  @!%p bra done;
  sub.u32 %r1, %r0, 1;
  { .param .b32 p0; .param .b32 r0;
    st.param.b32 [p0+0], %r1;
    call.uni (r0), fact, (p0);
    ld.param.b32 %r1, [r0+0]; }
  mul.lo.u32 %r1, %r1, %r0;
done:
  st.param.b32 [result+0], %r1;
  ret;
}
.visible .entry k(.param .u64 .ptr .global .align 4 out, .param .u32 n, .param .f32 x, .param .align 8 .b8 pair[8])
.maxntid 64, 1, 1
{
  .reg .b64 %d<4>; .reg .b32 %r<10>; .reg .f32 %f<2>; .reg .pred %p<3>;
  ld.param.u64 %d0, [out];
  cvta.to.global.u64 %d0, %d0;
  mov.u32 %r0, %tid.x;
  mad.wide.u32 %d1, %r0, 4, %d0;
  and.b32 %r1, %r0, 3;
table: .branchtargets L0, L1, L2, L3;
  brx.idx %r1, table;
L0: ld.param.u32 %r2, [n]; bra.uni out_of;
L1: ld.param.f32 %f0, [x]; mov.b32 %r2, %f0; bra.uni out_of;
L2: ld.param.v2.b32 {%r3, %r4}, [pair]; sub.u32 %r2, %r4, %r3; bra.uni out_of;
L3: mov.u64 %d2, pair; ld.param.b32 %r2, [%d2+4];
out_of:
  shl.b32 %r5, %r0, 2;
  mov.u32 %r6, dynamic;
  add.u32 %r5, %r5, %r6;
  st.shared.u32 [%r5], %r2;
  bar.sync 0;
  xor.b32 %r7, %r0, 1;
  shl.b32 %r7, %r7, 2;
  add.u32 %r7, %r7, %r6;
  ld.shared.u32 %r2, [%r7];
  shfl.sync.bfly.b32 %r2|%p0, %r2, 1, 31, -1;
  st.global.u32 [%d1], %r2;
  setp.ne.u32 %p1, %r0, 0;
  @%p1 ret;
  { .param .b32 p0; .param .b32 r0;
    mov.b32 %r8, 6;
    st.param.b32 [p0], %r8;
    call (r0), fact, (p0);
    ld.param.b32 %r8, [r0]; }
  st.global.u32 [%d0+256], %r8;
  ld.global.u64 %d3, [place];
  ld.u32 %r9, [%d3];
  st.global.u32 [%d0+260], %r9;
  add.u32 %r9, %r9, 1;
  st.global.u32 [count], %r9;
  setp.ne.u32 %p2, %r9, 7;
  @%p2 ret;
  { .param .b32 p0; st.param.b32 [p0], %r8; call missing, (p0); }
  ret;
}
]]

-- 64 x 8 sums of ones times columns that hold their own number, added up in two orders of the same registers.
local scattered = [[
.visible .entry NAME(.param .u64 .ptr out) {
  .shared .align 128 .b8 tile[2304];
  .reg .b64 %d<4>; .reg .b32 %r<6>; .reg .f32 %f<5>; .reg .pred %p<3>;
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, tile;
  mad.lo.u32 %r2, %r0, 16, %r1;
  mov.u32 %r3, 0x3f803f80;
  st.shared.v4.b32 [%r2], {%r3, %r3, %r3, %r3};
  and.b32 %r4, %r0, 7;
  cvt.rn.f32.u32 %f4, %r4;
  cvt.rn.bf16x2.f32 %r4, %f4, %f4;
  setp.lt.u32 %p0, %r0, 16;
  @%p0 st.shared.v4.b32 [%r2+2048], {%r4, %r4, %r4, %r4};
  fence.proxy.async;
  bar.sync 0;
  shr.u32 %r1, %r1, 4;
  cvt.u64.u32 %d0, %r1;
  or.b64 %d0, %d0, 0x1000080000;
  add.s64 %d1, %d0, 128;
  setp.ne.u32 %p1, 0, 0;
  setp.eq.u32 %p2, 0, 0;
  wgmma.fence.sync.aligned;
  wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f0, %f1, %f2, %f3}, %d0, %d1, %p1, 1, 1, 0, 0;
  wgmma.commit_group.sync.aligned;
  wgmma.wait_group.sync.aligned 0;
  wgmma.fence.sync.aligned;
  wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f3, %f2, %f1, %f0}, %d0, %d1, %p2, 1, 1, 0, 0;
  wgmma.commit_group.sync.aligned;
  EARLY
  wgmma.wait_group.sync.aligned 0;
  ld.param.u64 %d2, [out];
  mad.wide.u32 %d2, %r0, 16, %d2;
  st.global.v4.f32 [%d2], {%f0, %f1, %f2, %f3};
  ret;
}
]]

-- Waits for an arrival that nobody makes.
local waiting = [[
.visible .entry wait() {
  .shared .align 8 .b64 bar;
  .reg .pred %p;
  mbarrier.init.shared.b64 [bar], 3;
again:
  mbarrier.try_wait.parity.shared.b64 %p, [bar], 0;
  @!%p bra again;
  ret;
}
]]

local entry = head .. ".visible .entry k() {\n.reg .b32 %r<2>;\n"
local refused = {
  {entry .. "add.s32 %r0, %r1, ];\n}", '6: is "]", must be an operand'},
  {entry .. "add.s32 %r0, %r1, %r2;\n}", '6: "%r2" is not declared'},
  {entry .. "mov.b32 %r0, 1\nret;\n}", '7: is "ret", must be ";"'},
  {entry .. "ld.shared.b32 %r0, %r1;\n}", "6: an operand is no address, must be one: [a]"},
  {entry .. "bra gone;\n}", "6: the label gone is not there"},
  {entry .. "{\nin: }\nbra in;\n}", "8: the label in is not there"},
  {entry .. "add.s32 5, %r0, 1;\n}", "6: the result goes into a number, must go into a register"},
  {entry .. "ld.shared.v4.b32 {%r0, %r1}, [%r0];\n}", "6: ld.shared.v4.b32 has 2 registers, must have 4"},
  {entry .. ".reg .b32 %r<3>;\n}", '6: "%r" is declared twice'},
  {entry .. "ret;", '6: is the end, must be "}"'},
  {"int main() {}", '1: is "int", must be .version, with which the text of a PTX module begins'},
  {head .. ".reqnctapercluster 2;", '4: is ".reqnctapercluster", must be .entry, .func, a variable or another '
    .. "directive of a module"},
  {"\127ELF", "is no PTX text; sim takes ptx=, neither cubin= nor fatbin="},
}

describe("PTX on sim", function()
  it("has the right result for every kind of instruction", function()
    local text = {head, ".const .align 4 .b32 table[4] = {10, 20, 30, 40};\n.visible .entry k(.param .u64 out) {\n",
      ".reg .b64 %out, %d<4>;\n.reg .b32 %r<4>;\n.reg .b16 %h<4>;\n.reg .b128 q;\n.reg .pred %p<4>;\n",
      ".shared .align 16 .b8 tile[64];\n.local .align 8 .b8 own[16];\nld.param.u64 %out, [out];\n"}
    for i, a in ipairs(answers) do
      text[#text + 1] = ("%s\nst.global.b32 [%%out+%d], %%r0;\n"):format(a[1], 4 * (i - 1))
    end
    text[#text + 1] = "ret;\n}\n"
    local module = loaded(table.concat(text))
    local out = words(#answers, module.device)
    module:launch("k", {}, out)
    local got, wrong = unsigned(out), {}
    for i, a in ipairs(answers) do
      if got[i] ~= a[2] then wrong[#wrong + 1] = ("%s gives 0x%x, must be 0x%x"):format(a[1], got[i], a[2]) end
    end
    assert.same({}, wrong)
  end)

  it("runs what modules consist of: functions, jumps by a table, parameters, variables that stay", function()
    local module = loaded(features)
    assert.same({"k"}, module:kernels())
    assert.equal(64, module:resources("k").max_threads)
    local out, pair = words(66, module.device), require "ffi".new("int32_t[2]", 100, 142)
    module:launch("k", {block = 64, shared = 256}, out, 11, 1, pair)
    local got = unsigned(out)
    assert.same({11, 0x3f800000, 42, 142}, {got[1], got[2], got[3], got[4]})
    assert.same({720, 5}, {got[65], got[66]})
    local ok, message = pcall(module.launch, module, "k", {block = 64, shared = 256}, out, 11, 1, pair)
    assert.is_false(ok)
    assert.matches("unsupported: a call, in PTX, of missing cannot be simulated", message, 1, true)
    assert.matches("argument 1: is a number, must be a pointer of 8 bytes",
      select(2, pcall(module.launch, module, "k", {}, 3, 11, 1, pair)), 1, true)
  end)

  it("has wgmma whose sums lie apart, and loops around mbarriers", function()
    local module = loaded(head .. waiting .. scattered:gsub("NAME", "right"):gsub("EARLY", "")
      .. scattered:gsub("NAME", "early"):gsub("EARLY", "add.f32 %%f1, %%f1, %%f2;"))
    local out = pah.zeros({128, 4}, {device = module.device})
    module:launch("right", {block = 128}, out)
    for thread, sums in ipairs(out:to "cpu":totable()) do
      local sum = 16 * (4 * ((thread - 1) % 4) + 1) -- columns 2t and 2t + 1, each once, whichever came first
      assert.same({sum, sum, sum, sum}, sums)
    end
    local report = module:launch("early", {block = 128, on_finding = "report"}, out)
    assert.equal("wgmma-pending", report.findings[1].code)
    report = module:launch("wait", {on_finding = "report"})
    assert.equal("deadlock", report.findings[1].code)
    assert.matches("phase 0 of the mbarrier bar %(3 arrivals, 0 bytes missing%)", report.findings[1].message)
    assert.matches('kernel: "gone" is not a kernel of', select(2, pcall(module.launch, module, "gone", {})), 1, true)
  end)

  it("tells findings at lines of the PTX, or of the source that .loc names", function()
    local module, path = loaded(head .. [[
.visible .entry k(.param .u64 out) {
  .reg .b64 %d; .reg .b32 %r; .reg .pred %p;
  ld.param.u64 %d, [out];
  mov.u32 %r, %tid.x;
  st.global.u32 [%d], %r;
  bar.sync 0;
  .loc 1 77 3
  ld.global.u32 %r, [%d+400];
  setp.eq.u32 %p, %r, 3;
  @%p foo.bar.s32 %r, 1;
  ret;
}
.file 1 "/src/kernel.py"
]])
    local out = words(4, module.device)
    local report = module:launch("k", {block = 2, on_finding = "report"}, out)
    local race, outside = report.findings[1], report.findings[2]
    assert.same({"race", path, 8, "st.global.u32 [%d], %r;"}, {race.code, race.file, race.line, race.source})
    assert.same({"out-of-bounds", "/src/kernel.py", 77}, {outside.code, outside.file, outside.line})
  end)

  it("has an unknown instruction as a finding when it runs", function()
    local module = loaded(head .. ".visible .entry k() {\nfoo.bar.s32 %tid.x, 1;\nret;\n}\n")
    local report = module:launch("k", {on_finding = "report"})
    assert.equal("unsupported", report.findings[1].code)
    assert.equal("the PTX instruction foo.bar.s32 cannot be simulated", report.findings[1].message)
    assert.equal(5, report.findings[1].line)
  end)

  for _, case in ipairs(refused) do
    it("refuses: " .. case[2], function()
      local ok, message = pcall(loaded, case[1])
      assert.is_false(ok)
      assert.matches(case[2], message, 1, true)
    end)
  end

  it("has every instruction that doc/ptx.md lists, and lists every one that it has", function()
    local has, listed = {}, {}
    for line in io.lines "src/sim/translate/rows.h" do
      local name = line:match '^{"([^"]+)"'
      if name then has[name] = true end
    end
    has["mma.sync"], has["redux.sync"] = true, true -- whose names a macro joins
    local text = io.open "doc/ptx.md":read "*a":match "## Inline PTX and PTX modules on sim(.-)\n## "
    for list in text:gmatch "\n|[^|\n]+|([^\n]+)|" do
      for name in list:gmatch "`([^`]+)`" do listed[name] = true end
    end
    local function sorted(set)
      local list = {}
      for name in pairs(set) do list[#list + 1] = name end
      table.sort(list)
      return list
    end
    assert.same(sorted(has), sorted(listed))
  end)
end)

-- A stand-in for nvcc: it looks for what pah has put behind the source, and answers with the PTX that nvcc makes of it.
local NVCC = [[#!/bin/sh
for word; do case $before in -o) out=$word;; esac; case $word in *.cu) source=$word;; esac; before=$word; done
names=`sed -n 's/.*const void \*\(pah_kernel_name_[0-9]* = \)(const void \*)(void \*)\(.*\);/\1\2;/p' $source |
  sed 's/add<float,3>/_Z3addIfLi3EEvPT_/; s/add<float,4>/_Z3addIfLi4EEvPT_/' |
  sed 's/ns::plain/_ZN2ns5plainEPf/; s/^/.global .align 8 .u64 /'`
entry() {
  echo ".visible .entry $1 (.param .u64 x) { .reg .u64 %a; .reg .f32 %f; ld.param.u64 %a, [x]; ld.global.f32 %f, [%a];"
  echo "add.f32 %f, %f, $2; st.global.f32 [%a], %f; ret; }"
}
{ printf '.version 8.0\n.target sm_90a\n.address_size 64\n%s\n' "$names"
  case $names in *Li3E*) entry _Z3addIfLi3EEvPT_ 0f40400000;; esac
  case $names in *Li4E*) entry _Z3addIfLi4EEvPT_ 0f40800000;; esac
  entry _ZN2ns5plainEPf 0f3f800000; entry old 0f40000000; } > $out
]]

describe("PTX by way of nvcc on sim", function()
  it("has kernels by their names in C++, instances of templates too", function()
    local child, ffi = require "spec.support.child", require "ffi"
    local folder, before = child.folder(), os.getenv "PAH_SIM_NVCC"
    pcall(ffi.cdef, "int setenv(const char *, const char *, int); int unsetenv(const char *);")
    local file = assert(io.open(folder .. "/nvcc", "w"))
    file:write(NVCC)
    file:close()
    os.execute("chmod +x " .. folder .. "/nvcc")
    ffi.C.setenv("PAH_SIM_NVCC", folder .. "/nvcc", 1)
    local ok, why = pcall(function()
      local device = pah.device "sim:sm_90a"
      local module = device:compile{kernels = {"add<float, 3>"}, text = [[
        template <class T, int N> __global__ void add(T *x) { *x += N; }
        namespace ns { __global__ void plain(float *x) { *x += 1; } }
        extern "C" __global__ void old(float *x) { *x += 2; }
        // ]] .. folder}
      assert.same({"add<float,3>", "ns::plain", "old"}, module:kernels())
      local x = pah.zeros({1}, {device = device})
      for name, step in pairs{["add<float, 3>"] = 3, ["ns::plain"] = 1, old = 2, ["add<float, 4>"] = 4} do
        local last = x:to "cpu":get(1)
        module:launch(name, {}, x)
        assert.equal(last + step, x:to "cpu":get(1))
      end
      assert.has_error(function() module:launch("none", {}, x) end)
    end)
    if before then ffi.C.setenv("PAH_SIM_NVCC", before, 1) else ffi.C.unsetenv "PAH_SIM_NVCC" end
    assert(ok, why)
  end)
end)
