"""Biases as CUDA loads them: the values and gradients of the plain ones, in aligned rows of attention's type."""

import pytest
import torch

from espnet2.ssl.modules.alibi import Alibi
from espnet2.ssl.modules.attention import SelfAttention
from espnet2.ssl.modules.bias_rows import ROW_ALIGNMENT, scaled_rows, with_prefixes
from espnet2.ssl.modules.formulation import formulated_for_cuda
from espnet2.ssl.modules.gated_relative import BucketTable, PositionGate
from espnet2.ssl.modules.position import frame_offsets
from espnet2.ssl.modules.relative import RelativeLogits, Sinusoids

CPU = torch.device("cpu")


def is_aligned(bias):
    return bias.stride(-1) == 1 and all(step % ROW_ALIGNMENT == 0 for step in bias.stride()[:-1])


@pytest.mark.parametrize("num_frames", [1, 8, 13])
@pytest.mark.parametrize("num_prefixes", [0, 2])
def test_rows_are_aligned_and_of_attentions_type(num_frames, num_prefixes):
    bias, gate = torch.randn(2, 3, num_frames, num_frames), torch.rand(2, 3, num_frames, 1)
    plain = with_prefixes(bias, num_prefixes, torch.bfloat16)
    assert plain.dtype == torch.float32
    with formulated_for_cuda(True):
        ours = with_prefixes(bias, num_prefixes, torch.bfloat16)
        scaled = scaled_rows(gate, bias, torch.bfloat16)
    assert ours.dtype == scaled.dtype == torch.bfloat16
    assert is_aligned(ours) and is_aligned(scaled)
    assert torch.equal(ours, plain.bfloat16())
    torch.testing.assert_close(scaled.float(), gate * bias, atol=0.03, rtol=0.02)


@pytest.mark.parametrize("num_frames", [1, 2, 7, 16, 29])
@pytest.mark.parametrize("kind", ["alibi", "gated", "relative"])
@pytest.mark.parametrize("num_prefixes", [0, 3])
def test_attention_is_the_same(kind, num_frames, num_prefixes):
    torch.manual_seed(0)
    shared = {"alibi": Alibi(2, learned_scale=True), "gated": BucketTable(2, 16, 12), "relative": Sinusoids(8)}[kind]
    layer = {"alibi": None, "gated": PositionGate(8, 2), "relative": RelativeLogits(8, 2)}[kind]
    attention = SelfAttention(8, 2, dropout=0.0, position=layer)
    x = torch.randn(2, num_prefixes + num_frames, 8, requires_grad=True)
    mask = (torch.arange(x.size(1)) < torch.tensor([[x.size(1)], [max(1, x.size(1) - 2)]]))[:, None, None]
    leaves = {"x": x, **dict(shared.named_parameters()), **dict(attention.named_parameters(prefix="attention"))}
    direction = torch.randn(2, x.size(1), 8)
    results = []
    for choice in (False, True):
        with formulated_for_cuda(choice):
            position = shared(frame_offsets(num_frames, None, CPU), num_frames, num_prefixes)
            if kind == "alibi":
                output = attention(x, torch.where(mask, position, float("-inf")), None)
            else:
                output = attention(x, mask, position)
        results.append((output, torch.autograd.grad(output, list(leaves.values()), direction, allow_unused=True)))
    (plain, expected), (ours, gradients) = results
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
    for name, gradient, reference in zip(leaves, gradients, expected, strict=True):
        torch.testing.assert_close(gradient, reference, atol=1e-5, rtol=1e-5, msg=name)
