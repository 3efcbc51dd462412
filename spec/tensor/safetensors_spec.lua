-- safetensors_spec.lua - .safetensors files: round trips of every dtype, the format's bytes, privacy of the mapped
-- file, every lie that a header can tell, and fuzz: a damaged file loads or is refused by its name, never worse.
local child = require "spec.support.child"
local model = require "spec.support.model"
local load, save = pah.safetensors.load, pah.safetensors.save
local path = os.tmpname()

local function write(bytes) child.write(path, bytes) end

local function file(header, data)
  return string.char(#header % 256, math.floor(#header / 256)) .. ("\0"):rep(6) .. header .. (data or "")
end

local function refused(bytes, want)
  write(bytes)
  local why = require("spec.support.refused").here(want, load, path)
  assert.is_truthy(why:find(path, 1, true), why)
end

teardown(function() os.remove(path) end)

describe("save and load", function()
  it("are inverse for every dtype, view and shape", function()
    local tensors = {}
    for _, dtype in ipairs {"f32", "f64", "f16", "bf16", "fp8_e4m3", "fp8_e5m2", "i32", "i64", "u8"} do
      for i, shape in ipairs {{}, {0}, {5}, {2, 3}, {2, 0, 3}, {3, 1, 2, 3}} do
        local t = pah.randint(0, 8, shape, {dtype = dtype, seed = i})
        tensors[dtype .. i] = #shape > 1 and t:transpose(1, 2) or t
      end
    end
    tensors["a \"name\" \226\130\172"] = pah.tensor({-9007199254740993LL}, {dtype = "i64"})
    save(path, tensors, {made_by = "a spec"})
    local back = load(path)
    for name, t in pairs(tensors) do
      assert.equal(t.dtype, back[name].dtype, name)
      assert.same(t.shape, back[name].shape, name)
      assert.same(t:totable(), back[name]:totable(), name)
      back[name] = nil
    end
    assert.is_nil(next(back))
    save(path, {})
    assert.same({}, load(path))
  end)

  it("write the format's bytes: names sorted, data aligned, nothing else left in the folder", function()
    save(path, {b = pah.tensor({1, 2}, {dtype = "u8"}), a = pah.tensor({1}, {dtype = "f32"})})
    local f = io.open(path, "rb")
    local bytes = f:read "*a"
    f:close()
    local length = bytes:byte(1) + 256 * bytes:byte(2)
    assert.equal(0, length % 8)
    local header = pah.json.decode(bytes:sub(9, 8 + length))
    assert.same({dtype = "F32", shape = {1}, data_offsets = {0, 4}}, header.a)
    assert.same({dtype = "U8", shape = {2}, data_offsets = {4, 6}}, header.b)
    assert.equal("\0\0\128\63\1\2", bytes:sub(9 + length))
    local list = io.popen(("ls '%s'.*.tmp 2>/dev/null"):format(path)):read "*a"
    assert.equal("", list)
  end)

  it("leave the file as it is when a loaded tensor is written to, and survive its overwriting", function()
    save(path, {a = pah.tensor {1, 2}})
    local t = load(path).a
    t:fill(9)
    assert.same({1, 2}, load(path).a:totable())
    save(path, {a = pah.tensor {5}})
    assert.same({9, 9}, t:totable())
    assert.same({5}, load(path).a:totable())
  end)

  it("copy what is misaligned in the file", function()
    write(file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],'
      .. '"data_offsets":[1,5]},"c":{"dtype":"BOOL","shape":[2],"data_offsets":[5,7]}}', "\7\0\0\128\63\1\0"))
    local t = load(path)
    assert.equal(7, t.a[1])
    assert.equal(1, t.b[1])
    assert.same({1, 0}, t.c:totable())
    assert.equal(0, tonumber(require("ffi").cast("intptr_t", t.b.raw.data)) % 4)
  end)

  it("refuse what cannot be written", function()
    for want, f in pairs {
      ["x: is a number, must be a tensor"] = function() save(path, {x = 1}) end,
      ["tensors is a nil, must be a table"] = function() save(path) end,
      ["name 1 is not a string"] = function() save(path, {pah.zeros {1}}) end,
      ["/no/such/folder/x"] = function() save("/no/such/folder/x", {}) end,
      ["path is a nil, must be a string"] = function() load() end,
      ["/no/such/file"] = function() load "/no/such/file" end,
    } do
      local ok, why = pcall(f)
      assert.is_false(ok, want)
      assert.is_truthy(why:find("safetensors_spec.lua", 1, true) and why:find(want, 1, true), why)
    end
  end)
