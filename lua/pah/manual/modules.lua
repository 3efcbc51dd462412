-- modules.lua - manual: your own kernels, compiled and launched.
local scale = [[
local dev = pah.device "sim"
local module = dev:compile{text = "__global__ void scale(float *x, float f, int n) {\n"
  .. "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n  if (i < n) x[i] *= f;\n}"}
]]
local launched = scale .. [[
local x = pah.ones({1000}, {device = dev})
local report = module:launch("scale", {grid = 4, block = 256}, x, 0.5, 1000)
]]

local entries = {
  {class = "Module", "a compiled CUDA C++ source"},
  {record = "CompileArgs", "what `dev:compile` takes", fields = [[
    source?: string           a path, looked for here and then beside the running script
    text?: string             or the source itself
    defines?: table           `{NAME = value}`
    include?: string|string[]  folders, searched after that of the source
    kernels?: string|string[]  instances of templates to compile at once
    std?: "c++17"|"c++20"     the C++ of the source]]},
  {[[
    Device:compile(args: CompileArgs) -> Module]], [[
    compiles a CUDA C++ source for sim or cuda. Errors are the compiler's words with file and line. Compiled
    code is cached on disk (`pah cache`); editing any file that goes in compiles anew]],
    example = scale .. "print(module)"},
  {record = "LoadArgs", "what `dev:load` takes: one path, and types", fields = [[
    cubin?: string            compiled code of others (Triton, CUTLASS)
    ptx?: string              or PTX
    fatbin?: string           or a fatbin
    params?: table            `{kernel = {"pointer", "i32", "f32", 64}}`: what a kernel takes (a number: the bytes of a
      struct); without it the driver's sizes count (CUDA 12.4), and numbers must be typed]]},
  {"Device:load(args: LoadArgs) -> Module",
    "loads compiled code of others: on a GPU, or PTX text on sim, which runs it under every check; a module as that of "
    .. "`dev:compile`"},
  {"Module:kernels() -> string[]", "names compiled so far", example = scale .. "print(module:kernels())"},
  {record = "LaunchOptions", "how a kernel is launched", fields = [[
    grid?: integer|integer[]   thread blocks: a number or `{x, y, z}`; default 1
    block?: integer|integer[]  threads of a thread block; default 1
    shared?: integer           bytes of dynamic shared memory
    cluster?: integer|integer[]  thread blocks of a cluster (sm_90); default: the kernel's `__cluster_dims__`
    cooperative?: boolean      all thread blocks run at the same time, as `grid.sync()` needs
    limit?: number             seconds until the launch is stopped
    schedule?: "order"|"reverse"|"random"  sim: the order of threads
    seed?: integer             sim: of the random schedule
    counters?: boolean         sim: default true
    processors?: integer       sim: that run thread blocks side by side, from the start; default: the device's
    problem?: table            sim: `k_blocks`, `v_blocks`, `block_table`, ...: addresses in findings are told as
      sequence, token, head and block
    allow?: string[]           sim: codes of findings that are meant, [sim.md](sim.md#findings-that-are-meant)
    on_finding?: "error"|"report"  sim: default error]]},
  {[[
    Module:launch(name: string, opts: LaunchOptions, ...: any) -> LaunchReport]], [[
    runs a kernel. `name` as it stands in the source: `"decode"`, `"ns::f"`, `"f<128, float>"`. Arguments:
    tensors of the device for pointers, `nil` for a null pointer, numbers and booleans (checked against the type
    that the compiler gives the parameter), FFI structs by value]], example = launched .. "print(x:get(1))"},
  {"Module:resources(name: string) -> table", [[
    `registers`, `shared_bytes`, `local_bytes`, `constant_bytes`, `max_threads`, `max_shared_bytes`,
    `spill_store_bytes`, `spill_load_bytes`; registers and spills are 0 on sim, which knows none]],
    example = scale .. 'print(module:resources("scale").max_threads)'},
  {"Module.device: Device", "what it is compiled for"},
  {"Module:set(name: string, value: Tensor)",
    "sets a `__device__` or `__constant__` variable, `\"x\"` or `\"ns::x\"`, to the elements of a tensor of as many "
    .. "bytes"},
  {"Module:get(name: string, value: Tensor) -> Tensor",
    "fills a contiguous tensor of the cpu with such a variable; returns it"},
  {"Module.skipped: string[]", "what of the source was left out as the host's, or not found, and which instances of "
    .. "templates the host's code launches: [sim.md](sim.md#cuda-files-of-others)"},
  {"Module.source: string", "its path, or `\"text\"`"},
  {class = "LaunchReport", "what sim saw in a launch; empty on cuda, where the launch is asynchronous"},
  {"LaunchReport.findings: table[]", "`{code=, message=, file=, line=, thread=, block=, count=}` each"},
  {"LaunchReport.counted: boolean", "whether there are counters"},
  {"LaunchReport.global: table", "`load_bytes`, `store_bytes`, `sectors`, `ideal`, `unique_bytes`"},
  {"LaunchReport.shared: table", "`bytes`, `wavefronts`, `ideal`, `static_bytes`, `dynamic_bytes`"},
  {"LaunchReport.mma: table", "`flops`"},
  {"LaunchReport.async: table", "`bytes`"},
  {"LaunchReport.thread_blocks: integer", "that ran"},
  {"LaunchReport.threads: integer", "that ran"},
  {"LaunchReport.barriers: integer", "of thread blocks"},
  {"LaunchReport.warp_barriers: integer", "of warps"},
  {"LaunchReport.shuffles: integer", "between lanes"},
  {"LaunchReport.atomics: integer", "atomic operations"},
  {"LaunchReport.occupancy: number", "share of the threads that a multiprocessor can hold"},
  {"LaunchReport.blocks_per_sm: integer", "thread blocks that fit on a multiprocessor"},
  {"LaunchReport.lines: table[]", "`{file=, line=, global=, shared=}` each, with `requests` besides"},
  {"LaunchReport.kernel: string", "its name"},
  {"LaunchReport.schedule: string", "the order of threads"},
  {"LaunchReport.seed: integer", "of the random schedule"},
  {"LaunchReport.processors: integer", "that ran its thread blocks"},
  {"LaunchReport:text() -> string", "the findings for people", example = launched .. "print(report:text())"},
  {"LaunchReport:counter_text() -> string", "the counters for people", example = launched
    .. "print(report:counter_text())"},
  {record = "TensorMapOptions", "options of `pah.tensor_map`", fields = [[
    box: integer[]           elements, one for each dimension
    swizzle?: 0|32|64|128    bytes; default 0]]},
  {"pah.tensor_map(t: Tensor, opts: TensorMapOptions) -> ffi.cdata*", [[
    a map of a tensor for the bulk tensor copies of sm_90 (TMA), passed to `launch` like a tensor; the parameter
    is `const __grid_constant__ ptx::tensor_map`]],
    example = 'local t = pah.zeros({64, 64}, {device = "sim:sm_90a", dtype = "bf16"})\n'
      .. "print(pah.tensor_map(t, {box = {8, 64}, swizzle = 128}))"},
}

for _, name in ipairs {"i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64"} do
  entries[#entries + 1] = {("pah.%s(value: number) -> any"):format(name),
    "a number of that type, for an argument of `launch`; a parameter of another type is an error",
    example = ("print(pah.%s(3))"):format(name)}
end

return entries
