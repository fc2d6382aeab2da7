"""AdamW: its keys, how it is built, and the clipping of gradients."""

from collections.abc import Iterable

import torch
from pydantic import Field
from torch import Tensor, nn

from espnet2.utils.config import Config


class AdamWConfig(Config):
    """AdamW. The defaults are HuBERT Base's (paper, section 4.2; epsilon and weight decay from its public recipe)."""

    lr: float = Field(5.0e-4, gt=0, description="highest learning rate; the scheduler multiplies it")
    betas: tuple[float, float] = Field((0.9, 0.98), description="decay of the two moments")
    eps: float = Field(1.0e-6, gt=0, description="added to the root of the second moment")
    weight_decay: float = Field(0.01, ge=0, description="per step, times the learning rate")
    decay_norm_and_bias: bool = Field(True, description="also decay biases and norm weights, as fairseq does")


def optimizer_config(name: str) -> type[AdamWConfig]:
    """The config class of an optimizer."""
    return {"adamw": AdamWConfig}[name]


def build_optimizer(model: nn.Module, config: AdamWConfig) -> torch.optim.AdamW:
    """AdamW over the parameters that are trained, fused (one kernel for all of them) on a GPU."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, object]]
    if config.decay_norm_and_bias:
        groups = [{"params": trained}]
    else:
        groups = [
            {"params": [p for p in trained if p.dim() > 1]},
            {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
        ]
    fused = trained[0].device.type == "cuda"
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay, fused=fused
    )


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale the gradients down to `max_norm` in place; nothing is read back to the host.

    Returns:
        Scalar tensor: the global L2 norm before clipping, not finite if any gradient is not.
    """
    parameters = [p for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if hasattr(norm, "full_tensor"):  # FSDP2: each rank holds a part of every gradient
        norm = norm.full_tensor()
    # A norm that is not finite leaves gradients that are not: the whole update is dropped then (`Updater.finish`).
    torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return norm
