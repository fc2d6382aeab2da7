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

from espnet2.ssl.modules.products import banded_product, strided_product


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
    return lambda: F.conv1d(values, weight, **options), _differentiated(shape, values, weight)


def channels_last(shape: Convolution, values: Tensor, weight: Tensor) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """The same with the channels innermost; its output is (batch, outputs, 1, frames)."""
    planes = values[:, :, None].contiguous(memory_format=torch.channels_last)
    kernels = weight[:, :, None].contiguous(memory_format=torch.channels_last)
    planes, kernels = _leaves(shape, planes, kernels)
    options = {"stride": (1, shape.stride), "padding": (0, shape.padding), "groups": shape.groups}
    return lambda: F.conv2d(planes, kernels, **options), _differentiated(shape, planes, kernels)


def products(shape: Convolution, values: Tensor, weight: Tensor) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """The same as matrix products; its output is (batch, frames, outputs)."""
    rows, weight = _leaves(shape, values.transpose(1, 2).contiguous(), weight)
    if shape.groups == 1:
        return lambda: strided_product(rows, weight, shape.stride), _differentiated(shape, rows, weight)
    frames = shape.frames + 2 * shape.padding - shape.kernel + 1
    return lambda: banded_product(rows, weight, shape.groups, shape.padding, frames), _differentiated(
        shape, rows, weight
    )


# Layout, and what brings its output to (batch, channels, frames).
LAYOUTS: dict[str, tuple[Layout, Callable[[Tensor], Tensor]]] = {
    "channels first": (channels_first, lambda output: output),
    "channels last": (channels_last, lambda output: output.squeeze(2)),
    "products": (products, lambda output: output.transpose(1, 2)),
}


def _leaves(shape: Convolution, values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return values.detach().requires_grad_(shape.wants_input), weight.detach().requires_grad_()


def _differentiated(shape: Convolution, values: Tensor, weight: Tensor) -> list[Tensor]:
    return [values, weight] if shape.wants_input else [weight]
