"""The weights that a training starts from: parts by `init_param`, or frontend and encoder whole."""

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from espnet2.models.find import ModelFiles, find_model
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import read_weights
from espnet2.tasks.config import SSLConfig
from espnet2.train.freeze import is_below
from espnet2.utils.errors import UserError

ENCODING = ("frontend.", "encoder.")  # what a model that training goes on from must have whole


def load_all(config: SSLConfig, model: SSLModel) -> None:
    """Copy what `init_from` and `init_param` name, and tell the objectives.

    Raises:
        UserError: see `find_model`, `load_whole` and `load_initial`.
    """
    copied = load_whole(model, find_model(config.init_from)) if config.init_from else set()
    if copied := copied | load_initial(model, config.init_param):
        model.weights_loaded(copied)


def load_initial(model: nn.Module, specifications: Sequence[str]) -> set[str]:
    """Copy weights from other models, in ESPnet's notation.

    Args:
        specifications: "<file or exp dir>[:<source prefix>[:<target prefix>[:<excluded prefixes, comma-separated>]]]".

    Returns:
        The names of the model's weights that were copied.

    Raises:
        UserError: no such file, no weight of that name, or another shape.
    """
    copied: set[str] = set()
    for specification in specifications:
        path, source, target, exclude = [*specification.split(":"), "", "", ""][:4]
        selected = _selected(load_file(_weights_file(path, specification)), source, target, exclude)
        weights = model.state_dict()
        if not selected.keys() & weights.keys():
            raise UserError(
                f"init_param {specification}: no weight there has a name of this model ({next(iter(weights))}, ...)"
            )
        for name, value in selected.items():
            if name in weights and weights[name].shape != value.shape:
                raise UserError(
                    f"init_param {specification}: {name} has shape {tuple(value.shape)} there, "
                    f"{tuple(weights[name].shape)} here; leave it out: {path}:{source}:{target}:{name}"
                )
        model.load_state_dict({name: value for name, value in selected.items() if name in weights}, strict=False)
        copied |= selected.keys() & weights.keys()
    return copied


def load_whole(model: nn.Module, source: ModelFiles) -> set[str]:
    """Start from another model: frontend and encoder whole, of the objectives what has the same name and shape.

    Args:
        source: that of `init_from`.

    Returns:
        The names of the model's weights that were copied.

    Raises:
        UserError: a weight of frontend or encoder is missing there or has another shape.
    """
    theirs, weights = read_weights(source.weights), model.state_dict()
    fitting = {name: value for name, value in theirs.items() if name in weights and weights[name].shape == value.shape}
    lacking = sorted(name for name in weights if name.startswith(ENCODING) and name not in fitting)
    if lacking:
        there = f"has shape {tuple(theirs[lacking[0]].shape)}" if lacking[0] in theirs else "is missing"
        raise UserError(f"init_from {source.name}: {lacking[0]} {there} there ({len(lacking)} such weights)")
    model.load_state_dict(fitting, strict=False)
    return set(fitting)


def _weights_file(path: str, specification: str) -> Path:
    candidates = (Path(path), Path(path) / "model.safetensors", Path(path) / "checkpoints/latest/model.safetensors")
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(f"init_param {specification}: no weights at {', '.join(map(str, candidates))}")


def _selected(weights: dict[str, Tensor], source: str, target: str, exclude: str) -> dict[str, Tensor]:
    """The weights below `source`, renamed to lie below `target`."""
    prefixes = tuple(prefix for prefix in exclude.split(",") if prefix)
    inside = {name.removeprefix(f"{source}."): value for name, value in weights.items() if is_below(name, source)}
    renamed = {_join(target, name): value for name, value in inside.items()}
    return {name: value for name, value in renamed.items() if not any(is_below(name, prefix) for prefix in prefixes)}


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
