-- arithmetic_spec.lua - calculating with tensors: every operation against plain numbers of Lua, dtypes of results,
-- broadcasting, views, reductions, products; what is refused. And attention in five lines against the oracle.
local refused = require "spec.support.refused"
local inf, nan = 1 / 0, 0 / 0

local function same(want, t) assert.same(want, t:totable()) end

-- The elements of t in row-major order.
local function flat(t) return t:reshape(t:numel()):to("f64"):totable() end

local a = pah.tensor({{-2, -0.5, 0}, {0.25, 1, 3}})
local b = pah.tensor({{1, 2, 4}, {-1, 0.5, 2}})

describe("operators on tensors", function()
  local operators = {
    ["+"] = function(x, y) return x + y end, ["-"] = function(x, y) return x - y end,
    ["*"] = function(x, y) return x * y end, ["/"] = function(x, y) return x / y end,
    maximum = function(x, y) return type(x) == "number" and type(y) == "number" and math.max(x, y) or x:maximum(y) end,
    minimum = function(x, y) return type(x) == "number" and type(y) == "number" and math.min(x, y) or x:minimum(y) end,
  }

  it("do with each element what Lua does with numbers", function()
    for name, f in pairs(operators) do
      for _, dtype in ipairs {"f32", "f64", "bf16", "f16"} do
        local x, y = a:to(dtype), b:to(dtype)
        local got, want = f(x, y), {}
        for i, u in ipairs(flat(x)) do want[i] = f(u, flat(y)[i]) end
        assert.equal(dtype, got.dtype)
        assert.same(flat(pah.tensor(want):to(dtype)), flat(got), name)
      end
    end
    same({{4, 0.25, 0}, {0.0625, 1, 9}}, a ^ 2)
    same({{2, 0.5, 0}, {-0.25, -1, -3}}, -a)
    same({{2, 0.5, 0}, {0.25, 1, 3}}, a:abs())
  end)

  it("round f32 once: what f32 arithmetic gives, to the bit", function()
    local ffi = require "ffi"
    local x, y = pah.randn({4096}, {seed = 1}), pah.randn({4096}, {seed = 2})
    local sum, product, quotient = x + y, x * y, x / y
    local one = ffi.new "float[3]"
    for i = 1, 4096 do
      local u, v = x[i], y[i]
      one[0], one[1], one[2] = u + v, u * v, u / v
      assert.is_true(sum[i] == one[0] and product[i] == one[1] and quotient[i] == one[2])
    end
  end)

  it("take numbers on both sides", function()
    same({{-1, 0.5, 1}, {1.25, 2, 4}}, a + 1)
    same({{3, 1.5, 1}, {0.75, 0, -2}}, 1 - a)
    same({{-4, -1, 0}, {0.5, 2, 6}}, 2 * a)
    same({{1, 0.5, 0.25}, {-1, 2, 0.5}}, 1 / b)
    same({{0.25, 0.7071067690849304, 1}, {1.1892070770263672, 2, 8}}, 2 ^ a)
  end)

  it("broadcast sizes of 1 and missing dimensions, and views as they lie", function()
    same({{11, 22, 33}, {14, 25, 36}}, pah.tensor({{1, 2, 3}, {4, 5, 6}}) + pah.tensor({10, 20, 30}))
    same({{11, 12}, {21, 22}, {31, 32}}, pah.tensor({{10}, {20}, {30}}) + pah.tensor({1, 2}))
    same({{0, 4}, {2, 8}}, pah.arange(4):view(2, 2):transpose(1, 2) * pah.tensor({{1, 2}, {2, 8 / 3}}))
    local wide = pah.arange(24):view(4, 6)
    same({{10, 12}, {22, 24}}, wide[{{1, 2}, {2, 3}}] + wide[{{2, 3}, {4, 5}}])
    assert.same({0, 3}, (pah.zeros({0, 3}) + pah.ones({3})).shape)
    assert.equal(5, (pah.full({}, 2) + pah.full({}, 3)):item())
  end)

  it("have PyTorch's dtypes", function()
    local of = {}
    for _, dtype in ipairs {"u8", "i32", "i64", "f16", "bf16", "f32", "f64", "fp8_e4m3", "fp8_e5m2"} do
      of[dtype] = pah.ones({1}, {dtype = dtype})
    end
    for _, case in ipairs {{"u8", "i32", "i32"}, {"i32", "i64", "i64"}, {"i64", "f16", "f16"}, {"f16", "bf16", "f32"},
      {"bf16", "f32", "f32"}, {"f32", "f64", "f64"}, {"u8", "u8", "u8"}, {"fp8_e4m3", "fp8_e4m3", "f32"},
      {"fp8_e5m2", "bf16", "bf16"}, {"fp8_e4m3", "fp8_e5m2", "f32"}, {"i64", "fp8_e4m3", "f32"}} do
      assert.equal(case[3], (of[case[1]] + of[case[2]]).dtype)
      assert.equal(case[3], (of[case[2]] * of[case[1]]).dtype)
    end
    for dtype, want in pairs {u8 = "u8", i32 = "i32", i64 = "i64", bf16 = "bf16", f64 = "f64"} do
      assert.equal(want, (of[dtype] + 1).dtype)
    end
    for _, dtype in ipairs {"u8", "i32", "i64"} do
      assert.equal("f32", (of[dtype] + 0.5).dtype)
      assert.equal("f32", (of[dtype] / of[dtype]).dtype)
      assert.equal("f32", of[dtype]:exp().dtype)
      assert.equal("i64", (of[dtype] + 5000000000).dtype)
    end
    assert.equal("bf16", of.bf16:exp().dtype)
    assert.equal("bf16", (of.bf16 + 0.1).dtype)
  end)

  it("are exact in i64 and saturate integers", function()
    local big = pah.tensor({9007199254740993LL, -9007199254740993LL}, {dtype = "i64"})
    assert.equal("[ 9007199254740994 -9007199254740992]", tostring(big + 1):match "^[^\n]*")
    assert.equal("[ 18014398509481986 -18014398509481986]", tostring(big * 2):match "^[^\n]*")
    same({0, 0}, big:eq(big + 1))
    same({1, 0}, big:gt(9007199254740992LL))
    assert.equal("[9223372036854775807]", tostring(pah.full({1}, 2 ^ 62, {dtype = "i64"}) * 2):match "^[^\n]*")
    same({255}, pah.full({1}, 200, {dtype = "u8"}) + pah.full({1}, 100, {dtype = "u8"}))
    same({-2147483648}, -pah.full({1}, 2 ^ 31 - 1, {dtype = "i32"}) - 5)
    same({7, 7}, pah.tensor({-7, 7}, {dtype = "i64"}):abs())
  end)

  it("compare to u8; NaN is equal to nothing", function()
    local x, y = pah.tensor({1, 2, nan, inf}), pah.tensor({1, 3, nan, inf})
    same({1, 0, 0, 1}, x:eq(y))
    same({0, 1, 1, 0}, x:ne(y))
    same({0, 1, 0, 0}, x:lt(y))
    same({1, 1, 0, 1}, x:le(y))
    same({0, 1, 0, 1}, x:gt(1))
    same({1, 1, 0, 1}, x:ge(1))
    assert.equal("u8", x:eq(y).dtype)
    same({1}, pah.full({1}, 0.1):eq(0.1)) -- as f32, both
    same({1}, pah.full({1}, 448, {dtype = "fp8_e4m3"}):lt(1000))
    same({1}, pah.full({1}, 255, {dtype = "u8"}):lt(300))
  end)
end)

