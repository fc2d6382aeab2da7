"""A config as it may leave this machine: no absolute paths, no weights it started from."""

from pathlib import Path
from typing import Any

from espnet2.tasks.config import SSLConfig, resolve_config


def portable_config(config: SSLConfig) -> SSLConfig:
    """The config as it may leave this machine: weights it started from are in the weights, paths are names only."""
    values = config.model_dump(mode="json") | {"init_param": [], "init_from": None, "init_loss_conf": False}
    return resolve_config(without_paths(values))


def without_paths(value: Any) -> Any:
    """JSON-like data, every absolute path in it reduced to its last name.

    >>> without_paths({"noise_scp": "/data/musan/wav.scp", "layers": [1, "exp/a"]})
    {'noise_scp': 'wav.scp', 'layers': [1, 'exp/a']}
    """
    if isinstance(value, dict):
        return {key: without_paths(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(entry) for entry in value]
    return Path(value).name if isinstance(value, str) and value.startswith(("/", "~/")) else value
