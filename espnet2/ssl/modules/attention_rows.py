"""Positions of an attention over too many frames to score all pairs at once: some queries at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from espnet2.ssl.modules.attention_position import SharedPosition, add_mask

LOGITS_AT_ONCE = 2**27  # of all rows and heads: 512 MiB in float32; 12 heads reach it at 67 seconds


class AttentionRows(NamedTuple):
    """Some consecutive queries against all keys."""

    part: slice  # which queries
    mask: Tensor | None  # the rest: of `SelfAttention.forward`, for these queries
    position: SharedPosition | None


@dataclass(frozen=True)
class LongPosition:
    """What stands for `position` where frames are many and nothing is learned: each layer goes through its parts.

    The result is that of all pairs at once, to rounding; the memory grows with the number of frames, not its square.
    """

    shared: nn.Module  # of `shared_position`
    in_layers: bool  # the layers have a part of their own, `layer_position`
    valid: Tensor | None  # (batch, prefixes + frames) bool
    batch: int
    num_heads: int
    num_frames: int
    num_prefixes: int
    device: torch.device

    def __iter__(self) -> Iterator[AttentionRows]:
        mask = None if self.valid is None else self.valid[:, None, None, :]
        frames = torch.arange(self.num_frames, device=self.device)
        total, rows = self.num_prefixes + self.num_frames, self.num_rows
        for first in range(0, total, rows):
            asking = frames[max(0, first - self.num_prefixes) : max(0, first + rows - self.num_prefixes)]
            offsets = frames[None, None] - asking[None, :, None]
            position: SharedPosition = self.shared(offsets, self.num_frames, self.num_prefixes)
            queries = slice(first, first + rows)
            if self.in_layers or not isinstance(position, Tensor):
                yield AttentionRows(queries, mask, position)
                continue
            if first > 0 and self.num_prefixes:  # the prefixes ask in the first part only
                position = position[..., self.num_prefixes :, :]
            yield AttentionRows(queries, add_mask(position, mask), None)

    @property
    def num_rows(self) -> int:
        """Queries of one part, the prefixes among them."""
        logits = self.batch * self.num_heads * (self.num_prefixes + self.num_frames)
        return max(self.num_prefixes + 1, LOGITS_AT_ONCE // logits)
