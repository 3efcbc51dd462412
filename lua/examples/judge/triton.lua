-- triton: a decode kernel in Triton (triton_kernel.py: one query, no mask, head_dim a power of two), on a GPU
local worker = pah.worker{command = {os.getenv "PYTHON" or "python3", "triton_kernel.py"}}
return {
  op = "decode", device = os.getenv "PAH_DEVICE" or "cuda", run = worker.run "decode",
  supports = {
    D = {16, 32, 64, 128, 256}, Dv = false, len_q = {1}, ragged = false, cache_dtype = {"f32", "f16", "bf16"},
    causal = true, window = false, softcap = false, sinks = false, tree = false, mla = false, -- causal hides nothing
    k_descale = false, v_descale = false,
  },
}
