-- cases_spec.lua - every case of lua/pah/judge/cases.lua on every usable device with every kernel, against the oracle;
-- on the cpu the kernels of every instruction set that runs here, all judged by one evaluation of it. What a kernel
-- refuses as unsupported is pending and counted, so that nothing can hide; the cpu and the naive kernels may refuse
-- nothing. On sim a finding is a failure; each case runs in one of the three schedules, in turn, and some of them in
-- all. There, four of five are tagged slow: the sanitizer build leaves them to the plain one.
local cases = require "pah.judge.cases"
local isas = require "spec.support.isas"
local judge = require "pah.judge.budget"
local problems = require "pah.judge.problem"

local all = cases.all()
-- A sample of the cases: every PAH_CASES_EVERY-th, from the PAH_CASES_FROM-th on.
local every, from = tonumber(os.getenv "PAH_CASES_EVERY" or 1), tonumber(os.getenv "PAH_CASES_FROM" or 0)
-- Of these, on sim, the fast kernels take every PAH_CASES_FAST_EVERY-th, for there are several and each is long.
local fast_every = tonumber(os.getenv "PAH_CASES_FAST_EVERY" or 1)
-- cuda over the test driver is as slow as sim.
local simulated = {sim = true, cuda = os.getenv "PAH_LIBCUDA" ~= nil}
local schedules = {"order", "reverse", "random"}

-- Kernels of a device by operation.
local function kernels_of(kind)
  local by_op = {}
  for _, kernel in ipairs(pah.kernels()) do
    if kernel.device == kind then
      by_op[kernel.op] = by_op[kernel.op] or {}
      table.insert(by_op[kernel.op], kernel.name)
    end
  end
  return by_op
end

-- The names that a kind of device is opened by: on the cpu one for each instruction set, or the one of PAH_ISA; on sim
-- the architecture that a kernel is for.
local function targets_of(kind, kernel)
  if kind == "sim" and (kernel == "sm90" or kernel == "mla") then return {"sim:sm_90a"} end
  if kind ~= "cpu" or (os.getenv "PAH_ISA" or "") ~= "" then return {kind} end
  local names = {}
  for i, isa in ipairs(isas.usable) do names[i] = "cpu:" .. isa end
  return names
end

-- Whether a kernel may refuse nothing: those of the cpu, and the naive ones.
local function takes_all(device, kernel) return device.name:match "^cpu" or kernel == "naive" end

-- Complaints, or "refused" and why. `oracle` keeps what the kernels of a case are judged by.
local function run(case, device, kernel, oracle)
  local problem = problems.build(case, device)
  local ok, results = pcall(problem.run, kernel)
  if ok then
    oracle.want = oracle.want or problem.reference()
    oracle.low_precision = oracle.low_precision or judge.low_precision(problem)
    return judge.judge(problem, results, oracle.want, oracle.low_precision)
  end
  -- Anything but a refusal in these words, "head_dim: the sm90 kernel ...", is a failure.
  local words = "[%l_]+: the " .. kernel:gsub("%W", "%%%0") .. " kernel .*$"
  local refusal = not takes_all(device, kernel) and tostring(results):match(words)
  return refusal and "refused" or {tostring(results)}, refusal
end

describe("the table of cases", function()
  it("has enough of every operation", function()
    local count = {}
    for _, case in ipairs(all) do count[case.op] = (count[case.op] or 0) + 1 end
    assert.is_true(#all >= 400, "only " .. #all)
    for _, op in ipairs {"fwd", "fwd_fp8", "bwd", "decode"} do assert.is_true(count[op] >= 80, op) end
  end)
end)

for _, entry in ipairs(pah.devices()) do
  describe("every case on " .. entry.name, function()
    if not entry.usable then
      pending(("is not run: %s"):format(entry.why or "the device is not usable"))
      return
    end
    local kind = entry.name:match "^%w+"
    local by_op, refused = kernels_of(kind), 0
    local tried = {}  -- by case, whether one of its kernels computed it
    local shares = {} -- by operation and kernel, how many cases it was asked for and computed

    -- Notes whether a kernel computed a case. One that is for other GPUs was not asked.
    local function note(case, kernel, computed, why)
      tried[case.name] = tried[case.name] or computed
      if why and why:find(" needs an sm_", 1, true) then return end
      local key = case.op .. " " .. kernel
      local share = shares[key] or {asked = 0, computed = 0}
      share.asked, share.computed = share.asked + 1, share.computed + (computed and 1 or 0)
      shares[key] = share
    end

    local function check(case, kernel)
      local complaints, oracle = {}, {}
      for _, target in ipairs(targets_of(entry.name, kernel)) do
        local found, why = run(simulated[kind] and cases.shortened(case) or case, pah.device(target), kernel, oracle)
        if found == "refused" then
          refused = refused + 1
          note(case, kernel, false, why)
          return pending(why)
        end
        for _, line in ipairs(found) do complaints[#complaints + 1] = target .. ": " .. line end
      end
      note(case, kernel, true)
      assert.same({}, complaints)
    end

    local function set(n, seed, kernel)
      if kind ~= "sim" then return end
      for _, target in ipairs(targets_of(entry.name, kernel)) do
        pah.device(target):set{schedule = schedules[n], seed = seed}
      end
    end

    local function is_due(i, kernel)
      if (i + from) % every ~= 0 then return false end
      return kind ~= "sim" or kernel == "naive" or (math.floor(i / every) + from) % fast_every == 0
    end

    local function due(i, case)
      local list = {}
      for _, kernel in ipairs(by_op[case.op] or {}) do
        if is_due(i, kernel) then list[#list + 1] = kernel end
      end
      return list
    end

    for i, case in ipairs(all) do
      for _, kernel in ipairs(due(i, case)) do
        local slow = kind == "sim" and i % 5 ~= 0 and " #slow" or ""
        it(case.name .. " " .. kernel .. slow, function()
          set(i % 3 + 1, i, kernel)
          check(case, kernel)
        end)
        if kind == "sim" and i % 25 == 0 then
          it(case.name .. " " .. kernel .. " in the other schedules" .. slow, function()
            for n = 1, 2 do
              set((i + n) % 3 + 1, i + 1, kernel)
              check(case, kernel)
            end
          end)
        end
      end
    end

    it("has a kernel for every case, and kernels refuse only what they do not list", function()
      set(1, 0)
      assert.is_true(kind ~= "cpu" or refused == 0, refused .. " refused")
      local none = {}
      for name, computed in pairs(tried) do
        if not computed then none[#none + 1] = name end
      end
      assert.same({}, none)
      for key, share in pairs(shares) do
        -- A sixth of the cases of its operation at least; V as a part of K is rare.
        local least = key == "decode mla" and 1 / 150 or 1 / 6
        assert.is_true(share.computed >= math.floor(least * share.asked / 2), -- half: of a sample
          ("%s computed %d of %d cases"):format(key, share.computed, share.asked))
        assert.is_true(every > 1 or fast_every > 1 or share.computed >= least * share.asked,
          ("%s computed %d of all %d cases"):format(key, share.computed, share.asked))
      end
    end)
  end)
end