end)

-- A header of one tensor "t".
local function one(fields) return file('{"t":{' .. fields .. "}}", "12345678") end

describe("a file that lies", function()
  it("is refused by its name and the tensor's", function()
    refused("1234567", "7 bytes are too few")
    refused("", "the file is empty")
    refused(("\255"):rep(8), "more than the 100000000 allowed")
    refused("\9\0\0\0\0\0\0\0{}", "its header claims 9 bytes, the file has 10")
    refused(file "{", "(header):1:2")
    refused(file "[1]", "its header is not a JSON object")
    refused(file "[]", "its header is not a JSON object")
    refused(file "7", "its header is not a JSON object")
    refused(file '{"t":7}', 'tensor "t": is not an object')
    refused(one '"shape":[2],"data_offsets":[0,8]', 'tensor "t": dtype nil is not a name')
    refused(one '"dtype":"F32","data_offsets":[0,8]', 'tensor "t": has no shape or no data_offsets')
    refused(one '"dtype":"F32","shape":[2]', 'tensor "t": has no shape or no data_offsets')
    refused(one '"dtype":"F32","shape":[-2],"data_offsets":[0,8]', 'tensor "t": shape[1] is -2')
    refused(one '"dtype":"F32","shape":[1.5],"data_offsets":[0,8]', 'tensor "t": shape[1] is 1.5')
    refused(one '"dtype":"F32","shape":["2"],"data_offsets":[0,8]', 'tensor "t": shape[1] is 2')
    refused(one '"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]', 'tensor "t": shape[1] is')
    refused(one '"dtype":"F64","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,8]', "has 9 dimensions")
    refused(one '"dtype":"F32","shape":[2],"data_offsets":[0]', "data_offsets are not two whole numbers")
    refused(one '"dtype":"F32","shape":[2],"data_offsets":[0,8,9]', "data_offsets are not two whole numbers")
    refused(one '"dtype":"F32","shape":[2],"data_offsets":[-8,0]', "data_offsets are not two whole numbers")
    refused(one '"dtype":"F32","shape":[2],"data_offsets":[8,0]', "data_offsets [8, 0] are outside the 8 bytes")
    refused(one '"dtype":"F32","shape":[3],"data_offsets":[0,12]', "data_offsets [0, 12] are outside the 8 bytes")
    refused(one '"dtype":"F32","shape":[3],"data_offsets":[0,8]', "need 12 bytes, its data_offsets hold 8")
    refused(one '"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]', 'tensor "t": shape[1]')
    refused(one '"dtype":"F32","shape":[1],"data_offsets":[0,4]', "4 bytes follow the last tensor")
    refused(one '"dtype":"F32","shape":[1],"data_offsets":[4,8]', "there is a hole of 4 bytes before tensor")
    refused(one '"dtype":"F32","shape":{"a":1},"data_offsets":[0,8]', 'tensor "t": ')
    refused(one '"dtype":["F32"],"shape":[2],"data_offsets":[0,8]', 'tensor "t": dtype')
    refused(file('{"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},"b":{"dtype":"U8","shape":[4],'
      .. '"data_offsets":[4,8]}}', "12345678"), 'tensor "b" overlaps another one')
    refused(file('{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],'
      .. '"data_offsets":[0,8]}}', "12345678"), "(header):1:")
    refused(file "null", "its header is not a JSON object")
    refused(file '{"t":null}', 'tensor "t": ')
  end)
end)

