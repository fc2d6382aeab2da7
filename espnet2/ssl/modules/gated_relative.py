"""WavLM's gated relative position bias (Chen et al., 2022, section III-A)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.bias_rows import scaled_rows


def offset_buckets(offsets: Tensor, num_buckets: int, max_distance: int) -> Tensor:
    """The bucket of each offset (key minus query): half of the buckets for keys before the query, half for those after.

    In each half the first half are single frames; then widths grow with the logarithm up to `max_distance` frames,
    and everything beyond shares the last bucket (Raffel et al., 2020, arXiv 1910.10683, section 2.1).

    >>> offset_buckets(torch.tensor([0, -5, 5, -400, 2000]), 320, 800).tolist()
    [0, 5, 165, 135, 319]
    """
    per_side = num_buckets // 2
    exact = per_side // 2
    distance = offsets.abs()
    share = torch.log(distance.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    logarithmic = (exact + share * (per_side - exact)).long().clamp(max=per_side - 1)
    return (offsets > 0).long() * per_side + torch.where(distance < exact, distance, logarithmic)


class BucketTable(nn.Module):
    """One learned bias per bucket and head, shared by all layers."""

    def __init__(self, num_heads: int, num_buckets: int, max_distance: int) -> None:
        super().__init__()
        self.num_buckets, self.max_distance = num_buckets, max_distance
        self.table = nn.Parameter(torch.empty(num_buckets, num_heads))
        nn.init.normal_(self.table, std=0.02)  # BERT, as the reference's init_bert_params

    def forward(self, offsets: Tensor, num_frames: int, num_prefixes: int) -> Tensor:
        """Bias before the gates; arguments and result as `Alibi.forward`."""
        return F.pad(self._of_offsets(offsets).permute(0, 3, 1, 2), (num_prefixes, 0, num_prefixes, 0))

    def row(self, furthest: int) -> Tensor:
        """(heads, 2 * furthest + 1): the bias before the gates for each offset from -furthest on."""
        return self._of_offsets(torch.arange(-furthest, furthest + 1, device=self.table.device)).T

    def _of_offsets(self, offsets: Tensor) -> Tensor:
        return F.embedding(offset_buckets(offsets, self.num_buckets, self.max_distance), self.table)


class PositionGate(nn.Module):
    """What one layer multiplies the shared bias with, from the frame that asks."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.linear = nn.Linear(dim // num_heads, 8)  # shared by the heads
        self.scale = nn.Parameter(torch.ones(num_heads))
        self.last: Tensor | None = None  # (batch, frames) the gates of the last forward, mean over heads, for the log

    def gate(self, x: Tensor) -> Tensor:
        """Input of the attention (batch, frames, dim) -> (batch, heads, frames, 1): a * (b * scale - 1) + 2."""
        heads = torch.unflatten(x, -1, (self.num_heads, -1)).transpose(1, 2)
        scores: Tensor = self.linear(heads)
        a, b = torch.unflatten(scores, -1, (2, 4)).sum(-1).sigmoid().chunk(2, dim=-1)
        return a * (b * self.scale[:, None, None] - 1.0) + 2.0

    def forward(self, x: Tensor, query: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Gate the shared bias.

        Args:
            x: (batch, frames, dim), the attention's input.
            query: (batch, heads, frames, dim / heads).
            position: (1 or batch, heads, frames, frames) of `BucketTable`.

        Returns:
            The query as it was, and (batch, heads, frames, frames) to add to the logits.
        """
        return query, scaled_rows(self.logged_gate(x), position, query.dtype)

    def logged_gate(self, x: Tensor) -> Tensor:
        """`gate`, whose mean stays in `last`."""
        gate = self.gate(x)
        self.last = gate.detach().float().mean((1, 3))
        return gate
