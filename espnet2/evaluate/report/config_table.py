"""config.yaml of one experiment or several in, what differs from the defaults, or from each other, out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet2.tasks.config import SSLConfig, load_config, resolve_config
from espnet2.utils.errors import UserError


@dataclass(frozen=True)
class Setting:
    """One key of a config."""

    key: str  # encoder_conf.dim
    values: tuple[str, ...]  # one for each config; "" where it has no such key
    default: str  # "" where there is none

    @property
    def differs(self) -> bool:
        """Among configs, or from the default of the parts that the config names."""
        return len(set(self.values)) > 1 or self.values[0] != self.default


def flatten(value: object, prefix: str = "") -> dict[str, str]:
    """Nested sections to dotted keys; entries of `loss` go by their name.

    >>> flatten({"seed": 0, "loss": [{"name": "hubert", "weight": 1.0}]})
    {'seed': '0', 'loss.hubert.weight': '1'}
    """
    if isinstance(value, Mapping):
        parts = {f"{prefix}.{key}" if prefix else str(key): section for key, section in value.items()}
    elif prefix == "loss" and isinstance(value, list):
        parts = {f"loss.{entry['name']}": {k: v for k, v in entry.items() if k != "name"} for entry in value}
    else:
        return {prefix: _text(value)}
    return {key: text for name, section in parts.items() for key, text in flatten(section, name).items()}


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "[]"
    return str(value)


def settings_of(files: Sequence[Path]) -> tuple[list[Setting], list[str]]:
    """Every key of the configs, in their order, and sentences about configs that cannot be read.

    A config that this version of the toolkit does not understand is left out of the table.
    """
    configs, notes = [], []
    for path in files:
        try:
            configs.append(load_config(path))
        except UserError as error:
            notes.append(f"{path.parent.name}: the config cannot be shown: {error}")
    if not configs:
        return [], notes
    flat = [flatten(config.model_dump(mode="json")) for config in configs]
    defaults = {key: value for config in configs for key, value in flatten(_defaults(config)).items()}
    keys = dict.fromkeys(key for flat_config in flat for key in flat_config)
    return [
        Setting(key, tuple(flat_config.get(key, "") for flat_config in flat), defaults.get(key, "")) for key in keys
    ], notes


def _defaults(config: SSLConfig) -> dict[str, object]:
    """What the parts that a config names would be without any other key."""
    named = {
        "frontend": config.frontend,
        "encoder": config.encoder,
        "optim": config.optim,
        "scheduler": config.scheduler,
        "loss": [{"name": entry.name} for entry in config.loss],
    }
    return resolve_config(named).model_dump(mode="json")
