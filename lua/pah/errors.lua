-- errors.lua - raising errors at the line of the user's script, and suggesting the nearest known key for a misspelt
-- one.
local M = {}

local library = debug.getinfo(1, "S").source:match("^(@.*)errors%.lua$")

--- Whether a function's source, as debug.getinfo tells it, is a file of lua/pah.
function M.inside(source) return source:sub(1, #library) == library end

--- Raises `message` at the line of the innermost function on the stack that is not part of lua/pah.
function M.raise(message)
  local level = 2
  while true do
    local info = debug.getinfo(level, "S")
    if not info then return error(message, 0) end
    local inside = info.what == "C" or M.inside(info.source)
    if not inside then error(message, level) end -- no tail call: it would take a level away
    level = level + 1
  end
end

--- raise(string.format(...)).
function M.raisef(format, ...)
  return M.raise(format:format(...))
end

-- Levenshtein distance: insertions, deletions and replacements of a letter.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local replaced = diagonal + (a:byte(i) == b:byte(j) and 0 or 1)
      diagonal = row[j]
      row[j] = math.min(replaced, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

--- The name in the set `known` (name -> anything) that is nearest to `name`, upper and lower case alike; nil if they
--- all differ from it in more than two thirds of its letters.
function M.nearest(name, known)
  local best, best_distance
  -- Of two as near the longer one: a letter is left out more often than it is mistaken for another.
  local function before(a, b) return #a > #b or #a == #b and a < b end
  for candidate in pairs(known) do
    local d = distance(tostring(name):lower(), tostring(candidate):lower())
    if not best or d < best_distance or d == best_distance and before(tostring(candidate), tostring(best)) then
      best, best_distance = candidate, d
    end
  end
  return best_distance and best_distance <= math.max(1, #tostring(name) * 2 / 3) and best or nil
end

--- `, did you mean "NAME"?` with the nearest name, or nothing; mark is what stands for the comma.
function M.hint(name, known, mark)
  local nearest = M.nearest(name, known)
  if nearest and tostring(nearest) == tostring(name) then return "" end -- the number 1 for the text "1", or --x for --x
  return nearest and ('%s did you mean "%s"?'):format(mark or ",", nearest) or ""
end

--- Raises unless every key of `options` (nil counts as {}) is in the set `known`; `what` names the function.
function M.check_keys(what, options, known)
  if options == nil then return end
  if type(options) ~= "table" then
    M.raisef("%s: options are a %s, must be a table", what, type(options))
  end
  for key in pairs(options) do
    if known[key] == nil then
      M.raisef("%s: unknown option %s%s", what, type(key) == "string" and '"' .. key .. '"' or tostring(key),
        M.hint(key, known))
    end
  end
end

return M
