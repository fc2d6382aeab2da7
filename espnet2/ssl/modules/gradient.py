"""The factor on a gradient: wav2vec 2.0's `feature_grad_mult`."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


class _Scaled(FunctionCtx):
    factor: float  # on the gradient


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Scaled, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: _Scaled, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """Identity forward; backward multiplies the gradient by `factor` (wav2vec 2.0's `feature_grad_mult`)."""
    if factor == 1.0:
        return x
    scaled: Tensor = _ScaleGradient.apply(x, factor)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return scaled
