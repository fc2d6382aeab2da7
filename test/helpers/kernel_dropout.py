"""A seed in; the attention weights that the kernels keep, out: what a reference has to keep, too."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from espnet2.ssl.kernels.launch import DRAWS
from espnet2.ssl.kernels.tiles import kept_weights


@triton.jit
def kept_kernel(kept, seed, num_frames, threshold, block: tl.constexpr):
    """One program has `block` queries and keys of one head."""
    queries, first_key = tl.program_id(0) * block + tl.arange(0, block), tl.program_id(1) * block
    keys = first_key + tl.arange(0, block)
    inside = (queries < num_frames)[:, None] & (keys < num_frames)[None, :]
    tile = kept_weights(seed, tl.program_id(2), queries, first_key, threshold, block)
    to = kept + (tl.program_id(2) * num_frames + queries)[:, None] * num_frames + keys[None, :]
    tl.store(to, tile.to(tl.int8), mask=inside)


def kept(seed: Tensor, batch: int, heads: int, frames: int, dropout: float, block: int = 32) -> Tensor:
    """(batch, heads, frames, frames) bool."""
    result = torch.zeros(batch, heads, frames, frames, dtype=torch.int8)
    tiles = triton.cdiv(frames, block)
    kept_kernel[(tiles, tiles, batch * heads)](result, seed, frames, round(dropout * DRAWS), block=block)
    return result.bool()
