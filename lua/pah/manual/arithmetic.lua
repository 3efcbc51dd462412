-- arithmetic.lua - manual: calculating with tensors. The operators themselves are told in doc/lua-api.md.
local m = "local m = pah.arange(6):view(2, 3)\n"

local entries = {
  {"Tensor:exp() -> Tensor", "e to the power of each element", example = "pah.arange(3):exp()"},
  {"Tensor:log() -> Tensor", "natural logarithm", example = "pah.ones({3}):log()"},
  {"Tensor:sqrt() -> Tensor", "square root", example = "pah.arange(3):sqrt()"},
  {"Tensor:tanh() -> Tensor", "hyperbolic tangent", example = "pah.arange(3):tanh()"},
  {"Tensor:abs() -> Tensor", "magnitude", example = "(-pah.arange(3)):abs()"},
  {"Tensor:maximum(b: Tensor|number) -> Tensor", "the larger of each two elements; NaN if either is",
    example = "pah.arange(3):maximum(1)"},
  {"Tensor:minimum(b: Tensor|number) -> Tensor", "the smaller of each two elements; NaN if either is",
    example = "pah.arange(3):minimum(1)"},
  {"Tensor:sum(d?: integer, keep?: boolean) -> Tensor|number", [[
    along dimension d a tensor without it (keep: with size 1); without d a number of all elements. Added in float64;
    of integers an i64]], example = m .. "print(m:sum(), m:sum(1), m:sum(2, true))"},
  {"Tensor:mean(d?: integer, keep?: boolean) -> Tensor|number", "the same of the mean; of integers an f32",
    example = m .. "print(m:mean(2))"},
  {"Tensor:max(d?: integer, keep?: boolean) -> Tensor|number", "the largest; NaN if there is one",
    example = m .. "print(m:max(), m:max(1))"},
  {"Tensor:min(d?: integer, keep?: boolean) -> Tensor|number", "the smallest; NaN if there is one",
    example = m .. "print(m:min(2))"},
  {"Tensor:argmax(d?: integer, keep?: boolean) -> Tensor|integer", [[
    along d an i64 tensor of 0-based places, as all values inside tensors are; without d the indices of the largest,
    1-based, as `t:get` takes them]], example = m .. "print(m:argmax(2), m:get(m:argmax()))"},
  {"Tensor:any(d?: integer, keep?: boolean) -> Tensor|boolean", "whether any element is not 0; along d a u8 tensor",
    example = m .. "print(m:gt(4):any())"},
  {"Tensor:all(d?: integer, keep?: boolean) -> Tensor|boolean", "whether all elements are not 0; along d a u8 tensor",
    example = m .. "print(m:ge(0):all(1))"},
  {"Tensor:matmul(b: Tensor) -> Tensor", [[
    `[..., m, k]` by `[..., k, n]`, leading dimensions broadcast; a vector is a row on the left and a column on the
    right; sums in float64, rounded once. For references, not for speed]],
    example = m .. "print(m:matmul(m:transpose(1, 2)))"},
  {"pah.where(condition: Tensor, a: Tensor|number, b: Tensor|number) -> Tensor",
    "the elements of a where condition is not 0, else those of b",
    example = m .. "print(pah.where(m:gt(2), m, -1))"},
  {"pah.cat(list: Tensor[], d?: integer) -> Tensor", "tensors one behind another along dimension d (1)",
    example = m .. "print(pah.cat({m, m}, 2))"},
  {"pah.stack(list: Tensor[], d?: integer) -> Tensor", "tensors of one shape along a new dimension d (1)",
    example = m .. "print(pah.stack({m, m}).shape)"},
  {record = "PrintOptions", "how tensors are printed, in the words of PyTorch", fields = [[
    precision?: integer  most digits after the point; default 4
    threshold?: integer  elements that are printed in full; default 1000
    edgeitems?: integer  items kept at each end of what is not; default 3
    linewidth?: integer  columns of a line; default 75
    sci_mode?: boolean   scientific form always, or never; default: where numbers lie far apart
    profile?: "default"|"short"|"full"  what the others are where they are not given]]},
  {"pah.set_printoptions(opts?: PrintOptions) -> PrintOptions", "returns the options as they were before",
    example = "local before = pah.set_printoptions{precision = 8}\nprint(pah.rand({3}))\npah.set_printoptions(before)"},
}

local comparisons = {{"eq", "=="}, {"ne", "~="}, {"lt", "<"}, {"le", "<="}, {"gt", ">"}, {"ge", ">="}}
for i, pair in ipairs(comparisons) do
  table.insert(entries, i + 5, {("Tensor:%s(b: Tensor|number) -> Tensor"):format(pair[1]),
    ("1 where a %s b and 0 elsewhere, u8"):format(pair[2]), example = ("pah.arange(3):%s(1)"):format(pair[1])})
end

return entries
