"""A config in, an SSLModel of all its parts out: the only file that knows all parts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from espnet2.ssl.adapt import adapt_model
from espnet2.ssl.encoder import encoder_class
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend import frontend_class
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.model import SSLModel
from espnet2.ssl.modules.mel import MelSettings
from espnet2.ssl.objective import objective_class
from espnet2.ssl.objective.base import Context, LabelledConfig, Objective
from espnet2.tasks.config import LossEntry, SSLConfig
from espnet2.utils.config import Config, parse_config
from espnet2.utils.errors import UserError

ANY_NUM_CLASSES = 2


def needs_labels(config: SSLConfig) -> bool:
    """Whether any loss entry trains on labels."""
    return any(isinstance(entry.conf, LabelledConfig) for entry in config.loss)


def label_set_names(config: SSLConfig) -> tuple[str, ...]:
    """The label sets that loss entries train on, in their order; "" for the one without a name."""
    return tuple(dict.fromkeys(entry.labels for entry in config.loss if isinstance(entry.conf, LabelledConfig)))


def with_num_classes(
    config: SSLConfig, num_classes: Mapping[str, int] | int | None, num_codebooks: Mapping[str, int] | None = None
) -> SSLConfig:
    """The config with the number of classes of its labels in every entry that trains on labels.

    Args:
        num_classes: by the name of the label set; or of all sets; None: unknown.
        num_codebooks: labels of a frame, by the name of the label set; None: as the config says.

    Raises:
        UserError: an entry says another number, or needs labels and there is no number.
    """
    loss = []
    for entry in config.loss:
        if isinstance(entry.conf, LabelledConfig):
            given = num_classes.get(entry.labels) if isinstance(num_classes, Mapping) else num_classes
            where = f"{entry.name}, labels {entry.labels}" if entry.labels else entry.name
            conf = _agreed(where, entry.conf, given)
            codebooks = (num_codebooks or {}).get(entry.labels)
            entry = entry.model_copy(update={"conf": _with_codebooks(where, conf, codebooks)})
        loss.append(entry)
    return config.model_copy(update={"loss": tuple(loss)})


def without_labels(config: SSLConfig) -> SSLConfig:
    """The config for a model that is only asked what it needs, before there are labels: any number of classes does."""
    loss = []
    for entry in config.loss:
        if isinstance(entry.conf, LabelledConfig) and entry.conf.num_classes is None:
            entry = entry.model_copy(update={"conf": _agreed(entry.name, entry.conf, ANY_NUM_CLASSES)})
        loss.append(entry)
    return config.model_copy(update={"loss": tuple(loss)})


def _agreed(name: str, conf: LabelledConfig, num_classes: int | None) -> LabelledConfig:
    """The conf of an entry with its number of classes: its own, that of the labels, or both if they agree."""
    configured = conf.num_classes
    if configured is None and num_classes is None:
        raise UserError(
            f"loss ({name}): needs labels; run stage 5 (or pass --train_labels and --valid_labels), "
            "or set conf: num_classes to build the model without data"
        )
    if None not in (configured, num_classes) and configured != num_classes:
        raise UserError(
            f"loss ({name}): num_classes is {configured}, but the labels have {num_classes} classes; "
            "leave num_classes out, or make the labels anew with as many clusters"
        )
    values = {**dict(conf), "num_classes": num_classes if configured is None else configured}
    return parse_config(type(conf), values, f"loss ({name}) conf")  # labels of a single class are refused here


def _with_codebooks(name: str, conf: LabelledConfig, num_codebooks: int | None) -> LabelledConfig:
    """The conf with the number of codebooks of its labels, which must be its own where it has one."""
    if num_codebooks is None or conf.num_codebooks == num_codebooks:
        return conf
    if conf.num_codebooks is not None:
        raise UserError(
            f"loss ({name}): num_codebooks is {conf.num_codebooks}, but the labels have {num_codebooks}; "
            "leave num_codebooks out, or give other labels"
        )
    return conf.model_copy(update={"num_codebooks": num_codebooks})


def build(config: SSLConfig, num_classes: Mapping[str, int] | int | None = None) -> SSLModel:
    """Build the model, with random weights from torch's global generator, on the current default device.

    Args:
        num_classes: as for `with_num_classes`; None takes the config's.

    Raises:
        UserError: as `with_num_classes`, or parts that do not go together.
    """
    config = with_num_classes(config, num_classes)
    encoder = encoder_class(config.encoder)(config.encoder_conf)
    frontend = frontend_class(config.frontend)(config.frontend_conf, encoder.dim)
    _check_projection(config, frontend)
    adapt_model(config.adapt, config.adapt_conf, frontend, encoder)
    objectives = {name: _objective(name, entry, frontend, encoder) for name, entry in config.entries().items()}
    return SSLModel(frontend, encoder, objectives, {name: entry.weight for name, entry in config.entries().items()})


def _check_projection(config: SSLConfig, frontend: Frontend) -> None:
    """The frontend projects the features if and only if an objective wants that."""
    needing = [entry.name for entry in config.loss if not objective_class(entry.name).projects_features]
    if needing and frontend.projection is None:
        raise UserError(f"loss ({needing[0]}) needs the frontend's projection: leave out frontend_conf: project: false")
    if not needing and frontend.projection is not None:
        raise UserError(f"loss ({config.loss[0].name}) projects the features itself: set frontend_conf: project: false")


def statistics_settings(config: SSLConfig) -> MelSettings | None:
    """The mel frames that stage 6 gathers statistics of; None: the frontend needs none, or `init_from` brings them."""
    if config.init_from:
        return None
    with torch.device("meta"):
        frontend = frontend_class(config.frontend)(config.frontend_conf, 1)
    return frontend.statistics_settings


def _objective(name: str, entry: LossEntry, frontend: Frontend, encoder: Encoder) -> Objective:
    conf = entry.conf if isinstance(entry.conf, LabelledConfig) else LabelledConfig()
    context = Context(name, frontend.geometry, conf.num_classes, entry.labels, conf.num_codebooks or 1)
    make = cast(Callable[[Config, Frontend, Encoder, Context], Objective], objective_class(entry.name))
    return make(entry.conf, frontend, encoder, context)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Name -> tensor of a safetensors file: data only, there is no code to run in it.

    Raises:
        UserError: the file is cut short, or is none of that format.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(
            f"{path}: no whole safetensors file ({error}); it was damaged or cut short: fetch or pack it again"
        ) from None


def teacher_names(model: SSLModel) -> set[str]:
    """The weights of objectives that no gradient ever moves: copies of the encoder, which only training needs."""
    return {
        name
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad and name.startswith("objectives.")
    }


def load_weights(model: SSLModel, weights: dict[str, Tensor]) -> None:
    """Packed models come without their teachers (see `pack_model`): these start as their students."""
    teachers = teacher_names(model)
    if teachers and not teachers & weights.keys():
        fresh = model.state_dict()
        model.load_state_dict({**weights, **{name: fresh[name] for name in teachers}})
        model.weights_loaded(weights.keys())
    else:
        model.load_state_dict(weights)


def count_parameters(module: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in module.parameters())
