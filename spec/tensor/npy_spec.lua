-- npy_spec.lua - .npy files: round trips of every dtype NumPy has, the bytes that NumPy itself writes, Fortran order
-- and big endian, and fuzz: a damaged file loads or is refused by its name, never worse.
local child = require "spec.support.child"
local model = require "spec.support.model"
local path = os.tmpname()

local function write(bytes) child.write(path, bytes) end

local function read() return child.read(path) end

-- A file of version 1.0 as numpy.save pads it.
local function file(dictionary, data)
  local header = dictionary .. (" "):rep(-(11 + #dictionary) % 64) .. "\n"
  return "\147NUMPY\1\0" .. string.char(#header % 256, math.floor(#header / 256)) .. header .. data
end

local function refused(bytes, want)
  write(bytes)
  local why = require("spec.support.refused").here(want, pah.load, path)
  assert.is_truthy(why:find(path .. ": ", 1, true), why)
end

teardown(function() os.remove(path) end)

-- numpy.save of numpy.array([[1, 2, 3], [4, 5, 6]], dtype="<i4")
local golden = "\147NUMPY\1\0v\0{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }" .. (" "):rep(58) .. "\n"
  .. "\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\6\0\0\0"

describe("save", function()
  it("writes NumPy's bytes", function()
    pah.tensor({{1, 2, 3}, {4, 5, 6}}, {dtype = "i32"}):save(path)
    assert.equal(golden, read())
    pah.tensor({1.5}, {dtype = "f16"}):save(path)
    assert.equal(file("{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }", "\0\62"), read())
    pah.tensor(7, {dtype = "u8"}):save(path)
    assert.equal(file("{'descr': '|u1', 'fortran_order': False, 'shape': (), }", "\7"), read())
  end)

  it("and load are inverse for every dtype, view and shape", function()
    for _, dtype in ipairs {"f32", "f64", "f16", "i32", "i64", "u8"} do
      for _, shape in ipairs {{}, {0}, {5}, {2, 3}, {2, 0, 3}, {2, 3, 4, 1}} do
        local t = pah.randint(0, 200, shape, {dtype = dtype, seed = 1})
        if #shape > 1 then t = t:transpose(1, 2) end
        t:save(path)
        local back = pah.load(path)
        assert.equal(dtype, back.dtype)
        assert.same(t.shape, back.shape)
        assert.same(t:totable(), back:totable())
      end
    end
    pah.tensor({9007199254740993LL}, {dtype = "i64"}):save(path)
    assert.is_true(pah.load(path)[1] == 9007199254740993LL)
    pah.tensor({1 / 0, -1 / 0, -0.0}, {dtype = "f64"}):save(path)
    local back = pah.load(path)
    assert.same({1 / 0, -1 / 0}, {back[1], back[2]})
    assert.equal(-1 / 0, 1 / back[3])
  end)

  it("refuses dtypes that NumPy has not, and a place that is none", function()
    for _, dtype in ipairs {"bf16", "fp8_e4m3", "fp8_e5m2"} do
      local ok, why = pcall(function() pah.zeros({1}, {dtype = dtype}):save(path) end)
      assert.is_false(ok)
      assert.is_truthy(why:find("npy_spec.lua", 1, true))
      assert.is_truthy(why:find("save: " .. dtype .. " has no NumPy dtype", 1, true), why)
    end
    local ok, why = pcall(function() pah.zeros({1}):save "/no/such/folder/x.npy" end)
    assert.is_false(ok)
    assert.is_truthy(why:find("/no/such/folder/x.npy", 1, true), why)
  end)
end)

describe("a tensor's file", function()
  local folder = child.folder()
  local function exists(name) return child.contents(folder .. "/" .. name) ~= nil end
  teardown(function() os.execute("rm -rf " .. folder) end)

  it("is what its ending says, for save and load", function()
    local t = pah.tensor({{1, 2}}, {dtype = "bf16"})
    t:save(folder .. "/t.safetensors")
    local named = pah.safetensors.load(folder .. "/t.safetensors")
    assert.same({{1, 2}}, named.tensor:totable())
    local back = pah.load(folder .. "/t.safetensors")
    assert.same({"bf16", {{1, 2}}}, {back.dtype, back:totable()})
    t:to("f32"):save(folder .. "/t.npy")
    assert.equal("\147NUMPY", child.read(folder .. "/t.npy"):sub(1, 6))
    assert.same({{1, 2}}, pah.load(folder .. "/t.npy"):totable())
    pah.safetensors.save(folder .. "/two.safetensors", {a = t, b = t})
    for want, f in pairs {
      ["save: path is x.pt, must end in .npy or .safetensors"] = function() t:save "x.pt" end,
      ["load: path is x.pt, must end in .npy or .safetensors"] = function() pah.load "x.pt" end,
      ["must not end in .npy"] = function() pah.safetensors.save("x.npy", {t = t}) end,
      ["two.safetensors must hold one tensor, holds several"] = function()
        pah.load(folder .. "/two.safetensors")
      end,
    } do
      local ok, why = pcall(f)
      assert.is_false(ok, want)
      assert.is_truthy(why:find(want, 1, true), why)
    end
  end)

  it("is what it was when it cannot be written, and the error says why", function()
    for _, name in ipairs {"old.npy", "old.safetensors"} do
      pah.tensor({1, 2}):save(folder .. "/" .. name)
      child.write(folder .. "/s.lua", ('pah.zeros{100000}:save "%s"'):format(name))
      local _, err, code = child.run(folder, "s.lua", "trap '' XFSZ; ulimit -f 100;")
      assert.equal(1, code, err)
      assert.is_truthy(err:find("save: cannot write " .. name .. ": File too large", 1, true), err)
      assert.same({1, 2}, pah.load(folder .. "/" .. name):totable())
    end
    local ok, why = pcall(function() pah.zeros({1}):save "/dev/full" end)
    assert.is_false(ok)
    assert.is_truthy(why:find("save: cannot write /dev/full: No space left on device", 1, true), why)
    assert.equal("", io.popen("ls " .. folder .. "/*.tmp 2>/dev/null"):read "*a")
  end)

  it("may be a link, which stays one", function()
    pah.tensor({1}):save(folder .. "/target.npy")
    assert(os.execute(("ln -s target.npy %s/link.npy"):format(folder)) == 0)
    pah.tensor({2, 3}):save(folder .. "/link.npy")
    assert.equal("target.npy\n", io.popen(("readlink %s/link.npy"):format(folder)):read "*a")
    assert.same({2, 3}, pah.load(folder .. "/target.npy"):totable())
    assert.is_true(exists "link.npy")
  end)
end)

describe("load", function()
  it("reads double quotes, and small integers as wider ones", function()
    write(file('{"descr": "<i4", "fortran_order": False, "shape": (2,), }', "\1\0\0\0\2\0\0\0"))
    assert.same({1, 2}, pah.load(path):totable())
    for _, case in ipairs {{"|i1", "\255\127", {-1, 127}, "i32"}, {"<i2", "\0\128\1\0", {-32768, 1}, "i32"},
      {"<u2", "\255\255\1\0", {65535, 1}, "i32"}, {">u2", "\1\2\0\3", {258, 3}, "i32"},
      {"<u4", "\255\255\255\255\1\0\0\0", {4294967295, 1}, "i64"}} do
      write(file(("{'descr': '%s', 'fortran_order': False, 'shape': (2,), }"):format(case[1]), case[2]))
      local t = pah.load(path)
      assert.same({case[3], case[4]}, {t:totable(), t.dtype}, case[1])
    end
    write(file("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }", "\1\2\3\4\5\6"))
    assert.same({{1, 3, 5}, {2, 4, 6}}, pah.load(path):totable())
    refused(file("{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }", "123"), "holds 3 bytes")
  end)

  it("reads Fortran order, big endian, booleans and versions 2 and 3", function()
    write(file("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }",
      "\1\0\0\0\4\0\0\0\2\0\0\0\5\0\0\0\3\0\0\0\6\0\0\0"))
    assert.same({{1, 2, 3}, {4, 5, 6}}, pah.load(path):totable())
    write(file("{'descr': '>i4', 'fortran_order': False, 'shape': (2,), }", "\0\0\1\2\255\255\255\255"))
    assert.same({258, -1}, pah.load(path):totable())
    write(file("{'descr': '>f8', 'fortran_order': False, 'shape': (1,), }", "\63\248\0\0\0\0\0\0"))
    assert.same({1.5}, pah.load(path):totable())
    write(file("{'descr': '>f2', 'fortran_order': True, 'shape': (1, 2), }", "\60\0\192\0"))
    assert.same({{1, -2}}, pah.load(path):totable())
    write(file("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\1\0"))
    assert.same({1, 0}, pah.load(path):totable())
    for version = 2, 3 do
      write("\147NUMPY" .. string.char(version, 0) .. "v\0\0\0" .. golden:sub(11))
      assert.same({{1, 2, 3}, {4, 5, 6}}, pah.load(path):totable())
    end
  end)

  it("refuses lies by the file's name", function()
    refused("", "not a .npy file")
    refused("NUMPY" .. golden, "not a .npy file")
    refused("\147NUMPY\9\0" .. golden:sub(9), "format 9.0 is not known")
    refused(golden:sub(1, 100), "truncated: the header says 118 bytes")
    refused(golden:sub(1, -2), "holds 23 bytes of data, its shape and dtype need 24")
    refused(golden .. "x", "holds 25 bytes of data, its shape and dtype need 24")
    refused(file("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "12345678"),
      "dtype '<c8' has no equal here")
    refused(file("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", "1234"), "not a header")
    refused(file("{'descr': '<i4', 'shape': (1,), }", "1234"), "not a header")
    refused(file("{'descr': '<i4', 'fortran_order': False, 'shape': (-1,), }", "1234"), "not a header")
    refused(file("{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "1"), "9 dimensions")
    refused(file("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }", "1"), "a size of")
    refused(file("{'descr': '<i4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", ""), "2^53")
    local ok, why = pcall(pah.load, "/no/such/file.npy")
    assert.is_false(ok)
    assert.is_truthy(why:find("/no/such/file.npy: No such file", 1, true), why)
    ok, why = pcall(pah.load, "/tmp")
    assert.is_false(ok)
    assert.is_truthy(why:find("/tmp", 1, true), why)
  end)

  it("loads or refuses by name a file with any byte flipped or cut off", function()
    local function survives(bytes, note)
      write(bytes)
      local ok, why = pcall(pah.load, path)
      assert.is_true(ok or tostring(why):find(path, 1, true) ~= nil, note .. ": " .. tostring(why))
      return ok
    end
    for n = 0, #golden - 1 do assert.is_false(survives(golden:sub(1, n), "length " .. n)) end
    local r = model.random(60000)
    for trial = 1, 300 do
      local at = r(1, 80)
      survives(golden:sub(1, at - 1) .. string.char(r(0, 255)) .. golden:sub(at + 1),
        ("seed %d trial %d"):format(model.seed, trial))
    end
  end)
end)
