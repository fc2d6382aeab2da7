"""The relative positions of Transformer-XL (Dai et al., 2019): sinusoids of offsets, and each layer's logits."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.formulation import wants_cuda_formulation


class OffsetTable(NamedTuple):
    """What all layers share."""

    sinusoids: Tensor  # (2 * frames - 1, dim): row r is the offset r - (frames - 1) of the key from the query
    rows: Tensor | None  # (1 or batch, queries, keys) int64: the row of each pair; None: all frames, in their order


class Sinusoids(nn.Module):
    """Sines and cosines of every offset that occurs (Vaswani et al., 2017, section 3.5), interleaved."""

    frequencies: Tensor  # (dim / 2,) radians per frame

    def __init__(self, dim: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, offsets: Tensor, num_frames: int, num_prefixes: int) -> OffsetTable:
        """Arguments as `Alibi.forward`; the layers leave prefixes without a bias themselves."""
        rows = torch.arange(num_frames - 1, -num_frames, -1, device=offsets.device)  # query minus key
        angles = rows[:, None] * self.frequencies
        sinusoids = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        everything = offsets.size(0) == 1 and offsets.size(1) == num_frames
        return OffsetTable(sinusoids, None if everything else offsets + (num_frames - 1))


class RelativeLogits(nn.Module):
    """One layer's terms (b), (c) and (d) of the paper's logits: (query + u) key + (query + v) W offset."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.projection = nn.Linear(dim, dim, bias=False)
        self.content_bias = nn.Parameter(torch.empty(num_heads, dim // num_heads))  # u
        self.position_bias = nn.Parameter(torch.empty(num_heads, dim // num_heads))  # v
        nn.init.xavier_uniform_(self.content_bias)
        nn.init.xavier_uniform_(self.position_bias)

    def forward(self, x: Tensor, query: Tensor, position: OffsetTable) -> tuple[Tensor, Tensor]:
        """Move the query and score the offsets.

        Args:
            x: (batch, prefixes + frames, dim), the attention's input; not needed here.
            query: (batch, heads, prefixes + frames, dim / heads).
            position: of `Sinusoids`.

        Returns:
            query + u, and (batch, heads, prefixes + frames, prefixes + frames) to add to the scaled logits.
        """
        num_heads, head_dim = self.content_bias.shape
        rows = self.projection(position.sinusoids).view(-1, num_heads, head_dim).permute(1, 2, 0)
        num_frames = (position.sinusoids.size(0) + 1) // 2 if position.rows is None else position.rows.size(1)
        num_prefixes = query.size(2) - num_frames
        asking = query[:, :, num_prefixes:] + self.position_bias[:, None]
        # Divided here: the attention divides only what comes of query and key, not what is added to it.
        aligned = wants_cuda_formulation(query) and position.rows is None
        if aligned:  # the column that `_offsets_to_keys` wants, where it costs nothing
            rows = F.pad(rows, (0, 1))
        scores = asking @ rows / math.sqrt(head_dim)  # (batch, heads, frames, offsets)
        if position.rows is None:
            scores = _offsets_to_keys(scores if aligned else F.pad(scores, (0, 1)))
        else:
            scores = scores.gather(-1, position.rows[:, None].expand(len(scores), num_heads, -1, -1))
        if num_prefixes:
            scores = F.pad(scores, (num_prefixes, 0, num_prefixes, 0))
        return query + self.content_bias[:, None], scores


def _offsets_to_keys(scores: Tensor) -> Tensor:
    """(..., frames, 2 * frames) by offset -> (..., frames, frames) by key: row i begins frames - 1 - i columns in.

    The last column is not read: rows are one longer than the step from one row to the next below.

    >>> _offsets_to_keys(torch.tensor([[-1, 0, 1, 9], [-1, 0, 1, 9]])).tolist()
    [[0, 1], [-1, 0]]
    """
    num_frames = scores.size(-2)
    flat = scores.flatten(-2)
    shifted = flat[..., num_frames - 1 :][..., : num_frames * (2 * num_frames - 1)]
    return torch.unflatten(shifted, -1, (num_frames, 2 * num_frames - 1))[..., :num_frames]
