-- print_spec.lua - the text of tensors: bodies as NumPy prints the same arrays, elided when
-- large, and the footer of dtype, device, shape and bytes.
local inf, nan = 1 / 0, 0 / 0

local function prints(want, t) assert.equal(want, tostring(t)) end

describe("a tensor prints", function()
  local before
  setup(function() before = pah.set_printoptions{precision = 8} end) -- NumPy's
  teardown(function() pah.set_printoptions(before) end)

  it("floats with the fewest digits that tell them apart", function()
    prints("[1.  2.  3.5]\n[f32 cpu 3, 12 B]", pah.tensor {1, 2, 3.5})
    prints("[[  1.     0.25]\n [ -3.   100.  ]]\n[f32 cpu 2x2, 16 B]", pah.tensor {{1, 0.25}, {-3, 100}})
    prints("[0.1        0.33333334]\n[f32 cpu 2, 8 B]", pah.tensor {0.1, 1 / 3})
    prints("[0.1        0.33333333]\n[f64 cpu 2, 16 B]", pah.tensor({0.1, 1 / 3}, {dtype = "f64"}))
    prints("[0.1   0.334]\n[bf16 cpu 2, 4 B]", pah.tensor({0.1, 1 / 3}, {dtype = "bf16"}))
    prints("[  0.5 448. ]\n[fp8_e4m3 cpu 2, 2 B]", pah.tensor({0.5, 448}, {dtype = "fp8_e4m3"}))
    prints("[0. 0. 0.]\n[f32 cpu 3, 12 B]", pah.zeros {3})
  end)

  it("floats with NumPy's rounding and NumPy's limits of the positional form", function()
    local cases = { -- body as NumPy 2.4 prints it, dtype, elements
      {"[ 0.59 -0.41 -0.83]", "f32", {0.59, -0.41, -0.83}},
      {"[ 42044.523 113604.66   10970.64 ]", "f32", {42044.5234375, 113604.65625, 10970.6396484375}},
      {"[46139.562]", "f32", {46139.5625}},
      {"[-5.526473e-06 -7.847803e-06  7.487458e-06]", "f32", {-5.526473e-06, -7.847803e-06, 7.487458e-06}},
      {"[2.1995415e+03 7.8565768e-05]", "f32", {2199.54150390625, 7.8565768478624523e-05}},
      {"[1.e+003 1.e-100]", "f64", {1e3, 1e-100}},
      {"[1.e+06]", "f32", {1e6}},
      {"[1000000.]", "f64", {1e6}},
      {"[1.e+03]", "f16", {1000}},
      {"[1.001e+03 9.000e-01]", "f64", {1001, 0.9}},
      {"[0.333]", "f16", {0.333}},
    }
    for _, case in ipairs(cases) do
      local text = tostring(pah.tensor(case[3], {dtype = case[2]}))
      assert.equal(case[1], text:match "^[^\n]*")
    end
  end)

  it("a view of many elements at once", function()
    assert.equal("[1. 1. 1. ... 1. 1. 1.]", tostring(pah.ones({1}):expand(2 ^ 40)):match "^[^\n]*")
  end)

  it("infinities and NaN", function()
    prints("[ inf -inf  nan   1.]\n[f32 cpu 4, 16 B]", pah.tensor {inf, -inf, nan, 1})
    prints("[nan]\n[f32 cpu 1, 4 B]", pah.tensor {nan})
  end)

  it("numbers far apart in scientific form", function()
    prints("[1.e-10 1.e+00 2.e+10]\n[f32 cpu 3, 12 B]", pah.tensor {1e-10, 1, 2e10})
    prints("[1.e+08 1.e+00]\n[f32 cpu 2, 8 B]", pah.tensor {1e8, 1})
    prints("[-0.e+00  1.e-05]\n[f32 cpu 2, 8 B]", pah.tensor {-0.0, 1e-5})
  end)

  it("integers in columns, int64 exactly", function()
    prints("[[  1 -20]\n [300   4]]\n[i32 cpu 2x2, 16 B]", pah.tensor({{1, -20}, {300, 4}}, {dtype = "i32"}))
    prints("[9007199254740993               -1]\n[i64 cpu 2, 16 B]",
      pah.tensor({9007199254740993LL, -1}, {dtype = "i64"}))
  end)

  it("no dimension and no element", function()
    prints("2.5\n[f32 cpu scalar, 4 B]", pah.full({}, 2.5))
    prints("7\n[i64 cpu scalar, 8 B]", pah.full({}, 7LL, {dtype = "i64"}))
    prints("[]\n[f32 cpu 0, 0 B]", pah.empty {0})
    prints("[]\n[f32 cpu 2x0x3, 0 B]", pah.empty {2, 0, 3})
  end)

  it("long rows in lines of 75 columns, and blocks apart", function()
    prints("[ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17.\n 18. 19.]\n[f32 cpu 20, 80 B]",
      pah.arange(20))
    prints("[[[0. 1.]\n  [2. 3.]]\n\n [[4. 5.]\n  [6. 7.]]]\n[f32 cpu 2x2x2, 32 B]", pah.arange(8):view(2, 2, 2))
  end)

  it("its ends when it is large, and views like any other", function()
    prints("[   0    1    2 ... 1997 1998 1999]\n[i32 cpu 2000, 7.813 KiB]", pah.arange(2000, {dtype = "i32"}))
    local row = " [0. 0. 0. ... 0. 0. 0.]\n"
    prints("[" .. row:sub(2) .. row:rep(2) .. " ...\n" .. row:rep(2) .. row:sub(1, -2)
      .. "]\n[f32 cpu 40x50, 7.813 KiB]", pah.zeros {40, 50})
    prints("[[0. 2.]\n [1. 3.]]\n[f32 cpu 2x2, 16 B]", pah.arange(4):view(2, 2):transpose(1, 2))
  end)
end)

describe("the options of printing", function()
  local function prints_with(options, want, t)
    local before = pah.set_printoptions(options)
    local text = tostring(t):match "^(.*)\n%["
    pah.set_printoptions(before)
    assert.equal(want, text)
  end

  it("are four digits by default, as in PyTorch", function()
    prints_with({}, "[0.1    0.3333 2.    ]", pah.tensor {0.1, 1 / 3, 2})
    prints_with({}, "[-1.2346e+08  1.0000e+00]", pah.tensor {-123456789, 1})
    prints_with({precision = 8}, "[0.1        0.33333334]", pah.tensor {0.1, 1 / 3})
    prints_with({precision = 0}, "[0. 1.]", pah.tensor {0.1, 0.7})
  end)

  it("are those of PyTorch", function()
    prints_with({threshold = 4, edgeitems = 1}, "[0. ... 4.]", pah.arange(5))
    prints_with({linewidth = 10}, "[0. 1. 2.\n 3. 4.]", pah.arange(5))
    prints_with({sci_mode = true}, "[1.e+00 2.e+00]", pah.tensor {1, 2})
    prints_with({sci_mode = false}, "[100000000.         1.]", pah.tensor {1e8, 1})
    prints_with({profile = "short"}, "[0.33]", pah.tensor {1 / 3})
    assert.equal(1000, select(2, tostring(pah.zeros {1000}):gsub("0%.", "")))
    prints_with({profile = "full"}, tostring(pah.zeros {1}):match "^[^\n]*", pah.zeros {1})
    assert.same({profile = "default", precision = 4, threshold = 1000, edgeitems = 3, linewidth = 75},
      pah.set_printoptions())
  end)
end)
