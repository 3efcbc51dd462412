-- torch: a kernel in PyTorch (torch_kernel.py), served by a process of its own, on the cpu or a GPU (PAH_DEVICE)
local worker = pah.worker{command = {os.getenv "PYTHON" or "python3", "torch_kernel.py"}}
local device = pah.device(os.getenv "PAH_DEVICE" or "cpu")
local supports = {
  sinks = false, tree = false, k_descale = false, v_descale = false, mla = false,
  cache_dtype = {"f32", "f16", "bf16"},
}
return {
  {op = "decode", device = device, run = worker.run "decode", supports = supports},
  {op = "fwd", device = device, run = worker.run "fwd", supports = supports},
}
