"""Frames in; ids, moving sums and counts of online codebooks out, by hand and in parts."""

import pytest
import torch

from espnet2.ssl.modules.codebook import OnlineCodebooks, perplexity

FRAMES = torch.tensor([[[1.2, 0.1], [0.8, -0.1], [0.1, 0.9]]])
ALL = torch.ones(1, 3, dtype=torch.bool)


@pytest.fixture
def toy():
    codebooks = OnlineCodebooks(1, 3, 2, decay=0.9)
    codebooks.sums.copy_(torch.tensor([[[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]]))
    return codebooks


def test_toy(toy):
    """A code without frames stays; the ids are those of the codes before the move."""
    codes = toy.assign(0, FRAMES)
    assert codes.tolist() == [[0, 0, 1]]
    counts = toy.gather(0, FRAMES, codes, ALL)
    toy.move()
    torch.testing.assert_close(toy.counts, torch.tensor([[1.1, 1.0, 1.0]]))
    torch.testing.assert_close(toy.sums, torch.tensor([[[1.1, 0.0], [0.01, 0.99], [5.0, 5.0]]]))
    torch.testing.assert_close(toy.sums / toy.counts[..., None], torch.tensor([[[1.0, 0.0], [0.01, 0.99], [5.0, 5.0]]]))
    assert float(perplexity(counts / counts.sum())) == pytest.approx(1.88988, abs=1e-5)


def test_micro_batches_add_up(toy):
    """Three forward passes of one update move the codes as one."""
    codes = toy.assign(0, FRAMES)
    for frame in range(3):
        part = slice(frame, frame + 1)
        toy.gather(0, FRAMES[:, part], codes[:, part], ALL[:, part])
    toy.move()
    torch.testing.assert_close(toy.counts, torch.tensor([[1.1, 1.0, 1.0]]))
    torch.testing.assert_close(toy.sums, torch.tensor([[[1.1, 0.0], [0.01, 0.99], [5.0, 5.0]]]))


def test_what_does_not_count(toy):
    """Frames that are not chosen, a validation, and what was forgotten leave no trace."""
    before = toy.sums.clone(), toy.counts.clone()
    codes = toy.assign(0, FRAMES)
    toy.gather(0, FRAMES, codes, ~ALL)
    toy.move()
    toy.eval()
    toy.gather(0, FRAMES, codes, ALL)
    toy.move()
    toy.train()
    toy.gather(0, FRAMES, codes, ALL)
    toy.forget()
    toy.move()
    assert torch.equal(toy.sums, before[0]) and torch.equal(toy.counts, before[1])


def test_codes_start_standardised():
    torch.manual_seed(0)
    codebooks = OnlineCodebooks(2, 64, 8, decay=0.9, init_std=0.5)
    torch.testing.assert_close(codebooks.sums.mean(1), torch.zeros(2, 8), atol=1e-6, rtol=0)
    torch.testing.assert_close(codebooks.sums.std(1), torch.full((2, 8), 0.5))
    assert torch.equal(codebooks.counts, torch.ones(2, 64))


def test_half_precision_around_changes_nothing():
    torch.manual_seed(0)
    codebooks = OnlineCodebooks(1, 64, 32, decay=0.9)
    frames = torch.randn(4, 50, 32)
    expected = torch.cdist(frames, codebooks.sums[0]).argmin(-1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(codebooks.assign(0, frames), expected)
        codebooks.gather(0, frames, expected, torch.ones(4, 50, dtype=torch.bool))
    codebooks.move()
    assert codebooks.sums.dtype == torch.float32
    chosen = frames[expected == expected[0, 0]]
    code = int(expected[0, 0])
    torch.testing.assert_close(codebooks.counts[0, code], torch.tensor(0.9 + 0.1 * len(chosen)))
