"""The files of a trained model in, the model with its weights out; also untrained, or as its shape alone."""

from typing import NamedTuple

import torch

from espnet2.models.find import ModelFiles
from espnet2.models.whole import check_weights
from espnet2.ssl.adapt import merge_adapters
from espnet2.ssl.model import SSLModel
from espnet2.tasks.blank import WithoutDraws
from espnet2.tasks.build import build, load_weights, read_weights
from espnet2.tasks.config import SSLConfig, load_config
from espnet2.utils.errors import UserError


class LoadedModel(NamedTuple):
    """A trained model, in evaluation mode."""

    model: SSLModel
    config: SSLConfig
    files: ModelFiles
    hash: str  # of its weights; empty for one that is not trained


def load_model(files: ModelFiles, *, device: torch.device | str = "cpu") -> LoadedModel:
    """Load a trained model; adapters are merged into the weights they belong to.

    Raises:
        UserError: its config is wrong, its weights do not fit it, or they are damaged: see `check_weights`.
    """
    values = read_weights(files.weights)
    check_weights(values, files.weights, files.hash)
    config = load_config(files.config_file).without_adapters()
    with WithoutDraws():
        model = build(config)
    try:
        load_weights(model, merge_adapters(values))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{files.weights}: does not fit {files.config_file}: {reason}") from None
    return LoadedModel(model.to(device).eval(), config, files, files.hash)


def load_untrained(files: ModelFiles) -> LoadedModel:
    """A trained model as it was before its first update: weights of the config's seed, its own mel statistics.

    Raises:
        UserError: its config is wrong.
    """
    config = load_config(files.config_file).without_adapters()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build(config)
    statistics = {name for name, _ in model.frontend.named_buffers(prefix="frontend")}
    trained = {name: value for name, value in read_weights(files.weights).items() if name in statistics}
    model.load_state_dict(trained, strict=False)
    return LoadedModel(model.eval(), config, files, "")


def load_shape(files: ModelFiles) -> SSLModel:
    """A trained model without its weights, on the meta device: its layers, widths and frame rate, at no cost.

    Raises:
        UserError: its config is wrong.
    """
    config = load_config(files.config_file).without_adapters()
    with torch.device("meta"):
        return build(config).eval()
