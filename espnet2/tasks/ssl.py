"""A config in, an SSLModel of all its parts out: the only file that knows all parts."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import nn

from espnet2.ssl.encoder import encoder_class
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend import frontend_class
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective import objective_class
from espnet2.ssl.objective.base import Context, Objective
from espnet2.tasks.config import LossEntry, SSLConfig, dump_config, load_config, resolve_config
from espnet2.tasks.weights import find_weights
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file

__all__ = [
    "LoadedModel",
    "SSLConfig",
    "build",
    "count_parameters",
    "dump_config",
    "find_weights",
    "load_config",
    "load_model",
    "load_shape",
    "needs_labels",
    "resolve_config",
    "with_num_classes",
]


class LoadedModel(NamedTuple):
    """A trained model, in evaluation mode."""

    model: SSLModel
    config: SSLConfig
    hash: str  # of model.safetensors


def needs_labels(config: SSLConfig) -> bool:
    """Whether any loss entry trains on labels."""
    return any(objective_class(entry.name).needs_labels for entry in config.loss)


def with_num_classes(config: SSLConfig, num_classes: int | None) -> SSLConfig:
    """The config with the number of classes of the labels in every entry that trains on labels.

    Raises:
        UserError: an entry says another number, or needs labels and there is no number.
    """
    loss = []
    for entry in config.loss:
        if objective_class(entry.name).needs_labels:
            entry = entry.model_copy(update={"conf": {**entry.conf, "num_classes": _agreed(entry, num_classes)}})
        loss.append(entry)
    return config.model_copy(update={"loss": tuple(loss)})


def _agreed(entry: LossEntry, num_classes: int | None) -> int:
    """The number of classes of an entry, from its conf and from the labels."""
    own = entry.conf.get("num_classes")
    if own is None and num_classes is None:
        raise UserError(
            f"loss ({entry.name}): needs labels; run stage 5 (or pass --train_labels and --valid_labels), "
            "or set conf: num_classes to build the model without data"
        )
    if None not in (own, num_classes) and own != num_classes:
        raise UserError(
            f"loss ({entry.name}): num_classes is {own}, but the labels have {num_classes} classes; "
            "leave num_classes out, or make the labels anew with as many clusters"
        )
    return own if num_classes is None else num_classes


def build(config: SSLConfig, num_classes: int | None = None) -> SSLModel:
    """Build the model, with random weights from torch's global generator, on the current default device.

    Args:
        num_classes: of the labels; None takes the config's.

    Raises:
        UserError: as `with_num_classes`, or a section of the config is wrong.
    """
    config = with_num_classes(config, num_classes)
    encoder_type = encoder_class(config.encoder)
    encoder = encoder_type(parse_config(encoder_type.Config, config.encoder_conf, "encoder_conf"))
    frontend_type = frontend_class(config.frontend)
    frontend_config = parse_config(frontend_type.Config, config.frontend_conf, "frontend_conf")
    frontend = frontend_type(frontend_config, encoder.dim)
    objectives = {name: _objective(name, entry, frontend, encoder) for name, entry in config.entries().items()}
    return SSLModel(frontend, encoder, objectives, {name: entry.weight for name, entry in config.entries().items()})


def _objective(name: str, entry: LossEntry, frontend: Frontend, encoder: Encoder) -> Objective:
    cls = objective_class(entry.name)
    context = Context(name, frontend.geometry, entry.conf.get("num_classes") if cls.needs_labels else None)
    return cls(parse_config(cls.Config, entry.conf, f"loss ({name}) conf"), frontend, encoder, context)


def load_model(path: str | Path, *, device: torch.device | str = "cpu", tag: str = "latest") -> LoadedModel:
    """Load a trained model.

    Args:
        path: exp/<name>, a folder of exp/<name>/checkpoints, or a model.safetensors there.
        tag: which checkpoint of exp/<name>: latest, best_<stat>, ave_<n>best, update_<n>.

    Raises:
        UserError: there is no such model, or its weights do not fit its config.
    """
    weights = find_weights(path, tag=tag)
    config_file = _config_file(weights)
    config = load_config(config_file)
    model = build(config)
    try:
        model.load_state_dict(load_file(weights))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{weights}: does not fit {config_file}: {reason}") from None
    return LoadedModel(model.to(device).eval(), config, hash_file(weights))


def load_shape(path: str | Path, *, tag: str = "latest") -> SSLModel:
    """A trained model without its weights, on the meta device: its layers, widths and frame rate, at no cost.

    Args:
        path, tag: as for `load_model`.

    Raises:
        UserError: there is no such model, or its config is wrong.
    """
    config = load_config(_config_file(find_weights(path, tag=tag)))
    with torch.device("meta"):
        return build(config).eval()


def _config_file(weights: Path) -> Path:
    """The config.yaml of the experiment that weights belong to."""
    files = (folder / "config.yaml" for folder in weights.absolute().parents[:3])
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise UserError(f"{weights}: no config.yaml in its folder or above; expected exp/<name>/config.yaml")
    return found


def count_parameters(module: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in module.parameters())
