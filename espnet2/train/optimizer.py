"""AdamW: its keys, how it is built, and the clipping of gradients."""

from collections.abc import Iterable

import torch
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer
from torch import Tensor, nn

from espnet2.train.layer_decay import RATE_FACTOR, rate_factors
from espnet2.utils.config import Config


class AdamWConfig(Config):
    """AdamW. The defaults are HuBERT Base's (paper, section 4.2; epsilon and weight decay from its public recipe)."""

    lr: float = Field(5.0e-4, gt=0, description="highest learning rate; the scheduler multiplies it")
    betas: tuple[float, float] = Field((0.9, 0.98), description="decay of the two moments")
    eps: float = Field(1.0e-6, gt=0, description="added to the root of the second moment")
    weight_decay: float = Field(0.01, ge=0, description="per step, times the learning rate")
    decay_norm_and_bias: bool = Field(True, description="also decay biases and norm weights, as fairseq does")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="factor of the learning rate from a block to the one below it; 1: none"
    )

    @model_serializer(mode="wrap")
    def _without_unused_decay(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Files and hashes of trainings at one rate are those of the time before there were several."""
        values: dict[str, object] = dump(self)
        return values if self.layer_decay < 1 else {key: values[key] for key in values if key != "layer_decay"}


def optimizer_config(name: str) -> type[AdamWConfig]:
    """The config class of an optimizer."""
    return {"adamw": AdamWConfig}[name]


def build_optimizer(model: nn.Module, config: AdamWConfig) -> torch.optim.AdamW:
    """AdamW over the parameters that are trained, fused: one kernel for all of them.

    A state that is loaded brings its own `fused`, so runs of the time when a CPU had none keep their bits.

    With `layer_decay` there is a group for the parameters of each depth, which says its own factor of the rate.

    Raises:
        UserError: `layer_decay` of a model without blocks.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    groups: list[dict[str, object]] = []
    for factor, parameters in _by_factor(model, trained, config.layer_decay):
        options: dict[str, object] = {} if config.layer_decay == 1 else {RATE_FACTOR: factor}
        if config.decay_norm_and_bias:
            groups.append({"params": parameters, **options})
            continue
        decayed = [p for p in parameters if p.dim() > 1]
        plain = [p for p in parameters if p.dim() <= 1]
        groups += [{"params": decayed, **options}, {"params": plain, "weight_decay": 0.0, **options}]
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay, fused=True
    )


def _by_factor(
    model: nn.Module, trained: dict[str, nn.Parameter], layer_decay: float
) -> list[tuple[float, list[nn.Parameter]]]:
    """The trained parameters in groups of one factor of the learning rate, the smallest factor first."""
    if layer_decay == 1:
        return [(1.0, list(trained.values()))]
    factors = rate_factors(model, trained, layer_decay)
    return [
        (factor, [parameter for name, parameter in trained.items() if factors[name] == factor])
        for factor in sorted(set(factors.values()))
    ]


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
