-- normal.lua - random numbers for simulations, the same on every machine and build, which math.random is not.
--- Two functions from a seed: one gives normal numbers, the other uniform ones in (0, 1); both draw from one sequence.
return function(seed)
  local state = seed
  local function uniform()
    state = (state * 16807) % 2147483647
    return state / 2147483647
  end
  return function() return math.sqrt(-2 * math.log(uniform())) * math.cos(2 * math.pi * uniform()) end, uniform
end
