"""A tensor in, the same tensor with a scaled gradient out."""

import torch
from torch import Tensor


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """Identity forward; backward multiplies the gradient by `factor` (wav2vec 2.0's `feature_grad_mult`)."""
    return x if factor == 1.0 else _ScaleGradient.apply(x, factor)
