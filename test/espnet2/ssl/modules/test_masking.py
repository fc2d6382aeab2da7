"""Span masks: HuBERT's numbers, the very-short rule, equal counts, and draws without side effects."""

import pytest
import torch

from espnet2.ssl.modules.masking import draw_span_mask, equalise_rows

HUBERT = {"mask_prob": 0.8, "mask_span": 10, "min_spans": 2}


def draw(lengths, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return draw_span_mask(torch.as_tensor(lengths), **(HUBERT | options), generator=generator)


@pytest.mark.parametrize(("frames", "coverage"), [(99, 0.574), (249, 0.568), (499, 0.567), (780, 0.566)])
def test_coverage_of_the_papers_mask(frames, coverage):
    masks = draw([frames] * 10_000)
    assert masks.float().mean().item() == pytest.approx(coverage, abs=0.005)
    assert not masks[:, -1].any(), "the last frame can never be masked"
    assert masks[:, 0].any() and masks[:, -2].any()


def test_a_mask_is_a_union_of_whole_spans():
    masks = draw([200] * 500, mask_prob=0.1, min_spans=1)  # 2 or 3 spans
    for mask in masks:
        edges = torch.diff(torch.nn.functional.pad(mask.int(), (1, 1)))
        runs = (edges == -1).nonzero() - (edges == 1).nonzero()
        assert (runs >= 10).all() and 1 <= len(runs) <= 3


def test_starts_are_distinct_and_uniform():
    masks = draw([35] * 20_000, mask_span=1, mask_prob=0.1, min_spans=3)  # 3 or 4 single frames out of 0..33
    assert set(masks.sum(1).tolist()) == {3, 4}
    share = masks[:, :34].float().mean(0)
    assert (share - 3.5 / 34).abs().max() < 0.012


def test_rounding_keeps_the_expected_number_of_spans():
    count = draw([55] * 20_000, mask_span=1, mask_prob=0.1, min_spans=0).sum(1).float()
    assert count.mean().item() == pytest.approx(5.5, abs=0.02)


def test_padding_is_never_masked():
    lengths = torch.tensor([499, 100, 12, 11, 10, 5, 2, 1, 0])
    for seed in range(50):
        masks = draw(lengths, seed)
        assert masks.shape == (9, 499)
        assert not masks[torch.arange(499) >= lengths[:, None]].any()


def test_very_short_utterances_start_within_the_number_of_spans():
    starts = torch.zeros(8)
    for seed in range(300):
        mask = draw([8], seed)[0]  # 2 spans of 10 from starts 0, 1, 2: cut at 8 frames
        first = int(mask.int().argmax())
        starts[first] += 1
        assert mask[first:].all()
    assert starts[:2].min() > 50 and starts[2:].sum() == 0  # two distinct of {0, 1, 2}: the lower is 0 or 1


def test_equal_rows_have_equal_counts():
    lengths = torch.full((64,), 499)
    masks = draw(lengths)
    thinned = equalise_rows(masks, lengths, torch.Generator().manual_seed(1))
    assert len(set(masks.sum(1).tolist())) > 1
    assert set(thinned.sum(1).tolist()) == {int(masks.sum(1).min())}
    assert not (thinned & ~masks).any(), "frames are only ever unmasked"


def test_rows_of_other_lengths_keep_their_share():
    lengths = torch.tensor([499, 499, 60])
    masks = draw(lengths)
    thinned = equalise_rows(masks, lengths, torch.Generator().manual_seed(1))
    assert thinned[0].sum() == thinned[1].sum() == masks[:2].sum(1).min()
    assert torch.equal(thinned[2], masks[2])


def test_same_generator_same_mask():
    assert torch.equal(draw([99, 50], 7), draw([99, 50], 7))
    assert not torch.equal(draw([99, 50], 7), draw([99, 50], 8))
