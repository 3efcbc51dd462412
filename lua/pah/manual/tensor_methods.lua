-- tensor_methods.lua - manual: what a tensor is asked and does. t[i] and t[{...}] are told in doc/lua-api.md.
return {
  {"Tensor.shape: integer[]", "the sizes", example = "pah.zeros({2, 3}).shape"},
  {"Tensor.strides: integer[]", "steps between neighbours of each dimension, in elements",
    example = "pah.zeros({2, 3}):transpose(1, 2).strides"},
  {"Tensor.dtype: dtype", "the element type", example = "pah.zeros({1}).dtype"},
  {"Tensor.device: Device", "where its memory is", example = "pah.zeros({1}).device.name"},
  {"Tensor.nbytes: integer", "bytes of its elements", example = "pah.zeros({2, 3}).nbytes"},
  {"Tensor:dim() -> integer", "how many dimensions", example = "pah.zeros({2, 3}):dim()"},
  {"Tensor:size(d?: integer) -> integer", "size of dimension d (negative: from the last); without d the shape",
    example = "pah.zeros({2, 3}):size(-1)"},
  {"Tensor:numel() -> integer", "how many elements", example = "pah.zeros({2, 3}):numel()"},
  {"Tensor:is_contiguous() -> boolean", "whether the elements lie one behind another in row-major order",
    example = "pah.zeros({2, 3}):transpose(1, 2):is_contiguous()"},
  {"Tensor:get(...: integer) -> number", [[
    the element at (i, j, ...), one index per dimension; an i64 beyond 2^53 as int64 cdata]],
    example = "pah.arange(6):view(2, 3):get(2, 1)"},
  {"Tensor:set(value: number, ...: integer) -> Tensor", "sets the element at (i, j, ...); returns the tensor",
    example = "pah.zeros({2, 2}):set(5, 1, 2)"},
  {"Tensor:view(...: integer) -> Tensor", "the same elements in another shape, one size may be -1; never copies",
    example = "pah.arange(6):view(2, -1)"},
  {"Tensor:reshape(...: integer) -> Tensor", "a view where possible, else a packed copy in that shape",
    example = "pah.arange(6):view(2, 3):transpose(1, 2):reshape(6)"},
  {"Tensor:transpose(a: integer, b: integer) -> Tensor", "a view with dimensions a and b exchanged",
    example = "pah.arange(6):view(2, 3):transpose(1, 2)"},
  {"Tensor:permute(...: integer) -> Tensor", "a view: dimension i of it is dimension order[i] of the tensor",
    example = "pah.zeros({2, 3, 4}):permute(3, 1, 2).shape"},
  {"Tensor:narrow(d: integer, start: integer, length: integer) -> Tensor", [[
    a view of `length` elements of dimension d from `start`]], example = "pah.arange(6):narrow(1, 2, 3)"},
  {"Tensor:select(d: integer, i: integer) -> Tensor", "a view of element i of dimension d, one dimension less",
    example = "pah.arange(6):view(2, 3):select(2, 1)"},
  {"Tensor:expand(...: integer) -> Tensor", [[
    a view with sizes of 1 repeated; new dimensions may be put in front; -1 keeps a size]],
    example = "pah.arange(3):view(1, 3):expand(2, 3)"},
  {"Tensor:to(what: dtype|device|TensorOptions) -> Tensor", [[
    with another dtype, device or both; itself if nothing changes]], example = 'pah.arange(3):to("bf16")'},
  {"Tensor:clone() -> Tensor", "a packed copy in new memory", example = "pah.arange(3):clone()"},
  {"Tensor:copy(src: Tensor) -> Tensor", [[
    copies src, of the same shape and any dtype and device, into the tensor; returns it]],
    example = "pah.zeros({3}):copy(pah.arange(3))"},
  {"Tensor:fill(value: number) -> Tensor", "sets every element; returns the tensor",
    example = "pah.zeros({3}):fill(2)"},
  {"Tensor:zero() -> Tensor", "sets every element to 0; returns the tensor", example = "pah.ones({3}):zero()"},
  {"Tensor:contiguous() -> Tensor", "itself if it is contiguous, else a packed copy",
    example = "pah.zeros({2, 3}):transpose(1, 2):contiguous().strides"},
  {"Tensor:hash() -> string", "16 hexadecimal digits that depend on every bit of the values, the same on every device",
    example = "pah.arange(3):hash()"},
  {"Tensor:item() -> number", "the number in a tensor of one element", example = "pah.full({1}, 7):item()"},
  {"Tensor:totable() -> table", "nested tables of numbers", example = "pah.arange(4):view(2, 2):totable()"},
  {"Tensor:data() -> ffi.cdata*", [[
    FFI pointer to the first element, 0-based: `float`, `double`, `int32_t`, `int64_t`, `uint8_t`, or the bits
    of f16, bf16 and fp8. The tensor must stay referenced while it is used]],
    example = 'pah.arange(3, {device = "cpu"}):data()[2]'},
  {"Tensor:save(path: string)", [[
    writes a `.npy` file, or a `.safetensors` file with the one tensor, named `tensor`; beside the path, then
    renamed]],
    example = 'pah.arange(3):save "three.npy"\nprint(pah.load "three.npy")'},
  {"Tensor:free()", "releases this view's share of the memory now; using it afterwards is an error",
    example = "pah.zeros({3}):free()"},
}
