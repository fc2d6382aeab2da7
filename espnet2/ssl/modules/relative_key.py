"""Relative positions as keys: each query scores one learned vector per clipped offset (Shaw et al., 2018)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ClippedOffsets(nn.Module):
    """The row of each pair of frames in the layers' tables (Shaw et al., arXiv 1803.02155, 3.2). No weights.

    Args:
        left: frames before the query; keys further back share the first row.
        right: frames after it, likewise.
    """

    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, offsets: Tensor, num_frames: int, num_prefixes: int) -> Tensor:
        """Arguments as `Alibi.forward`; the layers leave prefixes without a score themselves.

        Returns:
            (1 or batch, queries, keys) int64, of the frames alone.

        >>> ClippedOffsets(2, 1)(torch.tensor([[[-5, -1, 0, 1, 5]]]), 5, 0).tolist()
        [[[0, 1, 2, 3, 3]]]
        """
        return offsets.clamp(-self.left, self.right) + self.left


class RelativeKeys(nn.Module):
    """One layer's vectors, shared by its heads: query times vector is added to query times key, both scaled alike."""

    def __init__(self, head_dim: int, left: int, right: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(left + right + 1, head_dim))
        nn.init.normal_(self.table, std=0.02)  # as the linear layers beside it, see `init_as_bert`

    def forward(self, x: Tensor, query: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Score the offsets.

        Args:
            x: the attention's input; not needed here.
            query: (batch, heads, prefixes + frames, dim / heads).
            rows: of `ClippedOffsets`.

        Returns:
            The query as it is, and (batch, heads, prefixes + frames, prefixes + frames) to add to the scaled logits.
        """
        num_prefixes = query.size(2) - rows.size(1)
        scores = query[:, :, num_prefixes:] @ self.table.T.to(query.dtype) / math.sqrt(query.size(-1))
        bias = scores.gather(-1, rows[:, None].expand(*scores.shape[:2], -1, -1))
        return query, F.pad(bias, (num_prefixes, 0, num_prefixes, 0)) if num_prefixes else bias