describe("functions of a tensor", function()
  it("are those of math", function()
    for name, f in pairs {exp = math.exp, log = math.log, sqrt = math.sqrt, tanh = math.tanh} do
      local x = pah.rand({1000}, {seed = 1, low = 0.01, high = 5, dtype = "f64"})
      local got, most = x[name](x), 0
      for i, u in ipairs(x:totable()) do most = math.max(most, math.abs(got[i] - f(u)) / math.abs(f(u))) end
      assert.is_true(most < 1e-15, name)
    end
    same({0, inf}, pah.tensor({-inf, inf}):exp())
    assert.is_true(tostring(pah.tensor({-1}):log()):find "nan" ~= nil)
  end)

  it("where chooses, numbers and exact integers too", function()
    local c = pah.tensor({1, 0, 2}, {dtype = "u8"})
    same({5, -1, 7}, pah.where(c, pah.tensor({5, 6, 7}), -1))
    same({1, 0, 1}, pah.where(c, 1, 0))
    same({{1, 9, 3}, {4, 9, 6}}, pah.where(c, pah.tensor({{1, 2, 3}, {4, 5, 6}}), 9))
    local big = pah.full({3}, 9007199254740993LL, {dtype = "i64"})
    assert.equal("[9007199254740993                0 9007199254740993]",
      tostring(pah.where(c, big, 0)):match "^[^\n]*")
    assert.equal("bf16", pah.where(c, pah.ones({3}, {dtype = "bf16"}), 0).dtype)
  end)

  it("cat and stack put together", function()
    local m, n = pah.tensor({{1, 2}, {3, 4}}), pah.tensor({{5, 6}, {7, 8}})
    same({{1, 2}, {3, 4}, {5, 6}, {7, 8}}, pah.cat({m, n}))
    same({{1, 2, 5, 6}, {3, 4, 7, 8}}, pah.cat({m, n}, -1))
    same({{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}}, pah.stack({m, n}))
    same({{{1, 5}, {2, 6}}, {{3, 7}, {4, 8}}}, pah.stack({m, n}, 3))
    same({1, 2, 3}, pah.cat({pah.tensor({1}), pah.tensor({2, 3}), pah.empty({0})}))
    same({1, 2}, pah.stack({pah.full({}, 1), pah.full({}, 2)}))
    assert.equal("f32", pah.cat({m, m:to("bf16")}).dtype)
  end)
end)

