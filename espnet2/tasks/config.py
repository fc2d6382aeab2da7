"""A YAML file and command-line overrides in, one resolved and checked SSLConfig out."""

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from espnet2.data.labels.sets import SET_NAME
from espnet2.ssl.adapt import LoraConfig
from espnet2.ssl.encoder import encoder_class
from espnet2.ssl.encoder.base import EncoderConfig
from espnet2.ssl.frontend import frontend_class
from espnet2.ssl.objective import objective_class
from espnet2.ssl.objective.base import LabelledConfig
from espnet2.train.config import TrainConfig
from espnet2.utils.config import Config, ConfigType, load_yaml, parse_config, parse_section, parse_yaml
from espnet2.utils.errors import UserError
from espnet2.utils.recipe import find_in_recipe

MEANT_LOSS = """
    loss:
        - name: hubert
          weight: 1.0
          conf:
              num_classes: 500"""


class LossEntry(Config):
    """One entry of `loss:`; the entries share frontend and encoder, and their weighted losses add."""

    name: str = Field(description="the file espnet2/ssl/objective/<name>.py")
    weight: float = Field(1.0, gt=0, description="of this loss in the sum")
    labels: str = Field("", description="the label set it trains on, where --train_labels names several: km100")
    conf: SerializeAsAny[Config] = Field({}, validate_default=True, description="keys of the objective's Config")

    @property
    def title(self) -> str:
        """The objective, and the label set if it has a name: hubert, hubert_km100."""
        return f"{self.name}_{self.labels}" if self.labels else self.name

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, value: str) -> str:
        if value and not SET_NAME.fullmatch(value):
            raise ValueError("expected the name of a label set: a letter, then letters, digits, - and _")
        return value

    @model_validator(mode="after")
    def _labels_are_needed(self) -> "LossEntry":
        if self.labels and not isinstance(self.conf, LabelledConfig):
            raise ValueError(f"{self.name} trains on no labels; leave 'labels: {self.labels}' out")
        return self

    @model_serializer(mode="wrap")
    def _without_unnamed(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Files and hashes of trainings on one label set are those of the time before there were several."""
        values: dict[str, object] = dump(self)
        return values if self.labels else {key: value for key, value in values.items() if key != "labels"}

    @field_validator("conf", mode="before")
    @classmethod
    def _parse_conf(cls, value: object, info: ValidationInfo) -> Config:
        if "name" not in info.data:  # it is no text, which is said already
            return Config()
        return parse_section(objective_class(info.data["name"]).Config, value, f"loss ({info.data['name']}) conf")


class SSLConfig(TrainConfig):
    """The whole training config: the model's sections here, the training keys in `TrainConfig`."""

    frontend: str = Field("conv", description="the file espnet2/ssl/frontend/<name>.py")
    frontend_conf: SerializeAsAny[Config] = Field(
        {}, validate_default=True, description="keys of the frontend's Config"
    )
    encoder: str = Field("transformer", description="the file espnet2/ssl/encoder/<name>.py")
    encoder_conf: SerializeAsAny[EncoderConfig] = Field(
        {}, validate_default=True, description="keys of the encoder's Config"
    )
    loss: tuple[LossEntry, ...] = Field(min_length=1, description="one objective, or several that share the encoder")

    @field_validator("frontend_conf", mode="before")
    @classmethod
    def _parse_frontend(cls, value: object, info: ValidationInfo) -> Config:
        if "frontend" not in info.data:  # it is no text, which is said already
            return Config()
        return parse_section(frontend_class(info.data["frontend"]).Config, value, "frontend_conf")

    @field_validator("encoder_conf", mode="before")
    @classmethod
    def _parse_encoder(cls, value: object, info: ValidationInfo) -> EncoderConfig:
        if "encoder" not in info.data:
            return EncoderConfig()
        return parse_section(encoder_class(info.data["encoder"]).Config, value, "encoder_conf")

    @classmethod
    def filled(cls, values: Mapping[str, Any]) -> "SSLConfig":
        """See `TrainConfig.filled`."""
        return resolve_config(values)

    def without_adapters(self) -> "SSLConfig":
        """The config of the model that is left when adapters are merged into its weights."""
        return self.model_copy(update={"adapt": "none", "adapt_conf": LoraConfig()})

    def entries(self) -> dict[str, LossEntry]:
        """Entry name -> entry; a second one of the same objective and label set is numbered: hubert, hubert_2."""
        entries: dict[str, LossEntry] = {}
        seen: Counter[str] = Counter()
        for entry in self.loss:
            seen[entry.title] += 1
            name = f"{entry.title}_{seen[entry.title]}" if seen[entry.title] > 1 else entry.title
            if name in entries:
                raise UserError(f"loss: two entries are called {name}; give one of their label sets another name")
            entries[name] = entry
        return entries


def load_config(path: str | Path | None, overrides: Sequence[str] = ()) -> SSLConfig:
    """Read, override, check and resolve: every section holds every key.

    Args:
        path: the YAML file; None starts from the defaults.
        overrides: command-line words: `--max_update 100`, `--optim_conf lr=1e-4`, `--encoder_conf.num_layers 2`,
            `--encoder_conf num_layers=2 dim=64`, `--loss hubert.conf.mask_span=5`; "key=value" without dashes too.

    Raises:
        UserError: the file or an override is not well-formed, has an unknown key or a wrong value.
    """
    return resolve_config(read_values(path, overrides), config_name(path))


def config_name(path: str | Path | None) -> str:
    """How messages name a config."""
    return str(path) if path is not None else "config"


def read_values(path: str | Path | None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read and override, unchecked: the keys that file and command line give; arguments as for `load_config`.

    Raises:
        UserError: the file or an override is not well-formed.
    """
    try:
        values = {} if path is None else load_yaml(path)
    except UserError as error:
        raise _loss_error(path) if path is not None and _has_flat_loss(path) else error from None
    for keys, value in parse_overrides(overrides):
        _override(values, keys, value)
    return values


def load_train_config(
    config_class: type[ConfigType], path: str | Path | None, overrides: Sequence[str], what: str
) -> ConfigType:
    """Read, override and check the config of another program that the trainer obeys.

    Args:
        path: a YAML file; None starts from the defaults of the class.
        overrides: command-line words: `--max_update 1000 --optim_conf lr=1e-4`.
        what: names the config in messages where there is no file.

    Raises:
        UserError: an unknown key, a wrong value, or an override that is not well-formed.
    """
    return parse_config(config_class, _without_empty_sections(read_values(path, overrides)), str(path or what))


def resolve_config(values: Mapping[str, Any], where: str = "config") -> SSLConfig:
    """Check the values of a config file and fill every section with its defaults.

    Raises:
        UserError: an unknown key or part, or a wrong value; the message starts with `where`.
    """
    _check_loss(values.get("loss"), where)
    return parse_config(SSLConfig, _without_empty_sections(values), where)


def dump_config(config: SSLConfig) -> str:
    """The config as YAML that `load_config` reads back to the same config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, default_flow_style=None)


def parse_overrides(words: Sequence[str]) -> list[tuple[list[str], Any]]:
    """Command-line words to (path of keys, value).

    >>> parse_overrides(["--max_update", "100", "--optim_conf", "lr=1e-4"])
    [(['max_update'], 100), (['optim_conf', 'lr'], 0.0001)]
    """
    overrides: list[tuple[list[str], Any]] = []
    option: str | None = None
    used = True
    for word in words:
        if word.startswith("--"):
            _refuse_empty(option, used)
            option, used = word[2:], False
            if "=" in option:
                key, text = option.split("=", 1)
                overrides.append((key.split("."), _value(key, text)))
                option, used = None, True
            continue
        nested = re.match(r"(\w[\w.]*)=(.*)", word, re.DOTALL)
        if nested:
            keys = [*(option.split(".") if option else []), *nested[1].split(".")]
            overrides.append((keys, _value(".".join(keys), nested[2])))
        elif option is None or used:
            raise UserError(f"'{word}' is no option; expected '--key value' or 'key=value'")
        else:
            overrides.append((option.split("."), _value(option, word)))
        used = True
    _refuse_empty(option, used)
    return overrides


def _refuse_empty(option: str | None, used: bool) -> None:
    if not used:
        raise UserError(f"option --{option} has no value")


def _value(key: str, text: str) -> Any:
    try:
        return parse_yaml(text)
    except yaml.YAMLError:
        raise UserError(f"--{key}: '{text}' is not a YAML value") from None


def _override(values: dict[str, Any], keys: list[str], value: Any) -> None:
    """Set the value at a path; entries of a list (`loss`) are named by number or by their `name`."""
    node: Any = values
    for depth, name in enumerate(keys):
        last = depth == len(keys) - 1
        key: str | int = name
        if isinstance(node, list):
            key = _list_index(node, name, ".".join(keys))
        elif not last and node.get(key) is None:
            node[key] = {}
        if last:
            node[key] = value
        else:
            node = node[key]
            if not isinstance(node, dict | list):
                raise UserError(f"--{'.'.join(keys)}: '{key}' holds the value {node!r}, not a section")


def _list_index(entries: list[object], key: str, option: str) -> int:
    names = [str(entry.get("name")) if isinstance(entry, dict) else "" for entry in entries]
    if names.count(key) > 1:
        numbers = " or ".join(str(number) for number, name in enumerate(names) if name == key)
        raise UserError(f"--{option}: {names.count(key)} entries have the name '{key}'; expected a number: {numbers}")
    if key in names:
        return names.index(key)
    if key.isdigit() and int(key) < len(entries):
        return int(key)
    near = difflib.get_close_matches(key, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise UserError(f"--{option}: there is no entry '{key}'{hint}; expected one of {', '.join(names)} or its number")


def _without_empty_sections(values: Mapping[str, Any]) -> dict[str, Any]:
    """`encoder_conf:` or `augment:` with nothing below it means no keys."""
    empty = {key for key, value in values.items() if value is None and (key.endswith("_conf") or key == "augment")}
    return {key: {} if key in empty else value for key, value in values.items()}


def _check_loss(loss: Any, where: str) -> None:
    """Refuse the forms of `loss:` that lost their indentation, showing the meant one."""
    if loss is None:
        raise UserError(f"{where}: 'loss' is required; expected a list:{MEANT_LOSS}")
    if not isinstance(loss, list | tuple) or not all(isinstance(entry, Mapping) for entry in loss):
        raise _loss_error(where)
    for entry in loss:
        if "conf" in entry and not isinstance(entry["conf"], Mapping):
            raise _loss_error(where)


def _loss_error(where: str | Path | None) -> UserError:
    return UserError(
        f"{where}: 'loss' is not a list of entries whose keys are indented below them; "
        f"'conf' belongs below 'name', and its keys below 'conf':{MEANT_LOSS}"
    )


def _has_flat_loss(path: str | Path) -> bool:
    """Whether the file holds "- name: x" with "conf:" at the depth of the dash, which is no YAML."""
    path = find_in_recipe(path)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return re.search(r"^loss:\s*\n([ \t]*)- name:.*\n(?:\1.*\n)*?\1(conf|weight)\s*:", text, re.MULTILINE) is not None
