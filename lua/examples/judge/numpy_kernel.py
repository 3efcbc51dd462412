# numpy_kernel.py - attention in NumPy as a worker serves it: what numpy.lua judges. Plain loops over sequences,
# heads and queries; every option of pah.decode and pah.fwd.
import numpy as np
import pah_worker


def keys_of(blocks, a, b, g, length):
    """K or V of a sequence's K/V head, gathered by its row of the block table: [length, width]."""
    size = blocks.shape[1]
    tokens = np.arange(length)
    return blocks[a.block_table[b, tokens // size], tokens % size, g]


def visible(a, b, first, i, len_q, len_k):
    """Which keys query i of sequence b sees."""
    j, past = np.arange(len_k), len_k - len_q
    diagonal = i + (0 if a.causal == "top-left" else past)
    seen = np.ones(len_k, bool)
    if a.causal:
        seen &= j <= diagonal
    if a.window is not None:
        left, right = a.window
        seen &= (left < 0) | (j >= diagonal - left)
        seen &= (right < 0) | (j <= diagonal + right)
    if a.tree_mask is not None:
        words = a.tree_mask[first + i] if a.cu_seqlens_q is not None else a.tree_mask[b, i]
        bit = np.maximum(j - past, 0)
        seen &= (j < past) | (words.view(np.uint32)[bit // 32] >> (bit % 32) & 1).astype(bool)
    return seen


def attend(q, k, v, seen, scale, softcap, sink):
    score = k @ q * scale
    if softcap:
        score = softcap * np.tanh(score / softcap)
    score = np.where(seen, score, -np.inf)
    top = max(score.max(initial=-np.inf), sink)
    if top == -np.inf:
        return np.zeros(v.shape[1], np.float32), -np.inf
    if sink == np.inf:
        return np.zeros(v.shape[1], np.float32), np.inf
    weight = np.exp(score - top)
    total = weight.sum() + np.exp(sink - top)
    return weight @ v / total, top + np.log(total)


def descale(value, b, g):
    """The factor of K/V head g of sequence b: a number, one for each head, or none."""
    if value is None or np.ndim(value) == 0:
        return np.float32(1 if value is None else value)
    return value[b, g]


def attention(a, case):
    q_all, k_all, v_all = (pah_worker.f32(a, name) for name in ("q", "k_blocks", "v_blocks"))
    ragged, heads = a.cu_seqlens_q is not None, a.q.shape[1]
    group = heads // a.k_blocks.shape[2]
    out = np.zeros(a.out.shape, np.float32)
    for b, len_k in enumerate(a.seqused_k):
        first = int(a.cu_seqlens_q[b]) if ragged else 0
        len_q = int(a.cu_seqlens_q[b + 1]) - first if ragged else a.q.shape[2] if a.q.ndim == 4 else 1
        for h in range(heads):
            g = h // group
            k = keys_of(k_all, a, b, g, len_k) * descale(a.k_descale, b, g)
            v = keys_of(v_all, a, b, g, len_k) * descale(a.v_descale, b, g)
            sink = a.sinks[h] if a.sinks is not None else -np.inf
            for i in range(len_q):
                at = (first + i, h) if ragged else (b, h, i) if a.q.ndim == 4 else (b, h)
                of_lse = (h, first + i) if ragged else (b, h, i)
                out[at], a.lse[of_lse] = attend(q_all[at], k, v, visible(a, b, first, i, len_q, len_k), a.softmax_scale,
                                                a.softcap, sink)
    pah_worker.store(a, "out", out)


pah_worker.serve(decode=attention, fwd=attention)
