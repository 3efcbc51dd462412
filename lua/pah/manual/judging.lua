-- judging.lua - manual: kernels of any origin held to the table of cases.
local quick = [[
local verdict = pah.judge{op = "decode", device = "cpu", run = function(a) pah.decode(a) end, cases = {{}}}
]]

return {
  {record = "JudgeSpec", "what `pah.judge` takes", fields = [[
    op: "fwd"|"fwd_fp8"|"bwd"|"decode"|"merge"|"kv_append"  the operation
    run: function           `run(a, case)` fills `a.out` and `a.lse` (bwd: `a.dq`, ...)
    device?: device         default `pah.device()`
    supports?: table|function  options that the kernel takes, or `function(case)`; what is not named is taken
    cases?: string|table    `"all"` (default), `"quick"`, a text or pattern of names, or a list of cases
    invariant?: string[]    `"repeat"`, `"batch"`, `"blocks"`, `"block_size"`, `"splits"`: what must not change a bit
    schedules?: string[]    sim: `"order"`, `"reverse"`, `"random"`
    score?: function        the oracle's `score(s, b, h, i, j)`
    mask?: function         the oracle's `mask(b, h, i, j)`
    name?: string           of the verdict; default op
    progress?: function     called with the number of a case, of all, and the case
    line?: function         of a case: the line that runs it alone]]},
  {"pah.judge(spec: JudgeSpec) -> Verdict", [[
    holds a kernel to the table of cases: permuted tables, NaN in what is not in use, the float64 oracle]],
    example = quick .. "print(verdict)"},
  {class = "Verdict", "what a kernel has passed; prints as a table by option and the failures"},
  {"Verdict.ok: boolean", "nothing failed, and something was run"},
  {"Verdict.passed: integer", "cases"},
  {"Verdict.failed: integer", "cases"},
  {"Verdict.pending: integer", "cases that the kernel does not support"},
  {"Verdict.failures: table[]", "`{case=, what=, where=, cause=, alone=}` each"},
  {"Verdict.pendings: table[]", "`{case=, why=}` each"},
  {"Verdict.seconds: number", "that it took"},
  {"pah.probe(run: function, args: table, place: table) -> number[], number[], integer?", [[
    the weights that `run(args)` gives to the keys of the query `{sequence=, query=, head=}` (from 0), the
    oracle's, and the first key that differs]], example = [[
local a = {q = pah.randn{1, 2, 1, 8}, k_blocks = pah.randn{2, 16, 2, 8}, v_blocks = pah.randn{2, 16, 2, 8},
  block_table = pah.tensor({{1}}, {dtype = "i32"}), seqused_k = pah.tensor({5}, {dtype = "i32"}),
  out = pah.zeros{1, 2, 1, 8}, lse = pah.zeros{1, 2, 1}}
print(pah.probe(function(x) pah.decode(x) end, a, {sequence = 0, query = 0, head = 1}))
]]},
  {record = "WorkerSpec", "what `pah.worker` takes", fields = [[
    command: string[]       the program and its words: `{"python3", "my_kernel.py"}`
    name?: string           in errors; default the last word
    timeout?: number        seconds of a call; default 60
    start_timeout?: number  seconds until it is ready; default 120]]},
  {"pah.worker(spec: WorkerSpec) -> Worker", [[
    starts a process that serves calls; [judging.md](judging.md#kernels-in-a-process-of-their-own)]]},
  {class = "Worker", "a process that serves calls"},
  {"Worker.run: function", "`w.run(op)` is a `run(a, case)` for `pah.judge`, `pah.probe`, `pah.bench_attention`"},
  {"Worker:close() -> string?", "ends it"},
  {"Worker.info: table", "what it says of itself: `ops`, `versions`"},
  {"Worker.kernels: string[]", "what the last timed call launched, where the worker knows"},
}
