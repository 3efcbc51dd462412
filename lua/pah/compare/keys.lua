-- keys.lua - the keys of compared points ("op=fwd dtype=bf16") in what people read: the name of a point without axes,
-- lists of keys that stay short, what all keys have alike. Read next: text.lua, machines.lua, results/schema.lua.
local M = {}

local SHOWN = 8 -- keys of a list that are told

--- The key; of the only point of a run without axes, words.
function M.name(key) return key ~= "" and key or "(the point)" end

--- Adds "WHAT (N): KEY; KEY ..." to the list `lines`, and `why` behind it, unless there are no keys.
function M.add(lines, what, keys, why)
  if #keys == 0 then return end
  local shown = {}
  for i = 1, math.min(#keys, SHOWN) do shown[i] = M.name(keys[i]) end
  lines[#lines + 1] = ("%s (%d): %s%s%s"):format(what, #keys, table.concat(shown, "; "),
    #keys > SHOWN and ("; %d more"):format(#keys - SHOWN) or "", why or "")
end

--- What the keys of all points have alike ("dtype=bf16"), as a list, and the keys without it; nothing where one is no
--- list of axes.
function M.alike(points)
  local lists, same, names = {}, {}, {}
  for n, point in ipairs(points) do
    lists[n] = {}
    for part in point.key:gmatch "%S+" do table.insert(lists[n], part) end
    if #lists[n] ~= #lists[1] then return {}, {} end
  end
  for n in ipairs(points) do names[n] = {} end
  for i, part in ipairs(lists[1]) do
    local differs = not part:find "="
    for n = 2, #lists do differs = differs or lists[n][i] ~= part end
    if not differs then same[#same + 1] = part end
    for n in ipairs(differs and lists or {}) do table.insert(names[n], lists[n][i]) end
  end
  for n, list in ipairs(names) do names[n] = table.concat(list, " ") end
  return same, names
end

return M
