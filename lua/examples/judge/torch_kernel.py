# torch_kernel.py - attention in PyTorch as a worker serves it: what torch.lua judges. Tensors are on the GPU where
# pah's are, else in the host's memory. One sequence after the other, all its heads and queries at once, in float32.
import pah_worker
import torch


def gathered(pool, rows, length):
    """K or V of a sequence in the order of its row of the block table: [Hkv, length, width], float32."""
    return pool[rows].flatten(0, 1)[:length].transpose(0, 1).float()


def visible(a, len_q, len_k):
    """Which keys each query sees."""
    i = torch.arange(len_q, device=a.q.device)[:, None] + (0 if a.causal == "top-left" else len_k - len_q)
    j = torch.arange(len_k, device=a.q.device)[None, :]
    seen = j <= i if a.causal else torch.ones(len_q, len_k, dtype=torch.bool, device=a.q.device)
    if a.window is not None:
        left, right = a.window
        seen = seen & ((left < 0) | (j >= i - left)) & ((right < 0) | (j <= i + right))
    return seen


def attend(a, q, k, v):
    """q is [H, Sq, D]; returns out and lse."""
    group, (len_q, len_k) = q.shape[0] // k.shape[0], (q.shape[1], k.shape[1])
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    score = q.float() @ k.transpose(1, 2) * a.softmax_scale
    if a.softcap:
        score = a.softcap * torch.tanh(score / a.softcap)
    score = score.masked_fill(~visible(a, len_q, len_k), -torch.inf)
    lse = torch.logsumexp(score, -1) if len_k else score.new_full(score.shape[:2], -torch.inf)
    weight = torch.exp(score - lse.where(lse > -torch.inf, 0).unsqueeze(-1))  # a row without keys: 0
    return weight @ v, lse


def attention(a, case):
    ragged, rows_of = a.cu_seqlens_q is not None, a.block_table.long()
    ends = a.cu_seqlens_q.tolist() if ragged else None
    for b, length in enumerate(a.seqused_k.tolist()):
        rows = rows_of[b, :-(-length // a.k_blocks.shape[1])]
        if ragged:
            part = slice(ends[b], ends[b + 1])
            q, out, lse = a.q[part].transpose(0, 1), a.out[part].transpose(0, 1), a.lse[:, part]
        elif a.q.dim() == 3:
            q, out, lse = a.q[b].unsqueeze(1), a.out[b].unsqueeze(1), a.lse[b]
        else:
            q, out, lse = a.q[b], a.out[b], a.lse[b]
        k, v = gathered(a.k_blocks, rows, length), gathered(a.v_blocks, rows, length)
        result, its_lse = attend(a, q, k, v)
        out.copy_(result)
        lse.copy_(its_lse)


if torch.backends.cuda.is_built():
    torch.backends.cuda.matmul.allow_tf32 = False
pah_worker.serve(decode=attention, fwd=attention, torch=True)
