"""Learning rates that shrink with depth: a model's parameters in, the factor of the rate of every one out.

Lower layers of a trained model hold what is common to all audio: they should move least when it learns something new
(Howard and Ruder 2018, section 3.2, "discriminative fine-tuning"; in this form Clark et al. 2020, ELECTRA, appendix B).
"""

from collections.abc import Iterable

from torch import nn

from espnet2.ssl.model import SSLModel
from espnet2.utils.errors import UserError

RATE_FACTOR = "rate_factor"  # key of an optimizer's groups, saved with them


def rate_factors(model: nn.Module, names: Iterable[str], layer_decay: float) -> dict[str, float]:
    """Name of a parameter -> factor of its learning rate: layer_decay ^ (layers between it and the top).

    Args:
        names: of parameters of `model`.
        layer_decay: below 1; the factor from a layer to the one below.

    Raises:
        UserError: the model has no encoder of blocks.

    The heads of objectives and a norm above the blocks have 1, block l of L has decay^(L + 1 - l), the frontend and
    whatever is below the first block decay^(L + 1).
    """
    if not isinstance(model, SSLModel):
        raise UserError(f"optim_conf: layer_decay {layer_decay:g} needs an encoder of blocks; leave it out")
    top = model.encoder.num_layers + 1
    return {name: layer_decay ** (top - _depth(model, name, top)) for name in names}


def describe_factors(model: SSLModel, layer_decay: float) -> list[str]:
    """One line for the log; none where all parameters have the same rate."""
    if layer_decay == 1:
        return []
    layers = model.encoder.num_layers
    return [
        f"layer_decay {layer_decay:g}: the learning rate of heads is lr, of layer {layers} lr x {layer_decay:.3g}, of "
        f"layer 1 lr x {layer_decay**layers:.3g}, of the frontend lr x {layer_decay ** (layers + 1):.3g}"
    ]


def _depth(model: SSLModel, name: str, top: int) -> int:
    part, _, inside = name.partition(".")
    if part == "frontend":
        return 0
    return model.encoder.depth(inside) if part == "encoder" else top
