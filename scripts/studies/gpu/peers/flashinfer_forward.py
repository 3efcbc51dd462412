"""flashinfer_forward.py - FlashInfer's paged forward on the rows of forward.lua, as JSON lines for its --peer option:

    pah scripts/studies/gpu/forward_rows.lua | python3 scripts/studies/gpu/peers/flashinfer_forward.py fa3 >peer.jsonl
    pah scripts/studies/gpu/forward.lua --peer peer.jsonl

The arguments are its backends (fa2, fa3); then names of rows, all if none. Needs PyTorch with CUDA, and
`pip install flashinfer-python` (measured with 0.6.4, which compiles its kernels on first use: minutes). Times as
forward.lua takes them: 256 MB written before each call, the call between two events, medians.
"""
import json
import sys

import peer

torch, flashinfer = peer.load("flashinfer")
workspace = torch.empty(512 << 20, dtype=torch.uint8, device=peer.device)


def visible(row, queries, keys):
    """Pairs of a query and a key that it sees."""
    if not row["causal"]:
        return queries * keys
    offset, left = keys - queries, (row.get("window") or [keys, 0])[0]
    return sum(max(0, i + offset - max(0, i + offset - left) + 1) for i in range(queries))


def prepared(row, backend):
    """The call of a row, and its flops."""
    size, heads, kv_heads, dim, dtype = row["block_size"], row["H"], row["Hkv"], row["D"], peer.DTYPES[row["dtype"]]
    cache = peer.DTYPES[row["kv"]]
    if row.get("Dv") or row.get("sinks"):
        raise NotImplementedError("head_dim of v, sinks: not measured here")
    sequences = [(sq, sk) for sq, sk, count in row["kinds"] for _ in range(count)]
    blocks = [(sk + size - 1) // size for _, sk in sequences]
    table = torch.randperm(sum(blocks), device=peer.device).int()
    half = torch.float16 if row["dtype"] == "f16" else torch.bfloat16
    kv = torch.randn(sum(blocks), 2, size, kv_heads, dim, device=peer.device, dtype=half).to(cache)
    last = peer.ints([(sk - 1) % size + 1 for _, sk in sequences])
    q = torch.randn(sum(sq for sq, _ in sequences), heads, dim, device=peer.device, dtype=half).to(dtype)
    out = torch.empty(q.shape, device=peer.device, dtype=half)
    wrapper = flashinfer.BatchPrefillWithPagedKVCacheWrapper(workspace, "NHD", backend=backend)
    wrapper.plan(peer.sums([sq for sq, _ in sequences]), peer.sums(blocks), table, last, heads, kv_heads, dim, size,
                 causal=row["causal"], window_left=row["window"][0] if row.get("window") else -1,
                 logits_soft_cap=row["softcap"], q_data_type=dtype, kv_data_type=cache, o_data_type=half)
    scales = [torch.ones(n, device=peer.device) for n in (heads, kv_heads, kv_heads)] if dtype.itemsize == 1 else []
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
            median, least = peer.seconds(call)
            said |= {"tflops": round(flops / median / 1e12, 1), "us": round(median * 1e6, 1)}
            said["min_us"] = round(least * 1e6, 1)
        except Exception as error:  # a row of its own: the others are measured all the same
            said["fail"] = str(error)[-300:]
        print(json.dumps(said), flush=True)
