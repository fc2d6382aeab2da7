"""A convolution over time in, the same values in three memory layouts out: which kernels a GPU has for each differs.

* channels first: (batch, channels, frames), what `nn.Conv1d` gets; cuDNN's bf16 kernels may convert it in and out;
* channels last: (batch, channels, 1, frames) with the channels innermost, as a two-dimensional convolution;
* products: (batch, frames, channels) and no convolution at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

POSITION_BLOCK = 16  # output frames of one banded product


@dataclass(frozen=True)
class Convolution:
    """One convolution of HuBERT."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int  # frames on each side
    groups: int
    frames: int  # of the input
    wants_input: bool  # its backward gives a gradient of the input, too


Layout: TypeAlias = Callable[[Convolution, Tensor, Tensor], tuple[Callable[[], Tensor], list[Tensor]]]


def channels_first(shape: Convolution, values: Tensor, weight: Tensor) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """A forward and its leaves, from (batch, inputs, frames) and (outputs, inputs of a group, kernel)."""
    values, weight = _leaves(shape, values, weight)
    options = {"stride": shape.stride, "padding": shape.padding, "groups": shape.groups}
    return lambda: F.conv1d(values, weight, **options), _wanted(shape, values, weight)


def channels_last(shape: Convolution, values: Tensor, weight: Tensor) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """The same with the channels innermost; its output is (batch, outputs, 1, frames)."""
    planes = values[:, :, None].contiguous(memory_format=torch.channels_last)
    kernels = weight[:, :, None].contiguous(memory_format=torch.channels_last)
    planes, kernels = _leaves(shape, planes, kernels)
    options = {"stride": (1, shape.stride), "padding": (0, shape.padding), "groups": shape.groups}
    return lambda: F.conv2d(planes, kernels, **options), _wanted(shape, planes, kernels)


def products(shape: Convolution, values: Tensor, weight: Tensor) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """The same as matrix products; its output is (batch, frames, outputs)."""
    rows, weight = _leaves(shape, values.transpose(1, 2).contiguous(), weight)
    if shape.groups == 1:
        return lambda: strided_product(rows, weight, shape.stride), _wanted(shape, rows, weight)
    return lambda: banded_product(rows, weight, shape.groups, shape.padding), _wanted(shape, rows, weight)


# Layout, and what brings its output to (batch, channels, frames).
LAYOUTS: dict[str, tuple[Layout, Callable[[Tensor], Tensor]]] = {
    "channels first": (channels_first, lambda output: output),
    "channels last": (channels_last, lambda output: output.squeeze(2)),
    "products": (products, lambda output: output.transpose(1, 2)),
}


def strided_product(values: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A convolution without padding or groups: `stride` frames side by side are one row of a matrix, without a copy.

    Args:
        values: (batch, frames, inputs), contiguous.
        weight: (outputs, inputs, kernel).
        stride: taps that one product takes together.

    Returns:
        (batch, output frames, outputs).
    """
    batch, frames, inputs = values.shape
    kernel = weight.size(2)
    out_frames = (frames - kernel) // stride + 1
    matrix = weight.permute(2, 1, 0)  # (kernel, inputs, outputs)
    total = None
    for first in range(0, kernel, stride):
        taps = min(stride, kernel - first)
        if taps == stride:
            rows = values[:, first : first + out_frames * stride].view(batch, out_frames, stride * inputs)
        else:  # the rest of the taps: HuBERT's kernel of 3 at stride 2 has one
            picked = [values[:, first + tap :: stride][:, :out_frames] for tap in range(taps)]
            rows = picked[0] if taps == 1 else torch.cat(picked, dim=2)
        part = torch.bmm(rows, matrix[first : first + taps].reshape(1, taps * inputs, -1).expand(batch, -1, -1))
        total = part if total is None else total + part
    return total


def banded_product(values: Tensor, weight: Tensor, groups: int, padding: int, block: int = POSITION_BLOCK) -> Tensor:
    """A grouped convolution of stride 1 with a long kernel: blocks of frames times a banded matrix, a batch of groups.

    Args:
        values: (batch, frames, channels).
        weight: (outputs, channels of a group, kernel).
        groups: of channels.
        padding: zeros on each side.
        block: output frames of one row; more of them are more products with zeros, and fewer copies of the input.

    Returns:
        (batch, output frames, outputs).
    """
    batch, frames = values.shape[:2]
    outputs, per_group, kernel = weight.shape
    out_frames = frames + 2 * padding - kernel + 1
    blocks = -(-out_frames // block)
    window = block + kernel - 1  # input frames that a block sees
    padded = F.pad(values, (0, 0, padding, blocks * block + kernel - 1 - frames - padding))
    rows = padded.unfold(1, window, block).view(batch, blocks, groups, per_group, window)
    rows = rows.permute(2, 0, 1, 4, 3).reshape(groups, batch * blocks, window * per_group)
    taps = weight.view(groups, outputs // groups, per_group, kernel).permute(0, 3, 2, 1)
    band = torch.stack([F.pad(taps, (0, 0, 0, 0, shift, block - 1 - shift)) for shift in range(block)], dim=3)
    product = torch.bmm(rows, band.reshape(groups, window * per_group, block * (outputs // groups)))
    product = product.view(groups, batch, blocks, block, outputs // groups).permute(1, 2, 3, 0, 4)
    return product.reshape(batch, blocks * block, outputs)[:, :out_frames]


def _leaves(shape: Convolution, values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return values.detach().requires_grad_(shape.wants_input), weight.detach().requires_grad_()


def _wanted(shape: Convolution, values: Tensor, weight: Tensor) -> list[Tensor]:
    return [values, weight] if shape.wants_input else [weight]
