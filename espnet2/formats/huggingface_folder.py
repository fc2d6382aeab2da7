"""A folder as transformers' save_pretrained writes it in, its settings, scaling and weights out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from espnet2.formats.canonical import modern_weight_norm
from espnet2.formats.safe_pickle import load_foreign, only_tensors
from espnet2.formats.settings import Settings
from espnet2.utils.errors import UserError
from espnet2.utils.files import require_json

CONFIG = "config.json"
# What the configuration classes of transformers 4 and 5 take for a key that config.json does not have (their documented
# defaults, the same for wav2vec 2.0, HuBERT, WavLM, data2vec and the conformer).
DEFAULTS: dict[str, int | list[int]] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
}
CONVOLUTIONS = ("conv_dim", "conv_kernel", "conv_stride")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # either may be "<name>.index.json" and several files instead
SAMPLE_RATE = 16000  # Hz, of an extractor that does not say
REMEDY = "expected a folder as save_pretrained writes it; fetch all files of the model"


@dataclass(frozen=True)
class Scaling:
    """What happens to a waveform before the model."""

    normalize: bool  # each utterance to zero mean and unit variance
    sample_rate: int  # Hz
    is_assumed: bool  # no file of the folder says so


def model_type(path: Path) -> str:
    """The family that config.json names; empty where it names none.

    Raises:
        UserError: it is missing or damaged.
    """
    return str(require_json(path / CONFIG, REMEDY).get("model_type") or "")


def read_settings(path: Path, defaults: Mapping[str, int | list[int]] = DEFAULTS) -> Settings:
    """config.json, with what its class takes for missing keys.

    Args:
        defaults: the sizes, and what the class takes for them.

    Raises:
        UserError: it is missing or damaged, or a size is none.
    """
    settings: dict[str, object] = {**defaults, **require_json(path / CONFIG, REMEDY)}
    lengths = {}
    for name, default in defaults.items():
        values = settings[name] if isinstance(default, list) else [settings[name]]
        if not isinstance(values, list) or not values or not all(type(size) is int and size > 0 for size in values):
            raise UserError(f"{path / CONFIG}: {name}: {settings[name]!r}; expected positive numbers as {default}")
        if isinstance(default, list):
            lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        raise UserError(f"{path / CONFIG}: {', '.join(f'{name} has {n} values' for name, n in lengths.items())}")
    return Settings(settings, path / CONFIG)


def activation_of(settings: Settings, usual: str) -> object:
    """The activation of the feed-forward parts; swish has two names."""
    activation = settings.get("hidden_act", usual)
    return "swish" if activation == "silu" else activation


def conv_layers_of(settings: Settings) -> list[tuple[int, int, int]]:
    """(channels, kernel, stride) of each convolution of `read_settings`."""
    columns = [cast(list[int], settings.get(name)) for name in CONVOLUTIONS]
    return list(zip(*columns, strict=True))


def read_scaling(path: Path, *, normalizes: bool) -> Scaling:
    """What preprocessor_config.json says, or processor_config.json of transformers 5.

    Args:
        normalizes: what to assume where there is neither.

    Raises:
        UserError: one of them is damaged.
    """
    extractor = extractor_settings(path)
    normalize, rate = extractor.get("do_normalize", normalizes), extractor.get("sampling_rate", SAMPLE_RATE)
    if not isinstance(normalize, bool) or type(rate) is not int or rate <= 0:
        raise UserError(f"{path}: do_normalize: {normalize!r}, sampling_rate: {rate!r}; expected true or false, and Hz")
    return Scaling(normalize, rate, "do_normalize" not in extractor)


def extractor_settings(path: Path) -> dict[str, object]:
    """The settings of the feature extractor; empty where no file has them."""
    if (path / "preprocessor_config.json").is_file():
        return require_json(path / "preprocessor_config.json", REMEDY)
    if (path / "processor_config.json").is_file():
        inside = require_json(path / "processor_config.json", REMEDY).get("feature_extractor", {})
        return inside if isinstance(inside, dict) else {}
    return {}


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights, from one file or from several that an index lists.

    Raises:
        UserError: there are none, a listed file or weight is missing, or one is damaged.
    """
    for name in WEIGHTS:
        if (path / name).is_file():
            return modern_weight_norm(only_tensors(load_foreign(path / name), path / name))
        if (path / f"{name}.index.json").is_file():
            return modern_weight_norm(dict(_sharded(path, path / f"{name}.index.json")))
    raise UserError(f"{path}: no {WEIGHTS[0]} and no {WEIGHTS[1]}, nor an index of several files of them")


def _sharded(path: Path, index: Path) -> Iterator[tuple[str, Tensor]]:
    weight_map = require_json(index, REMEDY).get("weight_map")
    if (
        not isinstance(weight_map, Mapping)
        or not weight_map
        or not all(isinstance(file, str) for file in weight_map.values())
    ):
        raise UserError(f"{index}: no weight_map from names to files")
    for file in sorted(set(weight_map.values())):
        if Path(file).name != file:
            raise UserError(f"{index}: {file!r} is no file of this folder; refused")
        if not (path / file).is_file():
            raise UserError(f"{index}: {file} is missing; fetch all files of the model")
        state = only_tensors(load_foreign(path / file), path / file)
        for name in (name for name, listed in weight_map.items() if listed == file):
            if name not in state:
                raise UserError(f"{path / file}: {name} is missing, which {index.name} says is there")
            yield name, state[name]


def split_state(state: Mapping[str, Tensor], prefixes: Sequence[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights of the bare model, without a prefix, and of heads around it.

    Args:
        prefixes: what the bare model is called inside the classes with heads.
    """
    prefix = next((candidate for candidate in prefixes if any(name.startswith(candidate) for name in state)), "")
    body = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return body, {name: value for name, value in state.items() if not name.startswith(prefix)}


def fill(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load; only counters and constants may stay as they are."""
    missing, unexpected = model.load_state_dict(dict(weights), strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    assert not missing and not unexpected, (missing, unexpected)
