"""Convolutions over time as matrix products on (batch, frames, channels), for devices whose convolutions are slow.

A GPU computes a product at its full rate and wants the channels innermost. `nn.Conv1d` wants the frames innermost, and
a grouped one with a long kernel has no good kernel at all. On a CPU the convolutions are faster: they stay there.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from espnet2.ssl.modules.formulation import compute_dtype, wants_cuda_formulation

POSITION_BLOCK = 16  # output frames of one row: of a kernel of 128, 12 % more products and 9 copies of the input
NARROW = 64  # values that a window may have for its copies to cost less than products over strided frames


def strided_product(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """`F.conv1d` without padding and groups; `stride` frames side by side are one row of a matrix, without a copy.

    Args:
        x: (batch, frames, inputs).
        weight: (outputs, inputs, kernel).

    Returns:
        (batch, (frames - kernel) // stride + 1, outputs) in `compute_dtype`.
    """
    dtype = compute_dtype(x)
    x, weight = x.to(dtype), weight.to(dtype)
    if weight.size(1) * weight.size(2) <= NARROW:
        windows = x.unfold(1, weight.size(2), stride).flatten(2)  # (batch, output frames, inputs * kernel)
        return windows @ weight.flatten(1).T
    product: Tensor = _StridedProduct.apply(x.contiguous(), weight, stride)  # type: ignore[no-untyped-call]
    return product


def banded_product(x: Tensor, weight: Tensor, groups: int, left: int, num_frames: int) -> Tensor:
    """`F.conv1d` of stride 1 with a long kernel: blocks of frames times a banded matrix, one product per group.

    Args:
        x: (batch, frames, inputs).
        weight: (outputs, inputs / groups, kernel).
        groups: of channels.
        left: zeros before the first frame; after the last one there are as many as it takes.
        num_frames: of the output.

    Returns:
        (batch, num_frames, outputs) in `compute_dtype`.
    """
    dtype = compute_dtype(x)
    taps = torch.unflatten(weight.to(dtype), 0, (groups, -1))
    product: Tensor = _BandedProduct.apply(x.to(dtype), taps, left, num_frames)  # type: ignore[no-untyped-call]
    return product


def convolve_frames(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """A padded convolution of stride 1 over frames; the one frame too many of an even kernel is dropped.

    Args:
        x: (batch, frames, inputs).

    Returns:
        (batch, frames, outputs).
    """
    if wants_cuda_formulation(x) and conv.groups < conv.in_channels:  # depthwise: nothing to multiply
        product = banded_product(x, conv.weight, conv.groups, int(conv.padding[0]), x.size(1))
        return product if conv.bias is None else product + conv.bias.to(product.dtype)
    if conv.groups > 1 and x.device.type == "cpu" and compute_dtype(x) == torch.bfloat16:
        convolved = _convolve_in_float32(conv, x)
    else:
        convolved = conv(x.transpose(1, 2))
    return convolved[..., : x.size(1)].transpose(1, 2)


def _convolve_in_float32(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """(batch, frames, inputs) -> (batch, outputs, frames) bfloat16.

    Grouped convolutions of bf16 on AMX are wrong at some sizes, without a word: with 16 groups of 12 or of 4 channels
    they differ from fp32 by more than its norm (oneDNN of PyTorch 2.13).
    """
    with torch.autocast("cpu", enabled=False):
        convolved: Tensor = conv(x.float().transpose(1, 2))
    return convolved.to(torch.bfloat16)


class _Strided(FunctionCtx):
    saved_tensors: tuple[Tensor, Tensor]
    needs_input_grad: tuple[bool, bool, bool]
    stride: int


class _StridedProduct(torch.autograd.Function):
    """Autograd alone would fill a zero tensor per slice; the gradient of the input is written once and added to."""

    @staticmethod
    def forward(ctx: _Strided, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        num_frames = (x.size(1) - weight.size(2)) // stride + 1
        total: Tensor | None = None
        for first, last in _chunks(weight.size(2), stride):
            rows = _rows(x, first, last, stride, num_frames)
            matrix = _matrix(weight, first, last).expand(len(x), -1, -1)
            if total is None or torch.compiler.is_compiling():  # a compiler adds where it computes what follows
                product = torch.bmm(rows, matrix)
                total = product if total is None else total + product
            else:
                total.baddbmm_(rows, matrix)
        assert total is not None
        return total

    @staticmethod
    def backward(ctx: _Strided, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        chunks, stride, num_frames = _chunks(weight.size(2), ctx.stride), ctx.stride, gradient.size(1)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            spread = _spread if torch.compiler.is_compiling() else _spread_in_place
            of_x = spread(gradient, weight, stride, x.size(1))
        if ctx.needs_input_grad[1]:
            parts = [
                torch.bmm(_rows(x, first, last, stride, num_frames).transpose(1, 2), gradient)
                .sum(0)
                .unflatten(0, (last - first, -1))
                for first, last in chunks
            ]
            of_weight = torch.cat(parts).permute(2, 1, 0)  # (kernel, inputs, outputs) -> as the weight
        return of_x, of_weight, None


def _spread_in_place(gradient: Tensor, weight: Tensor, stride: int, frames: int) -> Tensor:
    """The gradient of the input, (batch, frames, inputs): products write into it."""
    num_frames, kernel = gradient.size(1), weight.size(2)
    shape = (len(gradient), frames, weight.size(1))
    of_x = gradient.new_zeros(shape) if kernel < stride else gradient.new_empty(shape)
    of_x[:, num_frames * stride :] = 0  # the first chunk writes the frames before
    for first, last in _chunks(kernel, stride):
        matrix = _matrix(weight, first, last).transpose(1, 2).expand(len(gradient), -1, -1)
        _rows(of_x, first, last, stride, num_frames).baddbmm_(gradient, matrix, beta=int(first > 0))
    return of_x


def _spread(gradient: Tensor, weight: Tensor, stride: int, frames: int) -> Tensor:
    """The same as a sum of padded products, which a compiler computes in one pass with what follows."""
    total: Tensor | None = None
    for first, last in _chunks(weight.size(2), stride):
        matrix = _matrix(weight, first, last).transpose(1, 2).expand(len(gradient), -1, -1)
        taps = torch.unflatten(torch.bmm(gradient, matrix), 2, (last - first, -1))
        rows = F.pad(taps, (0, 0, 0, stride - (last - first))).flatten(1, 2)  # (batch, num_frames * stride, inputs)
        padded = F.pad(rows, (0, 0, first, frames - first - rows.size(1)))
        total = padded if total is None else total + padded
    assert total is not None
    return total


def _chunks(kernel: int, stride: int) -> list[tuple[int, int]]:
    """The taps that one product takes together: first and last + 1. As many as the stride, or else one."""
    whole = kernel - kernel % stride
    return [(first, first + stride) for first in range(0, whole, stride)] + [
        (tap, tap + 1) for tap in range(whole, kernel)
    ]


def _rows(x: Tensor, first: int, last: int, stride: int, num_frames: int) -> Tensor:
    """(batch, frames, inputs), contiguous -> a view (batch, num_frames, taps * inputs): what some taps see."""
    if last - first == stride:
        return x[:, first : first + num_frames * stride].view(len(x), num_frames, -1)
    return x[:, first : first + (num_frames - 1) * stride + 1 : stride]


def _matrix(weight: Tensor, first: int, last: int) -> Tensor:
    """(outputs, inputs, kernel) -> (1, taps * inputs, outputs) of some taps."""
    return weight[:, :, first:last].permute(2, 1, 0).flatten(0, 1)[None]


class _Banded(FunctionCtx):
    saved_tensors: tuple[Tensor, Tensor]
    needs_input_grad: tuple[bool, bool, bool, bool]
    left: int


class _BandedProduct(torch.autograd.Function):
    """The gradient of the input is a banded product again; that of the weight is the sum over the band's diagonals."""

    @staticmethod
    def forward(ctx: _Banded, x: Tensor, taps: Tensor, left: int, num_frames: int) -> Tensor:
        ctx.save_for_backward(x, taps)
        ctx.left = left
        return _banded(x, taps, left, num_frames)

    @staticmethod
    def backward(ctx: _Banded, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, taps = ctx.saved_tensors
        groups, outputs, inputs, kernel = taps.shape
        of_x = of_taps = None
        if ctx.needs_input_grad[0]:
            of_x = _banded(gradient, taps.flip(3).transpose(1, 2), kernel - 1 - ctx.left, x.size(1))
        if ctx.needs_input_grad[1]:
            block, blocks = POSITION_BLOCK, _num_blocks(gradient.size(1))
            rows = _windows(x, groups, kernel, ctx.left, blocks)
            padded = F.pad(gradient, (0, 0, 0, blocks * block - gradient.size(1)))
            columns = padded.view(len(x), blocks, block, groups, outputs).permute(3, 0, 1, 2, 4)
            band = torch.bmm(rows.transpose(1, 2), columns.reshape(groups, -1, block * outputs))
            step = inputs * block * outputs  # from one frame of a window to the next
            size, strides = (groups, outputs, inputs, kernel, block), (band.stride(0), 1, block * outputs)
            of_taps = band.as_strided(size, (*strides, step, step + outputs)).sum(-1)
        return of_x, of_taps, None, None


def _banded(x: Tensor, taps: Tensor, left: int, num_frames: int) -> Tensor:
    """(batch, frames, inputs), (groups, outputs, inputs, kernel) of a group -> (batch, num_frames, outputs)."""
    groups, outputs, _, kernel = taps.shape
    block, blocks = POSITION_BLOCK, _num_blocks(num_frames)
    rows = _windows(x, groups, kernel, left, blocks)
    padded = F.pad(taps.transpose(2, 3), (0, 0, block - 1, block - 1))  # (groups, outputs, kernel + zeros, inputs)
    band = padded.unfold(2, block + kernel - 1, 1).permute(0, 2, 1, 4, 3)  # the last frame of the block is first
    product = torch.bmm(rows, band.reshape(groups, block * outputs, -1).transpose(1, 2))
    product = product.view(groups, len(x), blocks, block, outputs).flip(3).permute(1, 2, 3, 0, 4)
    return product.reshape(len(x), blocks * block, groups * outputs)[:, :num_frames]


def _num_blocks(num_frames: int) -> int:
    """With a frame to spare always: a compiled graph would be another one where the last block is full."""
    return num_frames // POSITION_BLOCK + 1


def _windows(x: Tensor, groups: int, kernel: int, left: int, blocks: int) -> Tensor:
    """(batch, frames, inputs) -> (groups, batch * blocks, window * inputs of a group): what each block looks at."""
    window = POSITION_BLOCK + kernel - 1
    padded = F.pad(x, (0, 0, left, blocks * POSITION_BLOCK + kernel - 1 - left - x.size(1)))
    windows = padded.unfold(1, window, POSITION_BLOCK)  # (batch, blocks, inputs, window)
    of_groups = torch.unflatten(windows, 2, (groups, -1)).permute(2, 0, 1, 4, 3)
    return of_groups.reshape(groups, len(x) * blocks, -1)
