"""dense_attention.py - cuDNN and FlashAttention 2 of PyTorch, on the rows of forward.lua that a dense call can do:

    pah scripts/studies/gpu/forward_rows.lua | python3 scripts/studies/gpu/peers/dense_attention.py >dense.jsonl

As many queries as keys, all sequences alike, no paging. Prints JSON lines {op, name, peer, tflops}: op "fwd", and
"bwd" at 2.5 times the forward's flops. Needs PyTorch with CUDA. Times as forward.lua takes them: 256 MB written
before each call, the call between two events, medians. cuDNN's backward is not deterministic.
"""
import json
import sys

import peer

torch = peer.load()  # says what is missing, so it comes before the other imports
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

PEERS = {f"cudnn {torch.backends.cudnn.version()}": SDPBackend.CUDNN_ATTENTION,
         f"flash-attention 2 of torch {torch.__version__}": SDPBackend.FLASH_ATTENTION}


def say(op, row, name, flops, call):
    said = {"op": op, "name": row["name"], "peer": name}
    try:
        time, _ = peer.seconds(call)
        said |= {"tflops": round(flops / time / 1e12, 1), "us": round(time * 1e6, 1)}
    except Exception as error:  # a row of its own: the others are measured all the same
        said["fail"] = str(error)[-300:]
    print(json.dumps(said), flush=True)


def measure(row, name, backend):
    tokens, _, batch = row["kinds"][0]

    def random(heads):
        shape = (batch, tokens, heads, row["D"])
        return torch.randn(shape, device=peer.device, dtype=peer.DTYPES[row["dtype"]]).transpose(1, 2).requires_grad_()

    q, k, v = random(row["H"]), random(row["Hkv"]), random(row["Hkv"])
    dout = random(row["H"]).detach()
    seen = tokens * (tokens + 1) // 2 if row["causal"] else tokens * tokens
    flops = 4 * row["D"] * row["H"] * batch * seen

    def forward():
        return F.scaled_dot_product_attention(q, k, v, is_causal=row["causal"], enable_gqa=True)

    with sdpa_kernel(backend):
        with torch.no_grad():
            say("fwd", row, name, flops, forward)
        try:
            out = forward()
        except Exception:  # said by the row above
            return
        say("bwd", row, name, 2.5 * flops, lambda: torch.autograd.grad(out, (q, k, v), dout, retain_graph=True))


def dense(row):
    same = len(row["kinds"]) == 1 and row["kinds"][0][0] == row["kinds"][0][1]
    plain = not any(row.get(name) for name in ("window", "softcap", "sinks", "Dv"))
    return same and plain and row["dtype"] in ("bf16", "f16") and row["block_size"] == 16


for line in sys.stdin:
    wanted = json.loads(line)
    for name, which in PEERS.items() if dense(wanted) else []:
        measure(wanted, name, which)
