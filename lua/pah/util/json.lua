-- json.lua - JSON that keeps the order of keys: in FlashInfer-Trace it is the order of a kernel's arguments.
-- decode(text [, name]) -> value; objects are tables whose order json.keys gives; null is json.null; whole numbers
-- beyond 2^53 are int64 cdata. Errors read "name:line:column: ...". encode(value [, {indent=}]) is its inverse.
local ffi = require "ffi"
local errors = require "pah.errors"

local M = {}

--- What null decodes to, and encodes from.
M.null = setmetatable({}, {__tostring = function() return "null" end})

local DEPTH = 200 -- nesting beyond this is refused, so that the stack of C is never at stake
local orders = setmetatable({}, {__mode = "k"}) -- object -> list of its keys

--- Whether a value is an object that was decoded (an empty one too), and not an array.
function M.is_object(value) return orders[value] ~= nil end

--- The keys of a decoded object in the order of the text, then those added since; for other tables sorted.
function M.keys(object)
  if type(object) ~= "table" or object == M.null then
    errors.raisef("json.keys: is %s, must be a table", object == M.null and "json.null" or "a " .. type(object))
  end
  local keys, known, added = {}, {}, {}
  for _, key in ipairs(orders[object] or {}) do
    known[key] = true
    if object[key] ~= nil then keys[#keys + 1] = key end
  end
  for key in pairs(object) do
    if not known[key] then added[#added + 1] = key end
  end
  table.sort(added, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(added) do keys[#keys + 1] = key end
  return keys
end

--- Iterates over key, value in that order.
function M.pairs(object)
  local keys, i = M.keys(object), 0
  return function()
    i = i + 1
    if keys[i] ~= nil then return keys[i], object[keys[i]] end
  end
end

-- ---- Decoding ---------------------------------------------------------------------------------------------

local escapes = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/"}

local function utf8(code)
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xc0 + math.floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return string.char(0xe0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end
  return string.char(0xf0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

local function fail(p, at, message)
  local before = p.text:sub(1, at - 1)
  local line = select(2, before:gsub("\n", "")) + 1
  local column = at - (before:match ".*()\n" or 0)
  error({json = ("%s:%d:%d: %s"):format(p.name, line, column, message)}, 0)
end

local function skip(p) p.at = p.text:find("[^ \t\r\n]", p.at) or #p.text + 1 end

local function hex4(p, at)
  local digits = p.text:match("^%x%x%x%x", at)
  if not digits then fail(p, at, "\\u needs four hexadecimal digits") end
  return tonumber(digits, 16)
end

-- A \u escape whose digits start at `at`; returns its text and the place behind it.
local function unicode(p, at)
  local code = hex4(p, at)
  if code >= 0xdc00 and code < 0xe000 then fail(p, at, "a low surrogate stands alone") end
  if code < 0xd800 or code >= 0xdc00 then return utf8(code), at + 4 end
  local low = p.text:sub(at + 4, at + 5) == "\\u" and hex4(p, at + 6) or 0
  if low < 0xdc00 or low >= 0xe000 then fail(p, at, "a high surrogate stands alone") end
  return utf8(0x10000 + (code - 0xd800) * 1024 + low - 0xdc00), at + 10
end

local function read_string(p)
  local parts, at = {}, p.at + 1
  while true do
    local stop = p.text:find('[%z\1-\31"\\]', at)
    if not stop then fail(p, p.at, "the string has no end") end
    parts[#parts + 1] = p.text:sub(at, stop - 1)
    local c = p.text:sub(stop, stop)
    if c == '"' then
      p.at = stop + 1
      return table.concat(parts)
    elseif c ~= "\\" then
      fail(p, stop, "a control character in a string")
    end
    local e = p.text:sub(stop + 1, stop + 1)
    if e == "u" then
      parts[#parts + 1], at = unicode(p, stop + 2)
    else
      if not escapes[e] then fail(p, stop, "unknown escape in a string") end
      parts[#parts + 1], at = escapes[e], stop + 2
    end
  end
end

local function read_number(p)
  local whole = p.text:match("^-?0", p.at) or p.text:match("^-?[1-9]%d*", p.at)
  if not whole then fail(p, p.at, "a value is missing or is not one of JSON's") end
  local at = p.at + #whole
  local fraction = p.text:match("^%.%d+", at) or ""
  local exponent = p.text:match("^[eE][+-]?%d+", at + #fraction) or ""
  if p.text:find("^[%w.+-]", at + #fraction + #exponent) then fail(p, p.at, "a number is malformed") end
  p.at = at + #fraction + #exponent
  local value = tonumber(whole .. fraction .. exponent)
  if fraction == "" and exponent == "" and math.abs(value) >= 2 ^ 53 and #whole:gsub("-", "") <= 19 then
    local exact = ffi.new("int64_t", 0)
    for digit in whole:gmatch "%d" do exact = exact * 10 - tonumber(digit) end -- downwards: reaches -2^63
    local negative = whole:sub(1, 1) == "-"
    if exact < 0 and (negative or exact ~= -exact) then return negative and exact or -exact end
  end
  return value
end

local read_value

local function read_list(p, depth, close, item)
  p.at = p.at + 1
  skip(p)
  if p.text:sub(p.at, p.at) == close then
    p.at = p.at + 1
    return
  end
  while true do
    item(depth)
    skip(p)
    local c = p.text:sub(p.at, p.at)
    p.at = p.at + 1
    if c == close then return end
    if c ~= "," then fail(p, p.at - 1, ("',' or '%s' is missing"):format(close)) end
    skip(p)
  end
end

local function read_object(p, depth)
  local object, keys = {}, {}
  read_list(p, depth, "}", function(d)
    local at = p.at
    if p.text:sub(at, at) ~= '"' then fail(p, at, "a key is missing") end
    local key = read_string(p)
    if object[key] ~= nil then fail(p, at, ('key "%s" stands twice'):format(key)) end
    skip(p)
    if p.text:sub(p.at, p.at) ~= ":" then fail(p, p.at, "':' is missing") end
    p.at = p.at + 1
    object[key] = read_value(p, d)
    keys[#keys + 1] = key
  end)
  orders[object] = keys
  return object
end

local function read_array(p, depth)
  local array = {}
  read_list(p, depth, "]", function(d) array[#array + 1] = read_value(p, d) end)
  return array
end

function read_value(p, depth)
  if depth > DEPTH then fail(p, p.at, "nested too deeply") end
  skip(p)
  local c = p.text:sub(p.at, p.at)
  if c == "{" then return read_object(p, depth + 1) end
  if c == "[" then return read_array(p, depth + 1) end
  if c == '"' then return read_string(p) end
  local word = p.text:match("^%a+", p.at)
  if word == "true" or word == "false" or word == "null" then
    p.at = p.at + #word
    if word == "null" then return M.null end
    return word == "true"
  end
  return read_number(p)
end

--- decode without raising: the value, or nil and the message.
function M.try_decode(text, name)
  local p = {text = text, at = 1, name = name or "json"}
  local ok, value = pcall(function()
    local result = read_value(p, 0)
    skip(p)
    if p.at <= #text then fail(p, p.at, "something follows the value") end
    return result
  end)
  if ok then return value end
  if type(value) == "table" and value.json then return nil, value.json end
  error(value, 0)
end

--- The value of a JSON text; `name` stands in errors for where it comes from.
function M.decode(text, name)
  if type(text) ~= "string" then errors.raisef("json.decode: text is a %s, must be a string", type(text)) end
  local value, message = M.try_decode(text, name)
  if message then errors.raise(message) end
  return value
end

-- ---- Encoding ---------------------------------------------------------------------------------------------

local function quote(s)
  return '"' .. s:gsub('[%z\1-\31"\\]', function(c)
    for letter, char in pairs(escapes) do
      if char == c and letter ~= "/" then return "\\" .. letter end
    end
    return ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local encode_value

local function encode_table(value, indent, level, seen)
  if seen[value] then errors.raise("json.encode: a table holds itself") end
  seen[value] = true
  local array = #value > 0 or (next(value) == nil and not orders[value])
  for key in pairs(array and value or {}) do
    if type(key) ~= "number" or key % 1 ~= 0 or key < 1 or key > #value then
      errors.raisef("json.encode: key %s stands in an array", tostring(key))
    end
  end
  local parts = {}
  if array then
    for i = 1, #value do parts[i] = encode_value(value[i], indent, level + 1, seen) end
  else
    for key, item in M.pairs(value) do
      if type(key) ~= "string" then errors.raisef("json.encode: key %s is not a string", tostring(key)) end
      parts[#parts + 1] = quote(key) .. (indent and ": " or ":") .. encode_value(item, indent, level + 1, seen)
    end
  end
  seen[value] = nil
  local open, close = array and "[" or "{", array and "]" or "}"
  if not indent or #parts == 0 then return open .. table.concat(parts, indent and ", " or ",") .. close end
  local pad = "\n" .. (" "):rep(indent * (level + 1))
  return open .. pad .. table.concat(parts, "," .. pad) .. "\n" .. (" "):rep(indent * level) .. close
end

function encode_value(value, indent, level, seen)
  local kind = type(value)
  if value == M.null then return "null" end
  if kind == "table" then return encode_table(value, indent, level, seen) end
  if kind == "string" then return quote(value) end
  if kind == "boolean" then return tostring(value) end
  if kind == "cdata" and tonumber(value) then return (tostring(value):gsub("U?LL$", "")) end
  if kind ~= "number" then errors.raisef("json.encode: a %s has no form in JSON", kind) end
  if value ~= value then return '"NaN"' end -- as FlashInfer-Trace writes them
  if value == math.huge then return '"Infinity"' end
  if value == -math.huge then return '"-Infinity"' end
  if value == 0 and 1 / value < 0 then return "-0.0" end
  if value % 1 == 0 and math.abs(value) < 2 ^ 53 then return ("%d"):format(value) end
  local short = ("%.15g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
end

--- The JSON text of a value. Keys keep their order if the object was decoded, else they are sorted; an empty table
--- is []; NaN and infinities become the strings "NaN", "Infinity", "-Infinity". opts.indent: spaces per level.
function M.encode(value, opts)
  errors.check_keys("json.encode", opts, {indent = true})
  return encode_value(value, opts and opts.indent, 0, {})
end

M.exports = {json = {decode = M.decode, encode = M.encode, keys = M.keys, pairs = M.pairs, null = M.null}}

return M
