"""A call of our attention's operators in; the kernels that it launches, with FLOPs, tensors and instructions, out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet2.ssl.kernels.attention import BEYOND_THE_END

BLOCK = BEYOND_THE_END  # queries and keys of a tile in bf16
WARPS = 4  # of a program
# Instructions of a warp for one tile, heads of 64 in bf16 with dropout: what Triton makes for an H100, counted in its
# machine code by test/helpers/compiled_kernels.py. (forward, queries' gradient, keys' gradient)
INSTRUCTIONS = {"gated": (850, 1346, 1033), "alibi": (919, 893, 1011)}


@dataclass(frozen=True)
class Launch:
    """One kernel; it reads or writes each tensor once, as other attention kernels are counted."""

    name: str
    dtype: str
    tensors: list[Tensor]
    flops: int = 0
    instructions: int = 0


def launched(name: str, args: Sequence[object], result: object) -> list[Launch]:
    """The kernels of one call, in order.

    The backward pass has no atomic addition: its two kernels compute the logits and their gradient once each, 7
    products of (frames x frames x dim) where 5 would do.
    """
    query, key, value, weight, row, positions, valid, seed = args[:8]
    batch, heads, frames, dim = query.shape
    product = 2 * batch * heads * frames**2 * dim
    tiles = batch * heads * (-(-frames // BLOCK)) ** 2
    forward, queries, keys = (tiles * WARPS * count for count in INSTRUCTIONS["alibi" if row is None else "gated"])
    dtype = str(query.dtype).removeprefix("torch.")
    bias = [x for x in (weight, row, positions, valid, seed) if x is not None]
    if name == "attend":
        return [Launch("own_attention", dtype, [query, key, value, *bias, *result], 2 * product, forward)]
    output, log_sums, gradient = args[10:13]
    of_query, of_key, of_value, of_weight, of_row = result
    deltas = torch.empty_like(log_sums)
    programs = -(-frames // BLOCK)
    diagonals = [log_sums.new_empty(batch, heads, programs, (programs + 1) * BLOCK)] if of_row.numel() else []
    common = [query, key, value, gradient, log_sums, deltas, *bias]
    launches = [
        Launch(
            "own_attention_backward", dtype, [*common, output, of_query, of_weight, *diagonals], 3 * product, queries
        ),
        Launch("own_attention_backward", dtype, [*common, of_key, of_value], 4 * product, keys),
    ]
    if diagonals:
        launches.insert(1, Launch("sum_diagonals", "float32", [*diagonals, of_row]))
    return launches
