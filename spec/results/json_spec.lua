-- json_spec.lua - pah.json: values, order of keys, exact integers, places in errors, and fuzz: a broken text is decoded
-- or refused by name, never worse.
local model = require "spec.support.model"
local decode, encode, null = pah.json.decode, pah.json.encode, pah.json.null

local function refused(text, want)
  local ok, why = pcall(decode, text, "x.json")
  assert.is_false(ok, text .. " was decoded")
  assert.is_truthy(why:find("json_spec%.lua:%d+: ") or why:find("^x%.json"), why)
  assert.is_truthy(why:find("x.json:" .. want, 1, true), why)
end

describe("decode", function()
  it("reads every kind of value", function()
    local v = decode ' {"a": [1, -2.5e3, 0, true, false, null, "x"], "b": {}, "c": []} '
    assert.same({1, -2500, 0, true, false, null, "x"}, v.a)
    assert.equal(null, v.a[6])
    assert.same({}, pah.json.keys(v.b))
    assert.equal("{}", encode(v.b))
    assert.equal("[]", encode(v.c))
    assert.equal(7, decode "7")
    assert.equal("null", tostring(decode "null"))
  end)

  it("keeps the order of keys", function()
    local v = decode '{"z": 1, "a": 2, "m": 3}'
    assert.same({"z", "a", "m"}, pah.json.keys(v))
    local seen = {}
    for key, item in pah.json.pairs(v) do seen[#seen + 1] = key .. item end
    assert.same({"z1", "a2", "m3"}, seen)
    assert.equal('{"z":1,"a":2,"m":3}', encode(v))
    assert.same({"a", "b"}, pah.json.keys {b = 1, a = 2})
  end)

  it("reads escapes and surrogate pairs", function()
    assert.equal('"\\/\b\f\n\r\t', decode [["\"\\\/\b\f\n\r\t"]])
    assert.equal("A\195\169\226\130\172\240\157\132\158", decode [["\u0041\u00e9\u20ac\ud834\udd1e"]])
    refused([["\ud834"]], "1:4: a high surrogate stands alone")
    refused([["\udd1e"]], "1:4: a low surrogate stands alone")
    refused([["\u12g4"]], "1:4: \\u needs four hexadecimal digits")
    refused([["\x"]], "1:2: unknown escape in a string")
    refused('"a\nb"', "1:3: a control character in a string")
  end)

  it("keeps whole numbers beyond 2^53 exact", function()
    assert.is_true(decode "9007199254740993" == 9007199254740993LL)
    assert.is_true(decode "9223372036854775807" == 9223372036854775807LL)
    assert.is_true(decode "-9223372036854775808" == -9223372036854775807LL - 1LL)
    assert.equal(9223372036854775808, decode "9223372036854775808")
    assert.equal("9223372036854775807", encode(decode "9223372036854775807"))
    assert.equal("number", type(decode "9007199254740991"))
  end)

  it("names line and column of what is wrong", function()
    refused("", "1:1: a value is missing")
    refused("{\n \"a\": 1,\n \"b\" 2}", "3:6:")
    refused("[1, 2", "1:6:")
    refused("[1,]", "1:4: a value is missing")
    refused("01", "1:1: a number is malformed")
    refused("1.", "1:1: a number is malformed")
    refused("-", "1:1:")
    refused("nul", "1:1:")
    refused("1 2", "1:3: something follows the value")
    refused('"abc', "1:1: the string has no end")
    refused('{"a": 1, "a": 2}', "1:")
    refused(("["):rep(100000), "1:")
  end)

  it("refuses a text that is none, at the script's line", function()
    local ok, why = pcall(decode, 5)
    assert.is_false(ok)
    assert.is_truthy(tostring(why):find("json.decode: text is a number, must be a string", 1, true), why)
  end)
end)

describe("encode", function()
  it("is the inverse of decode", function()
    for _, text in ipairs {'{"a":[1,2,{"b":null}],"c":"\\u0001\\"","d":0.1,"e":1e+300,"f":-3}', "[]", "true",
      "0.30000000000000004", "[0,-0.0]"} do
      assert.equal(text, encode(decode(text)))
    end
  end)

  it("indents", function()
    assert.equal('{\n  "a": [\n    1,\n    2\n  ],\n  "b": []\n}', encode(decode '{"a":[1,2],"b":[]}', {indent = 2}))
  end)

  it("writes what JSON has no number for as strings, and refuses the rest", function()
    assert.equal('["NaN","Infinity","-Infinity"]', encode {0 / 0, math.huge, -math.huge})
    local loop = {}
    loop[1] = loop
    for value, want in pairs {
      [loop] = "a table holds itself", [{f = print}] = "a function has no form in JSON",
      [{[true] = 1}] = "key true is not a string",
    } do
      local ok, why = pcall(encode, value)
      assert.is_false(ok)
      assert.is_truthy(why:find("json_spec.lua", 1, true) and why:find(want, 1, true), why)
    end
  end)
end)

describe("a damaged text", function()
  local text = '{"name": "x\\u00e9", "axes": {"n": {"type": "const", "value": -1.5e2}}, "l": [1, true, null, "a\\nb"]}'

  local function survives(damaged, note)
    local ok, why = pcall(decode, damaged, "broken.json")
    assert.is_true(ok or tostring(why):find("broken.json:%d+:%d+: ") ~= nil, note .. ": " .. tostring(why))
    return ok
  end

  it("is refused at every truncation", function()
    for n = 0, #text - 1 do assert.is_false(survives(text:sub(1, n), "length " .. n), "length " .. n) end
  end)

  it("is decoded or refused with any bytes flipped", function()
    local r = model.random(50000)
    for trial = 1, 1500 do
      local at = r(1, #text)
      survives(text:sub(1, at - 1) .. string.char(r(0, 255)) .. text:sub(at + 1),
        ("seed %d trial %d"):format(model.seed, trial))
    end
  end)
end)

describe("encode, of a changed table,", function()
  it("puts keys added to a decoded object behind its own and leaves out removed ones", function()
    local object = pah.json.decode '{"z":1,"y":2,"x":3}'
    object.y, object.c, object.b = nil, 5, 4
    assert.equal('{"z":1,"x":3,"b":4,"c":5}', pah.json.encode(object))
  end)

  it("refuses an array with other keys instead of dropping them", function()
    assert.has_error(function() pah.json.encode {1, 2, x = 3} end, "json.encode: key x stands in an array")
  end)
end)
