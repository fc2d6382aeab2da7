"""The weights that a training starts from: parts by `init_param`, or frontend and encoder whole; what came is told."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from espnet2.models.archive import is_archive
from espnet2.models.find import ModelFiles, find_model, find_weights
from espnet2.models.locate import FOREIGN_SUFFIXES, split_locator
from espnet2.pretrain.transfer import describe_transfer
from espnet2.ssl.adapt import is_adapter, merge_adapters
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import read_weights
from espnet2.tasks.config import SSLConfig
from espnet2.train.freeze import is_below
from espnet2.utils.errors import UserError

ENCODING = ("frontend.", "encoder.")  # what a model that training goes on from must have whole


class Loaded(NamedTuple):
    """What came from elsewhere."""

    names: set[str]  # of the model's weights
    lines: list[str]  # about it, for the log


def load_all(config: SSLConfig, model: SSLModel) -> list[str]:
    """Copy what `init_from` and `init_param` name, and tell the objectives.

    Returns:
        Lines for the log: what came along, and what starts anew.

    Raises:
        UserError: see `find_model`, `load_whole` and `load_initial`; or there are adapters and no model to change.
    """
    if config.adapt != "none" and not (config.init_from or config.init_param):
        raise UserError(
            f"adapt: {config.adapt}: adapters are differences to a trained model, and there is none to start from; "
            "name it: --init_from exp/<name>, hf:<user>/<name> or a file"
        )
    copied: set[str] = set()
    lines: list[str] = []
    if config.init_from:
        source = find_model(config.init_from)
        copied = load_whole(model, source)
        lines += describe_transfer(model, copied, source)
    if config.init_param:
        parts = load_initial(model, config.init_param)
        lines.append(f"init_param: {len(parts)} weights came from {', '.join(config.init_param)}")
        copied |= parts
    if copied:
        model.weights_loaded(copied)
    return lines


def load_initial(model: nn.Module, specifications: Sequence[str]) -> set[str]:
    """Copy weights from other models, in ESPnet's notation.

    Args:
        specifications: "<model>[:<source prefix>[:<target prefix>[:<excluded prefixes, comma-separated>]]]", where a
            model is a file of weights or whatever `find_model` knows.

    Returns:
        The names of the model's weights that were copied.

    Raises:
        UserError: no such model, no weight of that name, or another shape.
    """
    copied: set[str] = set()
    for specification in specifications:
        path, prefixes = split_locator(specification)
        source, target, exclude = [*prefixes.split(":"), "", ""][:3]
        selected = _selected(merge_adapters(read_weights(_weights_file(path, specification))), source, target, exclude)
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
    theirs, weights = merge_adapters(read_weights(source.weights)), model.state_dict()
    fitting = {name: value for name, value in theirs.items() if name in weights and weights[name].shape == value.shape}
    lacking = sorted(name for name in weights if is_needed(name) and name not in fitting)
    if lacking:
        there = f"has shape {tuple(theirs[lacking[0]].shape)}" if lacking[0] in theirs else "is missing"
        raise UserError(f"init_from {source.name}: {lacking[0]} {there} there ({len(lacking)} such weights)")
    model.load_state_dict(fitting, strict=False)
    return set(fitting)


def is_needed(name: str) -> bool:
    """Whether a weight of that name must be in a model that training goes on from: adapters begin with the training."""
    return name.startswith(ENCODING) and not is_adapter(name)


def _weights_file(path: str, specification: str) -> Path:
    """A file of weights, whatever its name and without a config; or that of a model."""
    file = Path(path)
    if file.is_file() and file.suffix not in FOREIGN_SUFFIXES and not is_archive(file):
        return file
    try:
        return find_weights(path)
    except UserError as error:
        raise UserError(f"init_param {specification}: no weights at {path}: {error}") from None


def _selected(weights: dict[str, Tensor], source: str, target: str, exclude: str) -> dict[str, Tensor]:
    """The weights below `source`, renamed to lie below `target`."""
    prefixes = tuple(prefix for prefix in exclude.split(",") if prefix)
    inside = {name.removeprefix(f"{source}."): value for name, value in weights.items() if is_below(name, source)}
    renamed = {_join(target, name): value for name, value in inside.items()}
    return {name: value for name, value in renamed.items() if not any(is_below(name, prefix) for prefix in prefixes)}


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
