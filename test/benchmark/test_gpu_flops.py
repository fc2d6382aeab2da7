"""Convolutions and a model in; the operations that one counts by hand out."""

import pytest
import torch
from gpu_flops import count_flops
from gpu_training import NUM_CLASSES, TINY, Ours
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def forward_and_backward(layer: nn.Module, values: torch.Tensor) -> None:
    layer(values).sum().backward()


@pytest.mark.parametrize("groups", [1, 4, 16])
@pytest.mark.parametrize("wants_input", [True, False])
def test_backward_of_a_grouped_convolution_is_twice_its_forward(groups: int, wants_input: bool) -> None:
    layer = nn.Conv1d(16, 32, 5, padding=2, groups=groups)
    values = torch.randn(3, 16, 20, requires_grad=wants_input)
    forward = 2 * 3 * 32 * 20 * (16 // groups) * 5  # batch, outputs, frames, inputs of a group, taps
    flops = count_flops(lambda: forward_and_backward(layer, values))
    assert flops == forward * (3 if wants_input else 2)


@pytest.mark.parametrize("groups", [1, 8])
def test_transposed_and_two_dimensional_convolutions(groups: int) -> None:
    transposed = nn.ConvTranspose1d(8, 16, 4, stride=2, groups=groups)
    values = torch.randn(2, 8, 10, requires_grad=True)
    assert count_flops(lambda: forward_and_backward(transposed, values)) == 3 * 2 * 2 * 8 * 10 * (16 // groups) * 4
    plane = nn.Conv2d(8, 8, 3, padding=1, groups=groups)
    values = torch.randn(2, 8, 5, 6, requires_grad=True)
    assert count_flops(lambda: forward_and_backward(plane, values)) == 3 * 2 * 2 * 8 * 30 * (8 // groups) * 9


def test_pytorch_alone_is_still_wrong() -> None:
    """When this fails, PyTorch counts right and gpu_flops.py has done its duty."""
    layer = nn.Conv1d(16, 16, 5, padding=2, groups=16, bias=False)
    values = torch.randn(3, 16, 20, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        forward_and_backward(layer, values)
    assert counter.get_total_flops() > 3 * 2 * 3 * 16 * 20 * 5


def test_an_update_costs_what_one_counts_by_hand() -> None:
    ours = Ours(TINY, torch.device("cpu"))
    size, frames, samples = TINY, 49, TINY.num_samples
    channels, dim = size.channels, size.dim
    convolutions, lengths, inputs = 0, samples, 1
    for kernel, stride, backward in ((10, 5, 1), *[(3, 2, 2)] * 4, *[(2, 2, 2)] * 2):
        lengths = (lengths - kernel) // stride + 1
        convolutions += (1 + backward) * 2 * channels * lengths * inputs * kernel
        inputs = channels
    assert lengths == frames
    position_frames = frames + 1 - size.position_kernel % 2
    position = 3 * 2 * dim * position_frames * (dim // size.position_groups) * size.position_kernel
    projection = 3 * 2 * frames * channels * dim
    block = 3 * 2 * frames * dim * (4 * dim + 2 * size.ffn_dim)
    attention = (2 + 5) * 2 * frames * frames * dim  # two products forward, five in a fused backward
    head = 3 * 2 * frames * dim * 256 + 3 * 2 * frames * 256 * NUM_CLASSES
    one_row = convolutions + position + projection + size.num_layers * (block + attention) + head
    seconds = samples / 16_000
    assert ours.flops_per_second_of_audio() * seconds == pytest.approx(one_row, rel=0.02)
