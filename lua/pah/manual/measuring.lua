-- measuring.lua - manual: times with intervals, and comparing them.
local quick = 'local r = pah.bench(function() pah.zeros({1000}) end, {min_time = 0, max_time = 0.02, warmup = 0.01, '
  .. 'device = "cpu"})\n'
local bench = [[
  name?: string           of the result; default `"call"`
  device?: device         default `pah.device()`
  cold?: boolean          caches are flushed before every sample; default false
  min_time?: number       seconds of samples, at least; default 0.5
  max_time?: number       at most; default 10
  min_samples?: integer   default 10, at least 3
  max_samples?: integer   default 2000
  precision?: number      half the interval over the median at which it stops; default 0.01
  warmup?: number         seconds at most; default 2
  pin?: boolean           each thread on its own processor; default false
  limits?: boolean        false: none are measured
  graph?: integer|boolean  cuda: replays of a graph of `fn` are timed; n: of n graphs by turns, the i-th of `fn(i)`
  setup?: function        called before every sample, not timed
  after?: function        called after every sample, not timed
]]

return {
  {record = "BenchOptions", "options of `pah.bench`", fields = bench .. [[
    time?: function         in the place of the device's clock: `time(fn, calls)` gives seconds of a call
    turn?: function         called after every sample with why it would end, or nil; says whether it ends
    bytes?: number          of a call: the rate, and its limit
    flops?: number          of a call
    dtype?: dtype           which peak of flops counts; default `"f32"`]]},
  {"pah.bench(fn: function, opts?: BenchOptions) -> BenchResult", [[
    the time of `fn()` with its interval; on sim, which has no time, the counters of its launches]],
    example = quick .. "print(r)"},
  {class = "BenchResult", "a time, in seconds of a call, with all samples; prints as a few lines"},
  {"BenchResult.name: string", "what was measured"},
  {"BenchResult.device: string", "where"},
  {"BenchResult.median: number", "the median"},
  {"BenchResult.low: number", "the lower end of its 95 % interval"},
  {"BenchResult.high: number", "the upper end"},
  {"BenchResult.mean: number", "the mean"},
  {"BenchResult.min: number", "the shortest"},
  {"BenchResult.max: number", "the longest"},
  {"BenchResult.q1: number", "first quartile"},
  {"BenchResult.q3: number", "third quartile"},
  {"BenchResult.iqr: number", "q3 - q1"},
  {"BenchResult.samples: number[]", "all samples in order"},
  {"BenchResult.n: integer", "how many"},
  {"BenchResult.effective_n: number", "how many independent ones they are worth"},
  {"BenchResult.calls: integer", "calls in a sample"},
  {"BenchResult.cold: boolean", "whether caches were flushed"},
  {"BenchResult.overhead: number", "seconds of timing nothing"},
  {"BenchResult.wall: number", "by the clock of the host"},
  {"BenchResult.cpu: number", "processor time"},
  {"BenchResult.outliers: integer", "samples far outside the quartiles"},
  {"BenchResult.drift: number", "whether later samples are longer"},
  {"BenchResult.notes: string[]", "doubts about the number"},
  {"BenchResult.warmup: table", "what was done before the first sample"},
  {"BenchResult.stopped: string", "why it stopped: `precise`, `max_samples` or `max_time`"},
  {"BenchResult.page_faults: number", "of a sample"},
  {"BenchResult.huge_bytes: integer", "of the process in huge pages"},
  {"BenchResult.resident_bytes: integer", "of the process in memory"},
  {"BenchResult.governor: string", "of the processor's clock"},
  {"BenchResult.bytes_per_second: number", "with bytes"},
  {"BenchResult.flops_per_second: number", "with flops"},
  {"BenchResult.limit: table", "what the machine allows for them, measured in this run"},
  {"BenchResult.fraction: number", "of that limit"},
  {"BenchResult.cycles: number", "cuda: of the multiprocessors' clock"},
  {"BenchResult.clock_hz: number", "cuda: that clock"},
  {"BenchResult.clocks: table", "cuda: its samples"},
  {"BenchResult.throttled: integer", "cuda: samples thrown away for a throttled clock"},
  {record = "BenchAttentionOptions", "options of `pah.bench_attention`", fields = bench .. [[
    run?: function     measured instead of the operation: run(args)
    verify?: boolean   false: results are not checked
    seed?: integer     of queries, places and order
    against?: table[]  other kernels for the call, judged and timed by turns with it: `{name=, run=[, lse = false]}`]]},
  {'pah.bench_attention(op: op, args: table, opts?: BenchAttentionOptions) -> BenchResult, table[]?', [[
    an operation, padded or ragged, measured with fresh queries and places for every call and with its results
    checked; with `against` also, of each, `{name=, result=, ratio = {ratio=, low=, high=}}` (its time over the
    first's), or `pending` or `error`, why there is none]], example = [[
local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, device = "cpu"}
local opts = {dtype = "bf16", device = "cpu"}
local args = {q = pah.randn({2, 8, 1, 64}, opts), k_blocks = pah.randn({10, 16, 2, 64}, opts),
  v_blocks = pah.randn({10, 16, 2, 64}, opts), block_table = block_table, seqused_k = seqused_k}
print(pah.bench_attention("decode", args, {min_time = 0, max_time = 0.05, warmup = 0.02, limits = false}))]]},
  {record = "CompareOptions", "options of `pah.compare`", fields = [[
    metric?: string     median (default), mean, min, q1, q3, cpu, wall, back_to_back, or a counter of sim
    threshold?: number  relative difference that counts as none; default 0.02
    each?: boolean      95 % intervals for each point alone, not for all together
    any?: boolean       slower if any point is]]},
  {[[
    pah.compare(a: any, b: any, opts?: CompareOptions) -> Comparison]], [[
    how b stands to a: results of bench (several of one name are rounds), rows of a sweep, or names of results
    files, `"FILE"`, `"FILE#RUN"`, `"FILE#all"`, each with `@axis=value` for a part.
    [comparing.md](comparing.md) has the formulas]],
    example = quick .. "print(pah.compare(r, r).all.verdict)"},
  {class = "Comparison", "how two sets of measurements stand to each other; prints as a table"},
  {"Comparison.points: table[]", [[
    with `ratio`, `low`, `high`, `rough`, `detectable`, `verdict`, `key`, `a`, `b`, `notes`]]},
  {"Comparison.all: table", "the geometric mean of the points, with the same fields"},
  {"Comparison.only_a: table", "points that b lacks"},
  {"Comparison.only_b: table", "points that a lacks"},
  {"Comparison.errors_a: table", "points that failed in a"},
  {"Comparison.errors_b: table", "points that failed in b"},
  {"Comparison.differs: table", "what else differs between the two: machine, versions, options"},
  {"Comparison.notes: string[]", "doubts"},
  {"Comparison:code() -> integer", "0 faster or same, 1 slower, 2 undecided", example = quick
    .. "print(pah.compare(r, r):code())"},
  {"Comparison:markdown() -> string", "the table in Markdown",
    example = quick .. "print(pah.compare(r, r):markdown())"},
}
