"""A block that an update drops: its input goes on, and its weights get zero gradients at no cost.

Every parameter has to get a gradient in every pass: DDP counts them, and AdamW decays weights and moments by them.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from espnet2.ssl.modules.formulation import wants_cuda_formulation
from espnet2.ssl.modules.gated_relative import PositionGate


class _Past(torch.autograd.Function):
    """x goes on unchanged; the weights are in the graph, with gradients of zero."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(*weights)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, ...]:
        weights: tuple[Tensor, ...] = ctx.saved_tensors  # type: ignore[attr-defined]
        return (gradients[0], *(torch.zeros_like(weight) for weight in weights))


def may_skip(x: Tensor, blocks: nn.Module) -> bool:
    """Whether dropped blocks are left out, instead of computed and thrown away.

    On CUDA alone: a CPU's trainings keep their bits, and a block that is left out draws no dropout. Not in a compiled
    graph, which would be made anew for every choice, nor with sharded weights (FSDP2), which the blocks gather.
    """
    sharded = any(hasattr(weight, "to_local") for weight in blocks.parameters())
    return wants_cuda_formulation(x) and not torch.compiler.is_compiling() and not sharded


def past(block: nn.Module, x: Tensor) -> Tensor:
    """What goes into a dropped block comes out."""
    for module in block.modules():
        if isinstance(module, PositionGate):
            module.last = None  # of another batch
    weights = [weight for weight in block.parameters() if weight.requires_grad]
    return cast(Tensor, _Past.apply(x, *weights))
