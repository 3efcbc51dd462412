"""dense_attention.py torch|cudnn - a peer of `pah bench`: PyTorch's scaled_dot_product_attention, by its own kernels
(FlashAttention 2 on a GPU) or by cuDNN. It knows no block table: K and V of each sequence are gathered before the clock
starts, and all sequences must be alike. It gives no lse. Backward is its autograd. Read next: peers.lua beside this
folder, pah_worker.py.
"""

import sys

import pah_worker

try:
    import torch
    import torch.nn.functional as F
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ImportError as missing:
    pah_worker.refuse("%s (PyTorch 2.5 or newer: pip install torch)" % missing)

WHICH = sys.argv[1] if len(sys.argv) > 1 else "torch"
if WHICH == "cudnn" and not (torch.cuda.is_available() and torch.backends.cudnn.is_available()):
    pah_worker.refuse("PyTorch has no cuDNN or sees no GPU here (pip install torch, on a machine with a GPU)")
VERSIONS = {"cudnn": str(torch.backends.cudnn.version())} if WHICH == "cudnn" else {}
BACKENDS = {"torch": [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION],
            "cudnn": [SDPBackend.CUDNN_ATTENTION]}[WHICH]
UNKNOWN = ("softcap", "sinks", "window", "tree_mask", "cu_seqlens_q", "q_descale", "k_descale", "v_descale", "o_scale")


def gathered(pool, rows, tokens):
    """K or V of all sequences, [B, Hkv, tokens, D], as their block tables say."""
    blocks = pool[rows]
    return blocks.reshape(rows.shape[0], -1, *pool.shape[2:])[:, :tokens].contiguous().transpose(1, 2)


def checked(a):
    """Rows of the block table that are in use, keys and queries of every sequence."""
    for name in UNKNOWN:
        if getattr(a, name) is not None:
            raise pah_worker.Pending("it has no " + {"cu_seqlens_q": "ragged queries"}.get(name, name))
    if a.causal == "top-left":
        raise pah_worker.Pending("top-left is not measured here")
    if "fp8" in a.dtypes["k_blocks"]:
        raise pah_worker.Pending("it has no fp8")
    lengths = a.seqused_k.tolist()
    if len(set(lengths)) != 1 or lengths[0] == 0:
        raise pah_worker.Pending("it is dense: all sequences must have the same length")
    size = a.k_blocks.shape[1]
    return a.block_table[:, :-(-lengths[0] // size)].long(), lengths[0], a.q.shape[2] if a.q.dim() == 4 else 1


def attention_of(a, tokens, queries):
    """A function of q, k and v, all [B, heads, length, D]."""
    how = {"scale": a.softmax_scale, "enable_gqa": a.q.shape[1] != a.k_blocks.shape[2]}
    if a.causal and queries == tokens:
        how["is_causal"] = True
    elif a.causal and queries > 1:
        if a.q.is_cuda:
            raise pah_worker.Pending("it is causal from the top left where there are fewer queries than keys")
        how["attn_mask"] = torch.ones(queries, tokens, dtype=torch.bool).tril(tokens - queries)

    def attention(q, k, v):
        try:
            with sdpa_kernel(BACKENDS):
                return F.scaled_dot_product_attention(q, k, v, **how)
        except RuntimeError as error:
            if "No available kernel" in str(error):
                raise pah_worker.Pending("none of its kernels does this call")
            raise

    return attention


@pah_worker.prepares
def forward(a, case):
    rows, tokens, queries = checked(a)
    q = a.q if a.q.dim() == 4 else a.q.unsqueeze(2)
    k, v = gathered(a.k_blocks, rows, tokens), gathered(a.v_blocks, rows, tokens)
    attention = attention_of(a, tokens, queries)

    def run():
        with torch.no_grad():
            return attention(q, k, v)

    return run, lambda out: a.out.copy_(out.reshape(a.out.shape))


@pah_worker.prepares
def backward(a, case):
    rows, tokens, queries = checked(a)
    if rows.unique().numel() != rows.numel():
        raise pah_worker.Pending("blocks are shared by sequences")
    q, k, v = (t.detach().requires_grad_() for t in (a.q, gathered(a.k_blocks, rows, tokens),
                                                     gathered(a.v_blocks, rows, tokens)))
    out = attention_of(a, tokens, queries)(q, k, v)

    def finish(gradients):
        a.dq.copy_(gradients[0])
        size = a.k_blocks.shape[1]
        for pool, gradient in ((a.dk_blocks, gradients[1]), (a.dv_blocks, gradients[2])):
            padded = F.pad(gradient.transpose(1, 2), (0, 0, 0, 0, 0, rows.shape[1] * size - tokens))
            pool.zero_()
            pool[rows] = padded.reshape(*rows.shape, *pool.shape[1:])

    return (lambda: torch.autograd.grad(out, (q, k, v), a.dout, retain_graph=True)), finish


pah_worker.serve(decode=forward, fwd=forward, bwd=backward, torch=True)
