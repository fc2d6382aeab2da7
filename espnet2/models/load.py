"""The name of a trained model in, the model with its weights out; also untrained, or as its shape alone."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file

from espnet2.models.weights import find_config, find_weights
from espnet2.ssl.model import SSLModel
from espnet2.tasks.blank import WithoutDraws
from espnet2.tasks.build import build, load_weights, read_weights
from espnet2.tasks.config import SSLConfig, load_config
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file


class LoadedModel(NamedTuple):
    """A trained model, in evaluation mode."""

    model: SSLModel
    config: SSLConfig
    hash: str  # of model.safetensors


def load_model(path: str | Path, *, device: torch.device | str = "cpu", tag: str = "latest") -> LoadedModel:
    """Load a trained model.

    Args:
        path: exp/<name>, a folder of exp/<name>/checkpoints, or a model.safetensors there.
        tag: which checkpoint of exp/<name>: latest, best_<stat>, ave_<n>best, update_<n>.

    Raises:
        UserError: there is no such model, or its weights do not fit its config.
    """
    weights = find_weights(path, tag=tag)
    config_file = find_config(weights)
    config = load_config(config_file)
    with WithoutDraws():
        model = build(config)
    try:
        load_weights(model, read_weights(weights))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{weights}: does not fit {config_file}: {reason}") from None
    return LoadedModel(model.to(device).eval(), config, hash_file(weights))


def load_untrained(path: str | Path) -> LoadedModel:
    """A trained model as it was before its first update: weights of the config's seed, its own mel statistics.

    Args:
        path: as for `load_model`.

    Raises:
        UserError: there is no such model.
    """
    weights = find_weights(path)
    config = load_config(find_config(weights))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build(config)
    statistics = {name for name, _ in model.frontend.named_buffers(prefix="frontend")}
    trained = {name: value for name, value in load_file(weights).items() if name in statistics}
    model.load_state_dict(trained, strict=False)
    return LoadedModel(model.eval(), config, "")


def load_shape(path: str | Path, *, tag: str = "latest") -> SSLModel:
    """A trained model without its weights, on the meta device: its layers, widths and frame rate, at no cost.

    Args:
        path, tag: as for `load_model`.

    Raises:
        UserError: there is no such model, or its config is wrong.
    """
    config = load_config(find_config(find_weights(path, tag=tag)))
    with torch.device("meta"):
        return build(config).eval()
