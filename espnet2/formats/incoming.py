"""What a foreign file says of a model in, the config and weights of ours out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from espnet2.formats.canonical import from_canonical
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import build, teacher_names
from espnet2.tasks.config import SSLConfig, resolve_config
from espnet2.utils.errors import UserError

PLACEHOLDER_CLASSES = 2  # of a head that the file does not have: enough to build the model, plainly not a real one
NEW_WEIGHTS_SEED = 0
DEFAULT_GROUPS = 16  # of data2vec 2.0's decoder
Values = dict[str, object]  # of a config or a section of one, as YAML has them


@dataclass(frozen=True)
class Foreign:
    """A model that was read from elsewhere."""

    values: Values  # of a config: frontend, encoder and loss
    weights: dict[str, Tensor]  # under canonical names, see canonical.py
    left_out: list[str] = field(default_factory=list)  # names of weights that have no place here
    notes: list[str] = field(default_factory=list)  # what was assumed: the importer says it


@dataclass(frozen=True)
class Imported:
    """A foreign model as one of ours, in evaluation mode."""

    model: SSLModel
    config: SSLConfig
    new_weights: list[str]  # names of weights the file does not have: random


def frontend_values(
    layers: Sequence[Sequence[int]], where: str | Path, *, norm: str, bias: bool, normalize: bool, **keys: object
) -> Values:
    """`frontend_conf` of (channels, kernel, stride) layers.

    Raises:
        UserError: the layers differ in width.
    """
    widths = {int(channels) for channels, _, _ in layers}
    if len(widths) != 1:
        raise UserError(f"{where}: convolutions of different widths, {sorted(widths)}, have no form here")
    return {
        "channels": widths.pop(),
        "layers": [[int(kernel), int(stride)] for _, kernel, stride in layers],
        "norm": norm,
        "bias": bool(bias),
        "normalize": "utterance" if normalize else "none",
        **keys,
    }


def model_values(
    frontend: Mapping[str, object],
    encoder: Mapping[str, object],
    objective: str,
    weights: Mapping[str, Tensor],
    *,
    kind: str = "transformer",
) -> Values:
    """The whole config; sizes of heads and codebooks are read from the weights (canonical names)."""
    conf: Values = {}
    if objective in ("hubert", "wavlm"):
        embeddings = weights.get("objective.head.label_embeddings")
        conf["num_classes"] = PLACEHOLDER_CLASSES if embeddings is None else embeddings.size(0)
        if embeddings is not None:
            conf["label_dim"] = embeddings.size(1)
    elif objective == "wav2vec2" and "objective.quantizer.codes" in weights:
        _, num_codes, width = weights["objective.quantizer.codes"].shape
        final_dim, code_dim = weights["objective.head.code_projection.weight"].shape
        num_groups = code_dim // width
        conf = {"num_groups": num_groups, "num_codes": num_codes // num_groups}
        conf |= {"code_dim": code_dim, "final_dim": final_dim}
    elif objective == "data2vec2":
        num_layers, dim = encoder["num_layers"], encoder["dim"]
        assert isinstance(num_layers, int) and isinstance(dim, int), "readers give sizes as numbers"
        conf["num_target_layers"] = min(8, num_layers)
        if dim % DEFAULT_GROUPS:
            conf |= {"decoder_groups": 1}
    return {
        "frontend": "conv",
        "frontend_conf": dict(frontend),
        "encoder": kind,
        "encoder_conf": dict(encoder),
        "loss": [{"name": objective, "conf": conf}],
    }


def build_imported(foreign: Foreign, where: str | Path) -> Imported:
    """The model with the foreign weights; what training alone needs and the file lacks is drawn from a fixed seed.

    Raises:
        UserError: a weight of the encoder is missing, has another shape, or has no place here.
    """
    config = resolve_config(foreign.values, str(where))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(NEW_WEIGHTS_SEED)
        model = build(config)
    state = model.state_dict()
    entry = next(iter(config.entries()))
    shapes = {name: value.shape for name, value in state.items()}
    weights = {name: value.float() for name, value in from_canonical(foreign.weights, shapes, entry).items()}
    weights = {name: value for name, value in weights.items() if name in state or not name.startswith("objectives.")}
    missing = sorted(state.keys() - weights.keys() - _may_lack(state))
    unknown = sorted(weights.keys() - state.keys())
    if missing or unknown:
        name = (missing or unknown)[0]
        what = "is not in there" if missing else "has no place in this architecture"
        raise UserError(f"{where}: the weight {name} {what} ({len(missing)} missing, {len(unknown)} too many)")
    try:
        model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise UserError(f"{where}: {str(error).splitlines()[-1].strip()}") from None
    model.weights_loaded(weights.keys())
    return Imported(model.eval(), config, sorted(state.keys() - weights.keys() - teacher_names(model)))


def _may_lack(names: Collection[str]) -> set[str]:
    """What encodes nothing: objectives, and the counters of batch norm."""
    return {name for name in names if name.startswith("objectives.") or name.endswith("num_batches_tracked")}


def require(settings: Mapping[str, object], supported: Mapping[str, object], where: str | Path) -> None:
    """Refuse settings of a foreign model that this architecture does not have.

    Args:
        supported: key -> the only value with a form here; a key that is absent has it.

    Raises:
        UserError: a value differs.
    """
    wrong = [f"{key}: {settings[key]}" for key, value in supported.items() if settings.get(key, value) != value]
    if wrong:
        raise UserError(f"{where}: no form here for {', '.join(wrong)}")
