"""Parameters that a config keeps as they are."""

from collections.abc import Sequence

from torch import nn

from espnet2.utils.errors import UserError


def is_below(name: str, prefix: str) -> bool:
    return not prefix or name == prefix or name.startswith(f"{prefix}.")


def freeze_parameters(model: nn.Module, prefixes: Sequence[str]) -> None:
    """Exclude parameters from training.

    Raises:
        UserError: a prefix that names no parameter, or nothing left to train.
    """
    for prefix in prefixes:
        chosen = [parameter for name, parameter in model.named_parameters() if is_below(name, prefix)]
        if not chosen:
            parts = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
            raise UserError(f"freeze_param {prefix}: no such parameter; the model's parts are {', '.join(parts)}")
        for parameter in chosen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"freeze_param {' '.join(prefixes)}: nothing is left to train")
