"""SpecAugment on features of a frozen model: a warp of time, masks of dimensions and of frames (Park et al. 2019)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Masks(NamedTuple):
    """How many, and how wide."""

    number: int
    below: float  # dimensions or frames; below 1 a share of the utterance


class SpecAugment:
    """Draws from torch's generator, which the trainer seeds by the update."""

    def __init__(self, *, warp_window: int, frequency: Masks, time: Masks) -> None:
        self.warp_window, self.frequency, self.time = warp_window, frequency, time

    def __call__(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, dim), (batch,) valid frames on the host -> the same shape, changed."""
        warped = [self._warp(row[:length]) for row, length in zip(features, lengths.tolist(), strict=True)]
        x = torch.stack([F.pad(row, (0, 0, 0, features.size(1) - len(row))) for row in warped])
        keep = torch.ones_like(x)
        for row, length in enumerate(lengths.tolist()):
            for start, stop in _spans(self.frequency, x.size(2)):
                keep[row, :, start:stop] = 0
            for start, stop in _spans(self.time, length):
                keep[row, start:stop] = 0
        return x * keep

    def _warp(self, row: Tensor) -> Tensor:
        """(frames, dim): a frame in the middle moves by less than the window, both sides follow."""
        window, count = self.warp_window, len(row)
        if count - window <= window:
            return row
        center = int(torch.randint(window, count - window, (1,)))
        moved = int(torch.randint(center - window, center + window, (1,))) + 1
        image = row[None, None]
        parts = [
            F.interpolate(part, (size, row.size(1)), mode="bicubic", align_corners=False)
            for part, size in ((image[:, :, :center], moved), (image[:, :, center:], count - moved))
        ]
        return torch.cat(parts, dim=2)[0, 0]


def _spans(masks: Masks, size: int) -> list[tuple[int, int]]:
    spans = []
    for _ in range(masks.number):
        limit = int(masks.below) if masks.below >= 1 else int(masks.below * size)
        width = int(torch.randint(0, max(1, limit), (1,)))
        start = int(torch.randint(0, max(1, size - width), (1,)))
        spans.append((start, min(size, start + width)))
    return spans
