"""flashinfer_decode.py - FlashInfer's paged decode on the rows of decode.lua, as JSON lines for its --peer option:

    pah scripts/studies/gpu/decode_rows.lua | python3 scripts/studies/gpu/peers/flashinfer_decode.py >peer.jsonl
    pah scripts/studies/gpu/decode.lua --peer peer.jsonl

Needs PyTorch with CUDA, and `pip install flashinfer-python` (measured with 0.6.4, which compiles its kernels on first
use: minutes). Times as decode.lua takes them: 256 MB written twice before each call, the call between two events,
median of 31. Rows that FlashInfer does not take are printed with "fail".
"""
import json
import sys

import peer

torch, flashinfer = peer.load("flashinfer")
CALLS, KV_HEADS = 31, 8
workspace = torch.empty(512 << 20, dtype=torch.uint8, device=peer.device)


def microseconds(call):
    """Median and least time of a call, all queued behind each other."""
    for _ in range(3):
        call()
    events = [peer.timed(call, 2) for _ in range(CALLS)]
    torch.cuda.synchronize()
    times = sorted(first.elapsed_time(last) * 1e3 for first, last in events)
    return times[CALLS // 2], times[0]


def prepared_mla(row):
    """The call of a row of MLA."""
    lens, size, heads, dtype = row["lens"], row["size"], row["H"], peer.DTYPES[row["dtype"]]
    blocks = [(length + size - 1) // size for length in lens]
    total = sum(blocks)
    normal = lambda *shape: torch.randn(*shape, device=peer.device, dtype=dtype)
    ckv, kpe = normal(total, size, 512), normal(total, size, 64)
    q_nope, q_pe = normal(len(lens), heads, 512), normal(len(lens), heads, 64)
    out = torch.empty_like(q_nope)
    wrapper = flashinfer.mla.BatchMLAPagedAttentionWrapper(workspace, backend="fa3")
    wrapper.plan(peer.sums([1] * len(lens)), peer.sums(blocks), torch.randperm(total, device=peer.device).int(),
                 peer.ints(lens), heads, 512, 64, size, False, 192 ** -0.5, dtype, dtype)
    return lambda: wrapper.run(q_nope, q_pe, ckv, kpe, out=out)


def prepared(row):
    """The call of a row: one query goes to the decode wrapper, several to the prefill wrapper."""
    if row["mla"]:
        return prepared_mla(row)
    lens, size, heads, dim = row["lens"], row["size"], row["H"], row["D"]
    dtype, cache = peer.DTYPES[row["dtype"]], peer.DTYPES[row["cache"]]
    blocks = [(length + size - 1) // size for length in lens]
    total = sum(blocks)
    table = torch.randperm(total, device=peer.device).int()
    kv = torch.randn(total, 2, size, KV_HEADS, dim, device=peer.device, dtype=dtype).to(cache)
    last = peer.ints([(length - 1) % size + 1 for length in lens])
    q = torch.randn(len(lens) * row["queries"], heads, dim, device=peer.device, dtype=dtype)
    out = torch.empty_like(q)
    if row["queries"] == 1:
        wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(workspace, "NHD", use_tensor_cores=True, backend="fa2")
        wrapper.plan(peer.sums(blocks), table, last, heads, KV_HEADS, dim, size, q_data_type=dtype, kv_data_type=cache)
    else:
        wrapper = flashinfer.BatchPrefillWithPagedKVCacheWrapper(workspace, "NHD", backend="fa2")
        wrapper.plan(peer.sums([row["queries"]] * len(lens)), peer.sums(blocks), table, last, heads, KV_HEADS, dim,
                     size, causal=True, q_data_type=dtype, kv_data_type=cache, o_data_type=dtype)
    return lambda: wrapper.run(q, kv, out=out)


for line in sys.stdin:
    row = json.loads(line)
    try:
        median, least = microseconds(prepared(row))
        backend = "fa3" if row["mla"] else "fa2"
        said = {"name": row["name"], "peer": f"flashinfer {flashinfer.__version__} {backend}", "us": round(median, 2),
                "min_us": round(least, 2)}
    except Exception as error:  # a row of its own: the others are measured all the same
        said = {"name": row["name"], "fail": str(error)[-300:]}
    print(json.dumps(said), flush=True)
