-- tensors.lua - manual: making tensors and comparing them.
return {
  {class = "Tensor", [[
    a view of memory of a device: address, dtype, shape and strides. Views share memory; it is freed with the
    last of them. Indices are 1-based]]},
  {record = "TensorOptions", "options of a new tensor", fields = [[
    dtype?: dtype    element type; default `"f32"`
    device?: device  default `pah.device()`]]},
  {"pah.empty(shape: integer[], opts?: TensorOptions) -> Tensor", "uninitialised", example = "pah.empty({2, 3})"},
  {"pah.zeros(shape: integer[], opts?: TensorOptions) -> Tensor", "filled with 0",
    example = 'pah.zeros({2, 3}, {dtype = "bf16"})'},
  {"pah.ones(shape: integer[], opts?: TensorOptions) -> Tensor", "filled with 1", example = "pah.ones({4})"},
  {"pah.full(shape: integer[], value: number, opts?: TensorOptions) -> Tensor", "filled with a number",
    example = "pah.full({2, 2}, 0.5)"},
  {"pah.arange(n: integer, opts?: TensorOptions) -> Tensor", "0 to n-1", example = 'pah.arange(6, {dtype = "i32"})'},
  {"pah.tensor(value: number|table, opts?: TensorOptions) -> Tensor", "from nested tables or a number",
    example = 'pah.tensor({{1, 2, 3}, {4, 5, 6}}, {dtype = "f16"})'},
  {"pah.from(ptr: ffi.cdata*, shape: integer[], opts?: FromOptions) -> Tensor", [[
    borrows memory at an FFI pointer or array, which is kept alive with the tensor and its views]], example =
    'local ffi = require "ffi"\nlocal array = ffi.new("float[6]", {1, 2, 3})\nprint(pah.from(array, {2, 3}, '
    .. '{device = "cpu"}))'},
  {record = "FromOptions", "options of `pah.from`", fields = [[
    dtype?: dtype    what lies there; default `"f32"`
    device?: device  whose memory it is; default `pah.device()`
    owner?: any      kept alive as long as the tensor and its views]]},
  {record = "RandnOptions", "options of `pah.randn`", fields = [[
    seed?: integer   0 to 2^53; without it a counter that starts at `$PAH_SEED`, else 0
    mean?: number    default 0
    scale?: number   standard deviation; default 1
    dtype?: dtype    default `"f32"`
    device?: device  default `pah.device()`]]},
  {record = "RandOptions", "options of `pah.rand`", fields = [[
    seed?: integer   as for `pah.randn`
    low?: number     default 0
    high?: number    default 1
    scale?: number   factor of low and high; default 1
    dtype?: dtype    default `"f32"`
    device?: device  default `pah.device()`]]},
  {record = "RandintOptions", "options of `pah.randint`", fields = [[
    seed?: integer   as for `pah.randn`
    low?: integer    where it is not an argument; default 0
    high?: integer   where it is not an argument
    dtype?: dtype    default `"i64"`
    device?: device  default `pah.device()`]]},
  {record = "SeedOptions", "options of `pah.randperm`", fields = [[
    seed?: integer   as for `pah.randn`
    dtype?: dtype    default `"i64"`
    device?: device  default `pah.device()`]]},
  {"pah.randn(shape: integer[], opts?: RandnOptions) -> Tensor", "normal numbers; the same bits on every device",
    example = 'pah.randn({2, 8, 1, 64}, {seed = 1, dtype = "bf16"})'},
  {"pah.rand(shape: integer[], opts?: RandOptions) -> Tensor", "uniform numbers in [low, high)",
    example = "pah.rand({4}, {seed = 1})"},
  {"pah.randint(low: integer, high: integer, shape: integer[], opts?: RandintOptions) -> Tensor", "whole numbers, "
    .. "low <= x < high", example = "pah.randint(0, 10, {5}, {seed = 1})"},
  {"pah.randperm(n: integer, opts?: SeedOptions) -> Tensor", "a permutation of 0 to n-1",
    example = "pah.randperm(8, {seed = 1})"},
  {"pah.is_tensor(x: any) -> boolean", "whether x is a tensor", example = "pah.is_tensor(5)"},
  {record = "AllcloseOptions", "tolerances", fields = [[
    rtol?: number  of the expected value's magnitude; default 1e-5
    atol?: number  default 1e-8]]},
  {[[
    pah.allclose(a: Tensor, b: Tensor, opts?: AllcloseOptions) -> ok: boolean, report: DiffReport]], [[
    true or false, and a report that prints as a line; `|a-b| <= atol + rtol*|b|`, equal infinities are close,
    NaN never is]], example =
    "local ok, report = pah.allclose(pah.ones({4}), pah.ones({4}))\nassert(ok, tostring(report))"},
  {"pah.diff(a: Tensor, b: Tensor) -> DiffReport", "how far two tensors are apart",
    example = "pah.diff(pah.ones({4}), pah.zeros({4})).max_abs"},
  {class = "DiffReport", "the differences of two tensors"},
  {"DiffReport.max_abs: number", "the largest difference, over elements finite in both, as those that follow"},
  {"DiffReport.max_rel: number", "the largest in relation to b"},
  {"DiffReport.mean_abs: number", "the mean difference"},
  {"DiffReport.rms: number", "root of the mean square difference"},
  {"DiffReport.rel_norm: number", "|a - b| / |b| in the 2-norm"},
  {"DiffReport.argmax: integer[]", "1-based indices of max_abs; nil if there is none"},
  {"DiffReport.nan: integer", "elements that are NaN in either"},
  {"DiffReport.mismatched: integer", "elements that are not close; of `pah.diff`, that are not equal"},
  {"DiffReport.first_mismatch: integer[]", "indices of the first of them"},
  {"DiffReport.numel: integer", "elements compared"},
}
