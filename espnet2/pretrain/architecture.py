"""A training config with `init_from` in, the config with that model's architecture out; a conflict is refused."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from espnet2.models.find import find_model
from espnet2.ssl.encoder import encoder_class
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend import frontend_class
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.objective.base import LabelledConfig
from espnet2.tasks.config import SSLConfig, config_name, read_values, resolve_config
from espnet2.utils.config import Tag, load_yaml, parse_config, tagged_keys
from espnet2.utils.errors import UserError

PARTS: dict[str, Callable[[str], type[Frontend] | type[Encoder]]]
PARTS = {"frontend": frontend_class, "encoder": encoder_class}
DEFAULT_PARTS = {"frontend": "conv", "encoder": "transformer"}  # of SSLConfig


def load_training_config(path: str | Path | None, overrides: Sequence[str] = ()) -> SSLConfig:
    """As `load_config`, for a run: frontend and encoder come from the model of `init_from`, if that is given.

    Raises:
        UserError: as `load_config`; or the model of `init_from` is another one than the config says.
    """
    values, where = read_values(path, overrides), config_name(path)
    if not values.get("init_from"):
        if values.get("init_loss_conf"):
            raise UserError(
                f"{where}: goes on from a model, but init_from names none; give --init_from exp/<name>, a packed model "
                "or hf:<user>/<name>"
            )
        return resolve_config(values, where)
    values = adopt_architecture(values, where)
    if values.get("init_loss_conf"):
        values["loss"] = adopt_loss_conf(values.get("loss"), str(values["init_from"]))
    return resolve_config(values, where)


def adopt_architecture(values: Mapping[str, object], where: str) -> dict[str, object]:
    """Fill in frontend and encoder as they are in the model that training starts from.

    Args:
        values: of a config file, with its overrides; what it leaves out comes from the model.
        where: the config, for messages.

    Raises:
        UserError: no such model, or the config says otherwise than the model is.
    """
    source = str(values["init_from"])
    theirs = load_yaml(find_model(source).config_file)
    adopted, conflicts = dict(values), []
    for part, part_class in PARTS.items():
        section, name = f"{part}_conf", theirs.get(part, DEFAULT_PARTS[part])
        if part in values and values[part] != name:
            conflicts.append(f"{part}: {values[part]}, there {name}")
            continue
        cls = part_class(name).Config
        training_keys = tagged_keys(cls, Tag.HOW_TRAINED)
        given = values.get(section) or {}
        if not isinstance(given, Mapping):
            raise UserError(f"{where}: {section}: {given}; expected a section of 'key: value' lines")
        ours = dict(given)
        model = parse_config(cls, theirs.get(section), f"{source}: {section}").model_dump(mode="json")
        for key, value in model.items():
            if key in training_keys:  # the new config's own
                continue
            if key in ours and ours[key] != value:  # both as YAML gives them
                conflicts.append(f"{section}: {key}: {ours[key]}, there {value}")
            ours[key] = value
        adopted |= {part: name, section: ours}
    if conflicts:
        raise UserError(
            f"{where}: init_from {source}: the model there is another one:\n  " + "\n  ".join(conflicts) + "\n"
            "leave these keys out, they come from the model; or train from the start, without init_from"
        )
    return adopted


def adopt_loss_conf(loss: object, source: str) -> object:
    """Fill in the keys that decide the size of an objective's own parts, as quantizers and codebooks, from a model.

    Args:
        loss: as YAML gives it; entries of objectives that the model was not trained with stay as they are.
        source: the model of `init_from`.

    Raises:
        UserError: no such model.
    """
    theirs = resolve_config(load_yaml(find_model(source).config_file), source)
    confs = {entry.name: entry.conf for entry in reversed(theirs.loss)}
    if not isinstance(loss, list):
        return loss  # refused when it is checked
    adopted: list[object] = []
    for entry in loss:
        conf = confs.get(str(entry.get("name"))) if isinstance(entry, Mapping) else None
        given = entry.get("conf", {}) if isinstance(entry, Mapping) else {}
        if conf is None or not isinstance(given, Mapping):
            adopted.append(entry)
            continue
        of_labels = LabelledConfig.model_fields if isinstance(conf, LabelledConfig) else {}  # the labels' to say
        values = {key: value for key, value in conf.model_dump(mode="json").items() if key not in of_labels}
        adopted.append({**entry, "conf": {**values, **given}})
    return adopted
