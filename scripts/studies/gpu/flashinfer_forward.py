"""flashinfer_forward.py - FlashInfer's paged forward on the rows of forward.lua, as JSON lines for its --peer option:

    pah scripts/studies/gpu/forward_rows.lua | python3 scripts/studies/gpu/flashinfer_forward.py fa3 >peer.jsonl
    pah scripts/studies/gpu/forward.lua --peer peer.jsonl

The arguments are its backends (fa2, fa3); then names of rows, all if none. Needs PyTorch with CUDA, and
`pip install flashinfer-python` (measured with 0.6.4, which compiles its kernels on first use: minutes). Times as
forward.lua takes them: 256 MB written before each call, the call between two events, medians.
"""
import itertools
import json
import sys

try:
    import torch
    import flashinfer
except ImportError as missing:
    sys.exit(f"flashinfer_forward.py: {missing}; pip install torch flashinfer-python")
if not torch.cuda.is_available():
    sys.exit("flashinfer_forward.py: PyTorch sees no GPU")

device = torch.device("cuda")
torch.manual_seed(1)
DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "fp8_e4m3": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2}
dirty = torch.empty(256 << 20, dtype=torch.uint8, device=device)
workspace = torch.empty(512 << 20, dtype=torch.uint8, device=device)


def seconds(call, budget=0.12):
    """Median and least time of a call with cold caches: 7 to 60 calls."""
    for _ in range(2):
        call()
    times = []
    while len(times) < 7 or len(times) < 60 and sum(times) < budget:
        first, last = torch.cuda.Event(True), torch.cuda.Event(True)
        dirty.zero_()
        first.record()
        call()
        last.record()
        torch.cuda.synchronize()
        times.append(first.elapsed_time(last) / 1e3)
    times.sort()
    return times[len(times) // 2], times[0]


def visible(row, queries, keys):
    """Pairs of a query and a key that it sees."""
    if not row["causal"]:
        return queries * keys
    offset, left = keys - queries, (row.get("window") or [keys, 0])[0]
    return sum(max(0, i + offset - max(0, i + offset - left) + 1) for i in range(queries))


def sums(counts):
    return torch.tensor([0] + list(itertools.accumulate(counts)), dtype=torch.int32, device=device)


def prepared(row, backend):
    """The call of a row, and its flops."""
    size, heads, kv_heads, dim, dtype = row["block_size"], row["H"], row["Hkv"], row["D"], DTYPES[row["dtype"]]
    cache = DTYPES[row["kv"]]
    if row.get("Dv") or row.get("sinks"):
        raise NotImplementedError("head_dim of v, sinks: not measured here")
    sequences = [(sq, sk) for sq, sk, count in row["kinds"] for _ in range(count)]
    blocks = [(sk + size - 1) // size for _, sk in sequences]
    table = torch.randperm(sum(blocks), device=device).int()
    half = torch.float16 if row["dtype"] == "f16" else torch.bfloat16
    kv = torch.randn(sum(blocks), 2, size, kv_heads, dim, device=device, dtype=half).to(cache)
    last = torch.tensor([(sk - 1) % size + 1 for _, sk in sequences], dtype=torch.int32, device=device)
    q = torch.randn(sum(sq for sq, _ in sequences), heads, dim, device=device, dtype=half).to(dtype)
    out = torch.empty(q.shape, device=device, dtype=half)
    wrapper = flashinfer.BatchPrefillWithPagedKVCacheWrapper(workspace, "NHD", backend=backend)
    wrapper.plan(sums([sq for sq, _ in sequences]), sums(blocks), table, last, heads, kv_heads, dim, size,
                 causal=row["causal"], window_left=row["window"][0] if row.get("window") else -1,
                 logits_soft_cap=row["softcap"], q_data_type=dtype, kv_data_type=cache, o_data_type=half)
    scales = [torch.ones(n, device=device) for n in (heads, kv_heads, kv_heads)] if dtype.itemsize == 1 else []
    flops = 4 * dim * heads * sum(visible(row, sq, sk) for sq, sk in sequences)
    return lambda: wrapper.run(q, kv, *scales, out=out), flops


backends = [a for a in sys.argv[1:] if a in ("fa2", "fa3")] or ["fa3"]
wanted = [a for a in sys.argv[1:] if a not in backends]
for line in sys.stdin:
    row = json.loads(line)
    for backend in backends if not wanted or row["name"] in wanted else []:
        said = {"name": row["name"], "peer": f"flashinfer {flashinfer.__version__} {backend}"}
        try:
            call, flops = prepared(row, backend)
            median, least = seconds(call)
            said |= {"tflops": round(flops / median / 1e12, 1), "us": round(median * 1e6, 1)}
            said["min_us"] = round(least * 1e6, 1)
        except Exception as error:  # a row of its own: the others are measured all the same
            said["fail"] = str(error)[-300:]
        print(json.dumps(said), flush=True)