describe("reductions", function()
  -- What a reduction of t along d gives, by loops of Lua: f(list) of every row.
  local function by_loops(t, d, f)
    local shape, rest = t.shape, {}
    for i, n in ipairs(shape) do if i ~= d then rest[#rest + 1] = n end end
    local moved = {}
    for i = 1, #shape do if i ~= d then moved[#moved + 1] = i end end
    moved[#moved + 1] = d
    local rows, list = t:permute(moved):reshape(-1, shape[d]):to("f64"):totable(), {}
    for i, row in ipairs(rows) do list[i] = f(row) end
    return pah.tensor(list, {dtype = "f64"}):view(rest)
  end

  local function sum(row)
    local s = 0
    for _, x in ipairs(row) do s = s + x end
    return s
  end

  local functions = {
    sum = sum, mean = function(row) return sum(row) / #row end,
    max = function(row) return math.max(unpack(row)) end, min = function(row) return math.min(unpack(row)) end,
    any = function(row) for _, x in ipairs(row) do if x ~= 0 then return 1 end end return 0 end,
    all = function(row) for _, x in ipairs(row) do if x == 0 then return 0 end end return 1 end,
    argmax = function(row)
      local best = 1
      for i, x in ipairs(row) do if x > row[best] then best = i end end
      return best - 1
    end,
  }

  it("along any dimension are what loops give, of any dtype, also of views", function()
    for _, dtype in ipairs {"f32", "f64", "bf16", "i32", "i64", "u8"} do
      local t = pah.randint(0, 4, {3, 5, 7}, {seed = 2, dtype = dtype})
      local repeated = pah.ones({1}, {dtype = dtype}):expand(2, 300)
      for _, view in ipairs {t, t:transpose(1, 3), t[{{}, {2, 4}, {}}], repeated} do
        for d = 1, view:dim() do
          for name, f in pairs(functions) do
            local got, want = view[name](view, d), by_loops(view, d, f)
            if name == "mean" and dtype ~= "f64" then want = want:to(got.dtype) end
            assert.same(want.shape, got.shape)
            assert.is_true(pah.diff(got:to("f64"), want:to("f64")).mismatched == 0, name .. " " .. dtype)
          end
        end
      end
    end
  end)

  it("of all elements are numbers and booleans", function()
    local t = pah.tensor({{1, 5, 3}, {4, 2, 0}})
    assert.same({15, 2.5, 5, 0, true, false}, {t:sum(), t:mean(), t:max(), t:min(), t:any(), t:all()})
    assert.same({1, 2}, {t:argmax()})
    assert.equal(5, t:get(t:argmax()))
    assert.same({{9}, {6}}, t:sum(2, true):totable())
    assert.same({2, 2}, {pah.tensor({{1, 2}, {3, 9}}):transpose(1, 2):argmax()})
  end)

  it("of many elements do not depend on threads, and add in float64", function()
    local t, threads, sums = pah.rand({300000}, {seed = 3}), pah.threads(), {}
    for i, n in ipairs {1, 3, threads} do
      pah.threads(n)
      sums[i] = {t:sum(), t:mean(), t:max(), t:min(), t:argmax()}
    end
    pah.threads(threads)
    assert.same(sums[1], sums[2])
    assert.same(sums[1], sums[3])
    local exact = 0
    for _, x in ipairs(t:to("f64"):totable()) do exact = exact + x end
    assert.is_true(math.abs(sums[1][1] - exact) < 0.02) -- half a unit of f32 at 150000
    local whole = pah.arange(300000, {dtype = "i64"})
    assert.equal(299999 * 150000, whole:sum())
    assert.equal(149999.5, pah.arange(300000, {dtype = "i32"}):to("f64"):mean())
    assert.equal(299999, (select(1, whole:argmax())) - 1)
    assert.is_false(pah.zeros({300000}):any())
    assert.is_true(pah.ones({300000}, {dtype = "u8"}):all())
    assert.equal(0.25, pah.full({300000}, 0.25):mean())
    assert.equal(2, pah.full({300000}, 2, {dtype = "i32"}):mean())
  end)

  it("take NaN for the largest and the smallest, and of nothing give what is neutral", function()
    local t = pah.tensor({1, nan, 3})
    for _, x in ipairs {t:max(), t:min(), t:sum(), t:mean()} do assert.is_true(x ~= x) end
    assert.equal(2, t:argmax())
    assert.same({-inf, 1}, {pah.full({2}, -inf):max(), pah.full({2}, -inf):argmax()})
    local none = pah.empty({0})
    assert.same({0, false, true}, {none:sum(), none:any(), none:all()})
    assert.is_true(none:mean() ~= none:mean())
    assert.same({0, 0, 0}, pah.zeros({0, 3}):sum(1):totable())
    refused("max: dimension 1 has no elements", function() none:max() end)
  end)

  it("of integers are exact", function()
    local big = pah.full({3}, 9007199254740993LL, {dtype = "i64"})
    assert.is_true(big:sum() == 27021597764222979LL)
    assert.is_true(big:max() == 9007199254740993LL)
    assert.equal(765, pah.full({3}, 255, {dtype = "u8"}):sum())
    assert.equal("i64", pah.ones({2, 2}, {dtype = "u8"}):sum(1).dtype)
    assert.equal("f32", pah.ones({2, 2}, {dtype = "u8"}):mean(1).dtype)
  end)
end)

describe("matmul", function()
  it("is the sum of products, in float64, of batches, vectors and transposed matrices", function()
    for _, size in ipairs {{1, 1, 1}, {3, 5, 2}, {9, 17, 257}, {8, 300, 256}} do
      local m, k, n = unpack(size)
      local x = pah.randn({m, k}, {seed = 1, dtype = "f64"})
      local y = pah.randn({n, k}, {seed = 2, dtype = "f64"}):transpose(1, 2)
      local got, rows, columns = x:matmul(y):totable(), x:totable(), y:transpose(1, 2):totable()
      for i = 1, m, 3 do
        for j = 1, n, 5 do
          local s = 0
          for l = 1, k do s = s + rows[i][l] * columns[j][l] end
          assert.is_true(math.abs(got[i][j] - s) <= 1e-14 * k)
        end
      end
    end
    local m = pah.arange(6):view(2, 3)
    same({{5, 14}, {14, 50}}, m:matmul(m:transpose(1, 2)))
    same({3, 12}, m:matmul(pah.ones({3})))
    same({3, 5, 7}, pah.ones({2}):matmul(m))
    assert.equal(3, pah.ones({3}):matmul(pah.ones({3})):item())
    local batch = pah.arange(12):view(2, 2, 3)
    same({{{3}, {12}}, {{21}, {30}}}, batch:matmul(pah.ones({3, 1})))
    assert.same({4, 2, 2, 2}, pah.ones({4, 1, 2, 3}):matmul(batch:transpose(2, 3)).shape)
    assert.same({2, 0}, pah.ones({2, 3}):matmul(pah.ones({3, 0})).shape)
    same({{0, 0}}, pah.ones({1, 0}):matmul(pah.ones({0, 2})))
    assert.equal("bf16", m:to("bf16"):matmul(pah.ones({3, 2}, {dtype = "bf16"})).dtype)
  end)
end)

describe("an experiment's own reference", function()
  it("is five lines, and agrees with the oracle", function()
    local H, Hkv, D, n = 8, 2, 64, 100
    local block_table, seqused_k = pah.block_table{seqlens = {n}, block_size = 16, order = "linear", device = "cpu"}
    local function draw(shape, seed) return pah.randn(shape, {seed = seed, device = "cpu", dtype = "f64"}) end
    local q, k, v = draw({H, 1, D}, 1), draw({n, Hkv, D}, 2), draw({n, Hkv, D}, 3)

    local kt = k:permute(2, 3, 1):view(Hkv, 1, D, n):expand(Hkv, H / Hkv, D, n):reshape(H, D, n)
    local vt = v:permute(2, 1, 3):reshape(Hkv, 1, n, D):expand(Hkv, H / Hkv, n, D):reshape(H, n, D)
    local score = q:matmul(kt) / math.sqrt(D)
    local weight = (score - score:max(3, true)):exp()
    local mine = (weight / weight:sum(3, true)):matmul(vt)

    local function paged(t)
      local padded = pah.cat({t, pah.zeros({112 - n, Hkv, D}, {device = "cpu", dtype = "f64"})})
      return padded:view(7, 16, Hkv, D):to("f32")
    end
    local want = pah.reference.decode{q = q:view(1, H, 1, D):to("f32"), k_blocks = paged(k), v_blocks = paged(v),
      block_table = block_table, seqused_k = seqused_k}
    assert(pah.allclose(mine:view(1, H, 1, D), want, {atol = 1e-5, rtol = 1e-5}))
  end)
end)

describe("arithmetic refuses", function()
  it("what does not fit, by name, at the script's line", function()
    refused("+: shapes are [2, 3] and [2], sizes must be equal or 1", function() return a + pah.ones({2}) end)
    refused("+: is of a tensor and a string", function() return a + "x" end)
    refused("use a:lt(b)", function() return a < b end)
    refused("use a:lt(b)", function() return a <= 3 end)
    refused("matmul: shapes are [2, 3] and [2, 3]", function() return a:matmul(b) end)
    refused("matmul: dtype is i32, must be a float", function() return a:to("i32"):matmul(b:to("i32")) end)
    refused("sum: dimension is 3, must be 1 to 2", function() return a:sum(3) end)
    refused("cat: item 2 has shape [3], must have [2, 3]", function() return pah.cat{a, pah.ones({3})} end)
    refused("cat: is a table, must be a list of tensors", function() return pah.cat{} end)
    refused("stack: item 2 has shape [2], must have [2, 3]", function() return pah.stack{a, pah.ones({2})} end)
    refused("where: shapes are", function() return pah.where(pah.ones({2}), a, 0) end)
    refused("set_printoptions: precision is -1", function() pah.set_printoptions{precision = -1} end)
    refused("set_printoptions: profile is big", function() pah.set_printoptions{profile = "big"} end)
  end)

  it("memory that the host does not see, with a word", function()
    local no_sim = require("spec.support.gpu.sim").why
    if no_sim then pending(no_sim) return end
    local there = pah.ones({2}, {device = "sim"})
    local word = 'is on sim, which has no arithmetic on tensors; must be on the cpu: t:to("cpu")'
    for _, f in ipairs {function() return there + 1 end, function() return 2 * there end, function() there:exp() end,
      function() there:sum() end, function() there:matmul(there) end, function() pah.where(there, 1, 0) end} do
      refused.here(word, f)
    end
    same({1, 1, 1, 1}, pah.cat{there, there}:to("cpu")) -- copies go by the device's own kernels
  end)

  it("tensors of two devices", function()
    local other = pah.device "cpu:generic"
    refused("+: is of tensors on cpu and cpu:generic, must be on one device", function() return a + a:to(other) end)
  end)
end)
