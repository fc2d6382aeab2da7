"""Norms, heads, gradient scaling, positions and length helpers by hand-made cases."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from espnet2.ssl.modules.attention import SelfAttention
from espnet2.ssl.modules.gradient import scale_gradient
from espnet2.ssl.modules.heads import CosineHead
from espnet2.ssl.modules.lengths import fit_frames, valid_frames
from espnet2.ssl.modules.norm import ChannelLayerNorm, TimeGroupNorm, normalise_over_time
from espnet2.ssl.modules.position import ConvPosition, gather_frames


def test_cosine_head_of_the_sheet():
    head = CosineHead(2, 2, 3, temperature=0.1)
    with torch.no_grad():
        head.projection.weight.copy_(torch.eye(2))
        head.projection.bias.zero_()
        head.label_embeddings.copy_(torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
    logits = head(torch.tensor([[[2.0, 1.0]]]))
    torch.testing.assert_close(logits, torch.tensor([[[8.9443, 4.4721, 9.4868]]]), atol=1e-4, rtol=0)
    loss = F.cross_entropy(logits[0], torch.tensor([2]))
    assert loss.item() == pytest.approx(0.462411, abs=1e-6)


def test_cosine_head_computes_in_float32_under_autocast():
    head = CosineHead(8, 4, 3, temperature=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert head(torch.randn(1, 5, 8)).dtype == torch.float32


def test_cosine_head_survives_a_zero_frame():
    head = CosineHead(2, 2, 3, temperature=0.1)
    nn.init.zeros_(head.projection.bias)
    logits = head(torch.zeros(1, 1, 2))
    logits.sum().backward()
    assert logits.isfinite().all() and head.projection.weight.grad.isfinite().all()


@pytest.mark.parametrize("factor", [0.0, 0.1, 1.0, 3.0])
def test_gradient_is_scaled_and_the_value_is_not(factor):
    x = torch.randn(5, requires_grad=True)
    y = scale_gradient(x, factor)
    assert torch.equal(x, y)
    (y * torch.arange(5)).sum().backward()
    assert torch.equal(x.grad, torch.arange(5) * factor)


def test_group_norm_equals_torch_without_padding():
    norm = TimeGroupNorm(6)
    with torch.no_grad():
        norm.weight.uniform_()
        norm.bias.uniform_()
    x = 3 * torch.randn(2, 6, 50) + 1
    expected = F.group_norm(x, 6, norm.weight, norm.bias)
    for lengths in (None, torch.tensor([50, 50])):
        assert torch.equal(norm(x, lengths), expected)
    short = F.group_norm(x[1:, :, :30], 6, norm.weight, norm.bias)
    padded = norm(x, torch.tensor([50, 30]))
    torch.testing.assert_close(padded[:1], expected[:1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(padded[1:, :, :30], short, atol=1e-5, rtol=1e-5)


def test_normalise_over_time_ignores_padding_and_survives_constants():
    x = torch.randn(2, 40, 3)
    x[0, :, 2] = 5.0
    full = normalise_over_time(x, None, eps=1e-5)
    torch.testing.assert_close(full.mean(1), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(full.var(1, correction=0)[1], torch.ones(3), atol=1e-4, rtol=0)
    assert full[0, :, 2].abs().max() < 1e-3
    part = normalise_over_time(x, torch.tensor([40, 25]), eps=1e-5)
    torch.testing.assert_close(part[1, :25], normalise_over_time(x[1:, :25], None, eps=1e-5)[0], atol=1e-5, rtol=1e-5)
    assert (part[1, 25:] == 0).all()


def test_channel_layer_norm_is_over_channels():
    x = torch.randn(2, 8, 5)
    expected = F.layer_norm(x.transpose(1, 2), (8,)).transpose(1, 2)
    torch.testing.assert_close(ChannelLayerNorm(8)(x), expected)


def test_valid_frames_needs_no_mask_where_nothing_is_padded():
    assert valid_frames(None, 5) is None
    assert valid_frames(torch.tensor([5, 6]), 5) is None
    assert valid_frames(torch.tensor([5, 2]), 5).tolist() == [[True] * 5, [True, True, False, False, False]]


def test_fit_frames_cuts_and_pads():
    x = torch.tensor([[1, 2, 3]])
    assert fit_frames(x, 5, -1).tolist() == [[1, 2, 3, -1, -1]]
    assert fit_frames(x, 2, -1).tolist() == [[1, 2]]
    assert fit_frames(torch.tensor([[True]]), 2, False).tolist() == [[True, False]]


@pytest.mark.parametrize("kernel", [7, 8])
def test_conv_position_keeps_the_number_of_frames(kernel):
    position = ConvPosition(12, kernel, groups=3)
    assert position(torch.randn(2, 30, 12)).shape == (2, 30, 12)
    copied = copy.deepcopy(position)
    x = torch.randn(1, 9, 12)
    assert torch.equal(position(x), copied(x))


def test_conv_position_starts_as_fairseq():
    weight = ConvPosition(64, 32, groups=4).conv.weight
    assert weight.std().item() == pytest.approx((4 / (32 * 64)) ** 0.5, rel=0.05)


def test_gather_frames():
    x = torch.arange(8.0).view(2, 4, 1)
    assert gather_frames(x, torch.tensor([[3, 0], [1, -1]])).squeeze(-1).tolist() == [[3, 0], [5, 4]]


def test_attention_ignores_masked_keys_and_a_row_without_any_stays_finite():
    attention = SelfAttention(8, 2, dropout=0.0)
    x = torch.randn(2, 6, 8)
    mask = torch.tensor([[True] * 4 + [False] * 2, [False] * 6])[:, None, None, :]
    output = attention(x, mask)
    torch.testing.assert_close(output[0, :4], attention(x[:1, :4], None)[0])
    assert output.isfinite().all()


def test_attention_bias_is_added_to_the_logits():
    attention = SelfAttention(8, 2, dropout=0.0)
    x = torch.randn(1, 5, 8)
    keep = torch.tensor([True, True, False, True, False])
    bias = torch.zeros(1, 1, 5, 5).masked_fill(~keep, float("-inf"))
    torch.testing.assert_close(attention(x, bias), attention(x, keep[None, None, None, :]))


def test_conv_position_without_weight_norm_starts_as_the_same_function():
    torch.manual_seed(0)
    normalised = ConvPosition(64, 32, groups=4)
    torch.manual_seed(0)
    plain = ConvPosition(64, 32, groups=4, weight_norm=False)
    x = torch.randn(2, 40, 64)
    assert torch.allclose(normalised(x), plain(x), atol=1e-6)
    assert [name for name, _ in plain.named_parameters()] == ["conv.weight", "conv.bias"]