describe("a damaged file", function()
  local good = file('{"a":{"dtype":"I32","shape":[2,1],"data_offsets":[0,8]},"__metadata__":{"k":"v"},'
    .. '"bb":{"dtype":"F16","shape":[3],"data_offsets":[8,14]}}', "12345678901234")

  local function survives(bytes, note)
    write(bytes)
    local stderr = io.stderr
    io.stderr = {write = function() end} -- luacheck: ignore 122
    local ok, result = pcall(load, path)
    io.stderr = stderr -- luacheck: ignore 122
    if ok then
      for _, t in pairs(result) do t:totable() end -- reading what it says it holds is safe
    else
      assert.is_truthy(tostring(result):find(path, 1, true), note .. ": " .. tostring(result))
    end
    return ok
  end

  it("loads whole, and is refused at every truncation", function()
    assert.is_true(survives(good, "whole"))
    for n = 0, #good - 1 do assert.is_false(survives(good:sub(1, n), "length " .. n), "length " .. n) end
  end)

  it("loads or is refused with any bytes flipped", function()
    local r = model.random(70000)
    for trial = 1, 500 do
      local bytes = good
      for _ = 1, r(1, 3) do
        local at = r(1, #good)
        bytes = bytes:sub(1, at - 1) .. string.char(r(0, 3) == 0 and r(0, 255) or r(48, 57)) .. bytes:sub(at + 1)
      end
      survives(bytes, ("seed %d trial %d"):format(model.seed, trial))
    end
  end)
end)

describe("integers and dtypes that pah has not", function()
  it("are read as wider ones that hold them, at any address", function()
    write(file('{"a":{"dtype":"I8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"I16","shape":[1,2],'
      .. '"data_offsets":[3,7]},"c":{"dtype":"U16","shape":[1],"data_offsets":[7,9]},'
      .. '"d":{"dtype":"U32","shape":[2],"data_offsets":[9,17]},'
      .. '"e":{"dtype":"I16","shape":[0],"data_offsets":[17,17]}}',
      "\1\255\128" .. "\2\1\0\128" .. "\255\255" .. "\255\255\255\255\7\0\0\0"))
    local t, _, left_out = load(path)
    assert.same({{1, -1, -128}, "i32"}, {t.a:totable(), t.a.dtype})
    assert.same({{{258, -32768}}, "i32"}, {t.b:totable(), t.b.dtype})
    assert.same({{65535}, "i32"}, {t.c:totable(), t.c.dtype})
    assert.same({{4294967295, 7}, "i64"}, {t.d:totable(), t.d.dtype})
    assert.same({0}, t.e.shape)
    assert.is_nil(next(left_out))
  end)

  it("are left out with a note, and the others are there", function()
    local bytes = file('{"a":{"dtype":"U64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[2],'
      .. '"data_offsets":[8,10]},"c":{"dtype":"F4","shape":[4],"data_offsets":[10,12]}}', "123456789012")
    write(bytes)
    local text, stderr = "", io.stderr
    io.stderr = {write = function(_, s) text = text .. s end} -- luacheck: ignore 122
    local ok, t, _, left_out = pcall(load, path)
    io.stderr = stderr -- luacheck: ignore 122
    assert.is_true(ok, t)
    assert.same({57, 48}, t.b:totable())
    assert.same({a = "U64", c = "F4"}, left_out)
    assert.is_nil(t.a or t.c)
    assert.is_truthy(text:find("tensor a is left out: pah cannot read its dtype, U64\n", 1, true), text)
    refused(bytes:gsub("%[8,10%]", "[7, 9]"), "overlaps") -- its place is looked at all the same
  end)
end)

describe("more lies, and many tensors", function()
  it("a null or an object in the place of an array is refused, and strides past 2^53 are", function()
    for _, shape in ipairs {"null", "{}"} do
      refused(file('{"w":{"dtype":"U8","shape":' .. shape .. ',"data_offsets":[0,1]}}', "x"), "has no shape")
    end
    refused(file '{"w":{"dtype":"U8","shape":[0,4503599627370496,4503599627370496],"data_offsets":[0,0]}}',
      "is too large")
    refused(file "null", "is not a JSON object")
  end)

  it("more tensors load than the stack of Lua holds", function()
    local many = {}
    for i = 1, 9000 do many["t" .. i] = pah.tensor({i}, {dtype = "i32"}) end
    save(path, many, {made_by = "a spec"})
    local back, metadata = load(path)
    assert.equal(9000, back.t9000:get(1))
    assert.equal("a spec", metadata.made_by)
  end)

  it("a name or metadata that would not come back is refused", function()
    assert.has_error(function() save(path, {__metadata__ = pah.ones {1}}) end)
    assert.has_error(function() save(path, {a = pah.ones {1}}, {n = 1}) end)
  end)
end)
