"""A block that layerdrop leaves out of an update: nothing of it is computed, and its parameters get zeros as gradient.

So the optimizer sees what it saw when the block was computed and its output replaced, DDP finds a gradient of every
parameter, and no rank waits for another.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def pass_by(x: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """`x` as it is, with a gradient of zeros for the parameters."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained or not torch.is_grad_enabled():
        return x
    passed: Tensor = _PassBy.apply(x, *trained)  # type: ignore[no-untyped-call]
    return passed


class _PassBy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.left_out = parameters  # type: ignore[attr-defined]  # leaves, which nothing computes with
        return x.view_as(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, ...]:
        parameters: tuple[Tensor, ...] = ctx.left_out  # type: ignore[attr-defined]
        return (*gradients, *map(torch.zeros_like, parameters))
