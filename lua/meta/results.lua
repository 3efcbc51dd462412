-- results.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

pah.results = {}

---arguments of `pah.sweep`
---@class pah.SweepArgs
---@field name? string # of the run
---@field axes table[] # `{name=, values=}` or `{name=, value, ...}` each, in order; or `{name = list}`
---@field where? function # where(p): whether a point is measured
---@field files? string[] # paths that the numbers depend on
---a point that fails is a row that says so, or ends the sweep; default: row, but the sweep ends where its first five
---points fail alike
---@field on_error? "row"|"stop"
---axes: points that differ in these alone are in one shard ([many-machines.md](many-machines.md))
---@field together? string[]
---@field run function # run(p): a result of `pah.bench`, a table of values, or both
---@field store? string # results file, `.db` or `.jsonl`
---@field seed? integer # of the order of the points
---@field rounds? integer # how often every point is measured
---@field resume? boolean # false: not
---@field fresh? boolean # begin a new run in the file
---@field quiet? boolean # no progress
---@field options? table # kept in the header
---@field limits? any # kept in the header
---@field device? pah.device # named in the header
---@field setup? function # called once before the first point
---@field shard? string # "I/N": only part I of N of the points

---`run(p)` at every point of the grid: the rows, with `failed`, `run` (the run's id) and `header`; see
---[results.md](results.md)
---```lua
---local rows = pah.sweep{axes = {{name = "n", values = {1, 2}}}, run = function(p) return {square = p.n ^ 2} end,
---  quiet = true, device = "cpu"}
---print(#rows, rows[1].key, rows[1].values.square)
---```
---@param args pah.SweepArgs
---@return table rows
function pah.sweep(args) end

---arguments of `pah.experiment`
---@class pah.ExperimentArgs
---@field name? string # of the run
---@field axes table[] # `{name=, values=}` or `{name=, value, ...}` each, in order; or `{name = list}`
---@field where? function # where(p): whether a point is measured
---@field files? string[] # paths that the numbers depend on
---a point that fails is a row that says so, or ends the sweep; default: row, but the sweep ends where its first five
---points fail alike
---@field on_error? "row"|"stop"
---axes: points that differ in these alone are in one shard ([many-machines.md](many-machines.md))
---@field together? string[]
---@field run function # run(p, context, opt), as in a sweep
---@field about? string # first line of `--help`
---@field options? table # as for `pah.options`
---@field setup? function # setup(opt) -> context, once before the first point
---@field check? function # check(p, context, opt) -> values of the row, before the first round's run of a point
---@field report? function # report(rows, opt), instead of the table

---a sweep whose options and axes are flags of the command line; returns its rows; see [results.md](results.md)
---@param args pah.ExperimentArgs
---@return table rows
function pah.experiment(args) end

---a results file (`.db`, `.sqlite`, `.jsonl`): `{path=, format=, runs={{id=, header=, rows={...}}, ...},
---notes={...}}`. Of a run that was measured on several machines `header.machines` lists them, and `row.machine` is
---the place in that list
---@param path string
---@return table
function pah.results.read(path) end

---the runs of one experiment, such as shards from several machines, as one run of the new file `out`: `{runs=,
---notes=}`; see [many-machines.md](many-machines.md#merging)
---@param paths string[]
---@param out string
---@param args? pah.MergeArgs
---@return table
function pah.results.merge(paths, out, args) end

---options of `pah.results.merge`
---@class pah.MergeArgs
---@field replace? boolean # `out` may be there already, and is replaced

---begins a run in the file. Of the header only what cannot be found out need be given: `name`, `axes`, `seed`,
---`options`
---@param path string
---@param header table
---@return pah.Store
function pah.results.open(path, header) end

---resumes the last run of that name, or begins one: store, and the list of rows that it has. An error names what has
---changed since
---@param path string
---@param header table
---@return pah.Store store
---@return table[] rows
function pah.results.resume(path, header) end

---a run in a results file, to which rows are added
---@class pah.Store
---@field run string # the run's id
---@field header table # the run's header
---@field path string # the file
local Store = {}

---returns when the row is on the disk
---@param row table
---@return table
function Store:add(row) end

---adds all rows of a list in fewer steps; they are on the disk when it returns
---@param rows table[]
function Store:add_all(rows) end

---ends the run
function Store:close() end

---arguments of `pah.plot`; the first, without a name, are the results: a path, what `pah.results.read` returns, a
---run, runs, rows or results of bench
---@class pah.PlotArgs
---@field rows? table # the results by another name, as are those that follow
---@field run? table # a run
---@field runs? table # runs
---@field kind? "curve"|"heat"|"roofline"|"bars"|"samples" # kind of picture; default: chosen from the results
---@field x? string # horizontal axis
---@field y? string # vertical axis of a heat map
---@field by? string|string[] # axes that distinguish lines
---number to draw: median, bytes_per_second, flops_per_second, fraction, or another of the results
---@field metric? string
---@field where? table # `{axis = value}` of the points to draw
---@field out? string # `.svg`, `.png` or `.pdf`; default: text on standard output
---@field title? string # of the picture
---@field theme? string # colours of the file: "light", "dark", or "auto" (only SVG): those that its reader prefers
---@field width? integer # pixels of the file, or characters of the terminal

---a picture of results: a curve, a heat map, a roofline, bars or samples. Returns the path that was written.
---[report.md](report.md) has every option
---```lua
---pah.plot{{{axes = {n = 1}, result = {median = 1}}, {axes = {n = 2}, result = {median = 4}}}, x = "n"}
---```
---@param args pah.PlotArgs
---@return string
function pah.plot(args) end

---arguments of `pah.report`; the first, without a name, are the results
---@class pah.ReportArgs
---@field runs? table # the results by another name
---@field out string # the HTML file
---@field title? string # of the page

---results as one page of HTML with tables, pictures and environment. Returns the path
---@param args pah.ReportArgs
---@return string
function pah.report(args) end
