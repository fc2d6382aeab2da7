"""Parameters that a config keeps as they are."""

from collections.abc import Sequence

from torch import nn

from espnet2.utils.errors import UserError


def is_below(name: str, prefix: str) -> bool:
    return not prefix or name == prefix or name.startswith(f"{prefix}.")


def freeze_parameters(model: nn.Module, prefixes: Sequence[str], updates: int | None = None) -> None:
    """Exclude parameters from training: throughout, or where `updates` is given by `held_parameters` alone.

    Raises:
        UserError: a prefix that names no parameter, or nothing left to train.
    """
    frozen: list[nn.Parameter] = []
    for prefix in prefixes:
        chosen = [parameter for name, parameter in model.named_parameters() if is_below(name, prefix)]
        if not chosen:
            raise UserError(f"freeze_param {prefix}: no such parameter; {_nearest(model, prefix)}")
        frozen += chosen
    numbers = {id(parameter) for parameter in frozen}
    if not any(parameter.requires_grad and id(parameter) not in numbers for parameter in model.parameters()):
        raise UserError(f"freeze_param {' '.join(prefixes)}: nothing is left to train")
    if updates is None:
        for parameter in frozen:
            parameter.requires_grad_(False)


def held_parameters(model: nn.Module, prefixes: Sequence[str], updates: int | None, update: int) -> list[nn.Parameter]:
    """The parameters whose gradients update `update` (1-based) drops, while `freeze_param_updates` holds them.

    A function of `update` alone, so that a resumed run does the same. By name, as sharding replaces parameters.
    """
    if updates is None or update > updates:
        return []
    return [
        parameter for name, parameter in model.named_parameters() if any(is_below(name, prefix) for prefix in prefixes)
    ]


def _nearest(model: nn.Module, prefix: str) -> str:
    """The parts of the model at the first level where a name is not known."""
    names = [name.split(".") for name, _ in model.named_parameters()]
    path = prefix.split(".")
    depth = max(depth for depth in range(len(path)) if any(name[:depth] == path[:depth] for name in names))
    parts = dict.fromkeys(name[depth] for name in names if name[:depth] == path[:depth] and len(name) > depth)
    whole = ".".join(path[:depth])
    return f"the {'model' if not depth else whole} has the parts {', '.join(parts)}"
