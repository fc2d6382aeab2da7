"""Span masks of wav2vec 2.0 (section 3.1) and BEST-RQ (section 3.1): pure draws on the host, made in the loader."""

import torch
from torch import Tensor


def draw_span_mask(
    lengths: Tensor, *, mask_prob: float, mask_span: int, min_spans: int, generator: torch.Generator
) -> Tensor:
    """Masks made of spans of fixed length that may overlap (wav2vec 2.0, section 3.1, with HuBERT's settings).

    Row by row, n = max(min_spans, floor(mask_prob * length / mask_span + U(0, 1))) distinct starts are drawn uniformly
    from 0 .. length - mask_span - 1, so the last valid frame is never masked; where fewer than n starts are left
    (length - mask_span <= n) they come from 0 .. n instead. The mask is the union of the spans, cut at the length.

    Args:
        lengths: (batch,) valid frames.
        mask_prob: expected share of masked frames if spans did not overlap.
        mask_span: frames.

    Returns:
        (batch, max(lengths)) bool, True = masked; padding is never masked.
    """
    num_frames = int(lengths.max())
    lengths = lengths.long()
    rounding = torch.rand(len(lengths), generator=generator, dtype=torch.float64)
    num_spans = (mask_prob * lengths / mask_span + rounding).floor().long().clamp(min=min_spans)
    num_starts = torch.where(lengths - mask_span > num_spans, lengths - mask_span, num_spans + 1)
    position = torch.arange(max(num_frames, int(num_starts.max())))
    # Float64: in float32 two numbers of a long row are now and then equal, and the earlier frame always wins.
    order = torch.rand(len(lengths), len(position), generator=generator, dtype=torch.float64)
    order[position >= num_starts[:, None]] = 2.0  # behind every true start
    starts = rank(order) < num_spans[:, None]
    count = starts.long().cumsum(1)
    count[:, mask_span:] -= count[:, :-mask_span].clone()  # starts among the last mask_span frames
    return (count > 0)[:, :num_frames] & (position[:num_frames] < lengths[:, None])


def draw_start_mask(
    lengths: Tensor, *, start_prob: float, mask_span: int, min_spans: int, generator: torch.Generator
) -> Tensor:
    """Masks whose spans start at every frame with the same probability (BEST-RQ, section 3.1); spans may overlap.

    Far from the beginning a share 1 - (1 - start_prob) ** mask_span of the frames is masked. A row with fewer than
    `min_spans` whole spans gets the missing ones where they fit. Other spans are cut at the length.

    Args:
        lengths: (batch,) valid frames.
        start_prob: of a span to start at a frame.
        mask_span: frames.

    Returns:
        (batch, max(lengths)) bool, True = masked; padding is never masked.
    """
    lengths = lengths.long()
    position = torch.arange(int(lengths.max()))
    starts = torch.rand(len(lengths), len(position), generator=generator, dtype=torch.float64) < start_prob
    starts &= position < lengths[:, None]
    fits = position <= (lengths[:, None] - mask_span).clamp(min=0)
    order = torch.rand(starts.shape, generator=generator, dtype=torch.float64)
    order[starts | ~fits] = 2.0  # behind every start to add
    starts |= (rank(order) < min_spans - (starts & fits).sum(1, keepdim=True)) & (order < 2.0)
    count = starts.long().cumsum(1)
    count[:, mask_span:] -= count[:, :-mask_span].clone()  # starts among the last mask_span frames
    return (count > 0) & (position < lengths[:, None])


def equalise_rows(mask: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
    """Unmask single frames at random until rows of the same length have the same number of masked frames.

    The reference (`require_same_masks`) thins every row of the batch to the smallest count; its batches are cropped to
    one length, where this is the same. Rows of different lengths keep their share of masked frames here.

    Args:
        mask: (batch, frames) bool.
        lengths: (batch,) valid frames.

    Returns:
        (batch, frames) bool.
    """
    counts = mask.sum(1)
    same_length = lengths[:, None] == lengths[None, :]
    target = torch.where(same_length, counts[None, :], mask.size(1)).amin(1)
    order = torch.rand(mask.shape, generator=generator, dtype=torch.float64)
    return rank(order.masked_fill(~mask, 2.0)) < target[:, None]


def rank(values: Tensor) -> Tensor:
    """Position that each element of a row would have if the row were sorted: (batch, n) -> (batch, n)."""
    return values.argsort(dim=1, stable=True).argsort(dim=1)
