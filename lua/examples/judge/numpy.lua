-- numpy: a kernel in NumPy (numpy_kernel.py), served by a process of its own
local worker = pah.worker{command = {os.getenv "PYTHON" or "python3", "numpy_kernel.py"}}
return {
  {op = "decode", device = "cpu", run = worker.run "decode"},
  {op = "fwd", device = "cpu", run = worker.run "fwd"},
}
