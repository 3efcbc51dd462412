-- check_cases.lua - what the cuda device does about broken tables, lengths and slots, over the test driver: run by
-- spec/gpu/cuda_spec.lua in a process of its own, as cuda_cases.lua is.
local refused = require "spec.support.refused"
local support = require "spec.driver.driver"

local driver, problem, on_cpu = support.driver, support.problem, support.on_cpu

describe("checks of the cuda device", function()
  local cuda
  setup(function() cuda = pah.device "cuda" end)

  -- The words of the host's check for contents that `change` has broken.
  local function words_of_cpu(op, args)
    local ok, why = pcall(pah[op], args)
    assert.is_false(ok)
    return (tostring(why):gsub("^.-:%d+: ", ""))
  end

  local function with(p, name, ...)
    local t = p[name]:to("cpu"):clone()
    t:set(...)
    p[name] = t:to(p.q.device)
    return p
  end

  it("refuses what tables hold by its check kernels: the same words as the cpu, and nothing is written", function()
    local broken = {
      function(p) return with(p, "block_table", 99, 1, 1) end,
      function(p) return with(p, "block_table", -1, 2, 4) end,
      function(p) return with(with(p, "block_table", 8, 2, 3), "block_table", 9, 2, 2) end, -- the first counts
      function(p) return with(p, "seqused_k", -1, 2) end,
      function(p) return with(with(p, "seqused_k", 65, 2), "block_table", 99, 1, 1) end, -- lengths come first
    }
    local function ragged(...)
      local offsets = {...}
      return function(p)
        p.q = p.q:select(3, 1):contiguous()
        p.cu_seqlens_q = pah.tensor(offsets, {dtype = "i32", device = p.q.device})
        p.op, p.num_splits = "fwd", nil
        return p
      end
    end
    broken[#broken + 1] = ragged(1, 1, 2)
    broken[#broken + 1] = ragged(0, 3, 2)
    broken[#broken + 1] = ragged(0, 1, 1)
    for i, change in ipairs(broken) do
      local p = change(problem(cuda))
      local op = p.op or "decode"
      p.op = nil
      p.out = pah.full(p.q.shape, 7, {dtype = "bf16", device = cuda})
      local words = words_of_cpu(op, on_cpu(p))
      pah[op](p)
      refused(words, cuda.synchronize, cuda)
      cuda:synchronize() -- raised once
      assert.equal(pah.full(p.q.shape, 7, {dtype = "bf16", device = "cpu"}):hash(), p.out:hash(), i)
    end
  end)

  it("refuses a call alone: others before and after it are done, the first error is the one that is raised", function()
    local want = pah.decode(on_cpu(problem(cuda))):to "f32"
    local bad, worse = with(problem(cuda), "block_table", 99, 1, 1), with(problem(cuda), "block_table", 77, 1, 1)
    local good = pah.decode(problem(cuda))
    pah.decode(bad)
    pah.decode(worse)
    local after = pah.decode(problem(cuda))
    refused("block_table[1][1]: block id 99 is outside [0, 8)", after.to, after, "cpu")
    for _, out in ipairs {good, after} do
      assert.is_true(pah.allclose(out:to("cpu"):to "f32", want, {rtol = 1e-2, atol = 1e-2}))
    end
    local p = with(problem(cuda), "seqused_k", 1000, 1)
    p.dout, p.out, p.lse = p.q, p.q, pah.zeros({2, 4, 1}, {device = cuda})
    p.num_splits, p.dq = nil, pah.full({2, 4, 1, 64}, 3, {dtype = "bf16", device = cuda})
    local _, dk = pah.bwd(p)
    refused("seqused_k[1]: 1000 is more than the table's reach of", cuda.synchronize, cuda)
    assert.equal(3, p.dq:get(2, 4, 1, 64))
    assert.equal("bf16", dk.dtype)
  end)

  it("refuses slots of kv_append, and appends nothing", function()
    local function append(device, slots)
      local pool = pah.zeros({4, 8, 2, 64}, {dtype = "bf16", device = device})
      return {k = pah.randn({#slots, 2, 64}, {seed = 1, dtype = "bf16", device = device}), k_blocks = pool,
        v = pah.randn({#slots, 2, 64}, {seed = 2, dtype = "bf16", device = device}), v_blocks = pool:clone(),
        slot_mapping = pah.tensor(slots, {dtype = "i64", device = device})}
    end
    local many = {}
    for i = 1, 700 do many[i] = -1 end
    many[300], many[650], many[651] = 5, 5, 5
    for _, slots in ipairs {{1, 2, 32}, {-2, 1}, {4, 9, -1, -1, 4, 9}, many} do
      local c = append(cuda, slots)
      pah.kv_append(c)
      refused(words_of_cpu("kv_append", append("cpu", slots)), cuda.synchronize, cuda)
      assert.equal(0, c.k_blocks:to("cpu"):to("f32"):get(1, 5, 1, 1))
    end
    local c = append(cuda, {5, -1, 6})
    pah.kv_append(c)
    assert.equal(c.k:get(1, 1, 1), c.k_blocks:get(1, 6, 1, 1))
  end)

  it("makes no call of the driver for a call but its launches", function()
    local p = problem(cuda)
    for i, kernel in ipairs {"sm80", "naive", "sm80", "naive"} do
      local check = i <= 2
      cuda:set{check = check}
      p.kernel, p.out, p.lse = kernel, nil, nil
      p.out, p.lse = pah.decode(p)
      cuda:synchronize()
      local function count() -- the watchdog's events come by the clock
        return tonumber(driver.driver_calls() - driver.driver_count "cuEventRecord"),
          tonumber(driver.driver_count "cuLaunchKernel")
      end
      local calls, launches = count()
      pah.decode(p)
      local calls_then, launches_then = count()
      local of_kernel = kernel == "naive" and 2 or 1 -- decode and combine; decode
      assert.equal(of_kernel + (check and 1 or 0), launches_then - launches)
      assert.equal(2 * (launches_then - launches), calls_then - calls) -- each makes the context current
    end
    cuda:set{check = true}
  end)

  it("finds a slot named twice among any number of tokens", function()
    local k = pah.ones({6000, 1, 8}, {device = cuda})
    local k_blocks, v_blocks = pah.zeros({600, 10, 1, 8}, {device = cuda}), pah.zeros({600, 10, 1, 8}, {device = cuda})
    for _, dtype in ipairs {"i32", "i64"} do
      local slots = pah.arange(6000, {dtype = dtype})
      slots:set(17, 5900)
      refused("slot_mapping[5900]: slot 17 is that of slot_mapping[18] too", pah.kv_append,
        {k = k, v = k, k_blocks = k_blocks, v_blocks = v_blocks, slot_mapping = slots:to(cuda)})
      assert.equal(0, k_blocks:get(2, 8, 1, 1))
      slots:set(-1, 18)
      pah.kv_append{k = k, v = k, k_blocks = k_blocks, v_blocks = v_blocks, slot_mapping = slots:to(cuda)}
      assert.equal(1, k_blocks:get(2, 8, 1, 1))
      k_blocks:zero()
    end
  end)

  it("ends a script with the error of what nobody has waited for", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write [[
      local table_ = pah.full({1, 1}, 9, {dtype = "i32", device = "cuda"})
      local q = pah.zeros({1, 1, 1, 64}, {device = "cuda"})
      local k = pah.zeros({2, 16, 1, 64}, {device = "cuda"})
      pah.decode{q = q, k_blocks = k, v_blocks = k, block_table = table_}
    ]]
    file:close()
    local pipe = io.popen(("%s %s 2>&1; echo $?"):format(os.getenv "PAH_PROGRAM", path))
    local output = pipe:read "*a"
    pipe:close()
    os.remove(path)
    assert.is_truthy(output:match "^pah: block_table%[1%]%[1%]: block id 9 is outside %[0, 2%)", output)
    assert.equal("1", output:match "(%d+)%s*$")
  end)
end)
