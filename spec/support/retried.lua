-- retried.lua - retried(f): f(), again if it fails, five times at most. For what a busy machine can spoil: f must fail
-- each time that what it asserts is not so.
return function(f)
  for try = 1, 5 do
    local ok, why = pcall(f)
    if ok then return end
    if try == 5 then error(why, 0) end
  end
end
