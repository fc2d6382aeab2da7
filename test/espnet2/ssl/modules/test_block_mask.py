"""Lengths in, masks of data2vec 2.0 and the places of visible frames out: counts are exact, blocks are blocks."""

import pytest
import torch

from espnet2.ssl.modules.block_mask import draw_block_mask, visible_indices
from espnet2.ssl.modules.conv_decoder import ConvDecoder

BASE = {"mask_prob": 0.5, "mask_adjust": 0.05, "mask_span": 5}
LARGE = {"mask_prob": 0.55, "mask_adjust": 0.1, "mask_span": 5}


def drawn(lengths: torch.Tensor, conf: dict, seed: int = 0) -> torch.Tensor:
    return draw_block_mask(lengths, **conf, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("conf", [BASE, LARGE])
def test_exact_share_of_every_row(conf):
    lengths = torch.tensor([499, 500, 123, 7, 5, 2])
    for seed in range(20):
        mask = drawn(lengths, conf, seed)
        assert mask.sum(1).tolist() == [int(conf["mask_prob"] * length) for length in lengths.tolist()]
        assert not (mask & (torch.arange(500) >= lengths[:, None])).any()


def test_masked_frames_come_in_blocks():
    """Blocks of 5 overlap and are thinned: runs are 2.2 frames for frames drawn one by one, here well above 3."""
    mask = drawn(torch.full((200,), 500), BASE)
    starts = mask & ~torch.nn.functional.pad(mask, (1, 0))[:, :-1]
    assert 3.5 < mask.sum() / starts.sum() < 6
    assert (mask.float().mean(0) - 0.5).abs()[5:-5].max() < 0.15  # no place is preferred


def test_visible_indices_are_what_is_left():
    lengths = torch.tensor([40, 25])
    mask = drawn(lengths, BASE)
    indices = visible_indices(mask, lengths)
    assert indices.shape == (2, 20)
    for row, length in enumerate(lengths.tolist()):
        expected = [frame for frame in range(length) if not mask[row, frame]]
        assert indices[row].tolist() == expected + [-1] * (20 - len(expected))


def test_decoder_puts_visible_frames_back_and_noise_into_holes():
    decoder = ConvDecoder(4, 4, num_layers=0, kernel=7, groups=2, dropout=0.0, noise_std=0.0)
    encoded, keep = torch.randn(2, 3, 4), torch.tensor([[0, 2, 5], [1, 3, -1]])
    filled = decoder(encoded, keep, 6, None)
    assert filled.shape == (2, 6, 4)
    torch.testing.assert_close(filled[0, 5], decoder.output(encoded[0, 2]))
    torch.testing.assert_close(filled[1, 3], decoder.output(encoded[1, 1]))
    for row, frame in ((0, 1), (0, 3), (1, 0), (1, 5)):
        torch.testing.assert_close(filled[row, frame], decoder.output.bias)
    decoder.noise_std = 0.01
    assert torch.equal(decoder.eval()(encoded, keep, 6, None), decoder(encoded, keep, 6, None))
    noise = decoder._noise(5000, encoded)
    assert noise.std() == pytest.approx(0.01, rel=0.05)


def test_decoder_has_residuals_between_equal_widths():
    """Two of three convolutions, with the public recipe's LayerNorm over channels and GELU."""
    torch.manual_seed(0)
    decoder = ConvDecoder(8, 4, num_layers=3, kernel=3, groups=2, dropout=0.0, noise_std=0.0)
    x = torch.randn(1, 6, 8)
    result = decoder(x, torch.arange(6)[None], 6, None)
    for number, conv in enumerate(decoder.convs):
        hidden = conv(x.transpose(1, 2)).transpose(1, 2)
        hidden = (hidden - hidden.mean(-1, keepdim=True)) / (hidden.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        hidden = torch.nn.functional.gelu(hidden)
        x = hidden + x if number else hidden
    torch.testing.assert_close(result, decoder.output(x), atol=1e-5, rtol=1e-5)
