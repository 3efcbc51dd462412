-- ptx_wmma_spec.lua - wmma of PTX, as nvcuda::wmma becomes there: every shape and type, both layouts of each matrix,
-- against loops. A module of one kernel for each case is made here.
local bit = require "bit"
local describe = require("spec.support.gpu.sim").needed(describe, pending)

-- Shape, layouts of A, B, C and D (r: by rows), types of A and B, of C, of D; what stands behind the product's word.
local cases = {
  {16, 16, 16, "rcrr", "f16", "f32", "f32"}, {16, 16, 16, "crcc", "f16", "f16", "f16"},
  {32, 8, 16, "ccrc", "f16", "f32", "f16"}, {8, 32, 16, "rrcr", "f16", "f16", "f32"},
  {8, 32, 16, "crrr", "f16", "f16", "f16"}, {32, 8, 16, "rccr", "f16", "f16", "f16"},
  {16, 16, 16, "rrrc", "bf16", "f32", "f32"}, {32, 8, 16, "crcr", "bf16", "f32", "f32"},
  {8, 32, 16, "rcrr", "bf16", "f32", "f32"}, {16, 16, 8, "rcrr", "tf32", "f32", "f32"},
  {16, 16, 8, "crcc", "tf32", "f32", "f32"}, {16, 16, 16, "rcrr", "s8", "s32", "s32"},
  {32, 8, 16, "crrr", "s8", "s32", "s32", ".satfinite"}, {8, 32, 16, "ccrc", "s8", "s32", "s32"},
  {16, 16, 16, "crcr", "u8", "s32", "s32"}, {8, 32, 16, "rcrr", "u8", "s32", "s32"},
  {32, 8, 16, "rrrr", "u8", "s32", "s32", ".satfinite"}, {8, 8, 4, "rcrr", "f64", "f64", "f64"},
  {8, 8, 4, "crcc", "f64", "f64", "f64"}, {8, 8, 32, "rcrr", "s4", "s32", "s32"},
  {8, 8, 32, "rccr", "u4", "s32", "s32", ".satfinite"}, {8, 8, 128, "rcrr", "b1", "s32", "s32", "xor"},
  {8, 8, 128, "rcrc", "b1", "s32", "s32", "and"},
}
local bits = {f16 = 16, bf16 = 16, tf32 = 32, f32 = 32, s8 = 8, u8 = 8, s4 = 4, u4 = 4, b1 = 1, s32 = 32, f64 = 64}
local least = {s8 = -128, u8 = 0, s4 = -8, u4 = 0, b1 = 0}
local most = {s8 = 127, u8 = 255, s4 = 7, u4 = 15, b1 = 1}
local dtypes = {f16 = "f16", bf16 = "bf16", tf32 = "f32", f32 = "f32", f64 = "f64", s32 = "i32"}

local function layout(letter) return letter == "r" and "row" or "col" end

