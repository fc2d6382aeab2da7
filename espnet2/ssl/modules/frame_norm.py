"""Norms over the batch (Ioffe & Szegedy, 2015), the utterance or the channels; padding is in no statistic."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from espnet2.ssl.modules.collective import sum_over_ranks

NormKind = Literal["batch", "layer", "group"]


class FrameBatchNorm(nn.Module):
    """Batch normalisation over the valid frames of one micro-batch on all ranks (Ioffe & Szegedy, 2015).

    While training, the running statistics do not move in `forward`: it gathers, and `commit` moves them once after a
    finite optimizer step, from all micro-batches of the update; `forget` drops what a skipped step gathered.
    In evaluation mode it is torch's BatchNorm1d.
    """

    running_mean: Tensor  # (dim,)
    running_var: Tensor  # (dim,)

    def __init__(self, dim: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))
        self.gathered: Tensor | None = None  # (2 * dim + 1,) float64: sums, sums of squares, frames

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """(batch, frames, dim), (batch, frames) bool or None -> (batch, frames, dim)."""
        if self.training:
            mean, variance = self._batch_statistics(x.float(), valid)
        else:
            mean, variance = self.running_mean, self.running_var
        normalised = (x.float() - mean) * torch.rsqrt(variance + self.eps)
        return (normalised * self.weight + self.bias).to(x.dtype)

    def _batch_statistics(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and biased variance of each channel, the same on all ranks; what they came from is remembered."""
        weight = x.new_ones(*x.shape[:2], 1) if valid is None else valid[..., None].float()
        count = sum_over_ranks(weight.sum())
        # Two sums over ranks: in float32 a mean of squares minus a squared mean cancels where the mean is large.
        mean = _sum_over_ranks((x * weight).sum((0, 1))) / count.clamp(min=1)
        square = ((x - mean) * weight).square().sum((0, 1))
        variance = _sum_over_ranks(square) / count.clamp(min=1)
        moments = torch.cat([mean, variance + mean.square(), torch.ones_like(count)[None]]).detach()
        gathered = moments.double() * count
        self.gathered = gathered if self.gathered is None else self.gathered + gathered
        return mean, variance

    def forget(self) -> None:
        """Drop what was gathered. A tensor from the first micro-batch on: compiled graphs differ by what is None."""
        self.gathered = torch.zeros(2 * self.weight.numel() + 1, dtype=torch.float64, device=self.weight.device)

    @torch.no_grad()
    def commit(self) -> None:
        """Move the running mean and the running (unbiased) variance towards what was gathered."""
        if self.gathered is None:
            return
        count = self.gathered[-1]
        mean, square = (self.gathered[:-1] / count.clamp(min=1)).chunk(2)
        variance = (square - mean.square()).clamp(min=0) * count / (count - 1).clamp(min=1)
        share = self.momentum * (count > 0)
        self.running_mean.lerp_(mean.float(), share.float())
        self.running_var.lerp_(variance.float(), share.float())
        self.gathered = None


class _SumOverRanks(torch.autograd.Function):
    """Every rank's sum enters every rank's loss, so their gradients add up as well."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        return sum_over_ranks(x)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return sum_over_ranks(gradient)


def _sum_over_ranks(x: Tensor) -> Tensor:
    """`sum_over_ranks` that gradients flow through."""
    total: Tensor = _SumOverRanks.apply(x)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return total


class FrameGroupNorm(nn.Module):
    """GroupNorm with one group: over all channels of all valid frames of an utterance."""

    def __init__(self, dim: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """(batch, frames, dim), (batch, frames) bool or None -> (batch, frames, dim)."""
        centred = x.float()
        weight = centred.new_ones(*x.shape[:2], 1) if valid is None else valid[..., None].float()
        count = weight.sum((1, 2), keepdim=True).clamp(min=1) * x.size(2)
        centred = centred - (centred * weight).sum((1, 2), keepdim=True) / count
        variance = (centred * weight).square().sum((1, 2), keepdim=True) / count
        return (centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias).to(x.dtype)


class FrameLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each frame."""

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """(batch, frames, dim) -> the same shape; frames do not see each other, so `valid` does not matter."""
        return super().forward(x)


def frame_norm(kind: NormKind, dim: int) -> nn.Module:
    """The norm of that name: module(x, valid) -> x."""
    norms: Mapping[str, Callable[[int], nn.Module]]
    norms = {"batch": FrameBatchNorm, "layer": FrameLayerNorm, "group": FrameGroupNorm}
    return norms[kind](dim)
