-- results.lua - manual: sweeps, experiments, results files, pictures and reports.
local axes = [[
  name?: string         of the run
  axes: table[]         `{name=, values=}` or `{name=, value, ...}` each, in order; or `{name = list}`
  where?: function      where(p): whether a point is measured
  files?: string[]      paths that the numbers depend on
  on_error?: "row"|"stop"  a point that fails is a row that says so, or ends the sweep; default: row, but the sweep
    ends where its first five points fail alike
  together?: string[]   axes: points that differ in these alone are in one shard ([many-machines.md](many-machines.md))
]]

return {
  {record = "SweepArgs", "arguments of `pah.sweep`", fields = axes .. [[
    run: function         run(p): a result of `pah.bench`, a table of values, or both
    store?: string        results file, `.db` or `.jsonl`
    seed?: integer        of the order of the points
    rounds?: integer      how often every point is measured
    resume?: boolean      false: not
    fresh?: boolean       begin a new run in the file
    quiet?: boolean       no progress
    options?: table       kept in the header
    limits?: any          kept in the header
    device?: device       named in the header
    setup?: function      called once before the first point
    shard?: string        "I/N": only part I of N of the points]]},
  {[[
    pah.sweep(args: SweepArgs) -> rows: table]], [[
    `run(p)` at every point of the grid: the rows, with `failed`, `run` (the run's id) and `header`; see
    [results.md](results.md)]], example = [[
local rows = pah.sweep{axes = {{name = "n", values = {1, 2}}}, run = function(p) return {square = p.n ^ 2} end,
  quiet = true, device = "cpu"}
print(#rows, rows[1].key, rows[1].values.square)]]},
  {record = "ExperimentArgs", "arguments of `pah.experiment`", fields = axes .. [[
    run: function         run(p, context, opt), as in a sweep
    about?: string        first line of `--help`
    options?: table       as for `pah.options`
    setup?: function      setup(opt) -> context, once before the first point
    check?: function      check(p, context, opt) -> values of the row, before the first round's run of a point
    report?: function     report(rows, opt), instead of the table]]},
  {[[
    pah.experiment(args: ExperimentArgs) -> rows: table]], [[
    a sweep whose options and axes are flags of the command line; returns its rows; see [results.md](results.md)]]},
  {"pah.results.read(path: string) -> table", [[
    a results file (`.db`, `.sqlite`, `.jsonl`): `{path=, format=, runs={{id=, header=, rows={...}}, ...},
    notes={...}}`. Of a run that was measured on several machines `header.machines` lists them, and `row.machine` is
    the place in that list]]},
  {"pah.results.merge(paths: string[], out: string, args?: MergeArgs) -> table", [[
    the runs of one experiment, such as shards from several machines, as one run of the new file `out`:
    `{runs=, notes=}`; see [many-machines.md](many-machines.md#merging)]]},
  {record = "MergeArgs", "options of `pah.results.merge`", fields = [[
    replace?: boolean  `out` may be there already, and is replaced]]},
  {[[
    pah.results.open(path: string, header: table) -> Store]], [[
    begins a run in the file. Of the header only what cannot be found out need be given: `name`, `axes`, `seed`,
    `options`]]},
  {[[
    pah.results.resume(path: string, header: table) -> store: Store, rows: table[] ]], [[
    resumes the last run of that name, or begins one: store, and the list of rows that it has. An error names
    what has changed since]]},
  {class = "Store", "a run in a results file, to which rows are added"},
  {"Store:add(row: table) -> table", "returns when the row is on the disk"},
  {"Store:add_all(rows: table[])", "adds all rows of a list in fewer steps; they are on the disk when it returns"},
  {"Store:close()", "ends the run"},
  {"Store.run: string", "the run's id"},
  {"Store.header: table", "the run's header"},
  {"Store.path: string", "the file"},
  {record = "PlotArgs", [[
    arguments of `pah.plot`; the first, without a name, are the results: a path, what `pah.results.read`
    returns, a run, runs, rows or results of bench]], fields = [[
    rows?: table     the results by another name, as are those that follow
    run?: table      a run
    runs?: table     runs
    kind?: "curve"|"heat"|"roofline"|"bars"|"samples"  kind of picture; default: chosen from the results
    x?: string       horizontal axis
    y?: string       vertical axis of a heat map
    by?: string|string[]  axes that distinguish lines
    metric?: string  number to draw: median, bytes_per_second, flops_per_second, fraction, or another of the results
    where?: table    `{axis = value}` of the points to draw
    out?: string     `.svg`, `.png` or `.pdf`; default: text on standard output
    title?: string   of the picture
    theme?: string   colours of the file: "light", "dark", or "auto" (only SVG): those that its reader prefers
    width?: integer  pixels of the file, or characters of the terminal]]},
  {"pah.plot(args: PlotArgs) -> string", [[
    a picture of results: a curve, a heat map, a roofline, bars or samples. Returns the path that was written.
    [report.md](report.md) has every option]], example =
    'pah.plot{{{axes = {n = 1}, result = {median = 1}}, {axes = {n = 2}, result = {median = 4}}}, x = "n"}'},
  {record = "ReportArgs", "arguments of `pah.report`; the first, without a name, are the results", fields = [[
    runs?: table    the results by another name
    out: string     the HTML file
    title?: string  of the page]]},
  {"pah.report(args: ReportArgs) -> string", [[
    results as one page of HTML with tables, pictures and environment. Returns the path]]},
}
