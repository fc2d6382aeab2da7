"""The distractors of wav2vec 2.0 (section 3.2), from the masked frames of the same row: pure draws on the host."""

import torch
from torch import Tensor

NO_POSITION = -1  # fills the rows of `masked_positions`


def masked_positions(mask: Tensor) -> Tensor:
    """Frame numbers of the masked frames, row by row.

    A row with a single masked frame has nothing to tell it from: it is left out.

    Args:
        mask: (batch, frames) bool.

    Returns:
        (batch, largest number of masked frames) int64, ascending, then NO_POSITION.
    """
    counts = _usable(mask)
    order = (~mask).long().argsort(dim=1, stable=True)[:, : int(counts.max())]
    return order.masked_fill(torch.arange(order.size(1)) >= counts[:, None], NO_POSITION)


def draw_negatives(mask: Tensor, num_negatives: int, generator: torch.Generator) -> Tensor:
    """For each masked frame, others of the same row, uniformly and with replacement (wav2vec 2.0, section 3.2).

    Args:
        mask: (batch, frames) bool.

    Returns:
        (batch, largest number of masked frames, num_negatives) int64: places in the rows of `masked_positions`, never
        a frame's own and never behind the end of its row; 0 where a row is filled up.
    """
    counts = _usable(mask)
    rank_in_row = torch.arange(int(counts.max()))[:, None]
    others = (counts - 1).clamp(min=1)[:, None, None]
    drawn = torch.rand(len(mask), len(rank_in_row), num_negatives, generator=generator)
    drawn = torch.minimum((drawn * others).long(), others - 1)  # the product may round up to `others`
    drawn += drawn >= rank_in_row
    return drawn.masked_fill(rank_in_row >= counts[:, None, None], 0)


def _usable(mask: Tensor) -> Tensor:
    """(batch,) masked frames of each row; 0 for a row with one."""
    counts = mask.sum(1)
    return counts.masked_fill(counts < 2, 0)
