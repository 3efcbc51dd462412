-- program.lua - manual: the program itself, options of a script, and looking at values.
return {
  {record = "WordLimits", "what a script takes besides options", fields = [[
    words?: integer  how many words that are no options there may be; default: any number]]},
  {"pah.version: string", "the program's version"},
  {"pah.help(x?: any)", [[
    prints what the manual says of a function, an object or a name; `?x` and `x?` at the prompt do the same, and
    `pah help NAME` in a shell. Without x: an overview]], example = 'pah.help(pah.decode)'},
  {"pah.inspect(x: any) -> string", [[
    a value as text: tables readable, elided where they are long; `print` shows tables so]],
    example = "print(pah.inspect{1, 2, {name = 'q'}})"},
  {"pah.clock() -> number", "monotonic seconds", example = "local start = pah.clock()\nprint(pah.clock() - start)"},
  {"pah.threads(n?: integer) -> integer", "the threads of the cpu kernels; with n, sets them",
    example = "print(pah.threads())"},
  {"pah.options(declared: {[string]: table}, limits?: WordLimits) -> table", [[
    declares the options of a script, `name = {"help", default, choices=, type=, short=}`, and reads them from
    its command line]], example =
    'local opt = pah.options{batch = {"sequences in the batch", 16}}\nprint(opt.batch)'},
  {"pah.range(a: number, b: number, step?: number) -> number[]", "a list for an axis: a, a + step, ... up to b",
    example = "pah.range(1, 4)"},
  {"pah.powers(a: number, b: number, base?: number) -> number[]", [[
    a list for an axis: a, a base, a base^2, ... up to b]],
    example = "pah.powers(64, 4096)"},
}
