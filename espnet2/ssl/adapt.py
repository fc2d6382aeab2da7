"""A trained encoder in; the same with low-rank adapters in linear layers out (LoRA: Hu et al., 2021, arXiv 2106.09685).

An adapted layer computes W x + b + alpha / rank * up (down x). W and b keep their names in checkpoints, so a model with
adapters reads the weights of one without, and teachers that are copies of the encoder are copies of its adapters too.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.utils.config import Config
from espnet2.utils.errors import UserError

AdaptKind = Literal["none", "lora"]
DOWN, UP, SCALE = "lora_down", "lora_up", "lora_scale"  # members of an adapted layer, beside weight and bias


class LoraConfig(Config):
    """`adapt_conf` of `adapt: lora`."""

    rank: int = Field(8, gt=0, description="of the difference to a weight (paper, section 7.2: 1 to 64 are alike)")
    alpha: float = Field(16.0, gt=0, description="the difference counts alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="of what the differences are computed from")
    targets: tuple[str, ...] = Field(
        ("attention.qkv", "attention.output"),
        min_length=1,
        description="linear layers of the encoder, by the end of their names without numbers: ffn_in, ffn_out, ...",
    )
    alone: bool = Field(True, description="frontend and encoder stay as they are; false: they learn too")


class LoraLinear(nn.Linear):
    """A linear layer and a trained difference of low rank to its weight, zero at first (section 4.1)."""

    lora_scale: Tensor  # scalar, float32: alpha / rank; saved, so that weights can be merged without a config

    def __init__(self, linear: nn.Linear, config: LoraConfig) -> None:
        """
        Args:
            linear: its weight and bias become this layer's.
        """
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        like = linear.weight.detach()
        self.lora_down = nn.Parameter(like.new_empty(config.rank, linear.in_features))
        self.lora_up = nn.Parameter(like.new_zeros(linear.out_features, config.rank))
        bound = linear.in_features**-0.5  # of torch's own Linear, as in the authors' code (loralib)
        nn.init.uniform_(self.lora_down, -bound, bound)
        self.register_buffer(SCALE, torch.tensor(config.alpha / config.rank, device=linear.weight.device))
        self.lora_dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        difference = F.linear(F.linear(self.lora_dropout(x), self.lora_down), self.lora_up)
        return super().forward(x) + difference * self.lora_scale


def adapt_model(kind: AdaptKind, config: LoraConfig, frontend: nn.Module, encoder: nn.Module) -> int:
    """Put adapters into an encoder, and freeze what is not to learn with them.

    Called before teachers copy the encoder. Initial values are drawn from torch's global generator.

    Returns:
        How many layers have adapters now; 0 for kind "none", which changes nothing.

    Raises:
        UserError: a target that is no linear layer of this encoder, or a rank that none of them has.
    """
    if kind == "none":
        return 0
    chosen = list(_targets(encoder, config))
    if config.alone:
        for part in (frontend, encoder):
            part.requires_grad_(False)
    for name, linear in chosen:
        parent, _, last = name.rpartition(".")
        setattr(encoder.get_submodule(parent), last, LoraLinear(linear, config))
    return len(chosen)


def _targets(encoder: nn.Module, config: LoraConfig) -> Iterator[tuple[str, nn.Linear]]:
    linears = {name: module for name, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    plain = {name: re.sub(r"\.\d+(?=\.|$)", "", name) for name in linears}  # blocks.3.ffn_in -> blocks.ffn_in
    for target in config.targets:
        if not any(_ends_with(name, target) for name in plain.values()):
            known = ", ".join(sorted({name.removeprefix("blocks.") for name in plain.values()}))
            raise UserError(f"adapt_conf: targets: the encoder has no linear layer '{target}'; it has {known}")
    for name, linear in linears.items():
        if any(_ends_with(plain[name], target) for target in config.targets):
            narrow = min(linear.in_features, linear.out_features)
            if config.rank > narrow:
                raise UserError(
                    f"adapt_conf: rank is {config.rank}, but {name} maps {linear.in_features} to "
                    f"{linear.out_features} values: a larger rank than {narrow} says no more; take a smaller one"
                )
            yield name, linear


def _ends_with(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def describe_adapters(kind: AdaptKind, config: LoraConfig, encoder: nn.Module) -> list[str]:
    """A line for the log; none without adapters."""
    if kind == "none":
        return []
    layers = [module for module in encoder.modules() if isinstance(module, LoraLinear)]
    values = sum(layer.lora_down.numel() + layer.lora_up.numel() for layer in layers)
    rest = "the rest of frontend and encoder stays as it is" if config.alone else "the rest learns too"
    return [
        f"adapt: {kind} of rank {config.rank} in {len(layers)} linear layers of the encoder "
        f"({', '.join(config.targets)}): {values:,} values; {rest}"
    ]


def is_adapter(name: str) -> bool:
    """Whether a weight of that name belongs to an adapter."""
    return name.rpartition(".")[2] in (DOWN, UP, SCALE)


def merge_adapters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name -> weight of a model without adapters that computes the same; weights without any come back as they are."""
    merged = {name: value for name, value in weights.items() if not is_adapter(name)}
    for name, up in weights.items():
        layer, _, last = name.rpartition(".")
        if last == UP:
            weight, down, scale = (weights[f"{layer}.{member}"] for member in ("weight", DOWN, SCALE))
            difference = scale.float() * (up.float() @ down.float())
            merged[f"{layer}.weight"] = (weight.float() + difference).to(weight.dtype)
    return merged