-- {%r0, %r1, ...}, as many as the fragment has.
local function fragment(prefix, case, which)
  local m, n, k = case[1], case[2], case[3]
  local type = case[which == "d" and 7 or which == "c" and 6 or 5]
  local rows, columns = which == "b" and k or m, which == "a" and k or n
  local count = rows * columns * bits[type] / 32 / 32
  if type == "f16" and (which == "a" or which == "b") then count = 8 end -- more than there are elements
  if type == "f64" then count = count / 2 end
  local list = {}
  for i = 0, count - 1 do list[#list + 1] = ("%%%s%d"):format((type == "f64" and "d" or "r") .. prefix, i) end
  return "{" .. table.concat(list, ", ") .. "}"
end

-- Rows and columns further apart than they must be, where that is whole bytes.
local function stride(case, which, letter)
  local rows, columns = which == "b" and case[3] or case[1], which == "a" and case[3] or case[2]
  return (letter == "r" and columns or rows) + (bits[case[5]] < 8 and (which == "a" or which == "b") and 128 or 16)
end

local function text_of(case, i)
  local m, n, k, layouts = case[1], case[2], case[3], case[4]
  local shape, out = ("m%dn%dk%d"):format(m, n, k), {}
  local function put(...) out[#out + 1] = (...):format(select(2, ...)) end
  put(".visible .entry k%d(.param .u64 .ptr a, .param .u64 .ptr b, .param .u64 .ptr c, .param .u64 .ptr d) {", i)
  put(".reg .b64 %%p<4>, %%da<2>, %%db<2>, %%dc<2>, %%dd<2>;\n.reg .b32 %%s<4>, %%ra<8>, %%rb<8>, %%rc<8>, %%rd<8>;")
  for at, which in ipairs{"a", "b", "c", "d"} do
    local letter = layouts:sub(at, at)
    put("ld.param.u64 %%p%d, [%s];\nmov.u32 %%s%d, %d;", at - 1, which, at - 1, stride(case, which, letter))
    if which ~= "d" then
      put("wmma.load.%s.sync.aligned.%s.%s%s.%s %s, [%%p%d], %%s%d;", which, layout(letter), shape,
        i % 2 == 0 and ".global" or "", case[which == "c" and 6 or 5], fragment(which, case, which), at - 1, at - 1)
    end
  end
  local operation = case[5] == "b1" and "." .. case[8] .. ".popc" or ""
  local types = case[5] == "f16" and ("%s.%s"):format(case[7], case[6])
    or ("%s.%s.%s.%s"):format(case[7], case[5], case[5], case[6])
  put("wmma.mma%s.sync.aligned.%s.%s.%s.%s%s %s, %s, %s, %s;", operation, layout(layouts:sub(1, 1)),
    layout(layouts:sub(2, 2)), shape, types, case[8] == ".satfinite" and case[8] or "", fragment("d", case, "d"),
    fragment("a", case, "a"), fragment("b", case, "b"), fragment("c", case, "c"))
  put("wmma.store.d.sync.aligned.%s.%s.%s [%%p3], %s, %%s3;\nret;\n}", layout(layouts:sub(4, 4)), shape, case[7],
    fragment("d", case, "d"))
  return table.concat(out, "\n")
end

-- Numbers (r, c) of a matrix, and the tensor that holds them where the instruction looks for them.
local function matrix(case, which, at, device)
  local type = case[which == "c" and 6 or 5]
  local letter = case[4]:sub(at, at)
  local rows, columns = which == "b" and case[3] or case[1], which == "a" and case[3] or case[2]
  local far, count = stride(case, which, letter), letter == "r" and rows or columns
  local lo, hi = least[type] or -8, most[type] or 8
  if type == "s32" then lo, hi = 2 ^ 31 - 9000, 2 ^ 31 - 1 end
  local drawn = pah.randint(0, hi - lo, {count * far}, {seed = 10 * at + count, dtype = "i32"}):totable()
  for i = 1, #drawn do drawn[i] = lo + drawn[i] end
  local held = drawn
  if bits[type] <= 8 then -- packed into words, the first at the low end
    held = {}
    local each = 32 / bits[type]
    for i = 0, #drawn / each - 1 do
      local word = 0
      for e = 0, each - 1 do
        word = bit.bor(word, bit.lshift(bit.band(drawn[each * i + e + 1], 2 ^ bits[type] - 1), bits[type] * e))
      end
      held[i + 1] = word
    end
  end
  return function(r, c) return drawn[(letter == "r" and r * far + c or c * far + r) + 1] end,
    pah.tensor(held, {dtype = dtypes[type] or "i32", device = device})
end

-- Ones that each lane has put into shared memory.
local shared = [[
.visible .entry NAME(.param .u64 .ptr d) {
  .shared .align 32 .b8 tile[512]; .reg .b64 %p; .reg .b32 %r<12>, %s; .reg .f32 %f<8>;
  ld.param.u64 %p, [d];
  mov.u32 %r8, %tid.x; shl.b32 %r8, %r8, 4; mov.u32 %s, tile; add.u32 %r8, %r8, %s;
  mov.u32 %r9, 0x3c003c00;
  st.shared.v4.b32 [%r8], {%r9, %r9, %r9, %r9};
  SYNC
  mov.b32 %f0, 0f00000000;
  wmma.load.a.sync.aligned.row.m16n16k16.shared.f16 {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}, [%s];
  wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7},
    {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}, {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7},
    {%f0, %f0, %f0, %f0, %f0, %f0, %f0, %f0};
  wmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%p], {%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7};
  ret;
}
]]

