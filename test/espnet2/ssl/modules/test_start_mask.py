"""Masks whose spans start with equal probability everywhere: shares, whole spans, padding."""

import pytest
import torch
from torch.nn import functional as F

from espnet2.ssl.modules.masking import draw_start_mask


def spans(mask: torch.Tensor) -> list[int]:
    """Lengths of the runs of True in (frames,)."""
    edges = F.pad(mask.long(), (1, 1)).diff().nonzero().flatten()
    return (edges[1::2] - edges[::2]).tolist()


@pytest.mark.parametrize(("start_prob", "mask_span", "share"), [(0.01, 40, 0.331), (0.02, 30, 0.455)])
def test_share_of_masked_frames(start_prob, mask_span, share):
    generator = torch.Generator().manual_seed(0)
    options = {"start_prob": start_prob, "mask_span": mask_span, "generator": generator}
    mask = draw_start_mask(torch.full((400,), 2000), min_spans=0, **options)
    assert abs(mask[:, mask_span:].float().mean() - share) < 0.005
    inside = [length for row in mask[:20] for length in spans(row[:-mask_span])]
    assert min(inside[:-1]) >= 1 and max(inside) > mask_span
    lengths = torch.randint(60, 300, (200,), generator=generator)
    mask = draw_start_mask(lengths, min_spans=1, **options)
    for row, length in zip(mask, lengths.tolist(), strict=True):
        assert not row[length:].any() and max(spans(row)) >= mask_span
    assert draw_start_mask(torch.tensor([5, 80]), min_spans=1, **options)[0].tolist()[:6] == [True] * 5 + [False]


def test_missing_spans_are_added_where_whole_ones_fit():
    generator = torch.Generator().manual_seed(0)
    options = {"start_prob": 1e-12, "mask_span": 10, "generator": generator}
    assert not draw_start_mask(torch.full((50,), 100), min_spans=0, **options).any()
    mask = draw_start_mask(torch.full((2000,), 100), min_spans=1, **options)
    assert all(spans(row) == [10] for row in mask)
    first = mask.long().argmax(1)
    assert first.min() == 0 and first.max() == 90  # every place where one fits, no other
