-- measuring.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

---options of `pah.bench`
---@class pah.BenchOptions
---@field name? string # of the result; default `"call"`
---@field device? pah.device # default `pah.device()`
---@field cold? boolean # caches are flushed before every sample; default false
---@field min_time? number # seconds of samples, at least; default 0.5
---@field max_time? number # at most; default 10
---@field min_samples? integer # default 10, at least 3
---@field max_samples? integer # default 2000
---@field precision? number # half the interval over the median at which it stops; default 0.01
---@field warmup? number # seconds at most; default 2
---@field pin? boolean # each thread on its own processor; default false
---@field limits? boolean # false: none are measured
---cuda: replays of a graph of `fn` are timed; n: of n graphs by turns, the i-th of `fn(i)`
---@field graph? integer|boolean
---@field setup? function # called before every sample, not timed
---@field after? function # called after every sample, not timed
---@field time? function # in the place of the device's clock: `time(fn, calls)` gives seconds of a call
---@field turn? function # called after every sample with why it would end, or nil; says whether it ends
---@field bytes? number # of a call: the rate, and its limit
---@field flops? number # of a call
---@field dtype? pah.dtype # which peak of flops counts; default `"f32"`

---the time of `fn()` with its interval; on sim, which has no time, the counters of its launches
---```lua
---local r = pah.bench(function() pah.zeros({1000}) end, {min_time = 0, max_time = 0.02, warmup = 0.01, device = "cpu"})
---print(r)
---```
---@param fn function
---@param opts? pah.BenchOptions
---@return pah.BenchResult
function pah.bench(fn, opts) end

---a time, in seconds of a call, with all samples; prints as a few lines
---@class pah.BenchResult
---@field name string # what was measured
---@field device string # where
---@field median number # the median
---@field low number # the lower end of its 95 % interval
---@field high number # the upper end
---@field mean number # the mean
---@field min number # the shortest
---@field max number # the longest
---@field q1 number # first quartile
---@field q3 number # third quartile
---@field iqr number # q3 - q1
---@field samples number[] # all samples in order
---@field n integer # how many
---@field effective_n number # how many independent ones they are worth
---@field calls integer # calls in a sample
---@field cold boolean # whether caches were flushed
---@field overhead number # seconds of timing nothing
---@field wall number # by the clock of the host
---@field cpu number # processor time
---@field outliers integer # samples far outside the quartiles
---@field drift number # whether later samples are longer
---@field notes string[] # doubts about the number
---@field warmup table # what was done before the first sample
---@field stopped string # why it stopped: `precise`, `max_samples` or `max_time`
---@field page_faults number # of a sample
---@field huge_bytes integer # of the process in huge pages
---@field resident_bytes integer # of the process in memory
---@field governor string # of the processor's clock
---@field bytes_per_second number # with bytes
---@field flops_per_second number # with flops
---@field limit table # what the machine allows for them, measured in this run
---@field fraction number # of that limit
---@field cycles number # cuda: of the multiprocessors' clock
---@field clock_hz number # cuda: that clock
---@field clocks table # cuda: its samples
---@field throttled integer # cuda: samples thrown away for a throttled clock
local BenchResult = {}

---options of `pah.bench_attention`
---@class pah.BenchAttentionOptions
---@field name? string # of the result; default `"call"`
---@field device? pah.device # default `pah.device()`
---@field cold? boolean # caches are flushed before every sample; default false
---@field min_time? number # seconds of samples, at least; default 0.5
---@field max_time? number # at most; default 10
---@field min_samples? integer # default 10, at least 3
---@field max_samples? integer # default 2000
---@field precision? number # half the interval over the median at which it stops; default 0.01
---@field warmup? number # seconds at most; default 2
---@field pin? boolean # each thread on its own processor; default false
---@field limits? boolean # false: none are measured
---cuda: replays of a graph of `fn` are timed; n: of n graphs by turns, the i-th of `fn(i)`
---@field graph? integer|boolean
---@field setup? function # called before every sample, not timed
---@field after? function # called after every sample, not timed
---@field run? function # measured instead of the operation: run(args)
---@field verify? boolean # false: results are not checked
---@field seed? integer # of queries, places and order
---other kernels for the call, judged and timed by turns with it: `{name=, run=[, lse = false]}`
---@field against? table[]

---an operation, padded or ragged, measured with fresh queries and places for every call and with its results checked;
---with `against` also, of each, `{name=, result=, ratio = {ratio=, low=, high=}}` (its time over the first's), or
---`pending` or `error`, why there is none
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, device = "cpu"}
---local opts = {dtype = "bf16", device = "cpu"}
---local args = {q = pah.randn({2, 8, 1, 64}, opts), k_blocks = pah.randn({10, 16, 2, 64}, opts),
---  v_blocks = pah.randn({10, 16, 2, 64}, opts), block_table = block_table, seqused_k = seqused_k}
---print(pah.bench_attention("decode", args, {min_time = 0, max_time = 0.05, warmup = 0.02, limits = false}))
---```
---@param op pah.op
---@param args table
---@param opts? pah.BenchAttentionOptions
---@return pah.BenchResult
---@return table[]?
function pah.bench_attention(op, args, opts) end

---options of `pah.compare`
---@class pah.CompareOptions
---@field metric? string # median (default), mean, min, q1, q3, cpu, wall, back_to_back, or a counter of sim
---@field threshold? number # relative difference that counts as none; default 0.02
---@field each? boolean # 95 % intervals for each point alone, not for all together
---@field any? boolean # slower if any point is

---how b stands to a: results of bench (several of one name are rounds), rows of a sweep, or names of results files,
---`"FILE"`, `"FILE#RUN"`, `"FILE#all"`, each with `@axis=value` for a part. [comparing.md](comparing.md) has the
---formulas
---```lua
---local r = pah.bench(function() pah.zeros({1000}) end, {min_time = 0, max_time = 0.02, warmup = 0.01, device = "cpu"})
---print(pah.compare(r, r).all.verdict)
---```
---@param a any
---@param b any
---@param opts? pah.CompareOptions
---@return pah.Comparison
function pah.compare(a, b, opts) end

---how two sets of measurements stand to each other; prints as a table
---@class pah.Comparison
---@field points table[] # with `ratio`, `low`, `high`, `rough`, `detectable`, `verdict`, `key`, `a`, `b`, `notes`
---@field all table # the geometric mean of the points, with the same fields
---@field only_a table # points that b lacks
---@field only_b table # points that a lacks
---@field errors_a table # points that failed in a
---@field errors_b table # points that failed in b
---@field differs table # what else differs between the two: machine, versions, options
---@field notes string[] # doubts
local Comparison = {}

---0 faster or same, 1 slower, 2 undecided
---```lua
---local r = pah.bench(function() pah.zeros({1000}) end, {min_time = 0, max_time = 0.02, warmup = 0.01, device = "cpu"})
---print(pah.compare(r, r):code())
---```
---@return integer
function Comparison:code() end

---the table in Markdown
---```lua
---local r = pah.bench(function() pah.zeros({1000}) end, {min_time = 0, max_time = 0.02, warmup = 0.01, device = "cpu"})
---print(pah.compare(r, r):markdown())
---```
---@return string
function Comparison:markdown() end