describe("wmma of PTX", function()
  local device, module
  setup(function()
    device = pah.device "sim:sm_90a"
    local text = {".version 8.0\n.target sm_90a\n.address_size 64"}
    for i, case in ipairs(cases) do text[#text + 1] = text_of(case, i) end
    text[#text + 1] = shared:gsub("NAME", "ordered"):gsub("SYNC", "bar.warp.sync -1;")
    text[#text + 1] = shared:gsub("NAME", "unordered"):gsub("SYNC", "")
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(table.concat(text, "\n"))
    file:close()
    module = device:load{ptx = path}
    os.remove(path)
  end)

  for i, case in ipairs(cases) do
    it(("m%dn%dk%d %s of %s, %s, %s"):format(unpack(case)) .. (case[8] or ""), function()
      local a, a_there = matrix(case, "a", 1, device)
      local b, b_there = matrix(case, "b", 2, device)
      local c, c_there = matrix(case, "c", 3, device)
      local letter, m, n = case[4]:sub(4, 4), case[1], case[2]
      local far = stride(case, "d", letter)
      local d = pah.full({far * (letter == "r" and m or n)}, -1, {dtype = dtypes[case[7]], device = device})
      module:launch("k" .. i, {block = 32}, a_there, b_there, c_there, d)
      local got = d:to "cpu":totable()
      for row = 0, m - 1 do
        for column = 0, n - 1 do
          local sum = c(row, column)
          for k = 0, case[3] - 1 do
            local x, y = a(row, k), b(k, column)
            sum = sum + (case[8] == "xor" and (x ~= y and 1 or 0) or x * y)
          end
          if case[8] == ".satfinite" then
            sum = math.max(-2 ^ 31, math.min(2 ^ 31 - 1, sum))
          elseif case[7] == "s32" then
            sum = (sum + 2 ^ 31) % 2 ^ 32 - 2 ^ 31
          end
          assert.equal(sum, got[(letter == "r" and row * far + column or column * far + row) + 1])
        end
      end
      local touched = 0
      for _, x in ipairs(got) do touched = touched + (x ~= -1 and 1 or 0) end
      assert.is_true(touched <= m * n) -- what lies between is left alone
    end)
  end

  it("is ordered like any access, and has strides of its own", function()
    for _, schedule in ipairs{"order", "reverse", "random"} do
      local d = pah.zeros({16, 16}, {device = device})
      local report = module:launch("ordered", {block = 32, schedule = schedule, on_finding = "report"}, d)
      assert.equal(0, #report.findings)
      for _, row in ipairs(d:to "cpu":totable()) do
        for _, x in ipairs(row) do assert.equal(16, x) end
      end
      report = module:launch("unordered", {block = 32, schedule = schedule, on_finding = "report"}, d)
      assert.equal("race", report.findings[#report.findings].code)
    end
  end)

  it("refuses other registers than the shape has", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(".version 8.0\n.target sm_90a\n.address_size 64\n", (text_of(cases[1], 1):gsub(", %%rd7", "")))
    file:close()
    local ok, message = pcall(device.load, device, {ptx = path})
    os.remove(path)
    assert.is_false(ok)
    assert.matches("operand 0 has 7 registers, must have 8", message, 1, true)
  end)
end)
