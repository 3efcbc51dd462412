-- sample.lua - a part of a list of which every run taking all would be too long: every PAH_CASES_FAST_EVERY-th entry,
-- from the PAH_CASES_FROM-th on, one at least, by turns where the list is short. scripts/test sets both, so that each
-- commit takes others; where they are not set it is the whole list. Cases: spec/attention/cases_spec.lua.
return function(list)
  local every, from = tonumber(os.getenv "PAH_CASES_FAST_EVERY" or 1), tonumber(os.getenv "PAH_CASES_FROM" or 0)
  local due = {}
  for i, entry in ipairs(list) do
    if (i + from) % every == 0 then due[#due + 1] = entry end
  end
  if #due == 0 then due[1] = list[from % #list + 1] end
  return due
end
