"""flashinfer_attention.py [fa2|fa3] - a peer of `pah bench`: FlashInfer's paged decode and prefill, on pah's own blocks
and table without a copy. Its plan is made before the clock starts. Decode goes to the tensor-core decode of fa2
(several queries: fa2's prefill); forward to fa3 on Hopper, else fa2. Read next: peers.lua beside this folder, pah_worker.py.
"""

import itertools
import math
import sys

import pah_worker

try:
    import torch
    import flashinfer
except ImportError as missing:
    pah_worker.refuse("%s (pip install torch flashinfer-python)" % missing)

if not torch.cuda.is_available():
    pah_worker.refuse("FlashInfer needs a GPU, PyTorch sees none")
VERSIONS = {"flashinfer": flashinfer.__version__}
ASKED = sys.argv[1] if len(sys.argv) > 1 else None
UNKNOWN = ("sinks", "tree_mask", "q_descale", "k_descale", "v_descale", "o_scale")
_workspace, _wrappers = None, {}


def wrapper_of(kind, backend):
    """One wrapper for each kind of call: its buffers are large."""
    global _workspace
    if _workspace is None:
        _workspace = torch.empty(512 << 20, dtype=torch.uint8, device="cuda")
    if (kind, backend) not in _wrappers:
        how = {"use_tensor_cores": True} if kind == "decode" else {}
        classes = {"decode": flashinfer.BatchDecodeWithPagedKVCacheWrapper,
                   "prefill": flashinfer.BatchPrefillWithPagedKVCacheWrapper}
        _wrappers[kind, backend] = classes[kind](_workspace, "NHD", backend=backend, **how)
    return _wrappers[kind, backend]


def ints(values):
    return torch.tensor(list(values), dtype=torch.int32, device="cuda")


def sums(counts):
    """Prefix sums from 0."""
    return ints([0] + list(itertools.accumulate(counts)))


def checked(a):
    """Raises Pending for what FlashInfer, or this file, does not do; the keys that a window leaves before a query."""
    for name in UNKNOWN:
        if getattr(a, name) is not None:
            raise pah_worker.Pending(name + " is not measured here")
    if a.causal == "top-left":
        raise pah_worker.Pending("it is causal from the bottom right only")
    if "f32" in a.dtypes.get("q"):
        raise pah_worker.Pending("it has no f32")
    if a.window is None:
        return -1
    left, right = (int(n) for n in a.window)
    if right not in (0, -1) or not (a.causal or right == 0):
        raise pah_worker.Pending("its windows have a left side only")
    return left


def planned(a, kind, backend, window):
    """The plan of a call; returns its wrapper and the query rows of every sequence."""
    lens, size = a.seqused_k.tolist(), a.k_blocks.shape[1]
    blocks = [-(-n // size) for n in lens]
    table = torch.cat([a.block_table[b, :n] for b, n in enumerate(blocks)])
    if a.cu_seqlens_q is not None:
        ends = a.cu_seqlens_q.tolist()
        rows = [last - first for first, last in zip(ends, ends[1:])]
    else:
        rows = [a.q.shape[2] if a.q.dim() == 4 else 1] * len(lens)
    heads, (_, _, kv_heads, dim) = a.q.shape[1], a.k_blocks.shape
    last = ints((n - 1) % size + 1 if n else 0 for n in lens)
    how = {"window_left": window, "logits_soft_cap": a.softcap or 0.0, "sm_scale": a.softmax_scale,
           "q_data_type": a.q.dtype, "kv_data_type": a.k_blocks.dtype}
    wrapper = wrapper_of(kind, backend)
    if kind == "decode":
        wrapper.plan(sums(blocks), table, last, heads, kv_heads, dim, size, **how)
    else:
        wrapper.plan(sums(rows), sums(blocks), table, last, heads, kv_heads, dim, size, causal=bool(a.causal),
                     head_dim_vo=a.v_blocks.shape[3], o_data_type=half_of(a), **how)
    return wrapper, rows


def half_of(a):
    """What the result is written in: fp8 queries give bf16 here."""
    return torch.bfloat16 if "fp8" in a.dtypes["q"] else a.q.dtype


def attention(a, kind, backend):
    wrapper, rows = planned(a, kind, backend, checked(a))
    padded = a.q.dim() == 4
    q = a.q.transpose(1, 2).reshape(-1, a.q.shape[1], a.q.shape[3]) if padded else a.q
    out = torch.empty(*q.shape[:2], a.v_blocks.shape[3], dtype=half_of(a), device="cuda")
    lse = torch.empty(q.shape[:2], dtype=torch.float32, device="cuda")
    heads, kv_heads = q.shape[1], a.k_blocks.shape[2]
    scales = [torch.ones(n, device="cuda") for n in (heads, kv_heads, kv_heads)] if "fp8" in a.dtypes["q"] else []

    def finish(_):
        natural = lse * math.log(2)
        if a.cu_seqlens_q is not None:
            a.out.copy_(out)
            a.lse.copy_(natural.T)
        else:
            by_sequence = (len(rows), rows[0], heads)
            a.out.copy_(out.view(*by_sequence, -1).transpose(1, 2).reshape(a.out.shape))
            a.lse.copy_(natural.view(by_sequence).transpose(1, 2))

    kv = (a.k_blocks, a.v_blocks)
    return (lambda: wrapper.run(q, kv, *scales, out=out, lse=lse, return_lse=True)), finish


@pah_worker.prepares
def decode(a, case):
    single = a.cu_seqlens_q is None and (a.q.dim() == 3 or a.q.shape[2] == 1)
    return attention(a, "decode" if single else "prefill", ASKED or "fa2")


@pah_worker.prepares
def forward(a, case):
    hopper = torch.cuda.get_device_capability()[0] == 9 and a.dtypes["q"] == a.dtypes["k_blocks"]
    return attention(a, "prefill", ASKED or ("fa3" if hopper else "fa2"))


pah_worker.serve(decode=decode, fwd=forward, fwd_fp8=forward, torch=True)
