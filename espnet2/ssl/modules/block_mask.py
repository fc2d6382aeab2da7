"""The masks of data2vec 2.0 (arXiv 2212.07525, section 3.2): small blocks, and an exact share of frames."""

import torch
from torch import Tensor

from espnet2.ssl.modules.masking import rank


def draw_block_mask(
    lengths: Tensor, *, mask_prob: float, mask_adjust: float, mask_span: int, generator: torch.Generator
) -> Tensor:
    """Blocks around random centres, then single frames more or less until floor(mask_prob * length) are masked.

    floor(length * (mask_prob + mask_adjust) / mask_span) centres are drawn with replacement; a block reaches
    mask_span // 2 frames to the left of its centre, what would lie outside falls on the first or last frame
    (fairseq's sampler for data2vec 2.0, arXiv 2212.07525, section 3.2).

    Args:
        lengths: (rows,) valid frames.
        mask_prob: share of masked frames.
        mask_adjust: added to the share when blocks are counted, as blocks overlap.
        mask_span: frames of a block.

    Returns:
        (rows, max(lengths)) bool, True = masked; padding is never masked.
    """
    num_frames, lengths = int(lengths.max()), lengths.long()
    num_blocks = (lengths * ((mask_prob + mask_adjust) / mask_span)).floor().long()
    most = max(int(num_blocks.max()), 1)
    uniform = torch.rand(len(lengths), most, generator=generator, dtype=torch.float64)
    centres = (uniform * lengths[:, None]).long()
    covered = centres[..., None] + torch.arange(mask_span) - mask_span // 2
    covered = torch.minimum(covered.clamp(min=0), lengths[:, None, None] - 1)
    covered[torch.arange(most) >= num_blocks[:, None]] = num_frames  # blocks of longer rows only
    mask = torch.zeros(len(lengths), num_frames + 1, dtype=torch.bool).scatter_(1, covered.flatten(1), True)
    order = torch.rand(len(lengths), num_frames, generator=generator, dtype=torch.float64)
    order += (~mask[:, :num_frames]).double()  # masked frames first, in random order; then the others
    order[torch.arange(num_frames) >= lengths[:, None]] = 2.0
    return rank(order) < (mask_prob * lengths).floor()[:, None]


def visible_indices(mask: Tensor, lengths: Tensor) -> Tensor:
    """Where the frames are that are neither masked nor padding.

    Args:
        mask: (rows, frames) bool.
        lengths: (rows,) valid frames.

    Returns:
        (rows, most visible frames of a row) int64 in ascending order, -1 behind the last.
    """
    visible = ~mask & (torch.arange(mask.size(1)) < lengths[:, None])
    counts = visible.sum(1)
    indices = (~visible).byte().argsort(dim=1, stable=True)[:, : int(counts.max())]
    return indices.masked_fill(torch.arange(indices.size(1)) >= counts[:, None], -1)
