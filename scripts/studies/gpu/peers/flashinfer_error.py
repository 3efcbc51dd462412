"""flashinfer_error.py - what fp8_error.lua prints, of FlashInfer's fa3 forward with e4m3 q, K and V and a bf16 result:

    python3 scripts/studies/gpu/peers/flashinfer_error.py [KEYS ...]

Problems of the same kind: 4 query heads over one K/V head, 16 queries, head_dim 128, normal numbers. Needs what
flashinfer_forward.py needs.
"""
import sys

import peer

torch, flashinfer = peer.load("flashinfer")
HEADS, DIM, QUERIES, BLOCK = 4, 128, 16, 16
workspace = torch.empty(512 << 20, dtype=torch.uint8, device=peer.device)


def random(*shape, mean=0.0):
    return (torch.randn(*shape, device=peer.device) + mean).to(torch.float8_e4m3fn)


for keys in [int(a) for a in sys.argv[1:]] or [1024, 16384, 131072]:
    blocks = keys // BLOCK
    for mean in (0, 1):
        q = random(QUERIES, HEADS, DIM)
        kv = torch.stack([random(blocks, BLOCK, 1, DIM), random(blocks, BLOCK, 1, DIM, mean=mean)], dim=1)
        ends = [peer.ints([0, n]) for n in (QUERIES, blocks)]
        wrapper = flashinfer.BatchPrefillWithPagedKVCacheWrapper(workspace, "NHD", backend="fa3")
        wrapper.plan(*ends, peer.ints(range(blocks)), peer.ints([BLOCK]), HEADS, 1, DIM, BLOCK, causal=False,
                     q_data_type=q.dtype, kv_data_type=q.dtype, o_data_type=torch.bfloat16)
        scales = [torch.ones(n, device=peer.device) for n in (HEADS, 1, 1)]
        out = wrapper.run(q, kv, *scales).double()
        k, v = (kv[:, i].reshape(keys, DIM).double() for i in (0, 1))
        want = torch.softmax(q.double() @ k.T / DIM**0.5, -1) @ v
        off = ((out - want).norm() / want.norm()).item()
        least = ((want.bfloat16().double() - want).norm() / want.norm()).item()
        print(f"{keys:7d} keys, values around {mean}, to bf16      off by {off:.2e} (rounded alone {least:.2e})")
