# triton_kernel.py - paged decode in Triton as a worker serves it: what triton.lua judges. One program for each sequence
# and query head walks the keys TILE at a time, with an online softmax.
import pah_worker
import torch
import triton
import triton.language as tl


@triton.jit
def paged_decode(out, lse, q, k, v, table, lengths, scale, q_b, q_h, k_block, k_slot, k_head, v_block, v_slot, v_head,
                 o_b, o_h, heads, width, SIZE: tl.constexpr, GROUP: tl.constexpr, D: tl.constexpr, TILE: tl.constexpr):
    b, h = tl.program_id(0), tl.program_id(1)
    g, d, length = h // GROUP, tl.arange(0, D), tl.load(lengths + b)
    query = tl.load(q + b * q_b + h * q_h + d).to(tl.float32) * scale
    largest, total, sums = -float("inf"), 0.0, tl.zeros([D], tl.float32)
    for first in range(0, length, TILE):
        token = first + tl.arange(0, TILE)
        seen = token < length
        block = tl.load(table + b * width + token // SIZE, mask=seen, other=0).to(tl.int64)
        at_k = k + (block * k_block + (token % SIZE) * k_slot + g * k_head)[:, None] + d[None, :]
        at_v = v + (block * v_block + (token % SIZE) * v_slot + g * v_head)[:, None] + d[None, :]
        keys = tl.load(at_k, mask=seen[:, None], other=0.0).to(tl.float32)
        score = tl.where(seen, tl.sum(keys * query[None, :], 1), -float("inf"))
        top = tl.maximum(largest, tl.max(score, 0))
        weight, shrink = tl.exp(score - top), tl.exp(largest - top)
        values = tl.load(at_v, mask=seen[:, None], other=0.0).to(tl.float32)
        sums = sums * shrink + tl.sum(weight[:, None] * values, 0)
        total, largest = total * shrink + tl.sum(weight, 0), top
    empty = total == 0.0
    result = tl.where(empty, 0.0, sums / tl.where(empty, 1.0, total))
    tl.store(out + b * o_b + h * o_h + d, result.to(out.dtype.element_ty))
    tl.store(lse + b * heads + h, tl.where(empty, -float("inf"), largest + tl.log(tl.where(empty, 1.0, total))))


def decode(a, case):
    q, out = (t if t.dim() == 3 else t[:, :, 0] for t in (a.q, a.out))
    (sequences, heads, dim), (_, size, kv_heads, _) = q.shape, a.k_blocks.shape
    if sequences == 0:
        return
    paged_decode[sequences, heads](
        out, a.lse, q, a.k_blocks, a.v_blocks, a.block_table, a.seqused_k, a.softmax_scale, q.stride(0), q.stride(1),
        *a.k_blocks.stride()[:3], *a.v_blocks.stride()[:3], out.stride(0), out.stride(1), heads, a.block_table.shape[1],
        SIZE=size, GROUP=heads // kv_heads, D=dim, TILE=32)


pah_worker.serve(decode=decode, torch=True)
