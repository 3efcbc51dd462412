-- judging.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

---what `pah.judge` takes
---@class pah.JudgeSpec
---@field op "fwd"|"fwd_fp8"|"bwd"|"decode"|"merge"|"kv_append" # the operation
---@field run function # `run(a, case)` fills `a.out` and `a.lse` (bwd: `a.dq`, ...)
---@field device? pah.device # default `pah.device()`
---@field supports? table|function # options that the kernel takes, or `function(case)`; what is not named is taken
---@field cases? string|table # `"all"` (default), `"quick"`, a text or pattern of names, or a list of cases
---`"repeat"`, `"batch"`, `"blocks"`, `"block_size"`, `"splits"`: what must not change a bit
---@field invariant? string[]
---@field schedules? string[] # sim: `"order"`, `"reverse"`, `"random"`
---@field score? function # the oracle's `score(s, b, h, i, j)`
---@field mask? function # the oracle's `mask(b, h, i, j)`
---@field name? string # of the verdict; default op
---@field progress? function # called with the number of a case, of all, and the case
---@field line? function # of a case: the line that runs it alone

---holds a kernel to the table of cases: permuted tables, NaN in what is not in use, the float64 oracle
---```lua
---local verdict = pah.judge{op = "decode", device = "cpu", run = function(a) pah.decode(a) end, cases = {{}}}
---print(verdict)
---```
---@param spec pah.JudgeSpec
---@return pah.Verdict
function pah.judge(spec) end

---what a kernel has passed; prints as a table by option and the failures
---@class pah.Verdict
---@field ok boolean # nothing failed, and something was run
---@field passed integer # cases
---@field failed integer # cases
---@field pending integer # cases that the kernel does not support
---@field failures table[] # `{case=, what=, where=, cause=, alone=}` each
---@field pendings table[] # `{case=, why=}` each
---@field seconds number # that it took
local Verdict = {}

---the weights that `run(args)` gives to the keys of the query `{sequence=, query=, head=}` (from 0), the oracle's,
---and the first key that differs
---```lua
---local a = {q = pah.randn{1, 2, 1, 8}, k_blocks = pah.randn{2, 16, 2, 8}, v_blocks = pah.randn{2, 16, 2, 8},
---  block_table = pah.tensor({{1}}, {dtype = "i32"}), seqused_k = pah.tensor({5}, {dtype = "i32"}),
---  out = pah.zeros{1, 2, 1, 8}, lse = pah.zeros{1, 2, 1}}
---print(pah.probe(function(x) pah.decode(x) end, a, {sequence = 0, query = 0, head = 1}))
---```
---@param run function
---@param args table
---@param place table
---@return number[]
---@return number[]
---@return integer?
function pah.probe(run, args, place) end

---what `pah.worker` takes
---@class pah.WorkerSpec
---@field command string[] # the program and its words: `{"python3", "my_kernel.py"}`
---@field name? string # in errors; default the last word
---@field timeout? number # seconds of a call; default 60
---@field start_timeout? number # seconds until it is ready; default 120

---starts a process that serves calls; [judging.md](judging.md#kernels-in-a-process-of-their-own)
---@param spec pah.WorkerSpec
---@return pah.Worker
function pah.worker(spec) end

---a process that serves calls
---@class pah.Worker
---@field run function # `w.run(op)` is a `run(a, case)` for `pah.judge`, `pah.probe`, `pah.bench_attention`
---@field info table # what it says of itself: `ops`, `versions`
---@field kernels string[] # what the last timed call launched, where the worker knows
local Worker = {}

---ends it
---@return string?
function Worker:close() end
