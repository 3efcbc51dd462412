-- cpu_balance.lua - how evenly the threads of the cpu are at work on ragged batches: the busiest one's processor time
-- over the mean of all, per call, median of the rounds: `OMP_WAIT_POLICY=passive pah scripts/studies/cpu_balance.lua`.
-- Threads that wait must sleep for that, or they would count as busy. The caller's checks and plan count as its own
-- work. The exit code is 1 if a row is above what it must be at most.
local ffi = require "ffi"
local C = require("pah.ffi").C
local median = require("pah.measure.stats").median

local opt = pah.options{
  rows = {"Lua pattern of the rows to measure", "."},
  rounds = {"calls of each", 15},
  threads = {"threads", pah.threads()},
  must = {"the busiest thread's time over the mean, at most", 1.15},
}
if (os.getenv "OMP_WAIT_POLICY" or ""):lower() ~= "passive" then
  error("set OMP_WAIT_POLICY=passive: threads that wait would else count as busy", 0)
end
pah.threads(opt.threads)

-- ---- Processor time of one thread ---------------------------------------------------------------------------------

ffi.cdef [[
struct balance_time { long seconds, nanoseconds; };
int balance_clock(int clock, struct balance_time *t) __asm__("clock_gettime");
int balance_process(void) __asm__("getpid");
]]
local moment = ffi.new "struct balance_time"

-- Seconds of thread `id`: Linux has a clock for each (man 3 pthread_getcpuclockid).
local function busy(id)
  if ffi.C.balance_clock(bit.bor(bit.lshift(bit.bnot(id), 3), 6), moment) ~= 0 then return 0 end
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) * 1e-9
end

local function thread_ids()
  local ids, list = {}, io.popen(("ls /proc/%d/task"):format(ffi.C.balance_process()))
  for line in list:lines() do ids[#ids + 1] = tonumber(line) end
  list:close()
  return ids
end

-- The busiest thread's time over the mean of opt.threads, and seconds by the clock.
local function balance(call)
  call() -- starts the team
  local ids, ratios, walls = thread_ids(), {}, {}
  for i = 1, opt.rounds do
    local before, most, all = {}, 0, 0
    for n, id in ipairs(ids) do before[n] = busy(id) end
    local start = C.pah_clock()
    call()
    walls[i] = C.pah_clock() - start
    for n, id in ipairs(ids) do
      local spent = busy(id) - before[n]
      most, all = math.max(most, spent), all + spent
    end
    ratios[i] = most / (all / opt.threads)
  end
  return median(ratios), median(walls)
end

-- ---- Batches ------------------------------------------------------------------------------------------------------

-- Sequences of {len_q, len_k}; decode takes no len_q.
local function problem(op, sequences, block_size)
  local seqlens, starts, blocks = {}, {0}, 0
  for b, s in ipairs(sequences) do
    seqlens[b], starts[b + 1], blocks = s[2], starts[b] + s[1], blocks + math.ceil(s[2] / block_size)
  end
  local block_table, seqused_k = pah.block_table{seqlens = seqlens, block_size = block_size, num_blocks = blocks,
    seed = 1, device = "cpu"}
  local function random(shape, seed) return pah.randn(shape, {device = "cpu", seed = seed, dtype = "bf16"}) end
  local p = {
    q = random({op == "decode" and #sequences or starts[#starts], 32, 128}, 2),
    k_blocks = random({blocks, block_size, 8, 128}, 3), v_blocks = random({blocks, block_size, 8, 128}, 4),
    block_table = block_table, seqused_k = seqused_k,
  }
  if op ~= "decode" then
    p.cu_seqlens_q, p.causal = pah.tensor(starts, {dtype = "i32", device = "cpu"}), true
  end
  p.out, p.lse = pah[op](p)
  return function() pah[op](p) end
end

-- `count` lengths, log-normal around `middle`.
local function lengths(count, middle)
  local normal, list = pah.randn({count}, {seed = 1, device = "cpu"}):totable(), {}
  for b = 1, count do list[b] = math.max(1, math.min(8192, math.floor(middle * math.exp(0.9 * normal[b])))) end
  return list
end

local function batch(list, len_q)
  local sequences = {}
  for b, n in ipairs(list) do sequences[b] = {len_q and math.min(n, len_q) or n, n} end
  return sequences
end

local one_long = {8192}
for b = 2, 32 do one_long[b] = 64 end

local rows = {
  {"decode, 128 mixed lengths, blocks of 1", "decode", batch(lengths(128, 400)), 1},
  {"decode, 8 mixed lengths, blocks of 16", "decode", batch(lengths(8, 400)), 16},
  {"decode, one of 8192 beside 31 of 64", "decode", batch(one_long), 16},
  {"fwd, 16 mixed lengths", "fwd", batch(lengths(16, 400)), 16},
  {"fwd, one of 2048 beside 15 of 64", "fwd", batch({2048, unpack(one_long, 18)}), 16},
  {"fwd, 128 queries at most of 16 mixed lengths", "fwd", batch(lengths(16, 1000), 128), 16},
}

local failed = false
print(("cpu: %s, %d threads; must be <= %.2f"):format(pah.device("cpu"):info().model, opt.threads, opt.must))
for _, r in ipairs(rows) do
  if r[1]:find(opt.rows) then
    local ratio, seconds = balance(problem(r[2], r[3], r[4]))
    failed = failed or ratio > opt.must
    print(("%-46s %6.3f   %-4s %.1f ms"):format(r[1], ratio, ratio <= opt.must and "ok" or "FAIL", seconds * 1e3))
  end
end
os.exit(failed and 1 or 0)
